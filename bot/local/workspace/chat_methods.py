"""chat.* and reactions.*: how the bot speaks."""

from collections.abc import Awaitable, Callable, Mapping

from bot.local.workspace.blocks_check import check_blocks, too_much_markdown
from bot.local.workspace.call import Call
from bot.local.workspace.elements import with_ids
from bot.local.workspace.json_value import Json, as_object, dump
from bot.local.workspace.refusal import Refusal
from bot.local.workspace.speech import with_links
from bot.local.workspace.store import Message
from bot.local.workspace.timeline import Draft, draft_content, is_by_bot, without_metadata

_MOST_POSTED = 40_000
_MOST_UPDATED = 4_000
_MOST_METADATA = 16_000


async def post_message(call: Call) -> Json:
    """Post a message as the bot; its ts and its JSON."""
    channel = call.channel_to_post()
    content = _content(call, most=_MOST_POSTED)
    draft = Draft(
        channel,
        content,
        thread_ts=call.text("thread_ts") or None,
        broadcast=call.flag("reply_broadcast"),
    )
    message = call.parts.timeline.post_as_bot(draft)
    return {"channel": channel.id, "ts": message.ts, "message": message.body}


async def update(call: Call) -> Json:
    """Change a message of the bot's; text alone takes the blocks away, metadata stays unless given."""
    message = _own_message(call, "cant_update_message")
    if call.data("blocks") is None and not call.text("text"):
        raise Refusal("no_text")
    content = _content(call, most=_MOST_UPDATED)
    kept = {name: value for name, value in message.body.items() if name not in ("text", "blocks", "edited")}
    if as_object(call.data("metadata")) == {}:
        kept.pop("metadata", None)
    if "blocks" not in content:
        kept["edited"] = {"user": call.parts.company.bot.user_id, "ts": call.parts.timeline.next_ts()}
    fresh = call.parts.timeline.rewrite(message, {**kept, **content})
    return {
        "channel": message.channel,
        "ts": message.ts,
        "text": fresh.body["text"],
        "message": without_metadata(fresh.body),
    }


async def delete(call: Call) -> Json:
    """Take a message of the bot's away."""
    message = _own_message(call, "cant_delete_message")
    call.parts.timeline.remove(message)
    return {"channel": message.channel, "ts": message.ts}


async def post_ephemeral(call: Call) -> Json:
    """Show a message to one person in a channel."""
    channel = call.channel_to_post()
    user = call.required("user")
    if user not in channel.members:
        raise Refusal("user_not_in_channel")
    content = _content(call, most=_MOST_POSTED)
    content.pop("metadata", None)
    draft = Draft(channel, content, thread_ts=call.text("thread_ts") or None, audience=user)
    return {"message_ts": call.parts.timeline.whisper(draft).ts}


async def get_permalink(call: Call) -> Json:
    """The address at which the page shows a message."""
    channel = call.channel()
    message = call.parts.store.message(channel.id, call.required("message_ts"))
    if message is None or message.audience is not None:
        raise Refusal("message_not_found")
    link = f"{call.parts.url()}/archives/{channel.id}/p{message.ts.replace('.', '')}"
    if message.thread_ts is not None:
        link += f"?thread_ts={message.thread_ts}&cid={channel.id}"
    return {"channel": channel.id, "permalink": link}


async def add_reaction(call: Call) -> Json:
    """React to a message as the bot."""
    return _react(call, add=True)


async def remove_reaction(call: Call) -> Json:
    """Take a reaction of the bot's back."""
    return _react(call, add=False)


async def validate_blocks(call: Call) -> Json:
    """Say what is wrong with some blocks without posting them."""
    found = check_blocks(call.data("blocks") or [], "message")
    if found:
        raise Refusal("invalid_blocks", *found)
    return {}


def _react(call: Call, *, add: bool) -> Json:
    channel = call.channel()
    message = call.parts.store.message(channel.id, call.required("timestamp"))
    if message is None or message.audience is not None:
        raise Refusal("message_not_found")
    name = call.required("name").strip(":")
    call.parts.timeline.react(message, call.parts.company.bot.user_id, name=name, add=add)
    return {}


def _own_message(call: Call, not_own: str) -> Message:
    channel = call.channel()
    message = call.parts.store.message(channel.id, call.required("ts"))
    # Slack keeps no ephemeral message it could change: for an app there is none.
    if message is None or message.audience is not None:
        raise Refusal("message_not_found")
    if not is_by_bot(message, call.parts.company):
        raise Refusal(not_own)
    return message


def _content(call: Call, *, most: int) -> Json:
    blocks = call.data("blocks")
    if blocks is not None:
        found = check_blocks(blocks, "message")
        if found:
            raise Refusal("invalid_blocks", *found)
        if too_much_markdown(blocks):
            raise Refusal("msg_blocks_too_long")
    if len(call.text("text")) > most:
        raise Refusal("msg_too_long")
    text = call.text("text") if call.text("parse") == "none" else with_links(call.text("text"))
    args: Json = {"text": text, "metadata": _metadata(call)}
    content = draft_content(args, with_ids(blocks))
    if not content["text"] and not blocks:
        raise Refusal("no_text")
    return content


def _metadata(call: Call) -> Json | None:
    given = call.data("metadata")
    if given is None or given == {}:
        return None
    metadata = as_object(given)
    if metadata is None or not metadata.get("event_type") or as_object(metadata.get("event_payload")) is None:
        raise Refusal("invalid_metadata_format", "[ERROR] metadata needs event_type and event_payload")
    if len(dump(metadata)) > _MOST_METADATA:
        raise Refusal("metadata_too_large")
    return metadata


CHAT_METHODS: Mapping[str, Callable[[Call], Awaitable[Json]]] = {
    "blocks.validate": validate_blocks,
    "chat.delete": delete,
    "chat.getPermalink": get_permalink,
    "chat.postEphemeral": post_ephemeral,
    "chat.postMessage": post_message,
    "chat.update": update,
    "reactions.add": add_reaction,
    "reactions.remove": remove_reaction,
}
