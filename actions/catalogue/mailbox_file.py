"""mailbox.file: puts a mail of the team's own mailbox into one of its folders."""

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from actions.action import Call, Effect, action
from actions.trusted import MAIL

#: Where mail arrives; filing a mail there again makes it unread work.
INBOX = "INBOX"


class Filing(BaseModel):
    """Which mail goes into which folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    message_id: Annotated[str, Field(min_length=3, max_length=1000)]
    folder: Annotated[str, Field(min_length=1, max_length=100)]

    @field_validator("message_id", "folder")
    @classmethod
    def _is_one_line(cls, text: str) -> str:
        if not text.isprintable():
            raise ValueError("only printable characters, on one line")
        return text


class Filed(BaseModel):
    """The mailbox's proof: where the mail is, and where it was before."""

    model_config = ConfigDict(frozen=True)

    message_id: str
    folder: str
    was: str


@action(
    "mailbox.file",
    connector="mailbox",
    effect=Effect.REVERSIBLE,
    summary="File mail {message_id} under {folder}",
    target="message_id",
    resolved={"message_id": MAIL},
)
async def file_mail(args: Filing, call: Call) -> Filed:
    """Move the mail; filing it where it already is changes nothing."""
    reply = await call.send()
    return Filed(message_id=reply["message_id"], folder=reply["folder"], was=reply["was"])


@file_mail.attested
def filed_found(args: Filing, reference: str) -> Filed:
    """What a person's word gives where the mailbox left no receipt; they name the folder it came from."""
    return Filed(message_id=args.message_id, folder=args.folder, was=reference or INBOX)


@file_mail.compensation(file_mail, within=timedelta(days=30))
def file_back(args: Filing, done: Filed) -> Filing:
    """Back to the folder it came from."""
    return Filing(message_id=args.message_id, folder=done.was)


BY_HAND = file_mail.by_hand("In the mailbox, move mail {message_id} out of {folder}, to where it was.")
