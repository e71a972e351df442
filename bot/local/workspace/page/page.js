// The page: what is in front of the person, fetched again when the server says that it changed.

import { KeyedList, byId, el, fill, toast } from "./dom.js";
import { act, follow, look, reasonOf } from "./api.js";
import { channelOf, colourOf, directory, initialsOf, personOf, rolesText } from "./directory.js";
import { avatar, dayOf, messageNode } from "./messages.js";
import { blocksNode } from "./blocks.js";
import { Composer } from "./composer.js";
import { Form } from "./fields.js";
import { icon } from "./icons.js";
import { Inspector } from "./inspector.js";
import { Modal } from "./modal.js";

const state = { channel: "", thread: "", tab: "messages", connections: 0 };
const timeline = new KeyedList(byId("timeline"));
const threadTimeline = new KeyedList(byId("thread-timeline"));
const inspector = new Inspector(byId("inspector"), () => toggleInspector(false));
let modal = null;

const composer = new Composer(byId("composer"), () => ({
  channel: state.channel,
  label: `Message ${titleOf(channelOf(state.channel))}`,
}));
const threadComposer = new Composer(byId("thread-composer"), () => ({ channel: state.channel, thread_ts: state.thread, label: "Reply…" }));

// What each person has read, kept by this browser.
const reading = {
  all: JSON.parse(localStorage.getItem("read") ?? "{}"),
  of: (channel) => reading.all[directory.me]?.[channel] ?? "0",
  note(channel, ts) {
    (reading.all[directory.me] ??= {})[channel] = ts;
    localStorage.setItem("read", JSON.stringify(reading.all));
  },
};

function titleOf(channel) {
  if (!channel) return "";
  return channel.is_im ? directory.bot.real_name : `#${channel.name}`;
}

// One refresh of a kind at a time; what comes in between is done once more afterwards.
function single(work) {
  let running = false;
  let again = false;
  return async function run() {
    if (running) {
      again = true;
      return;
    }
    running = true;
    do {
      again = false;
      await work();
    } while (again);
    running = false;
  };
}

const showChannels = single(async () => {
  const { channels } = await look("channels", { as: directory.me });
  directory.channels = channels;
  const current = channelOf(state.channel);
  if (current && !document.hidden && visibleMessages()) reading.note(current.id, current.latest_ts);
  fill(byId("channels"), channels.filter((channel) => !channel.is_im).map(channelEntry));
  fill(byId("apps"), channels.filter((channel) => channel.is_im).map(channelEntry));
  showNews(channels.some(isUnread));
  showSessions();
});

function isUnread(channel) {
  return channel.latest_ts !== "0" && channel.latest_ts > reading.of(channel.id) && channel.id !== state.channel;
}

// On a narrow screen the channels stand behind a button, which says that something new is there.
function showNews(something) {
  const button = byId("show-channels");
  button.classList.toggle("unread", something);
  button.setAttribute("aria-label", something ? "Show channels, something is new" : "Show channels");
}

function visibleMessages() {
  return !channelOf(state.channel)?.is_im || state.tab === "messages";
}

function channelEntry(channel) {
  const current = channel.id === state.channel;
  const unread = isUnread(channel);
  const face = channel.is_im ? avatar(directory.bot.user_id) : el("span", { class: "hash", "aria-hidden": "true" }, channel.is_private ? icon("lock") : "#");
  return el("li", {}, el("button", {
    type: "button", class: `channel ${unread ? "unread" : ""}`, "aria-current": current ? "page" : undefined,
    data: { channel: channel.id }, onclick: () => openChannel(channel.id),
  }, face, el("span", { class: "channel-label" }, channel.is_im ? directory.bot.real_name : channel.name),
    unread && el("span", { class: "dot", title: "Unread" })));
}

const showTimeline = single(async () => {
  const wanted = state.channel;
  const answer = await look("messages", { channel: wanted, as: directory.me });
  if (wanted !== state.channel || !answer.ok) return;
  const place = { channel: wanted, inThread: false, openThread };
  keepingScroll(byId("timeline"), () => showMessages(timeline, answer.messages, place));
  const prompts = channelOf(wanted)?.is_im && !answer.messages.length ? suggestedPrompts(wanted) : [];
  composer.suggest(prompts);
});

const showThread = single(async () => {
  const { channel, thread } = state;
  if (!thread) return;
  const answer = await look("messages", { channel, thread_ts: thread, as: directory.me });
  if (thread !== state.thread || !answer.ok) return;
  const place = { channel, inThread: true, openThread };
  keepingScroll(byId("thread-timeline"), () => showMessages(threadTimeline, answer.messages, place));
});

