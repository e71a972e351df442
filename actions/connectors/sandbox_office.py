"""The sandbox twins of the mailbox, the outgoing mail and the site."""

from datetime import datetime, timedelta
from typing import Any, ClassVar

from aiohttp import ClientError, ClientSession, ClientTimeout
from pydantic import BaseModel, ValidationError

from actions.catalogue.mail_send import MailSent, NewMail
from actions.catalogue.mailbox_file import INBOX, Filed, Filing
from actions.catalogue.post_publish import Post, Published, Retracted, Retraction
from actions.connectors.keyed import Form, KeyedConnector
from actions.connectors.wire import NoAnswer, NotThere, Wire
from actions.mailbox import Mail, MailboxUnavailable
from actions.mime import MOST_BYTES, read_mail

_WINDOW = timedelta(seconds=10)


class SandboxOutgoing(KeyedConnector):
    """Mail that is kept and goes nowhere."""

    name = "mail"
    title = "The outgoing mail server"
    forms: ClassVar = {"mail.send": Form("/messages", NewMail, MailSent, "mail")}


class SandboxMailbox(KeyedConnector):
    """Files the mails of the sandbox mailbox."""

    name = "mailbox"
    title = "The mailbox"
    forms: ClassVar = {"mailbox.file": Form("/filings", Filing, Filed, "filing")}


class SandboxSite(KeyedConnector):
    """Publishes on the sandbox site and takes posts off it."""

    name = "site"
    title = "The site"
    forms: ClassVar = {
        "post.publish": Form("/posts", Post, Published, "post"),
        "post.retract": Form("/retractions", Retraction, Retracted, "retraction"),
    }


class _Listed(BaseModel):
    number: int
    message_id: str
    size: int
    is_verified: bool
    received_at: datetime


class _Listing(BaseModel):
    messages: list[_Listed]


class SandboxMailReader:
    """Reads the sandbox mailbox at `base_url`."""

    def __init__(self, session: ClientSession, base_url: str, *, window: timedelta = _WINDOW) -> None:
        self._session = session
        self._base_url = base_url
        self._wire = Wire("The mailbox", session, base_url)
        self._window = window

    async def unread(self, limit: int) -> list[Mail]:
        """Up to `limit` mails that nobody has filed yet, oldest first; raises MailboxUnavailable."""
        return [await self._read(each) for each in await self._list(folder=INBOX, limit=str(limit))]

    async def mail(self, message_id: str) -> Mail | None:
        """The newest mail of that id, filed or not, or None; raises MailboxUnavailable."""
        found = await self._list(message_id=message_id, limit="50")
        return await self._read(found[-1]) if found else None

    async def _list(self, **query: str) -> list[_Listed]:
        try:
            reply: Any = await self._wire.ask("/messages", query, timeout=self._window)
            return _Listing.model_validate(reply).messages
        except (NoAnswer, NotThere) as error:
            raise MailboxUnavailable(str(error)) from error
        except ValidationError as error:
            raise _garbled() from error

    async def _read(self, listed: _Listed) -> Mail:
        url = f"{self._base_url}/messages/{listed.number}"
        try:
            async with self._session.get(url, timeout=ClientTimeout(self._window.total_seconds())) as response:
                if response.status != 200:
                    raise _garbled()
                raw = await response.content.read(MOST_BYTES)
                while len(raw) < MOST_BYTES and (more := await response.content.read(MOST_BYTES - len(raw))):
                    raw += more
        except (ClientError, OSError) as error:
            raise MailboxUnavailable(f"The mailbox does not answer ({error}). Try again in a moment.") from error
        mail = read_mail(raw, received_at=listed.received_at, is_verified=listed.is_verified, size=listed.size)
        # The mailbox's own word for it: what we file must be what we read.
        return mail.model_copy(update={"message_id": listed.message_id})


def _garbled() -> MailboxUnavailable:
    return MailboxUnavailable("The mailbox's answer cannot be understood. Check that its address is right.")
