// The question that stands before an act that cannot be taken back.

import { el } from "./dom.js";
import { textNodes } from "./mrkdwn.js";

// Whether the person agrees; without a confirm object nothing is asked.
export function confirmed(confirm) {
  if (!confirm) return Promise.resolve(true);
  return new Promise((resolve) => {
    const dialog = el("dialog", { class: "confirm", onclose: () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    } },
      el("h2", {}, textNodes(confirm.title)),
      el("div", { class: "dialog-body" }, textNodes(confirm.text)),
      el("footer", {},
        el("button", { type: "button", class: "button", onclick: () => dialog.close("no") }, textNodes(confirm.deny)),
        el("button", { type: "button", class: `button ${confirm.style ?? "primary"}`, onclick: () => dialog.close("yes") }, textNodes(confirm.confirm))));
    document.body.append(dialog);
    dialog.showModal();
  });
}