function showMessages(list, messages, place) {
  const entries = [];
  let day = "";
  for (const message of messages) {
    const its = dayOf(message.ts);
    if (its !== day && !place.inThread) entries.push({ ts: `day-${its}`, day: its });
    day = its;
    entries.push(message);
  }
  if (!entries.length) entries.push({ ts: "empty", empty: true });
  list.show(entries, (entry) => entry.ts, (entry) => {
    if (entry.empty) return el("p", { class: "empty" }, emptyText());
    if (entry.day) return el("div", { class: "day" }, el("span", {}, entry.day));
    return messageNode(entry, place);
  });
}

function emptyText() {
  const channel = channelOf(state.channel);
  const command = directory.commands[0]?.command;
  if (channel?.is_im) return `This is where you and ${directory.bot.real_name} talk alone. Ask it something.`;
  return `Nothing was said here yet. Try ${command ? `${command} help, or ` : ""}@${directory.bot.name} help.`;
}

function suggestedPrompts(channel) {
  const session = channelOf(channel)?.sessions.find((each) => each.prompts);
  return session?.prompts ?? directory.agent?.suggested_prompts ?? [];
}

function keepingScroll(node, change) {
  const atEnd = node.scrollHeight - node.scrollTop - node.clientHeight < 80;
  const before = node.lastElementChild?.dataset.ts;
  change();
  const last = node.lastElementChild;
  if (last?.dataset.ts === before) {
    if (atEnd) node.scrollTop = node.scrollHeight;
  } else if (atEnd || last?.classList.contains("ephemeral")) showLatest(node);
}

// The end, unless the last message is higher than the screen: that one is read from its first line.
function showLatest(node) {
  const last = node.lastElementChild;
  if (last) node.scrollTop += last.getBoundingClientRect().top - node.getBoundingClientRect().top;
}

function showSessions() {
  for (const [container, thread] of [[byId("composer"), ""], [byId("thread-composer"), state.thread]]) {
    container.querySelector(".session")?.remove();
    const session = channelOf(state.channel)?.sessions.find((each) => each.thread_ts === thread);
    if (!session || !["processing", "suspended"].includes(session.status)) continue;
    const words = { processing: `${directory.bot.real_name} is working…`, suspended: `${directory.bot.real_name} waits for a person.` };
    const stop = async () => {
      const answer = await act("stop", { as: directory.me, channel: state.channel, thread_ts: thread });
      if (!answer.ok) toast(reasonOf(answer));
    };
    container.prepend(el("div", { class: "session" }, el("span", {}, session.title || session.text || words[session.status]),
      session.status === "processing" && el("button", { type: "button", class: "button small", onclick: stop }, "Stop")));
  }
}

const showViews = single(async () => {
  const { views } = await look("views", { as: directory.me });
  modal?.show(views ?? []);
});

const showHome = single(async () => {
  const { view } = await look("home", { as: directory.me });
  const form = new Form(async (verb, element, block, value) => {
    const body = { as: directory.me, view_id: view.id, action_id: element.action_id, block_id: block.block_id, state: form.values };
    const answer = await act(verb, value === undefined ? body : { ...body, value });
    if (!answer.ok) toast(reasonOf(answer));
  });
  fill(byId("home"), view ? blocksNode(view.blocks, form) : el("p", { class: "empty" }, `${directory.bot.real_name} has not set up your Home yet.`));
});

const showConnections = single(async () => {
  const { connections } = await look("wire");
  const node = byId("link-state");
  node.className = `link-state ${connections ? "good" : "bad"}`;
  fill(node, el("span", { class: "light" }), el("span", { class: "link-words" }, connections ? "Bot connected" : "Bot not connected"));
  node.title = connections === 1 ? "1 connection" : `${connections} connections`;
});

function openChannel(id, { thread = "", focus = "" } = {}) {
  const channel = channelOf(id);
  if (!channel) return;
  if (state.channel !== id) timeline.forget();
  state.channel = id;
  state.tab = channel.is_im && !thread && state.tab === "home" ? "home" : "messages";
  byId("layout").dataset.pane = "main";
  byId("channel-name").textContent = titleOf(channel);
  byId("channel-topic").textContent = channel.is_im ? "App" : [channel.topic, `${channel.members.length} members`].filter(Boolean).join(" · ");
  document.title = `${titleOf(channel)} – Local workspace`;
  composer.refresh();
  composer.clear();
  showTabs(channel);
  openThread(thread);
  reading.note(id, channel.latest_ts);
  if (channel.is_im) act("open", { as: directory.me, tab: state.tab });
  remember();
  showChannels();
  showTimeline().then(() => {
    showLatest(byId("timeline"));
    if (focus) highlight(focus);
  });
}

function highlight(ts) {
  const node = document.querySelector(`.message[data-ts="${CSS.escape(ts)}"]`);
  node?.scrollIntoView({ block: "center" });
  node?.classList.add("sought");
}

