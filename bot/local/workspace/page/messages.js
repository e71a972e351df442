// One message as it stands in a channel or a thread, with what a person may do to it.

import { el, toast } from "./dom.js";
import { act, reasonOf } from "./api.js";
import { colourOf, directory, initialsOf, nameOf, personOf, rolesText } from "./directory.js";
import { REACTIONS, clock, emoji, mrkdwn, relativeDay } from "./mrkdwn.js";
import { blocksNode } from "./blocks.js";
import { Form } from "./fields.js";
import { icon } from "./icons.js";

export function avatar(id) {
  if (id === directory.bot.user_id) return el("img", { class: "avatar", src: "/page/mark.svg", alt: "" });
  const node = el("span", { class: "avatar", "aria-hidden": "true" }, initialsOf(id));
  node.style.backgroundColor = colourOf(id);
  return node;
}

export function dayOf(ts) {
  const at = new Date(Number(ts) * 1000);
  const near = relativeDay(at);
  if (near) return near[0].toUpperCase() + near.slice(1);
  return at.toLocaleDateString("en-GB", { weekday: "long", day: "numeric", month: "long" });
}

// `place` is {channel, inThread, openThread}.
export function messageNode(message, place) {
  const at = new Date(Number(message.ts) * 1000);
  const problem = el("p", { class: "problem", role: "alert" });
  const body = el("div", { class: "message-body" }, byline(message, at), content(message, place, problem), problem,
    reactions(message, place), place.inThread ? null : threadLink(message, place));
  const kinds = ["message", message.is_ephemeral ? "ephemeral" : "", message.user === "USLACKBOT" ? "notice" : ""];
  return el("article", { class: kinds.join(" "), data: { ts: message.ts }, "aria-label": `${nameOf(message.user)}: ${message.text}` },
    avatar(message.user), body, message.is_ephemeral ? null : toolbar(message, place, body));
}

function byline(message, at) {
  const bot = message.bot_id && el("span", { class: "tag" }, "APP");
  const person = personOf(message.user);
  const roles = person && el("span", { class: "role" }, rolesText(person));
  return el("div", { class: "byline" },
    message.is_ephemeral && el("span", { class: "only-you" }, icon("eyes"), " Only visible to you"),
    el("strong", {}, nameOf(message.user)), bot, roles,
    el("time", { datetime: at.toISOString(), title: at.toString() }, clock(at)),
    message.subtype === "thread_broadcast" && el("span", { class: "muted" }, "also sent to the channel"));
}

function content(message, place, problem) {
  const edited = message.edited && el("span", { class: "muted" }, " (edited)");
  const files = (message.files ?? []).map((file) => el("div", { class: "file" }, icon("page_facing_up"), ` ${file.name}`, el("span", { class: "muted" }, ` ${file.size} bytes`)));
  if (message.blocks?.length) {
    const form = new Form((verb, element, block, value) => use(verb, message, place, { element, block, value, form, problem }));
    return el("div", {}, blocksNode(message.blocks, form), edited, files);
  }
  return el("div", { class: "text" }, mrkdwn(message.text), edited, files);
}

async function use(verb, message, place, { element, block, value, form, problem }) {
  problem.textContent = "";
  const body = { as: directory.me, channel: place.channel, ts: message.ts, action_id: element.action_id, block_id: block.block_id, state: form.values };
  const answer = await act(verb, value === undefined ? body : { ...body, value });
  if (!answer.ok) problem.textContent = reasonOf(answer);
}

function reactions(message, place) {
  if (!message.reactions?.length) return null;
  return el("div", { class: "reactions" }, message.reactions.map((reaction) => {
    const mine = reaction.users.includes(directory.me);
    const who = reaction.users.map(nameOf).join(", ");
    return el("button", { type: "button", class: mine ? "reaction mine" : "reaction", title: `${who} — :${reaction.name}:`,
      onclick: () => react(message, place, reaction.name, mine) }, emoji(reaction.name), ` ${reaction.count}`);
  }));
}

async function react(message, place, name, remove) {
  report(await act("react", { as: directory.me, channel: place.channel, ts: message.ts, name, remove }));
}

function report(answer) {
  if (!answer.ok) toast(reasonOf(answer));
}

function threadLink(message, place) {
  if (!message.reply_count) return null;
  const count = message.reply_count === 1 ? "1 reply" : `${message.reply_count} replies`;
  return el("button", { type: "button", class: "thread-link", onclick: () => place.openThread(message.ts) },
    message.reply_users.slice(0, 3).map(avatar), el("span", {}, count),
    el("span", { class: "muted" }, `last at ${clock(new Date(Number(message.latest_reply) * 1000))}`));
}

function toolbar(message, place, body) {
  const mine = message.user === directory.me;
  const shortcuts = directory.shortcuts.filter((shortcut) => shortcut.type === "message");
  const about = { as: directory.me, channel: place.channel, ts: message.ts };
  return el("div", { class: "toolbar", role: "toolbar", "aria-label": "Message" },
    REACTIONS.map((name) => tool(name, `React :${name}:`, () => react(message, place, name, false))),
    place.inThread ? null : tool("speech_balloon", "Reply in thread", () => place.openThread(message.thread_ts ?? message.ts)),
    shortcuts.map((shortcut) => tool("zap", shortcut.name, async () => report(await act("shortcut", { ...about, callback_id: shortcut.callback_id })))),
    mine && tool("memo", "Edit", () => editing(message, about, body)),
    mine && tool("wastebasket", "Delete", async () => report(await act("delete", about))));
}

function tool(picture, label, onclick) {
  return el("button", { type: "button", class: "tool", title: label, "aria-label": label, onclick }, icon(picture));
}

function editing(message, about, body) {
  const field = el("textarea", { class: "field", rows: "2", "aria-label": "Edit message" });
  field.value = message.text;
  const save = async () => {
    const answer = await act("edit", { ...about, text: field.value });
    if (answer.ok) editor.remove();
    report(answer);
  };
  const editor = el("div", { class: "editor" }, field, el("div", { class: "actions" },
    el("button", { type: "button", class: "button", onclick: () => editor.remove() }, "Cancel"),
    el("button", { type: "button", class: "button primary", onclick: save }, "Save")));
  body.append(editor);
  field.focus();
}
