"""What people say to each other where the team may remember it: kept before it is acknowledged."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Protocol

from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.listeners.mention import team_of
from bot.slack.payload import Body, part, text, unescaped
from core.trust import TrustLabel
from memory.episode import Episode, EpisodeKind
from memory.item import Scope, ScopeKind

_KINDS = {"channel": ScopeKind.CHANNEL, "group": ScopeKind.PRIVATE, "im": ScopeKind.PERSON}
#: Slack waits three seconds for all of us; the delivery itself is kept before this.
_WITHIN = 1.0
#: Subtypes under which somebody still says something.
_SAID = frozenset({"", "file_share", "thread_broadcast", "me_message"})


class Listening(Protocol):
    """The memory, as far as it listens."""

    async def hear(self, episode: Episode, *, from_here: bool) -> None:
        """Remember this, where the team may."""
        ...


def read(body: Body) -> tuple[Episode, bool] | None:
    """What happened to a message, and whether whoever wrote it is of this workspace; None for all else."""
    event = part(body, "event")
    kind = _KINDS.get(text(event, "channel_type"))
    if body.get("type") != "event_callback" or event.get("type") != "message" or kind is None:
        return None
    found = _happened(event)
    if found is None:
        return None
    what, message, at = found
    person, ts = text(message, "user"), text(message, "ts")
    if message.get("bot_id") or not person or not ts:
        return None
    channel, thread = text(event, "channel"), text(message, "thread_ts")
    episode = Episode(
        Scope(text(body, "team_id"), kind, person if kind is ScopeKind.PERSON else channel),
        f"slack:{channel}:{ts}",
        person,
        "" if what is EpisodeKind.DELETED else unescaped(text(message, "text")),
        _instant(ts),
        TrustLabel.EXTERNAL,
        conversation=thread or None,
        kind=what,
        event_at=at,
    )
    return episode, team_of(message, body) == text(body, "team_id")


def _happened(event: Body) -> tuple[EpisodeKind, Body, datetime | None] | None:
    subtype = text(event, "subtype")
    if subtype in _SAID:
        return EpisodeKind.SAID, event, None
    if subtype == "message_changed":
        message = part(event, "message")
        edited = text(part(message, "edited"), "ts")
        # A link that got its preview changes the message as well, and says nothing.
        return (EpisodeKind.EDITED, message, _instant(edited)) if edited else None
    if subtype == "message_deleted":
        gone = part(event, "previous_message")
        return EpisodeKind.DELETED, gone, _instant(text(event, "event_ts", "ts"))
    return None


def _instant(ts: str) -> datetime:
    """A Slack timestamp as an instant."""
    return datetime.fromtimestamp(float(ts), UTC)


class Talk:
    """Lets the memory hear every message before it is acknowledged; what cannot be kept, Slack sends again."""

    def __init__(self, memory: Listening) -> None:
        self._memory = memory

    def register(self, app: AsyncApp, client: AsyncWebClient) -> None:
        """Listen in front of all listeners."""
        del client

        async def hear(body: dict[str, Any], next_: Callable[[], Awaitable[None]]) -> None:
            found = read(body)
            if found is not None:
                # Raising here leaves the event unacknowledged: Slack sends it again.
                async with asyncio.timeout(_WITHIN):
                    await self._memory.hear(found[0], from_here=found[1])
            await next_()

        app.use(hear)
