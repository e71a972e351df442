"""Text from anywhere made safe to show: nothing in it hides, reorders, mentions, links or begins a line of its own."""

import codecs
import html
import re
import unicodedata

#: How much of what an outside system says of a refusal stands in a sentence of ours.
MOST_QUOTED = 500

#: A person by their id, as our own sentences name whoever rejected something; any other mention may be a trick.
NAMED = re.compile(r"&lt;@([UW][A-Z0-9]{2,30})&gt;(?= rejected it[.:])")
_MENTION = re.compile(r"&lt;@([UW][A-Z0-9]{2,30})&gt;")
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


def quoted(said: str, most: int = MOST_QUOTED) -> str:
    """What an outside system said, as part of a sentence of ours: one line, within `most`, naming nobody to Slack."""
    shown = visible(said.strip()).translate(_BRACKETS)
    return shown if len(shown) <= most else f"{shown[: most - 1].rstrip()}…"


def spoken(words: str) -> str:
    """Our own lines with data in them, for mrkdwn: they stay lines, and nothing in them has a meaning for Slack."""
    return NAMED.sub(r"<@\1>", _lines(words))


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
