// Builds elements. Every text goes in as text, never as markup.

export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "class") node.className = value;
    else if (name === "data") Object.assign(node.dataset, value);
    else if (name in node && typeof value !== "string") node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export function byId(id) {
  return document.getElementById(id);
}

export function fill(node, ...children) {
  node.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
}

export function toast(text, kind = "warning") {
  const node = el("div", { class: `toast ${kind}` }, text);
  byId("toasts").append(node);
  setTimeout(() => node.remove(), 7000);
}

// Keeps the nodes of entries that did not change, so that an open menu or a half-typed field survives a refresh.
export class KeyedList {
  constructor(container) {
    this.container = container;
    this.kept = new Map();
  }

  show(entries, keyOf, build) {
    const fresh = new Map();
    const nodes = entries.map((entry) => {
      const key = keyOf(entry);
      const shape = JSON.stringify(entry);
      const known = this.kept.get(key);
      const node = known && known.shape === shape ? known.node : build(entry);
      fresh.set(key, { shape, node });
      return node;
    });
    this.kept = fresh;
    nodes.forEach((node, index) => {
      const present = this.container.children[index];
      if (present !== node) this.container.insertBefore(node, present ?? null);
    });
    while (this.container.children.length > nodes.length) this.container.lastElementChild.remove();
  }

  forget() {
    this.kept = new Map();
    this.container.replaceChildren();
  }
}
