// Block Kit as people see it; the form carries out what somebody does with an interactive element.

import { el } from "./dom.js";
import { channelName, groupName } from "./directory.js";
import { emoji, formatted, letters, link, markdown, mention, textNodes } from "./mrkdwn.js";
import { buttonFor, fieldFor } from "./fields.js";
import { icon } from "./icons.js";

export function blocksNode(blocks, form) {
  return el("div", { class: "blocks" }, blocks.map((block) => blockNode(block, form)));
}

function blockNode(block, form) {
  const build = BUILDERS[block.type];
  return build ? build(block, form) : el("div", { class: "block unknown" }, `(${block.type})`);
}

const BUILDERS = {
  section: (block, form) =>
    el("div", { class: "block section" },
      el("div", { class: "section-body" },
        block.text && el("div", { class: "text" }, textNodes(block.text)),
        block.fields && el("div", { class: "fields" }, block.fields.map((field) => el("div", { class: "text" }, textNodes(field))))),
      block.accessory && el("div", { class: "accessory" }, elementNode(block.accessory, block, form))),
  header: (block) => el("h3", { class: "block header" }, textNodes(block.text)),
  divider: () => el("hr", { class: "block" }),
  context: (block) =>
    el("div", { class: "block context" }, block.elements.map((entry) =>
      entry.type === "image" ? picture(entry, "small") : el("span", { class: "text" }, textNodes(entry)))),
  actions: (block, form) => el("div", { class: "block actions" }, block.elements.map((entry) => elementNode(entry, block, form))),
  input: (block, form) => inputNode(block, form),
  image: (block) =>
    el("figure", { class: "block" }, block.title && el("figcaption", {}, textNodes(block.title)), picture(block, "large")),
  rich_text: (block) => el("div", { class: "block text" }, block.elements.map(richPart)),
  markdown: (block) => el("div", { class: "block text markdown" }, markdown(block.text)),
};

function elementNode(element, block, form) {
  if (element.type === "image") return picture(element, "accessory");
  if (element.type === "button") return buttonFor(element, block, form);
  return fieldFor(element, block, form);
}

function inputNode(block, form) {
  const field = fieldFor(block.element, block, form);
  const id = `field-${block.block_id}`;
  const label = el("label", { for: id }, textNodes(block.label), block.optional && el("span", { class: "optional" }, " (optional)"));
  const target = field.matches("input, textarea, select") ? field : field.querySelector("input, textarea, select");
  if (target && !field.classList.contains("choices")) target.id = id;
  return el("div", { class: "block input", data: { block: block.block_id } },
    label, field,
    block.hint && el("p", { class: "hint" }, textNodes(block.hint)),
    el("p", { class: "problem", role: "alert" }));
}

// Pictures from elsewhere are never loaded: this page works without a network and tells nobody that it is read.
function picture(image, size) {
  const here = /^data:image\//.test(image.image_url ?? "");
  if (here) return el("img", { class: `picture ${size}`, src: image.image_url, alt: image.alt_text });
  return el("span", { class: `picture ${size} absent`, title: image.image_url ?? "" }, icon("frame_with_picture"), ` ${image.alt_text}`);
}

function richPart(part) {
  if (part.type === "rich_text_list") {
    const items = part.elements.map((item) => el("li", {}, item.elements.map(richLeaf)));
    return el(part.style === "ordered" ? "ol" : "ul", { class: `indent-${part.indent ?? 0}` }, items);
  }
  const inside = part.elements.map(richLeaf);
  if (part.type === "rich_text_quote") return el("blockquote", {}, inside);
  if (part.type === "rich_text_preformatted") return el("pre", {}, inside);
  return el("p", {}, inside);
}

const STYLES = [["bold", "strong"], ["italic", "em"], ["strike", "s"], ["code", "code"], ["underline", "u"]];

function richLeaf(leaf) {
  return STYLES.reduce((node, [name, tag]) => (leaf.style?.[name] ? el(tag, {}, node) : node), bareLeaf(leaf));
}

function bareLeaf(leaf) {
  switch (leaf.type) {
    case "text": return el("span", {}, letters(leaf.text));
    case "link": return link(leaf.url, leaf.text || leaf.url);
    case "user": return mention(leaf.user_id);
    case "usergroup": return el("span", { class: "mention" }, `@${groupName(leaf.usergroup_id)}`);
    case "channel": return el("span", { class: "mention" }, `#${channelName(leaf.channel_id)}`);
    case "broadcast": return el("span", { class: "mention" }, `@${leaf.range}`);
    case "emoji": return emoji(leaf.name);
    case "date": return el("time", {}, formatted(new Date(leaf.timestamp * 1000), leaf.format));
    default: return document.createTextNode("");
  }
}
