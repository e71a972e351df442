"""mail.send: one mail to one address, in plain text."""

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from actions.action import Call, Effect, action
from actions.trusted import MAIL_SENDER

_ADDRESS = re.compile(r"[^\s<>,;:\"\\()\[\]@]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_REFERENCE = re.compile(r"<[^\s<>]{1,990}>")
_MOST_REFERENCES = 50


class NewMail(BaseModel):
    """One mail; an answer names the mail that it answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    to: str
    subject: Annotated[str, Field(min_length=1, max_length=300)]
    text: Annotated[str, Field(min_length=1, max_length=20_000)]
    in_reply_to: str | None = None
    references: Annotated[list[str], Field(max_length=_MOST_REFERENCES)] = []

    @field_validator("to")
    @classmethod
    def _is_one_address(cls, to: str) -> str:
        if not _ADDRESS.fullmatch(to):
            raise ValueError("one plain address such as ana@example.com is needed")
        return to

    @field_validator("subject")
    @classmethod
    def _is_one_line(cls, subject: str) -> str:
        # A line break would let a subject write headers of its own.
        if any(ord(letter) < 32 or letter in "\x7f\x85\u2028\u2029" for letter in subject):
            raise ValueError("a subject is one line")
        return subject

    @field_validator("in_reply_to")
    @classmethod
    def _is_an_id(cls, message_id: str | None) -> str | None:
        if message_id is not None and not _REFERENCE.fullmatch(message_id):
            raise ValueError("a Message-ID looks like <id@host>")
        return message_id

    @field_validator("references")
    @classmethod
    def _are_ids(cls, references: list[str]) -> list[str]:
        if not all(_REFERENCE.fullmatch(each) for each in references):
            raise ValueError("each is a Message-ID such as <id@host>")
        return references


class MailSent(BaseModel):
    """The outgoing server's proof that it took the mail."""

    model_config = ConfigDict(frozen=True)

    message_id: str


@action(
    "mail.send",
    connector="mail",
    effect=Effect.IRREVERSIBLE,
    summary="Send mail to {to}: {subject}",
    recipient="to",
    resolved={"to": MAIL_SENDER},
)
async def send_mail(args: NewMail, call: Call) -> MailSent:
    """Send once; the result names the mail as its reader's mailbox will."""
    return MailSent(message_id=(await call.send())["message_id"])


@send_mail.attested
def mail_found(args: NewMail, reference: str) -> MailSent:
    """What a person's word gives where the outgoing server left no receipt."""
    return MailSent(message_id=reference)


BY_HAND = send_mail.by_hand("Write to {to} that the mail “{subject}” does not hold: it cannot be called back.")
