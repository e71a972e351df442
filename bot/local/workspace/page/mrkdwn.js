// Slack's mrkdwn and plain Markdown, turned into nodes. What is not understood is shown as it was written.

import { el } from "./dom.js";
import { hasIcon, icon } from "./icons.js";
import { channelName, directory, groupName, handleOf } from "./directory.js";

const EMOJI = {
  white_check_mark: "✅", heavy_check_mark: "✔", x: "❌", warning: "⚠", hourglass: "⌛", hourglass_flowing_sand: "⏳", no_entry: "⛔",
  no_entry_sign: "🚫", octagonal_sign: "🛑", large_green_circle: "🟢", large_yellow_circle: "🟡", large_orange_circle: "🟠", raising_hand: "🙋", red_circle: "🔴", large_blue_circle: "🔵",
  white_circle: "⚪", black_circle: "⚫", bell: "🔔", calendar: "📅", lock: "🔒", unlock: "🔓", memo: "📝", pencil: "📝", pencil2: "✏",
  speech_balloon: "💬", eyes: "👀", tada: "🎉", "+1": "👍", thumbsup: "👍", "-1": "👎", thumbsdown: "👎", question: "❓", exclamation: "❗",
  information_source: "ℹ", repeat: "🔁", arrows_counterclockwise: "🔄", credit_card: "💳", moneybag: "💰", package: "📦", robot_face: "🤖",
  mag: "🔍", double_vertical_bar: "⏸", pause_button: "⏸", arrow_forward: "▶", arrow_right: "➡", stopwatch: "⏱", alarm_clock: "⏰",
  clock1: "🕐", bar_chart: "📊", page_facing_up: "📄", scroll: "📜", shield: "🛡", link: "🔗", bulb: "💡", sparkles: "✨",
  ballot_box_with_check: "☑", wastebasket: "🗑", zap: "⚡", rocket: "🚀", wave: "👋", heart: "❤", fire: "🔥", key: "🔑", gear: "⚙",
  test_tube: "🧪", heavy_minus_sign: "➖", white_small_square: "▫", mailbox_with_no_mail: "📭", inbox_tray: "📥", outbox_tray: "📤", zzz: "💤",
};
const NAMES = Object.fromEntries(Object.entries(EMOJI).map(([name, letter]) => [letter, name]));
const LETTERS = new RegExp(`:([a-z0-9_+-]+):|(${Object.keys(NAMES).join("|")})\uFE0F?`, "gu");
const SAFE_LINK = /^(https?:|mailto:)/i;
// In order of strength: code, references, then emphasis that clings to its words.
const INLINE = /```([\s\S]+?)```|`([^`\n]+)`|<([^<>\n]+)>|(?<![\w*])\*(?=\S)([^*\n]*[^*\s])\*(?![\w*])|(?<![\w_])_(?=\S)([^_\n]*[^_\s])_(?![\w_])|(?<![\w~])~(?=\S)([^~\n]*[^~\s])~(?![\w~])/g;
const MARKDOWN = /`([^`\n]+)`|\[([^\]\n]+)\]\(([^)\s]+)\)|\*\*(?=\S)(.+?)\*\*|(?<![\w*])\*(?=\S)([^*\n]+)\*|(?<![\w_])_(?=\S)([^_\n]+)_(?!\w)|~~(.+?)~~/g;

export function emoji(name) {
  if (hasIcon(name)) return icon(name, name);
  return document.createTextNode(EMOJI[name] ?? `:${name}:`);
}

export const REACTIONS = ["white_check_mark", "eyes", "+1"];

function unescaped(text) {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}

// Plain text as one string, for places that take no nodes.
export function plain(text) {
  return unescaped(text.replace(/:([a-z0-9_+-]+):/g, (whole, name) => EMOJI[name] ?? whole));
}

// Plain text as nodes, with its emoji drawn.
export function letters(text) {
  const nodes = [];
  let position = 0;
  for (const match of text.matchAll(LETTERS)) {
    const name = match[1] ?? NAMES[match[2]];
    if (!(name in EMOJI)) continue;
    if (match.index > position) nodes.push(unescaped(text.slice(position, match.index)));
    nodes.push(emoji(name));
    position = match.index + match[0].length;
  }
  if (position < text.length) nodes.push(unescaped(text.slice(position)));
  return nodes;
}

