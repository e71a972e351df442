"""What a channel is and who is in it, asked of Slack; what it cannot say counts as unknown, never as open."""

import logging
from dataclasses import dataclass
from typing import Any

from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.call import TRANSPORT_ERRORS, code_of
from bot.slack.payload import part, text

log = logging.getLogger(__name__)

_PAGE, _MOST_PAGES = 1000, 50
_GONE = frozenset({"channel_not_found", "is_archived"})


@dataclass(frozen=True)
class Room:
    """One channel as it is now."""

    title: str
    is_private: bool
    is_gone: bool
    members: frozenset[str]


class Rooms:
    """Looks channels up in the workspace."""

    def __init__(self, client: AsyncWebClient) -> None:
        self._client = client

    async def room(self, channel: str) -> Room | None:
        """The channel as it is now; None when Slack could not say."""
        try:
            found: Any = (await self._client.conversations_info(channel=channel)).get("channel") or {}
            members = await self._members(channel)
        except SlackApiError as error:
            if code_of(error.response) in _GONE:
                return Room("", is_private=True, is_gone=True, members=frozenset())
            log.warning("Slack could not say what %s is: %s", channel, error)
            return None
        except (SlackClientError, *TRANSPORT_ERRORS) as error:
            log.warning("Slack could not say what %s is: %s", channel, error)
            return None
        if found.get("id") != channel or members is None:
            return None
        return Room(
            title=str(found.get("name") or ""),
            # Whatever is not said to be open is private.
            is_private=bool(found.get("is_private", True)),
            is_gone=bool(found.get("is_archived")),
            members=members,
        )

    async def _members(self, channel: str) -> frozenset[str] | None:
        members, cursor = set[str](), ""
        for _ in range(_MOST_PAGES):
            reply: Any = await self._client.conversations_members(channel=channel, limit=_PAGE, cursor=cursor)
            members |= set(reply.get("members") or [])
            cursor = text(part(reply.data, "response_metadata"), "next_cursor")
            if not cursor:
                return frozenset(members)
        return None
