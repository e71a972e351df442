"""What a mailbox holds: words from outside, and what the receiving server itself knows about them."""

import hashlib
from datetime import datetime
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from actions.records import RecordsUnavailable
from actions.source import Source


class MailboxUnavailable(RecordsUnavailable):
    """The mailbox cannot be read now, or answers something that cannot be understood."""


class Attachment(BaseModel):
    """One file that came with a mail; its content stays in the mailbox."""

    model_config = ConfigDict(frozen=True)

    name: str
    type: str
    size: int


class Mail(BaseModel):
    """One mail as it was received; everything but `is_verified`, `received_at` and `size` is its sender's word."""

    model_config = ConfigDict(frozen=True)

    message_id: str
    """Its Message-ID with the angle brackets, or one made from its bytes where it has none that can be used."""
    from_address: str
    from_name: str
    is_verified: bool
    """True when the receiving server found that the mail comes from where `from_address` says."""
    to: str
    subject: str
    received_at: datetime
    text: str
    attachments: list[Attachment] = []
    in_reply_to: str | None = None
    references: list[str] = []
    size: int
    """Of the whole mail, in bytes, also where only part of it was read."""
    problems: list[str] = []
    """What could not be read of it, in words."""

    @property
    def fingerprint(self) -> str:
        """Tells two mails apart that carry one Message-ID: senders choose those, and may choose them again."""
        said = "\x1f".join((self.message_id, self.from_address, self.subject, self.text))
        return hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()[:16]


class Mailbox(Protocol):
    """Reads one mailbox; every method raises MailboxUnavailable when it cannot."""

    async def unread(self, limit: int) -> list[Mail]:
        """Up to `limit` mails that nobody has filed yet, oldest first; reading changes nothing there."""
        ...

    async def mail(self, message_id: str) -> Mail | None:
        """The mail of that id, filed or not, or None when the mailbox has none."""
        ...


MAILBOX: Source[Mailbox] = Source("mailbox")
