// The modals that the bot opens.

import { el } from "./dom.js";
import { act, reasonOf } from "./api.js";
import { blocksNode } from "./blocks.js";
import { Form } from "./fields.js";
import { textNodes } from "./mrkdwn.js";

// Shows the modal in front of a person, and follows it as the bot changes it.
export class Modal {
  constructor(personId) {
    this.personId = personId;
    this.dialog = null;
    this.shown = null;
  }

  show(stack) {
    const view = stack.at(-1) ?? null;
    const same = view && this.shown && view.id === this.shown.id && view.hash === this.shown.hash;
    if (same) return;
    this.hide();
    if (view) this.open(view);
  }

  hide() {
    this.dialog?.remove();
    this.dialog = null;
    this.shown = null;
  }

  open(view) {
    const form = new Form((verb, element, block, value) => this.use(verb, element, block, value));
    this.form = form;
    this.shown = view;
    const title = el("h2", {}, textNodes(view.title));
    const dialog = el("dialog", { class: "modal", "aria-label": view.title.text, oncancel: (event) => {
      event.preventDefault();
      this.close();
    } },
      el("header", {}, title, el("button", { type: "button", class: "icon", "aria-label": "Close", onclick: () => this.close() }, "✕")),
      el("form", { method: "dialog", onsubmit: (event) => {
        event.preventDefault();
        this.submit();
      } },
        el("div", { class: "dialog-body" }, blocksNode(view.blocks, form)),
        el("p", { class: "problem general", role: "alert" }),
        el("footer", {},
          el("button", { type: "button", class: "button", onclick: () => this.close() }, view.close ? textNodes(view.close) : "Cancel"),
          view.submit && el("button", { type: "submit", class: "button primary" }, textNodes(view.submit)))));
    this.dialog = dialog;
    document.body.append(dialog);
    dialog.showModal();
  }

  async close() {
    const view = this.shown;
    this.hide();
    const answer = await act("close", { as: this.personId, view_id: view.id });
    if (!answer.ok && answer.error !== "view_not_found") this.onProblem?.(reasonOf(answer));
  }

  async submit() {
    const { dialog, shown } = this;
    const button = dialog.querySelector("button[type=submit]");
    if (!button || button.disabled) return;
    button.disabled = true;
    button.classList.add("busy");
    const answer = await act("submit", { as: this.personId, view_id: shown.id, values: this.form.values });
    button.disabled = false;
    button.classList.remove("busy");
    if (!answer.ok) this.tell(dialog, answer);
  }

  tell(dialog, answer) {
    const errors = answer.errors ?? {};
    for (const block of dialog.querySelectorAll(".block.input")) {
      const problem = errors[block.dataset.block];
      block.classList.toggle("wrong", Boolean(problem));
      block.querySelector(".problem").textContent = problem ?? "";
    }
    const placed = Object.keys(errors).length > 0;
    dialog.querySelector(".problem.general").textContent = placed ? "" : reasonOf(answer);
    dialog.querySelector(".wrong .field, .wrong input")?.focus();
  }

  async use(verb, element, block, value) {
    const body = { as: this.personId, view_id: this.shown.id, action_id: element.action_id, block_id: block.block_id, state: this.form.values };
    const answer = await act(verb, value === undefined ? body : { ...body, value });
    if (!answer.ok && this.dialog) this.dialog.querySelector(".problem.general").textContent = reasonOf(answer);
  }
}
