"""Slack as the channel to people: posts carry an opaque mark, and can be found by it."""

from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.channel import Message, Place, Undeliverable
from bot.slack.call import call
from bot.slack.links import Links
from bot.slack.payload import Body, part, text

#: The type of the metadata that carries a mark.
EVENT_TYPE = "countersign"

_PAGE = 200
_MOST_PAGES = 10
# A slash command works where we are not a member; what is owed to its person then goes to their own DM.
_ABSENT = frozenset({"channel_not_found", "not_in_channel", "user_not_in_channel"})


class SlackChannel:
    """Delivers messages to Slack; what goes wrong is Postponed, Undeliverable or Unclear.

    Whatever a message says, it links to nothing but what `links` knows, and Slack looks at no address in it.
    """

    def __init__(self, client: AsyncWebClient, bot_user_id: str, links: Links | None = None) -> None:
        self._client = client
        self._bot_user_id = bot_user_id
        self._links = links or Links()

    async def post(self, place: Place, message: Message, *, mark: str) -> str:
        """Post and return the message's ts."""
        reply = await call(
            "chat.postMessage",
            self._client.chat_postMessage(
                channel=place.channel,
                thread_ts=place.thread_ts,
                metadata={"event_type": EVENT_TYPE, "event_payload": {"id": mark}},
                unfurl_links=False,
                unfurl_media=False,
                **self._content(message),
            ),
        )
        return str(reply["ts"])

    async def update(self, channel: str, ts: str, message: Message) -> None:
        """Replace a posted message in place; its mark stays."""
        await call(
            "chat.update",
            self._client.chat_update(channel=channel, ts=ts, **self._content(message, blocks=[])),
        )

    async def whisper(self, place: Place, person: str, message: Message) -> None:
        """Show one person a message that only they see; in their DM where we may not post."""
        try:
            await self._whisper(place, person, message)
        except Undeliverable as error:
            if error.code not in _ABSENT:
                raise
            opened = await call("conversations.open", self._client.conversations_open(users=person))
            await self._say(Place(opened["channel"]["id"]), message)

    async def _whisper(self, place: Place, person: str, message: Message) -> None:
        await call(
            "chat.postEphemeral",
            self._client.chat_postEphemeral(
                channel=place.channel,
                user=person,
                thread_ts=place.thread_ts,
                **self._content(message),
            ),
        )

    async def _say(self, place: Place, message: Message) -> None:
        await call(
            "chat.postMessage",
            self._client.chat_postMessage(
                channel=place.channel,
                unfurl_links=False,
                unfurl_media=False,
                **self._content(message),
            ),
        )

    def _content(self, message: Message, **content: Any) -> dict[str, Any]:
        shown = self._links.message(message)
        # Without `parse`, Slack links whatever looks like an address, and an edit changes how the post was read.
        content |= {"text": shown.text, "parse": "none"}
        return content if shown.blocks is None else {**content, "blocks": shown.blocks}

    async def find_by_mark(self, place: Place, mark: str) -> str | None:
        """The ts of our message posted with `mark`, or None when there is none."""
        cursor = ""
        for _ in range(_MOST_PAGES):
            reply = await self._page(place, cursor)
            for message in reply["messages"]:
                if self._is_ours(message) and _mark_of(message) == mark:
                    return str(message["ts"])
            cursor = text(part(reply.data, "response_metadata"), "next_cursor")
            if not cursor:
                break
        return None

    async def _page(self, place: Place, cursor: str) -> Any:
        paging: dict[str, Any] = {"limit": _PAGE, "include_all_metadata": True}
        if cursor:
            paging["cursor"] = cursor
        if place.thread_ts is None:
            return await call(
                "conversations.history", self._client.conversations_history(channel=place.channel, **paging)
            )
        return await call(
            "conversations.replies",
            self._client.conversations_replies(channel=place.channel, ts=place.thread_ts, **paging),
        )

    def _is_ours(self, message: Body) -> bool:
        return message.get("user", self._bot_user_id) == self._bot_user_id

    async def reaches(self, channel: str) -> bool:
        """False when we are not in `channel`; a direct message with us counts as being in it."""
        try:
            reply = await call("conversations.info", self._client.conversations_info(channel=channel))
        except Undeliverable:
            return False
        found = reply["channel"]
        return bool(found.get("is_member") or found.get("is_im"))


def _mark_of(message: Body) -> str:
    metadata = part(message, "metadata")
    return text(part(metadata, "event_payload"), "id") if metadata.get("event_type") == EVENT_TYPE else ""
