"""Data made safe to show, and Slack's limits, checked before Slack does."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, cast

from bot.channel import Block, Message
from core.text import INSTANT, NAMED, escape, escaped, in_their_time, instant, instant_of, visible

__all__ = ["escape", "escaped", "instant", "visible"]

MOST_BLOCKS = 50
MOST_MODAL_BLOCKS = 100
MOST_TEXT = 4000
MOST_SECTION = 3000
MOST_HEADER = 150
MOST_BUTTON = 75
MOST_VALUE = 2000
MOST_CONTEXT = 10
MOST_ACTIONS = 25
#: All rich text of a message together; Slack refuses a message somewhere above 13,000.
MOST_RICH_TEXT = 12_000

_MODAL_BYTES = 250_000
_CONFIRM = {"title": 100, "text": 300, "confirm": 30, "deny": 30}
_DATED = "{date_short_pretty} at {time}"
_USER_ID = re.compile(r"[UW][A-Z0-9]{2,30}")


def brief(text: str, most: int) -> str:
    """`text` escaped and within `most` characters: for words, never for the arguments of an effect."""
    whole = escape(text)
    if len(whole) <= most:
        return whole
    kept, size = 0, 1
    shown = visible(text)
    while size + len(escaped(shown[kept])) <= most:
        size += len(escaped(shown[kept]))
        kept += 1
    return escaped(shown[:kept].rstrip()) + "…"


def sentence(text: str, most: int) -> str:
    """As `brief`, but whoever rejected something is shown by name; any other mention in it may be somebody's trick."""
    return in_their_time(NAMED.sub(r"<@\1>", brief(text, most)))


def clipped(text: str, most: int) -> str:
    """As much of a literal text as Slack counts within `most` characters; whoever cuts says so beside it."""
    size = 0
    for place, char in enumerate(text):
        size += len(escaped(char))
        if size > most:
            return text[:place]
    return text


def cut(text: str, most: int) -> str:
    """`text` within `most` characters, for places that show it literally: words, never arguments."""
    shown = visible(text)
    return shown if len(shown) <= most else shown[: most - 1].rstrip() + "…"


def person(user_id: str) -> str:
    """A mention of a person whose id comes from our own records, or the bare text when it is no id."""
    return f"<@{user_id}>" if _USER_ID.fullmatch(user_id) else brief(user_id, 60)


def plain_instant(at: datetime) -> str:
    """An instant for text that is read aloud."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def section(text: str) -> Block:
    """A paragraph of mrkdwn that Slack does not link or mention by itself."""
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def context(*texts: str) -> Block:
    """Small print; empty texts are left out."""
    return {
        "type": "context",
        "elements": [{"type": "mrkdwn", "text": text, "verbatim": True} for text in texts if text],
    }


def header(text: str) -> Block:
    """A heading; `text` is data and shown literally."""
    return {"type": "header", "text": {"type": "plain_text", "text": visible(text), "emoji": False}}


def plain(text: str, *, bold: bool = False) -> Block:
    """A piece of rich text that shows `text` literally."""
    piece: Block = {"type": "text", "text": visible(text)}
    return {**piece, "style": {"bold": True}} if bold else piece


def facts(pairs: Iterable[tuple[str, str]]) -> list[Block]:
    """Labels and values, each value literal and whole, as blocks that stay within a section's size.

    A value of several lines is quoted, so that it can be read as it will be and no line of it passes for a label.
    """
    blocks: list[Block] = []
    lines: list[list[Block]] = []
    for label, value in pairs:
        if "\n" in value:
            blocks += [*_sections([*lines, [plain(f"{label}:", bold=True)]]), *_quotes(value)]
            lines = []
        else:
            lines.append([plain(f"{label}: ", bold=True), *_pieces(visible(value))])
    return [*blocks, *_sections(lines)]


def _sections(lines: list[list[Block]]) -> list[Block]:
    return [_rich([{"type": "rich_text_section", "elements": part}]) for part in _in_parts(lines)]


def _quotes(value: str) -> list[Block]:
    return [_rich([{"type": "rich_text_quote", "elements": [piece]}]) for piece in _pieces(_several(value))]


def _several(value: str) -> str:
    """The lines of a text, each visible; of empty ones in a row all but one are written out: they push nothing away."""
    shown: list[str] = []
    was_empty = False
    for line in value.replace("\r\n", "\n").split("\n"):
        is_empty = not line.strip()
        if was_empty and is_empty:
            shown[-1] += f"⏎{visible(line)}"
        else:
            shown.append(visible(line))
        was_empty = is_empty
    return "\n".join(shown)


def bullets(texts: Iterable[str]) -> list[Block]:
    """A list of literal texts; an instant in them is shown in its reader's time zone."""
    items = [{"type": "rich_text_section", "elements": _timed(text)} for text in texts]
    return [_rich([{"type": "rich_text_list", "style": "bullet", "elements": items}])] if items else []


def _timed(text: str) -> list[Block]:
    pieces: list[Block] = []
    end = 0
    for found in INSTANT.finditer(text):
        at = instant_of(found[0])
        if at is not None:
            date: Block = {"type": "date", "timestamp": int(at.timestamp()), "format": _DATED, "fallback": found[0]}
            pieces += [*_some(text[end : found.start()]), date]
            end = found.end()
    return [*pieces, *_some(text[end:])] or _pieces("")


def _some(text: str) -> list[Block]:
    return _pieces(visible(text)) if text else []


