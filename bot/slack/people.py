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

    async def names(self, user_id: str) -> tuple[list[str], bool] | None:
        """What this person is called, whole name first, and whether they are no full member; None: Slack is mute."""
        user = await self._user(user_id, fresh=False)
        if user is None:
            return None
        profile: dict[str, Any] = user.get("profile") or {}
        told = [user.get("real_name"), profile.get("real_name"), profile.get("display_name"), user.get("name")]
        whole = [str(name) for name in told if name]
        first = [name.split()[0] for name in whole[:1] if " " in name]
        outside = any(user.get(name) for name in ("is_restricted", "is_ultra_restricted", "is_stranger", "is_bot"))
        return list(dict.fromkeys([*whole, *first])), outside

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
