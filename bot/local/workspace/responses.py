"""Response addresses: five answers within half an hour to the place an interaction came from."""

import json
import secrets

from aiohttp import web

from bot.local.workspace.blocks_check import check_blocks
from bot.local.workspace.elements import with_ids
from bot.local.workspace.json_value import Json, as_object
from bot.local.workspace.parts import Parts
from bot.local.workspace.refusal import Refusal
from bot.local.workspace.store import Message
from bot.local.workspace.timeline import Draft, draft_content

_LIFE_SECONDS = 30 * 60


class Responses:
    """Hands out response addresses and answers what is posted to them."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def address(self, place: Json) -> str:
        """A fresh address for a place: channel, user, and the message (`ts`) and thread it is about."""
        url_id = secrets.token_urlsafe(24)
        expires_at = self._parts.clock.now().timestamp() + _LIFE_SECONDS
        self._parts.store.add_response_url(url_id, place, expires_at=expires_at)
        return f"{self._parts.url()}/response/{url_id}"

    async def handle(self, request: web.Request) -> web.Response:
        """POST /response/{id}: `ok`, or 404 when the address is used up, or 400 with Slack's reason."""
        try:
            payload = as_object(json.loads(await request.text()))
        except json.JSONDecodeError:
            payload = None
        self._parts.changes.record("from the bot", "response", content=payload)
        if payload is None:
            return web.json_response({"ok": False, "error": "invalid_payload"}, status=400)
        now = self._parts.clock.now().timestamp()
        place = self._parts.store.use_response_url(request.match_info["id"], now)
        if place is None:
            return web.json_response({"ok": False, "error": "used_url"}, status=404)
        try:
            self.apply(place, payload)
        except Refusal as refusal:
            return web.json_response(refusal.answer, status=400)
        return web.Response(text="ok")

    def apply(self, place: Json, payload: Json) -> Message | None:
        """Do what a response or an acknowledgement's payload asks at a place; raises Refusal."""
        original = self._original(place)
        if payload.get("delete_original"):
            if original is not None:
                self._parts.timeline.remove(original)
            return None
        content = self._content(payload)
        if payload.get("replace_original") and original is not None:
            kept = {name: value for name, value in original.body.items() if name not in ("text", "blocks")}
            return self._parts.timeline.rewrite(original, {**kept, **content})
        return self._add(place, payload, content=content)

    def _original(self, place: Json) -> Message | None:
        if not place.get("ts"):
            return None
        return self._parts.store.message(str(place["channel"]), str(place["ts"]))

    def _content(self, payload: Json) -> Json:
        found = check_blocks(payload.get("blocks") or [], "message")
        if found:
            raise Refusal("invalid_blocks", *found)
        content = draft_content(payload, with_ids(payload.get("blocks")))
        if not content["text"] and not content.get("blocks"):
            raise Refusal("no_text")
        return content

    def _add(self, place: Json, payload: Json, *, content: Json) -> Message:
        channel = self._parts.company.channel(str(place["channel"]))
        if channel is None:
            raise Refusal("channel_not_found")
        thread_ts = payload.get("thread_ts") or place.get("thread_ts")
        if payload.get("response_type") == "in_channel":
            return self._parts.timeline.post_as_bot(Draft(channel, content, thread_ts=thread_ts))
        return self._parts.timeline.whisper(Draft(channel, content, thread_ts=thread_ts, audience=str(place["user"])))
