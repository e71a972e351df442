// What goes over the wire between this server and the bot, and faults to try on it.

import { el, fill, toast } from "./dom.js";
import { act, look, reasonOf } from "./api.js";

const FAULTS = [
  ["Send the next envelope twice", { duplicate: 1 }],
  ["Lose the next ack", { drop_acks: 1 }],
  ["Answer the next post 429", { rate_limit: { "chat.postMessage": 1 } }],
  ["Disconnect the bot", { disconnect: true }],
  ["Clear all faults", { clear: true }],
];
const MOST = 300;

export class Inspector {
  constructor(container, onClose) {
    this.container = container;
    this.list = el("ol", { class: "wire" });
    this.filter = el("input", { class: "field", type: "search", placeholder: "Filter by name or content", "aria-label": "Filter", oninput: () => this.sift() });
    this.force = el("p", { class: "muted" });
    fill(container,
      el("header", { class: "bar" }, el("div", { class: "bar-title" }, el("h1", {}, "Inspector"), el("p", {}, "Envelopes, acks and API calls")), this.filter,
        el("button", { type: "button", class: "icon", "aria-label": "Close inspector", onclick: onClose }, "✕")),
      el("details", { class: "faults" }, el("summary", {}, "Faults"),
        FAULTS.map(([label, wanted]) => el("button", { type: "button", class: "button small", onclick: () => this.inject(wanted) }, label)), this.force),
      this.list);
  }

  async load() {
    const { entries } = await look("wire");
    this.list.replaceChildren();
    for (const entry of entries) this.add(entry);
    await this.showFaults();
  }

  add(entry) {
    const outward = entry.direction === "to the bot";
    const kind = entry.content?.payload?.event?.type ?? entry.content?.payload?.type ?? entry.content?.payload?.command ?? "";
    const refused = entry.content?.answer?.ok === false;
    const content = el("pre");
    const node = el("li", { class: `${outward ? "out" : "in"} ${refused ? "refused" : ""}` }, el("details", { ontoggle: () => {
      content.textContent = JSON.stringify(entry.content, null, 2);
    } },
      el("summary", {}, el("span", { class: "arrow", title: entry.direction }, outward ? "→" : "←"),
        el("span", { class: "wire-name" }, entry.name, kind && el("span", { class: "muted" }, ` ${kind}`),
          refused && el("span", { class: "refusal" }, ` ${entry.content.answer.error}`)),
        el("time", {}, entry.at.slice(11, 23))), content));
    node.searched = `${entry.name} ${JSON.stringify(entry.content)}`.toLowerCase();
    node.hidden = !this.matches(node);
    this.list.prepend(node);
    while (this.list.children.length > MOST) this.list.lastElementChild.remove();
  }

  sift() {
    for (const node of this.list.children) node.hidden = !this.matches(node);
  }

  matches(node) {
    return node.searched.includes(this.filter.value.toLowerCase());
  }

  async inject(wanted) {
    const answer = await act("faults", wanted);
    if (!answer.ok) toast(reasonOf(answer));
    await this.showFaults();
  }

  async showFaults() {
    const { faults } = await look("faults");
    const live = Object.entries(faults).filter(([name, value]) => name !== "retry_after" && value && (typeof value !== "object" || Object.values(value).some(Boolean)));
    this.force.textContent = live.length ? `In force: ${live.map(([name, value]) => `${name} ${typeof value === "object" ? JSON.stringify(value) : value}`).join(", ")}` : "None in force.";
  }
}
