"""Reads a mail's bytes into a Mail, whatever they are: what cannot be read is named, and nothing raises."""

import hashlib
import re
from collections.abc import Iterator
from datetime import datetime
from email.errors import HeaderParseError, MessageError
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import EmailPolicy
from email.utils import parseaddr
from typing import Any, cast

from actions.mailbox import Attachment, Mail
from core.text import decoded, unescaped

#: Of a larger mail only so many bytes are read.
MOST_BYTES = 1_000_000
#: Longer texts are cut: nobody writes that much to a shop, and every letter is shown, kept and paid for.
MOST_TEXT = 20_000
_MOST_PARTS = 200
_MOST_REFERENCES = 50
_HIDDEN = frozenset({"script", "style", "head", "template"})
_BLOCKS = frozenset({"p", "div", "br", "li", "tr", "h1", "h2", "h3", "table", "ul", "ol"})
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]{0,20})(?![a-zA-Z0-9])")
_ID = re.compile(r"<[^\s<>]{1,990}>")
_BREAKS = re.compile(r"\n{3,}")
# What the parser of a broken mail may raise; the mail is then read as far as it goes.
_BROKEN = (
    *(MessageError, HeaderParseError, ValueError, LookupError, TypeError, AttributeError, IndexError),
    # Comments in comments, parts in parts: it goes as deep as the sender wants.
    RecursionError,
)
#: Reading a field takes the square of its length, so a longer one is cut; free text takes less.
_LONGEST_FIELD, _LONGEST_TEXT_FIELD = 1_000, 10_000
_TEXT_FIELDS = frozenset({"subject", "references", "in-reply-to"})


class _Brief(EmailPolicy):
    """Reads so much of each field as a person might have written."""

    def header_fetch_parse(self, name: str, value: str) -> Any:
        most = _LONGEST_TEXT_FIELD if name.casefold() in _TEXT_FIELDS else _LONGEST_FIELD
        return super().header_fetch_parse(name, value[:most])


_BRIEF = cast("EmailPolicy[EmailMessage]", _Brief())


def read_mail(raw: bytes, *, received_at: datetime, is_verified: bool, size: int | None = None) -> Mail:
    """The mail in `raw`, of which `raw` may be the beginning of `size` bytes."""
    whole = size if size is not None else len(raw)
    problems: list[str] = []
    if whole > len(raw) or whole > MOST_BYTES:
        problems.append(f"it has {whole:,} bytes, and only the first {min(len(raw), MOST_BYTES):,} were read")
    raw = raw[:MOST_BYTES]
    message = _parsed(raw, problems)
    text = _text(message, problems)
    name, address = _sender(message, problems)
    return Mail(
        message_id=_message_id(message, raw),
        from_address=address,
        from_name=name,
        is_verified=is_verified and bool(address),
        to=_line(message, "To", problems),
        subject=_line(message, "Subject", problems),
        received_at=received_at,
        text=text,
        attachments=list(_attachments(message, problems)),
        in_reply_to=next(iter(_ID.findall(_line(message, "In-Reply-To", problems))), None),
        references=_ID.findall(_line(message, "References", problems))[-_MOST_REFERENCES:],
        size=whole,
        problems=list(dict.fromkeys(problems)),
    )


def passes(raw: bytes, server: str) -> bool:
    """True when `server`, ours, wrote at the top of the mail that it comes from where its sender says (DMARC)."""
    message = BytesParser(_class=EmailMessage, policy=_BRIEF).parsebytes(raw[:MOST_BYTES], headersonly=True)
    _, address = _sender(message, [])
    # Ours is put above all that came with the mail; one further down is the sender's own word.
    for field, value in message.raw_items():
        if field.casefold() == "authentication-results":
            return _says_pass(str(value), server, address.rpartition("@")[2])
    return False


def _parsed(raw: bytes, problems: list[str]) -> EmailMessage:
    parser = BytesParser(_class=EmailMessage, policy=_BRIEF)
    try:
        return parser.parsebytes(raw)
    except RecursionError:
        problems.append("its parts stand in each other too deeply to be read")
        return parser.parsebytes(raw, headersonly=True)


def _says_pass(value: str, server: str, domain: str) -> bool:
    """True when a result of this field is that DMARC passed for `domain`; a sender's words in it are no result."""
    if len(value) > _LONGEST_TEXT_FIELD:
        return False
    while (bare := re.sub(r"\([^()]*\)", " ", value)) != value:
        value = bare
    # The envelope's sender stands in such a field and may have chosen words that look like a result.
    value = re.sub(r'"(?:[^"\\]|\\.)*"', "", value)
    if any(mark in value for mark in '"()'):
        # What is still open may have swallowed the end of a sender's words.
        return False
    first, *results = (part.split() for part in value.split(";"))
    if [word.casefold() for word in first[:1]] != [server.casefold()] or not domain:
        return False
    named = f"header.from={domain}"
    return any(words[:1] == ["dmarc=pass"] and named in map(str.casefold, words) for words in results)


