"""Who a Slack user id is: asked of Slack, remembered for a minute at most."""

import logging
from datetime import timedelta
from typing import Any

from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from actions.approval import Standing
from bot.slack.call import TRANSPORT_ERRORS
from core.cache import Cache

log = logging.getLogger(__name__)


class People:
    """Looks people up in the workspace."""

    #: For how long an answer may be given again where nothing depends on it being fresh.
    KEEP = timedelta(seconds=60)

    def __init__(self, client: AsyncWebClient, cache: Cache) -> None:
        self._client = client
        self._cache = cache

    async def standing(self, user_id: str, *, fresh: bool = False) -> Standing | None:
        """Who this is right now; None when Slack could not say. `fresh` asks Slack whatever is remembered."""
        user = await self._user(user_id, fresh=fresh)
        if user is None:
            return None
        return Standing(
            user_id=user["id"],
            team_id=user.get("team_id", ""),
            is_bot=bool(user.get("is_bot")) or user["id"] == "USLACKBOT",
            deleted=bool(user.get("deleted")),
            guest=bool(user.get("is_restricted")) or bool(user.get("is_ultra_restricted")),
            stranger=bool(user.get("is_stranger")),
        )

    async def zone(self, user_id: str) -> str | None:
        """The IANA time zone in this person's profile, or None when Slack does not say."""
        user = await self._user(user_id, fresh=False)
        return None if user is None else user.get("tz") or None

    async def members(self, group: str, *, fresh: bool = False) -> list[str] | None:
        """Who is in this user group; None when Slack could not say. `fresh` asks Slack whatever is remembered."""
        key = f"slack.group.{group}"
        known = None if fresh else await self._cache.get(key)
        if known is not None:
            return known
        try:
            reply = await self._client.usergroups_users_list(usergroup=group)
        except (SlackApiError, SlackClientError, *TRANSPORT_ERRORS) as error:
            log.warning("Slack could not say who is in %s: %s", group, error)
            return None
        users: list[str] | None = reply.get("users")
        if users is not None:
            await self._cache.put(key, users, keep=self.KEEP)
        return users

    async def _user(self, user_id: str, *, fresh: bool) -> dict[str, Any] | None:
        key = f"slack.user.{user_id}"
        known = None if fresh else await self._cache.get(key)
        if known is not None:
            return known
        try:
            reply = await self._client.users_info(user=user_id)
        except (SlackApiError, SlackClientError, *TRANSPORT_ERRORS) as error:
            log.warning("Slack could not say who %s is: %s", user_id, error)
            return None
        user: dict[str, Any] | None = reply.get("user")
        if user is None or user.get("id") != user_id:
            return None
        await self._cache.put(key, user, keep=self.KEEP)
        return user
