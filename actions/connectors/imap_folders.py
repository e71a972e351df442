"""One visit to an IMAP account, in a thread of its own: finds mail, reads it, moves it."""

import base64
import hashlib
import imaplib
import re
import ssl
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from pydantic import SecretStr

from actions.connectors.imap_options import ImapOptions
from actions.mime import MOST_BYTES, no_id
from core.errors import CountersignError

_MOST_FOLDERS = 200
_MOST_NAMELESS = 200
_LISTED = re.compile(rb'\((?P<flags>[^)]*)\) (?:"(?:[^"\\]|\\.)*"|NIL) (?P<name>.+)')
_FETCHED = re.compile(rb"UID (\d+)")
_SIZED = re.compile(rb"RFC822\.SIZE (\d+)")
_DATED = re.compile(rb'INTERNALDATE "([^"]+)"')


class ImapFailed(CountersignError):
    """The mail account did not do what it was asked for."""


class ImapRefused(ImapFailed):
    """The mail account said no: it has not done what it was asked for, and will not."""


@dataclass(frozen=True)
class Raw:
    """The beginning of one mail as the account holds it."""

    uid: int
    body: bytes
    size: int
    received_at: datetime


@contextmanager
def visit(options: ImapOptions, password: SecretStr, *, seconds: float) -> Generator["Visit"]:
    """Log in, and out again; raises ImapFailed wherever that breaks off."""
    try:
        client = _enter(options, password, seconds)
    except (imaplib.IMAP4.error, OSError) as error:
        # What the server said may repeat what it was given; only the kind of failure is told.
        raise ImapFailed(f"The mail account at {options.host} does not let us in ({type(error).__name__}).") from None
    try:
        yield Visit(client)
    except (imaplib.IMAP4.error, OSError) as error:
        raise ImapFailed(f"The mail account at {options.host} broke off ({type(error).__name__}).") from error
    finally:
        client.shutdown()


def _enter(options: ImapOptions, password: SecretStr, seconds: float) -> imaplib.IMAP4:
    context = None if options.tls == "none" else ssl.create_default_context(cafile=options.ca_file)
    if options.tls == "implicit":
        client: imaplib.IMAP4 = imaplib.IMAP4_SSL(options.host, options.port, ssl_context=context, timeout=seconds)
    else:
        client = imaplib.IMAP4(options.host, options.port, timeout=seconds)
    try:
        if options.tls == "starttls":
            client.starttls(context)
        client.login(options.user, password.get_secret_value())
    except (imaplib.IMAP4.error, OSError):
        client.shutdown()
        raise
    return client


class Visit:
    """An open connection to one account."""

    def __init__(self, client: imaplib.IMAP4) -> None:
        self._client = client

    def folders(self) -> list[str]:
        """The folders that can hold mail, by the server's own names for them."""
        names: list[str] = []
        for line in self._ask("LIST", *self._client.list()):
            found = _LISTED.match(line) if isinstance(line, bytes) else None
            if found and b"\\noselect" not in found["flags"].lower():
                names.append(_unquoted(found["name"]))
        return [_from_wire(name) for name in names[:_MOST_FOLDERS]]

    def select(self, folder: str, *, readonly: bool) -> None:
        """Look into `folder`; raises ImapFailed where there is none."""
        self._ask("SELECT", *self._client.select(_quoted(_to_wire(folder)), readonly=readonly))

    def uids(self, *criteria: str) -> list[int]:
        """The mails of the selected folder that fit, oldest first."""
        [found] = self._ask("SEARCH", *self._client.uid("SEARCH", *criteria))[:1] or [b""]
        return sorted(int(uid) for uid in (found or b"").split())

    def with_id(self, message_id: str) -> list[int]:
        """The mails of the selected folder under this Message-ID, or under the id made from their bytes."""
        if not message_id.isascii() or not message_id.isprintable():
            return []
        found = self.uids("UNDELETED", "HEADER", "Message-ID", _quoted(message_id))
        if found or not message_id.endswith(no_id("").partition("@")[2]):
            return found
        nameless = self.uids("UNDELETED", "NOT", "HEADER", "Message-ID", '""')[-_MOST_NAMELESS:]
        return [uid for uid in nameless if no_id(_digest(self.read(uid).body)) == message_id]

    def read(self, uid: int) -> Raw:
        """The beginning of one mail, leaving it as unread as it was."""
        wanted = f"(UID RFC822.SIZE INTERNALDATE BODY.PEEK[]<0.{MOST_BYTES}>)"
        for part in self._ask("FETCH", *self._client.uid("FETCH", str(uid), wanted)):
            if not isinstance(part, tuple):
                continue
            about, body = cast(tuple[bytes, bytes], part)
            found, sized, dated = (each.search(about) for each in (_FETCHED, _SIZED, _DATED))
            if found and sized and dated and int(found[1]) == uid:
                received_at = datetime.strptime(dated[1].decode("ascii").strip(), "%d-%b-%Y %H:%M:%S %z")
                return Raw(uid, body, int(sized[1]), received_at)
        raise ImapFailed("The mail account lists a mail and does not give it.")

    def create(self, folder: str) -> None:
        """Make a folder."""
        self._ask("CREATE", *self._client.create(_quoted(_to_wire(folder))))

    def can_move(self) -> bool:
        """True when the server moves mail in one go (RFC 6851)."""
        # What it can do is known in full only to whom it has let in.
        [told, *_] = self._ask("CAPABILITY", *self._client.capability())
        return b"MOVE" in told.upper().split()

    def move(self, uid: int, folder: str) -> None:
        """Move one mail of the selected folder, which the server does wholly or not at all."""
        self._ask("MOVE", *self._client.uid("MOVE", str(uid), _quoted(_to_wire(folder))))

    def _ask(self, what: str, status: str, answer: list[Any]) -> list[Any]:
        if status != "OK":
            words = answer[0].decode("utf-8", "replace")[:200] if answer and isinstance(answer[0], bytes) else ""
            raise ImapRefused(f"The mail account refused {what}: {words}")
        return answer


def _digest(body: bytes) -> str:
    return hashlib.sha256(body[:MOST_BYTES]).hexdigest()[:32]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _unquoted(name: bytes) -> str:
    text = name.decode("ascii", "replace")
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text


def _to_wire(folder: str) -> str:
    """A folder's name in IMAP's own UTF-7 (RFC 3501, 5.1.3)."""
    return re.sub(r"&|[^\x20-\x7e]+", lambda found: "&-" if found[0] == "&" else f"&{_packed(found[0])}-", folder)


def _packed(text: str) -> str:
    return base64.b64encode(text.encode("utf-16-be")).decode("ascii").rstrip("=").replace("/", ",")


def _from_wire(name: str) -> str:
    return re.sub(r"&([^-]*)-", lambda found: _unpacked(found[1]) if found[1] else "&", name)


def _unpacked(text: str) -> str:
    padded = text.replace(",", "/") + "=" * (-len(text) % 4)
    try:
        return base64.b64decode(padded, validate=True).decode("utf-16-be")
    except ValueError:
        return f"&{text}-"
