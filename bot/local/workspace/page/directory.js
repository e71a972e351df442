// Who and what the ids of this workspace stand for.

const COLOURS = ["#2f6f4f", "#8a4b2f", "#37598f", "#7a3f74", "#94692a", "#2d7280", "#8c3d4b"];

export const directory = { team: {}, bot: {}, people: [], user_groups: [], commands: [], shortcuts: [], channels: [] };

export function personOf(id) {
  return directory.people.find((person) => person.id === id);
}

export function nameOf(id) {
  if (id === directory.bot.user_id) return directory.bot.real_name;
  if (id === "USLACKBOT") return "Slackbot";
  return personOf(id)?.real_name ?? id;
}

export function handleOf(id) {
  if (id === directory.bot.user_id) return directory.bot.name;
  return personOf(id)?.name ?? id;
}

export function groupName(id) {
  return directory.user_groups.find((group) => group.id === id)?.handle ?? id;
}

export function channelOf(id) {
  return directory.channels.find((channel) => channel.id === id);
}

export function channelName(id) {
  return channelOf(id)?.name ?? id;
}

export function colourOf(id) {
  if (id === directory.bot.user_id) return "#1f6f5c";
  let sum = 0;
  for (const letter of id) sum = (sum * 31 + letter.charCodeAt(0)) % 997;
  return COLOURS[sum % COLOURS.length];
}

export function initialsOf(id) {
  return nameOf(id).split(" ").map((part) => part[0]).slice(0, 2).join("").toUpperCase();
}

export function rolesText(person) {
  const roles = [...person.roles];
  if (person.is_restricted && !roles.includes("guest")) roles.push("guest");
  return roles.length ? roles.join(", ") : "no role";
}
