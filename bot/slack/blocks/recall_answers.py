"""What people are told of recalls: what was found, why, and how memory does; quoted as data, never obeyed."""

from collections.abc import Mapping, Sequence
from typing import Any

from bot.slack.blocks import limits
from core.trust import TrustLabel
from graphs.run import Remembered
from memory.item import ItemId, MemoryItem, Tier
from memory.recall import Recalled, Recollection

Row = Mapping[str, Any]
Block = dict[str, Any]

USEFUL = "recall.useful"
USELESS = "recall.useless"

_MOST = 240
_TIERS = {Tier.FACT: "fact", Tier.CHRONICLE: "digest", Tier.PLAYBOOK: "rule"}


def nothing_found(words: str) -> str:
    """The empty state of a search."""
    return (
        f"I remember nothing about “{limits.brief(words, 80)}” that you may see here."
        " `memory on` in a channel lets me remember what is said there from then on."
    )


def found_text(found: Recollection) -> str:
    """What was found, best first."""
    lines = [f"*{len(found.found)} remembered*, best first (`{found.recall_id}`; `memory why` explains)"]
    return "\n".join([*lines, *(f"{place}. {_line(each)}" for place, each in enumerate(found.found, start=1))])


def found_blocks(found: Recollection) -> list[Block]:
    """The same, with the question whether it was of use."""
    return [
        *(limits.section(part) for part in _parts(found_text(found))),
        {
            "type": "actions",
            "elements": [
                _button("Useful", USEFUL, found.recall_id),
                _button("Not what I meant", USELESS, found.recall_id),
            ],
        },
    ]


def _parts(text: str) -> list[str]:
    """Within what one section can hold."""
    parts = [""]
    for line in text.split("\n"):
        if len(parts[-1]) + len(line) > 2800:
            parts.append("")
        parts[-1] = f"{parts[-1]}\n{line}" if parts[-1] else line
    return parts


def _button(text: str, name: str, value: str) -> Block:
    return {"type": "button", "text": {"type": "plain_text", "text": text}, "action_id": name, "value": value}


def _line(each: Recalled) -> str:
    return f"{_quoted(each.item)} — {_whence(each.item)}"


def _quoted(item: MemoryItem) -> str:
    return f"“{limits.brief(' '.join(item.text.split()), _MOST)}”"


def _whence(item: MemoryItem) -> str:
    source = item.provenance
    said = limits.person(source.author)
    where = f" in <#{source.channel}>" if source.channel[:1] in ("C", "G") else ""
    kind = f"{_TIERS[item.tier]}, " if item.tier in _TIERS else ""
    outside = " · from outside, not vouched for" if source.trust is TrustLabel.EXTERNAL else ""
    ended = f" · until {limits.instant(item.valid_to)}" if item.valid_to else ""
    return f"{kind}{said}{where}, {limits.instant(source.said_at)}{ended}{outside}"


def remembered_line(known: Remembered, items: Mapping[ItemId, MemoryItem]) -> str:
    """What a run showed of memory, and which name each is about; empty where nothing of it may be seen any more."""
    there = [(items[ItemId(item)], name) for item, name in known.names.items() if ItemId(item) in items]
    told = [f"{_quoted(item)} — {_whence(item)} (of {limits.brief(name, 60)})" for item, name in there]
    return f"🧠 Remembered: {'; '.join(told)}. `memory why {known.recall_id}` explains." if told else ""


def why_text(rows: Sequence[Row], items: Mapping[ItemId, MemoryItem]) -> str:
    """What each clue gave of each item's score."""
    if not rows:
        return "You have not searched for anything yet, or nothing was found. `memory search` does."
    lines = [f"*Why these* (`{rows[0]['recall_id']}`, {limits.instant(rows[0]['at'])})"]
    for row in rows:
        item = items.get(ItemId(row["item_id"]))
        if item is None:
            lines.append(f"{row['rank']}. _(no longer there, or not for you)_")
            continue
        clues = sorted(row["why"].items(), key=lambda clue: -clue[1])
        given = ", ".join(f"{name} {value:.2f}" for name, value in clues) or "nothing fits better"
        lines.append(f"{row['rank']}. {limits.brief(item.text, 80)} — {row['score']:.2f}: {given}")
    return "\n".join(lines)


def stats_text(found: Mapping[str, Any]) -> str:
    """How memory does, in lines."""
    tiers, waiting, recalls = found["tiers"], found["waiting"], found["recalls"]
    if not tiers:
        return "I remember nothing yet. `memory on` in a channel lets me remember what is said there from then on."
    kept = ", ".join(f"{row['items']:,} {row['tier']} ({row['indexed']:,} searched)" for row in tiers)
    lines = [f"*Remembered*: {kept}"]
    if waiting["items"]:
        lines.append(f"*Waiting for a vector*: {waiting['items']:,}, the oldest for {waiting['oldest']} s")
    if not recalls["many"]:
        return "\n".join([*lines, "Nobody has asked it anything in 30 days."])
    lines += [
        f"*Recalls in 30 days*: {recalls['many']:,}, {_share(recalls['found'], recalls['many'])} found something,"
        f" {_share(recalls['cited'], recalls['many'])} were used in what was done",
        f"*Judged*: {recalls['judged']:,}, {_share(recalls['useful'], recalls['judged'])} useful",
        f"*Stale*: {_share(recalls['stale'], recalls['items'])} of what was given had ended",
        f"*Each*: {recalls['tokens']:,} tokens; half within {recalls['p50']} ms, 95 % within {recalls['p95']} ms",
    ]
    ages = ", ".join(f"up to {row['age']} {_share(row['used'], row['recalled'])}" for row in found["ages"])
    return "\n".join([*lines, f"*Used, by age of what was given*: {ages}"])


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "none"


def listening(*, learns: bool, changed: bool) -> str:
    """Whether the team listens in this channel now."""
    if learns:
        first = "From now on I remember" if changed else "I remember already"
        return (
            f"{first} what is said here; whoever is in this channel can find it again with `memory search`."
            " `memory off` ends it, `memory forget here` takes it all back."
        )
    first = "I remember nothing more of" if changed else "I do not remember"
    return f"{first} what is said here. What was said before stays until `memory forget here`."


def judged(*, useful: bool) -> str:
    """Thanks for a word about a recall."""
    return "Thank you. What helped is kept longer." if useful else "Thank you. I take note that this did not help."


def not_yours() -> str:
    """Somebody else's recall was judged."""
    return "Only whoever asked can say whether the answer was of use."