function showTabs(channel) {
  const tabs = byId("tabs");
  tabs.hidden = !channel.is_im || !directory.home_tab;
  const names = { home: "Home", messages: "Messages" };
  fill(tabs, Object.entries(names).map(([name, label]) => el("button", {
    type: "button", role: "tab", "aria-selected": String(state.tab === name), onclick: () => openTab(name),
  }, label)));
  const home = channel.is_im && state.tab === "home";
  byId("home").hidden = !home;
  byId("timeline").hidden = home;
  byId("composer").hidden = home;
}

async function openTab(name) {
  state.tab = name;
  showTabs(channelOf(state.channel));
  await act("open", { as: directory.me, tab: name });
  if (name === "home") await showHome();
  else await showTimeline();
  showChannels();
}

function openThread(ts) {
  if (state.thread !== ts) {
    threadTimeline.forget();
    threadComposer.clear();
  }
  state.thread = ts;
  byId("thread").hidden = !ts;
  byId("layout").dataset.pane = ts ? "thread" : "main";
  byId("thread-channel").textContent = titleOf(channelOf(state.channel));
  threadComposer.refresh();
  showSessions();
  remember();
  showThread().then(() => showLatest(byId("thread-timeline")));
}

function remember() {
  const place = [state.channel, state.thread].filter(Boolean).join("/");
  history.replaceState(null, "", `/#${place}`);
}

function toggleInspector(open) {
  byId("inspector").hidden = !open;
  byId("layout").classList.toggle("inspecting", open);
  byId("show-inspector").setAttribute("aria-pressed", String(open));
  if (open) inspector.load();
}

async function become(id) {
  directory.me = id;
  localStorage.setItem("person", id);
  const person = personOf(id);
  byId("person").value = id;
  byId("acting-roles").textContent = person.title;
  const face = byId("acting-avatar");
  face.textContent = initialsOf(id);
  face.style.backgroundColor = colourOf(id);
  modal?.hide();
  modal = new Modal(id);
  modal.onProblem = (text) => toast(text);
  timeline.forget();
  threadTimeline.forget();
  composer.clear();
  threadComposer.clear();
  const before = channelOf(state.channel);
  const thread = state.thread;
  await showChannels();
  const after = before?.is_im ? person.direct_line : state.channel;
  const known = channelOf(after) ? after : directory.channels[0].id;
  openChannel(known, { thread: known === state.channel ? thread : "" });
  if (state.tab === "home") showHome();
  showViews();
}

function changed(change) {
  const mine = !change.user || change.user === directory.me;
  if (change.kind === "messages" && mine) {
    showChannels();
    if (change.channel === state.channel) {
      showTimeline();
      if (change.thread_ts === state.thread || !change.thread_ts) showThread();
    }
  } else if (change.kind === "views" && mine) showViews();
  else if (change.kind === "home" && mine && state.tab === "home") showHome();
  else if (change.kind === "session") showChannels();
  else if (change.kind === "connections") showConnections();
  else if (change.kind === "wire" && !byId("inspector").hidden) inspector.add(change.entry);
  else if (change.kind === "lost") lost();
}

function lost() {
  const node = byId("link-state");
  node.className = "link-state bad";
  fill(node, el("span", { class: "light" }), el("span", { class: "link-words" }, "Workspace not reachable"));
}

function wanted() {
  const linked = /^\/archives\/([A-Z0-9]+)\/p(\d{10})(\d{6})$/.exec(location.pathname);
  if (linked) {
    const ts = `${linked[2]}.${linked[3]}`;
    return { channel: linked[1], thread: new URLSearchParams(location.search).get("thread_ts") ?? "", focus: ts };
  }
  const [channel = "", thread = ""] = location.hash.slice(1).split("/");
  return { channel, thread, focus: "" };
}

async function start() {
  Object.assign(directory, await look("people"));
  byId("team-name").textContent = directory.team.name;
  fill(byId("person"), directory.people.map((person) => el("option", { value: person.id }, `${person.real_name} — ${rolesText(person)}`)));
  byId("person").addEventListener("change", (event) => become(event.target.value));
  byId("close-thread").addEventListener("click", () => openThread(""));
  byId("show-channels").addEventListener("click", () => { byId("layout").dataset.pane = "sidebar"; });
  byId("show-inspector").addEventListener("click", () => toggleInspector(byId("inspector").hidden));
  const kept = localStorage.getItem("person");
  const requester = directory.people.find((person) => person.roles.includes("requester"));
  const first = personOf(kept) ?? requester ?? directory.people[0];
  const place = wanted();
  state.channel = place.channel;
  state.thread = place.thread;
  await become(first.id);
  if (place.focus && channelOf(place.channel)) openChannel(place.channel, place);
  showConnections();
  follow(changed, () => {
    showConnections();
    showChannels();
    showTimeline();
    showThread();
    showViews();
  });
}

start();
