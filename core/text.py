"""Text from anywhere made safe to show: nothing in it hides, reorders, mentions, links or begins a line of its own."""

import codecs
import html
import re
import unicodedata
from datetime import UTC, datetime

#: How much of what an outside system says of a refusal stands in a sentence of ours.
MOST_QUOTED = 500

#: A person by their id, as our own sentences name whoever rejected something; any other mention may be a trick.
NAMED = re.compile(r"&lt;@([UW][A-Z0-9]{2,30})&gt;(?= rejected it[.:])")
_MENTION = re.compile(r"&lt;@([UW][A-Z0-9]{2,30})&gt;")
#: An instant as our own sentences write it.
INSTANT = re.compile(r"(?<![\d-])\d{4}-\d\d-\d\d \d\d:\d\d UTC\b")
# Each becomes longer by this, so a text cannot grow without end.
_MOST_INSTANTS = 10
# Cc control, Cf format (bidi, zero-width, tags), Cs/Co/Cn unusable, Zl/Zp line separators.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Looks like nothing, or changes the look of its neighbour, though its category says letter or mark.
_DECEPTIVE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
#: No character has such a number, and Python refuses to read one that is longer still.
_NO_CHARACTER = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9a-fA-F]{8,});?")
#: What Python calls encodings and nobody writes a text in; some of them take the square of its length.
_NO_CHARSETS = frozenset({"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined"})
_BRACKETS = str.maketrans("<>", "‹›")


def visible(text: str) -> str:
    """`text` on one line, with whatever would hide, reorder or start a line written out."""
    return "".join(map(_shown, text.replace("\r\n", "\n")))


def _shown(char: str) -> str:
    if char == "\n":
        return " ⏎ "
    if char == "\t":
        return " "
    if unicodedata.category(char) in _HIDDEN or _DECEPTIVE.match(char):
        return f"⟨U+{ord(char):04X}⟩"
    return char


def escaped(text: str) -> str:
    """`text` with the three characters that Slack gives a meaning written as it stores them."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def escape(text: str) -> str:
    """Data for a mrkdwn text: visible, without mentions or links of its own making."""
    return escaped(visible(text))


def counted(count: int, one: str, several: str = "") -> str:
    """How many of what, as people say it: `1 run`, `2 runs`."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def lasted(seconds: float) -> str:
    """A span of time as people say it, in the largest unit of which there are two."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def quoted(said: str, most: int = MOST_QUOTED) -> str:
    """What an outside system said, as part of a sentence of ours: one line, within `most`, naming nobody to Slack."""
    shown = visible(said.strip()).translate(_BRACKETS)
    return shown if len(shown) <= most else f"{shown[: most - 1].rstrip()}…"


def instant(at: datetime) -> str:
    """An instant for mrkdwn, that each reader sees in their own time zone."""
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} at {{time}}|{at:%Y-%m-%d %H:%M} UTC>"


def in_their_time(text: str) -> str:
    """mrkdwn in which each instant that a sentence of ours writes in UTC is shown in its reader's time zone."""
    return INSTANT.sub(_dated, text, count=_MOST_INSTANTS)


def _dated(found: re.Match[str]) -> str:
    at = instant_of(found[0])
    return found[0] if at is None else instant(at)


def instant_of(written: str) -> datetime | None:
    """The instant that is written like this; None for a day or an hour that does not exist."""
    try:
        return datetime.strptime(written, "%Y-%m-%d %H:%M UTC").replace(tzinfo=UTC)
    except ValueError:
        return None


def spoken(words: str) -> str:
    """Our own lines with data in them, for mrkdwn: they stay lines, and nothing in them has a meaning for Slack."""
    return in_their_time(NAMED.sub(r"<@\1>", _lines(words)))


def in_answer(words: str) -> str:
    """As `spoken`, for an answer that one person sees: whoever it names is shown by name."""
    return _MENTION.sub(r"<@\1>", _lines(words))


def _lines(words: str) -> str:
    # A run of empty lines would push what stands below it out of sight.
    lines = [escape(line.rstrip()) for line in words.replace("\r\n", "\n").split("\n")]
    return "\n".join(line for before, line in zip(["", *lines], lines, strict=False) if line or before)


def decoded(body: bytes, charset: str, errors: str = "strict") -> str:
    """`body` as a text in the charset that its sender names; raises LookupError for what is none, or ValueError."""
    if codecs.lookup(charset).name.replace("_", "-") in _NO_CHARSETS:
        raise LookupError(f"no text is written in {charset[:40]}")
    return body.decode(charset, errors)


def unescaped(text: str) -> str:
    """`text` with the characters that HTML writes by name or number."""
    return html.unescape(_NO_CHARACTER.sub("\ufffd", text))