def _line(message: EmailMessage, field: str, problems: list[str]) -> str:
    try:
        found = str(message.get(field, ""))
    except _BROKEN:
        problems.append(f"its {field} cannot be read")
        return ""
    return " ".join(_storable(found).split())


def _sender(message: EmailMessage, problems: list[str]) -> tuple[str, str]:
    senders = [value for field, value in message.raw_items() if field.casefold() == "from"]
    name, address = parseaddr(_line(message, "From", problems))
    whole = len(senders) == 1 and len(senders[0]) <= _LONGEST_FIELD
    if not whole or "@" not in address or len(address) > 320:
        problems.append("it does not say which one address it comes from")
        return name, ""
    return name, address.casefold()


def _message_id(message: EmailMessage, raw: bytes) -> str:
    given = [" ".join(str(value).split()) for field, value in message.raw_items() if field.casefold() == "message-id"]
    if len(given) == 1 and _ID.fullmatch(given[0]) and given[0].isprintable():
        return given[0]
    return no_id(hashlib.sha256(raw).hexdigest()[:32])


def no_id(digest: str) -> str:
    """The id of a mail that has none that can be used, made from its bytes."""
    return f"<{digest}@no-message-id.invalid>"


def _parts(message: EmailMessage, problems: list[str]) -> Iterator[EmailMessage]:
    for number, part in enumerate(message.walk()):
        if number == _MOST_PARTS:
            problems.append(f"it has more than {_MOST_PARTS} parts, and the rest was not read")
            return
        if not part.is_multipart():
            if part.defects:
                problems.append("its parts are put together wrongly")
            yield part


def _is_attached(part: EmailMessage) -> bool:
    try:
        return part.get_content_disposition() == "attachment" or part.get_filename() is not None
    except _BROKEN:
        return True


def _text(message: EmailMessage, problems: list[str]) -> str:
    parts = [part for part in _parts(message, problems) if not _is_attached(part)]
    plain = [part for part in parts if part.get_content_type() == "text/plain"]
    html = [part for part in parts if part.get_content_type() == "text/html"]
    found = [_content(part, problems) for part in plain] or [_seen(_content(part, problems)) for part in html]
    text = _BREAKS.sub("\n\n", "\n".join(found)).strip()
    if not text:
        problems.append("it has no text that can be read")
    if len(text) > MOST_TEXT:
        problems.append(f"its text has {len(text):,} letters, and only the first {MOST_TEXT:,} were read")
    return text[:MOST_TEXT]


def _content(part: EmailMessage, problems: list[str]) -> str:
    try:
        data = part.get_payload(decode=True)
        body = data if isinstance(data, bytes) else b""
    except _BROKEN:
        problems.append("a part of it cannot be decoded")
        return ""
    charset = part.get_content_charset("utf-8")
    try:
        return _storable(decoded(body, charset))
    except (LookupError, ValueError):
        problems.append(f"its text is not in the charset it names ({charset[:40]}), so some letters are lost")
        return _storable(body.decode("utf-8", "replace"))


def _storable(text: str) -> str:
    """Without what no database stores and no person sees: NUL, and halves of characters."""
    return text.replace("\0", "").replace("\r\n", "\n").encode("utf-8", "replace").decode("utf-8")


def _attachments(message: EmailMessage, problems: list[str]) -> Iterator[Attachment]:
    for part in _parts(message, problems):
        if not _is_attached(part):
            continue
        try:
            data = part.get_payload(decode=True)
            name = part.get_filename() or "without a name"
        except _BROKEN:
            problems.append("an attachment cannot be decoded")
            continue
        size = len(data) if isinstance(data, bytes) else 0
        yield Attachment(name=" ".join(_storable(name).split())[:200], type=part.get_content_type(), size=size)


def _seen(html: str) -> str:
    """What a reader of an HTML part would see: once through, for the parsers at hand take minutes for a broken page."""
    words: list[str] = []
    place = 0
    while (start := html.find("<", place)) >= 0:
        words.append(html[place:start])
        tag = _TAG.match(html, start)
        if tag is None and html[start + 1 : start + 2] not in ("!", "?", "/"):
            words.append("<")
            place = start + 1
            continue
        ends_with = "-->" if html.startswith("<!--", start) else ">"
        end = html.find(ends_with, start)
        if tag is not None and not tag[1] and tag[2].lower() in _HIDDEN:
            closing = re.compile(rf"</{tag[2]}", re.IGNORECASE).search(html, start)
            ends_with, end = ">", -1 if closing is None else html.find(">", closing.end())
        if end < 0:
            # Begun and never ended: nobody sees the rest of it.
            place = len(html)
            break
        words += ["\n"] if tag is not None and not tag[1] and tag[2].lower() in _BLOCKS else []
        place = end + len(ends_with)
    words.append(html[place:])
    lines = unescaped("".join(words)).split("\n")
    return "\n".join(" ".join(line.split()) for line in lines)
