// Where people type: messages, slash commands with their hints, and names after an @.

import { el, fill } from "./dom.js";
import { act, reasonOf } from "./api.js";
import { directory } from "./directory.js";

const UNANSWERED = ["operation_timeout", "dispatch_failed"];

export class Composer {
  // `place()` is {channel, thread_ts, label}.
  constructor(container, place) {
    this.place = place;
    this.chosen = 0;
    this.field = el("textarea", { rows: "1", oninput: () => this.changed(), onkeydown: (event) => this.key(event), onblur: () => setTimeout(() => fill(this.hints), 150) });
    this.hints = el("ul", { class: "hints", role: "listbox" });
    this.problem = el("p", { class: "problem", role: "alert" });
    this.prompts = el("div", { class: "prompts" });
    this.send = el("button", { type: "button", class: "button primary send", "aria-label": "Send", onclick: () => this.submit() }, "Send");
    fill(container, el("div", { class: "composer" }, this.prompts, this.hints, this.problem,
      el("div", { class: "composer-row" }, this.field, this.send)));
  }

  refresh() {
    const { label } = this.place();
    this.field.placeholder = label;
    this.field.setAttribute("aria-label", label);
  }

  suggest(prompts) {
    fill(this.prompts, prompts.map((prompt) =>
      el("button", { type: "button", class: "prompt", onclick: () => this.say(prompt.message) }, prompt.title)));
  }

  clear() {
    this.field.value = "";
    this.changed();
  }

  changed() {
    this.problem.textContent = "";
    this.field.style.height = "auto";
    // Hidden, or empty with a long placeholder, it has no height worth keeping.
    if (this.field.value) this.field.style.height = `${Math.min(this.field.scrollHeight, 160)}px`;
    this.options = this.offered();
    this.chosen = 0;
    this.showHints();
  }

  offered() {
    const text = this.field.value;
    if (/^\/\S*$/.test(text)) {
      return directory.commands.filter((command) => command.command.startsWith(text)).map((command) => ({
        face: command.command, about: `${command.usage_hint ?? ""} — ${command.description}`, take: () => `${command.command} `,
      }));
    }
    const typed = /(^|\s)@([a-z0-9._-]*)$/i.exec(text.slice(0, this.field.selectionStart));
    if (!typed) return [];
    const names = [[directory.bot.name, directory.bot.real_name], ...directory.people.map((person) => [person.name, person.real_name]),
      ...directory.user_groups.map((group) => [group.handle, group.name])];
    return names.filter(([name]) => name.startsWith(typed[2].toLowerCase())).slice(0, 8).map(([name, about]) => ({
      face: `@${name}`, about, take: () => text.slice(0, this.field.selectionStart).replace(/@[a-z0-9._-]*$/i, `@${name} `) + text.slice(this.field.selectionStart),
    }));
  }

  showHints() {
    fill(this.hints, this.options.map((option, index) => el("li", {
      role: "option", class: index === this.chosen ? "chosen" : "", "aria-selected": String(index === this.chosen),
      onmousedown: (event) => {
        event.preventDefault();
        this.take(option);
      },
    }, el("strong", {}, option.face), el("span", { class: "muted" }, ` ${option.about}`))));
  }

  take(option) {
    this.field.value = option.take();
    this.field.focus();
    this.changed();
  }

  key(event) {
    const open = this.options?.length && this.hints.children.length;
    if (open && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : -1;
      this.chosen = (this.chosen + step + this.options.length) % this.options.length;
      this.showHints();
    } else if (open && (event.key === "Tab" || (event.key === "Enter" && this.options[this.chosen].face !== this.field.value))) {
      event.preventDefault();
      this.take(this.options[this.chosen]);
    } else if (event.key === "Escape") {
      fill(this.hints);
    } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.submit();
    }
  }

  submit() {
    const text = this.field.value.trim();
    if (text && !this.send.disabled) this.say(text);
  }

  async say(text) {
    const { channel, thread_ts } = this.place();
    const slash = /^(\/\S+)\s*([\s\S]*)$/.exec(text);
    const about = { as: directory.me, channel, thread_ts };
    this.send.disabled = true;
    this.send.classList.add("busy");
    const answer = slash
      ? await act("command", { ...about, command: slash[1], text: slash[2] })
      : await act("say", { ...about, text });
    this.send.disabled = false;
    this.send.classList.remove("busy");
    // The person was told of a command without an answer by a message of its own.
    if (answer.ok || UNANSWERED.includes(answer.error)) this.clear();
    else this.problem.textContent = reasonOf(answer);
  }
}
