// Buttons, menus and inputs. A form collects what was filled in as {block_id: {action_id: value}}.

import { el } from "./dom.js";
import { directory } from "./directory.js";
import { letters, plain, textNodes } from "./mrkdwn.js";
import { confirmed } from "./confirm.js";

export class Form {
  // `use(verb, element, block, value)` carries out an act; without it nothing is interactive.
  constructor(use) {
    this.use = use;
    this.values = {};
  }

  put(block, element, value) {
    (this.values[block.block_id] ??= {})[element.action_id] = value;
  }
}

export function buttonFor(element, block, form) {
  if (element.visible_to_user_ids && !element.visible_to_user_ids.includes(directory.me)) return null;
  const button = el("button", {
    type: "button",
    class: `button ${element.style ?? ""}`,
    "aria-label": element.accessibility_label,
    data: { action: element.action_id },
    onclick: () => pressed(button, element, block, form),
  }, letters(element.text.text));
  return button;
}

async function pressed(button, element, block, form) {
  if (!(await confirmed(element.confirm))) return;
  if (element.url && /^https?:/i.test(element.url)) window.open(element.url, "_blank", "noopener");
  button.classList.add("busy");
  button.disabled = true;
  await form.use("click", element, block, element.value);
  button.classList.remove("busy");
  button.disabled = false;
}

export function fieldFor(element, block, form) {
  const build = FIELDS[element.type];
  if (!build) return el("span", { class: "unknown" }, `(${element.type})`);
  const isInput = block.type === "input";
  const changed = async (value) => {
    form.put(block, element, value);
    const dispatches = !isInput || block.dispatch_action;
    if (dispatches && (await confirmed(element.confirm))) await form.use("select", element, block, value);
  };
  return build(element, changed, (value) => form.put(block, element, value));
}

const FIELDS = {
  plain_text_input: (element, changed, put) => {
    const field = el(element.multiline ? "textarea" : "input", {
      class: "field",
      placeholder: element.placeholder?.text,
      maxlength: element.max_length && String(element.max_length),
      rows: element.multiline && "4",
      oninput: () => put(field.value),
      onchange: () => changed(field.value),
    });
    field.value = element.initial_value ?? "";
    return focusing(field, element);
  },
  number_input: (element, changed, put) => {
    const field = el("input", {
      class: "field",
      inputmode: "decimal",
      placeholder: element.placeholder?.text,
      oninput: () => put(field.value),
      onchange: () => changed(field.value),
    });
    field.value = element.initial_value ?? "";
    return focusing(field, element);
  },
  datepicker: (element, changed) => {
    const field = el("input", { class: "field", type: "date", onchange: () => changed(field.value) });
    field.value = element.initial_date ?? "";
    return focusing(field, element);
  },
  users_select: (element, changed) => {
    const options = directory.people.map((person) => [person.id, person.real_name]);
    return menu(element, options, element.initial_user, changed);
  },
  static_select: (element, changed) => {
    const select = menu(element, pairs(element.options ?? []), element.initial_option?.value, changed);
    for (const group of element.option_groups ?? []) {
      select.append(el("optgroup", { label: group.label.text }, choices(pairs(group.options))));
    }
    select.value = element.initial_option?.value ?? "";
    return select;
  },
  overflow: (element, changed) => {
    const select = el("select", { class: "field overflow", "aria-label": "More", onchange: () => {
      const value = select.value;
      select.value = "";
      changed(value);
    } }, el("option", { value: "" }, "⋯"), choices(pairs(element.options)));
    return select;
  },
  checkboxes: (element, changed) => choiceList(element, "checkbox", changed),
  radio_buttons: (element, changed) => choiceList(element, "radio", changed),
};

function focusing(field, element) {
  if (element.focus_on_load) queueMicrotask(() => field.focus());
  return field;
}

function pairs(options) {
  return options.map((option) => [option.value, plain(option.text.text)]);
}

function choices(entries) {
  return entries.map(([value, label]) => el("option", { value }, label));
}

function menu(element, entries, initial, changed) {
  const empty = el("option", { value: "" }, element.placeholder?.text ?? "Choose…");
  const select = el("select", { class: "field", data: { action: element.action_id }, onchange: () => changed(select.value || null) }, empty, choices(entries));
  select.value = initial ?? "";
  return select;
}

function choiceList(element, type, changed) {
  const group = `${element.action_id}-${Math.random()}`;
  const initial = (element.initial_options ?? (element.initial_option ? [element.initial_option] : [])).map((option) => option.value);
  const boxes = element.options.map((option) => {
    const box = el("input", { type, name: group, value: option.value, onchange: () => {
      const chosen = boxes.map(([each]) => each).filter((each) => each.checked).map((each) => each.value);
      changed(type === "radio" ? (chosen[0] ?? null) : chosen);
    } });
    box.checked = initial.includes(option.value);
    return [box, option];
  });
  return el("div", { class: "choices", role: type === "radio" ? "radiogroup" : "group" }, boxes.map(([box, option]) =>
    el("label", { class: "choice" }, box, el("span", {}, textNodes(option.text),
      option.description && el("small", {}, textNodes(option.description))))));
}
