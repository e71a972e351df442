"""conversations.*: which conversations there are, who is in them, and what was said."""

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from bot.local.workspace.call import Call
from bot.local.workspace.company import Channel, channel_json
from bot.local.workspace.json_value import Json
from bot.local.workspace.refusal import Refusal
from bot.local.workspace.scopes import channel_scope
from bot.local.workspace.store import Message, Span

_Entry = TypeVar("_Entry")
_TYPES = {"public_channel": "channel", "private_channel": "group", "im": "im"}


async def list_conversations(call: Call) -> Json:
    """The conversations of the asked kinds that the bot may see."""
    wanted = [name.strip() for name in call.text("types", "public_channel").split(",") if name.strip()]
    kinds = {kind for name in wanted if (kind := _TYPES.get(name))}
    if not kinds and "mpim" not in wanted:
        raise Refusal("invalid_types")
    for kind in sorted(kinds):
        call.need(channel_scope(kind, "read"))
    company = call.parts.company
    seen = [
        channel
        for channel in company.conversations()
        if channel.kind in kinds and (channel.kind == "channel" or company.bot.user_id in channel.members)
    ]
    page, after = _page(call, seen, limit=call.number("limit", 100, most=1000))
    return {"channels": [channel_json(channel, company) for channel in page], **after}


async def info(call: Call) -> Json:
    """One conversation."""
    channel = call.channel(right="read")
    return {"channel": channel_json(channel, call.parts.company)}


async def open_direct_line(call: Call) -> Json:
    """The conversation the bot has alone with a person."""
    given = call.text("channel")
    users = [user.strip() for user in call.text("users").split(",") if user.strip()]
    if given:
        return {"channel": {"id": call.channel().id}}
    if not users:
        raise Refusal("users_list_not_supplied")
    if len(users) > 1:
        call.need("mpim:write")
        raise Refusal("method_not_supported_for_channel_type", "the local workspace has no group direct messages")
    person = call.parts.person(users[0])
    channel = call.parts.company.direct_line(person)
    told = channel_json(channel, call.parts.company) if call.flag("return_im") else {"id": channel.id}
    return {"no_op": True, "already_open": True, "channel": told}


async def members(call: Call) -> Json:
    """Who is in a conversation."""
    channel = call.channel(right="read")
    page, after = _page(call, channel.members, limit=call.number("limit", 100, most=1000))
    return {"members": list(page), **after}


async def history(call: Call) -> Json:
    """What was said in a conversation itself, newest first."""
    channel = _readable(call)
    span = _span(call, default_limit=100)
    latest = _after_cursor(call)
    if latest:
        span = replace(span, latest=latest, inclusive=False)
    found = call.parts.store.history(channel.id, span)
    return _messages(call, found, limit=span.limit)


async def replies(call: Call) -> Json:
    """A thread, its parent first, oldest first."""
    channel = _readable(call)
    ts = call.required("ts")
    parent = call.parts.store.message(channel.id, ts)
    if parent is None or parent.audience is not None:
        raise Refusal("thread_not_found")
    thread_ts = parent.thread_ts or ts
    span = _span(call, default_limit=1000)
    after = _after_cursor(call)
    # A later page has no parent in it, but the store always gives one.
    wanted = replace(span, oldest=after, inclusive=False, limit=span.limit + 1) if after else span
    found = call.parts.store.replies(channel.id, thread_ts, span=wanted)
    if after:
        found = [message for message in found if message.ts != thread_ts]
    return _messages(call, found, limit=span.limit)


def _readable(call: Call) -> Channel:
    channel = call.channel(right="history")
    if call.parts.company.bot.user_id not in channel.members:
        raise Refusal("not_in_channel")
    return channel


def _span(call: Call, *, default_limit: int) -> Span:
    return Span(
        oldest=_padded(call.text("oldest", "0")),
        latest=_padded(call.text("latest") or "9999999999"),
        inclusive=call.flag("inclusive"),
        limit=call.number("limit", default_limit, most=1000),
    )


def _padded(ts: str) -> str:
    """A timestamp in full length, so that comparing texts compares times."""
    seconds, _, rest = ts.partition(".")
    if not seconds.isdigit() or (rest and not rest.isdigit()):
        raise Refusal("invalid_ts_latest")
    return f"{int(seconds):010d}.{rest[:6]:<06}"


def _messages(call: Call, found: list[Message], *, limit: int) -> Json:
    with_metadata = call.flag("include_all_metadata")
    page, more = found[:limit], len(found) > limit
    body: Json = {
        "messages": [call.parts.timeline.shown(message, with_metadata=with_metadata) for message in page],
        "has_more": more,
    }
    return {**body, "response_metadata": {"next_cursor": _cursor(page[-1].ts)}} if more else body


def _page(call: Call, entries: Sequence[_Entry], *, limit: int) -> tuple[Sequence[_Entry], Json]:
    start = int(_after_cursor(call) or 0)
    more = len(entries) > start + limit
    cursor = _cursor(str(start + limit)) if more else ""
    return entries[start : start + limit], {"response_metadata": {"next_cursor": cursor}}


def _cursor(place: str) -> str:
    return base64.b64encode(f"next:{place}".encode()).decode()


def _after_cursor(call: Call) -> str:
    given = call.text("cursor")
    if not given:
        return ""
    try:
        kind, _, place = base64.b64decode(given, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Refusal("invalid_cursor") from error
    if kind != "next" or not place.replace(".", "").isdigit():
        raise Refusal("invalid_cursor")
    return place


CONVERSATION_METHODS: Mapping[str, Callable[[Call], Awaitable[Json]]] = {
    "conversations.history": history,
    "conversations.info": info,
    "conversations.list": list_conversations,
    "conversations.members": members,
    "conversations.open": open_direct_line,
    "conversations.replies": replies,
}