export function link(address, label) {
  if (!SAFE_LINK.test(address)) return document.createTextNode(label);
  return el("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, label);
}

// The nodes of a Slack text object.
export function textNodes(text) {
  if (!text) return [];
  return text.type === "mrkdwn" ? mrkdwn(text.text) : letters(text.text);
}

export function mrkdwn(text) {
  const lines = text.split("\n");
  const nodes = [];
  let quoted = [];
  let open = [];
  const flush = () => {
    if (quoted.length) nodes.push(el("blockquote", {}, inline(quoted.join("\n"))));
    if (open.length) nodes.push(inline(open.join("\n")));
    quoted = [];
    open = [];
  };
  let fenced = false;
  for (const line of lines) {
    const quote = !fenced && /^(&gt;|>) ?/.test(line);
    if (quote !== quoted.length > 0 && (quoted.length || open.length)) flush();
    if (quote) quoted.push(line.replace(/^(&gt;|>) ?/, ""));
    else open.push(line);
    if (((line.match(/```/g) ?? []).length) % 2) fenced = !fenced;
  }
  flush();
  return nodes.flat();
}

function inline(text) {
  const nodes = [];
  let position = 0;
  for (const match of text.matchAll(INLINE)) {
    if (match.index > position) nodes.push(letters(text.slice(position, match.index)));
    nodes.push(styled(match));
    position = match.index + match[0].length;
  }
  if (position < text.length) nodes.push(letters(text.slice(position)));
  return nodes.flat();
}

function styled([, fence, code, reference, bold, italic, strike]) {
  if (fence !== undefined) return el("pre", {}, unescaped(fence.replace(/^\n/, "").replace(/\n$/, "")));
  if (code !== undefined) return el("code", {}, unescaped(code));
  if (reference !== undefined) return referenced(reference);
  if (bold !== undefined) return el("strong", {}, inline(bold));
  if (italic !== undefined) return el("em", {}, inline(italic));
  return el("s", {}, inline(strike));
}

function referenced(reference) {
  const bar = reference.indexOf("|");
  const target = bar < 0 ? reference : reference.slice(0, bar);
  const label = bar < 0 ? "" : unescaped(reference.slice(bar + 1));
  if (target.startsWith("@")) return mention(target.slice(1));
  if (target.startsWith("#")) return el("span", { class: "mention" }, `#${channelName(target.slice(1))}`);
  if (target.startsWith("!subteam^")) return el("span", { class: "mention" }, `@${groupName(target.slice(9))}`);
  if (target.startsWith("!date^")) return date(target, label);
  if (target.startsWith("!")) return el("span", { class: "mention" }, `@${target.slice(1)}`);
  return link(unescaped(target), label || unescaped(target));
}

export function mention(id) {
  const mine = id === directory.me;
  return el("span", { class: mine ? "mention me" : "mention", title: id }, `@${handleOf(id)}`);
}

function date(target, fallback) {
  const [, seconds, pattern, address] = target.split("^");
  const at = new Date(Number(seconds) * 1000);
  if (Number.isNaN(at.getTime())) return document.createTextNode(fallback);
  const shown = el("time", { datetime: at.toISOString(), title: at.toString() }, formatted(at, pattern ?? "{date}"));
  if (!address || !SAFE_LINK.test(address)) return shown;
  return el("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, shown);
}

export function formatted(at, pattern) {
  const day = (style) => at.toLocaleDateString("en-GB", style);
  const pretty = (text) => relativeDay(at) ?? text;
  const long = { weekday: "long", day: "numeric", month: "long", year: "numeric" };
  const words = {
    date_num: at.toISOString().slice(0, 10),
    date: day({ day: "numeric", month: "long", year: "numeric" }),
    date_short: day({ day: "numeric", month: "short", year: "numeric" }),
    date_long: day(long),
    date_pretty: pretty(day({ day: "numeric", month: "long", year: "numeric" })),
    date_short_pretty: pretty(day({ day: "numeric", month: "short", year: "numeric" })),
    date_long_pretty: pretty(day(long)),
    time: clock(at),
    time_secs: at.toLocaleTimeString("en-GB"),
    ago: ago(at),
  };
  return pattern.replace(/\{(\w+)\}/g, (whole, name) => words[name] ?? whole);
}

export function clock(at) {
  return at.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}

export function relativeDay(at) {
  const midnight = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
  const days = Math.round((midnight(at) - midnight(new Date())) / 86_400_000);
  return { "-1": "yesterday", 0: "today", 1: "tomorrow" }[days];
}

function ago(at) {
  const minutes = Math.round((Date.now() - at.getTime()) / 60_000);
  const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  if (Math.abs(minutes) < 60) return words.format(-minutes, "minute");
  if (Math.abs(minutes) < 1440) return words.format(-Math.round(minutes / 60), "hour");
  return words.format(-Math.round(minutes / 1440), "day");
}

export function markdown(text) {
  const nodes = [];
  let list = null;
  let fence = null;
  for (const line of text.split("\n")) {
    if (/^```/.test(line)) {
      if (fence) nodes.push(el("pre", {}, fence.join("\n")));
      fence = fence ? null : [];
      continue;
    }
    if (fence) {
      fence.push(line);
      continue;
    }
    const item = /^\s*(?:[-*]|(\d+)\.)\s+(.*)$/.exec(line);
    if (item) {
      const tag = item[1] ? "ol" : "ul";
      if (list?.tagName.toLowerCase() !== tag) nodes.push((list = el(tag)));
      list.append(el("li", {}, markdownInline(item[2])));
      continue;
    }
    list = null;
    const heading = /^(#{1,6})\s+(.*)$/.exec(line);
    if (heading) nodes.push(el("h4", {}, markdownInline(heading[2])));
    else if (line.startsWith(">")) nodes.push(el("blockquote", {}, markdownInline(line.replace(/^>\s?/, ""))));
    else if (line.trim()) nodes.push(el("p", {}, markdownInline(line)));
  }
  if (fence) nodes.push(el("pre", {}, fence.join("\n")));
  return nodes;
}

function markdownInline(text) {
  const nodes = [];
  let position = 0;
  for (const match of text.matchAll(MARKDOWN)) {
    if (match.index > position) nodes.push(letters(text.slice(position, match.index)));
    const [whole, code, label, address, bold, star, under, strike] = match;
    if (code !== undefined) nodes.push(el("code", {}, code));
    else if (label !== undefined) nodes.push(link(address, label));
    else if (bold !== undefined) nodes.push(el("strong", {}, markdownInline(bold)));
    else if (star !== undefined || under !== undefined) nodes.push(el("em", {}, markdownInline(star ?? under)));
    else nodes.push(el("s", {}, markdownInline(strike)));
    position = match.index + whole.length;
  }
  if (position < text.length) nodes.push(letters(text.slice(position)));
  return nodes.flat();
}