def literal(text: str) -> Block:
    """A block of code that shows `text`, made visible before, as it is."""
    return _rich([{"type": "rich_text_preformatted", "elements": [{"type": "text", "text": text}]}])


def _rich(elements: list[Block]) -> Block:
    return {"type": "rich_text", "elements": elements}


def _pieces(shown: str) -> list[Block]:
    shown = shown or "(empty)"
    return [{"type": "text", "text": shown[at : at + MOST_SECTION]} for at in range(0, len(shown), MOST_SECTION)]


def _in_parts(lines: list[list[Block]]) -> Iterable[list[Block]]:
    """Whole pieces of `lines`, each on its own line, in groups of at most a section's size."""
    group: list[Block] = []
    size = 0
    for line in lines:
        for place, piece in enumerate(line):
            length = len(escaped(piece["text"])) + 1
            if group and size + length > MOST_SECTION:
                yield group
                group, size = [], 0
            if group and place == 0:
                group.append({"type": "text", "text": "\n"})
            group.append(piece)
            size += length
    if group:
        yield group


def button(text: str, action_id: str, value: str, *, style: str = "", confirm: Block | None = None) -> Block:
    """A button; `value` points at what it is about and carries no authority."""
    made: Block = {
        "type": "button",
        "action_id": action_id,
        "value": value,
        "text": {"type": "plain_text", "text": text, "emoji": False},
    }
    if style:
        made["style"] = style
    if confirm:
        made["confirm"] = confirm
    return made


def confirm(title: str, text: str, *, yes: str, no: str, style: str = "primary") -> Block:
    """A question asked before a button counts; all texts are literal."""
    words = {"title": title, "text": text, "confirm": yes, "deny": no}
    made: Block = {
        name: {"type": "plain_text", "text": cut(said, _CONFIRM[name]), "emoji": False} for name, said in words.items()
    }
    return {**made, "style": style}


def actions(*elements: Block) -> Block:
    """A row of buttons."""
    return {"type": "actions", "elements": list(elements)}


def violations(message: Message) -> list[str]:
    """Every limit of Slack that this message breaks, measured as Slack measures: escaped. Empty when none."""
    blocks = message.blocks or []
    found = list(_block_violations(blocks, MOST_BLOCKS))
    if not message.text:
        found.append("the text is empty")
    if len(message.text) > MOST_TEXT:
        found.append(f"the text has {len(message.text)} characters, more than {MOST_TEXT}")
    return found


def modal_violations(view: Mapping[str, Any]) -> list[str]:
    """Every limit of Slack that this modal breaks; empty when none."""
    found = list(_block_violations(view["blocks"], MOST_MODAL_BLOCKS))
    if len(escaped(json.dumps(view))) > _MODAL_BYTES:
        found.append("the modal is too large")
    found.extend(
        f"{part} has more than 24 characters"
        for part in ("title", "submit", "close")
        if part in view and len(view[part]["text"]) > 24
    )
    if len(view.get("private_metadata", "")) > MOST_SECTION:
        found.append("private_metadata is too long")
    return found


def _block_violations(blocks: list[Block], most: int) -> Iterable[str]:
    if len(blocks) > most:
        yield f"{len(blocks)} blocks, more than {most}"
    for block in blocks:
        check = _CHECKS.get(block["type"])
        if check is not None:
            yield from check(block)
    rich = sum(_rich_size(block) for block in blocks if block["type"] == "rich_text")
    if most == MOST_BLOCKS and rich > MOST_RICH_TEXT:
        yield f"{rich} characters of rich text, more than {MOST_RICH_TEXT}"


def _too_long(what: str, text: str, most: int) -> Iterable[str]:
    if not text:
        yield f"{what} is empty"
    if len(text) > most:
        yield f"{what} has {len(text)} characters, more than {most}"


def _check_section(block: Block) -> Iterable[str]:
    yield from _too_long("a section", block["text"]["text"], MOST_SECTION)


def _check_header(block: Block) -> Iterable[str]:
    yield from _too_long("a header", escaped(block["text"]["text"]), MOST_HEADER)


def _check_context(block: Block) -> Iterable[str]:
    elements = cast(list[Block], block["elements"])
    if not 1 <= len(elements) <= MOST_CONTEXT:
        yield f"a context of {len(elements)} elements"
    for element in elements:
        yield from _too_long("a context", element["text"], 2000)


def _check_actions(block: Block) -> Iterable[str]:
    elements = cast(list[Block], block["elements"])
    if not 1 <= len(elements) <= MOST_ACTIONS:
        yield f"a row of {len(elements)} buttons"
    for element in elements:
        yield from _too_long("a button", element["text"]["text"], MOST_BUTTON)
        yield from _too_long("a button's value", element["value"], MOST_VALUE)
        for part, most in _CONFIRM.items() if "confirm" in element else ():
            yield from _too_long(f"a confirmation's {part}", element["confirm"][part]["text"], most)


def _check_rich_text(block: Block) -> Iterable[str]:
    if not _rich_size(block):
        yield "a rich text is empty"


def _rich_size(value: Any) -> int:
    if isinstance(value, Mapping):
        piece = cast(Mapping[str, Any], value)
        own = len(escaped(piece["text"])) if piece.get("type") == "text" else 0
        return own + _rich_size(piece.get("elements"))
    return sum(map(_rich_size, cast(list[Any], value))) if isinstance(value, list) else 0


_CHECKS: Mapping[str, Callable[[Block], Iterable[str]]] = {
    "section": _check_section,
    "header": _check_header,
    "context": _check_context,
    "actions": _check_actions,
    "rich_text": _check_rich_text,
}
