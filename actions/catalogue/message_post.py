"""message.post: says something in a conversation, as the app."""

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from actions.action import Call, Effect, action

#: How much of a message its taking back repeats.
_QUOTED = 300
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


@post_message.attested
def message_found(args: Message, reference: str) -> Posted:
    """What a person's word gives where Slack left no receipt."""
    return Posted(channel=args.channel, ts=reference)


@post_message.compensation(post_message, within=timedelta(days=30))
def say_it_is_taken_back(args: Message, done: Posted) -> Message:
    """A follow-up where the message stands: deleting it would only hide from late-comers what others have read."""
    # Under a card's thread the message is a reply, and replies to a reply do not exist in Slack.
    thread_ts = args.thread_ts if args.root or args.thread_ts else done.ts
    quoted = args.text if len(args.text) <= _QUOTED else f"{args.text[:_QUOTED]}…"
    text = f"Taken back, please do not go by it any more: “{quoted}”"
    return Message(workspace=args.workspace, channel=done.channel, thread_ts=thread_ts, root=args.root, text=text)


BY_HAND = post_message.by_hand("Tell the people in {channel} that this message does not hold any more: {text}")
