"""message.post: says something in a conversation, as the app."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from actions.action import Call, Effect, action

_Id = Annotated[str, Field(min_length=1, max_length=200)]


class Message(BaseModel):
    """One message for one conversation; `root` names the card under which it goes where no message opens it yet."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workspace: _Id
    channel: _Id
    thread_ts: str | None = None
    root: str | None = None
    # Slack cuts or refuses longer texts, depending on the method: refusing here is the same everywhere.
    text: Annotated[str, Field(min_length=1, max_length=4000)]


class Posted(BaseModel):
    """Slack's proof that the message stands there."""

    model_config = ConfigDict(frozen=True)

    channel: str
    ts: str


# A message can be deleted and not be unread: whoever saw it, or was notified of it, keeps what it said.
@action(
    "message.post",
    connector="slack",
    effect=Effect.IRREVERSIBLE,
    summary="Post to {channel}: {text}",
    target="channel",
)
async def post_message(args: Message, call: Call) -> Posted:
    """Post once; the result names the message as Slack does."""
    reply = await call.send()
    return Posted(channel=reply["channel"], ts=reply["ts"])
