"""One call of a Web API method: its arguments, however the client packed them, and what it may ask for."""

import json
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from bot.local.workspace.company import Channel
from bot.local.workspace.json_value import Json, as_object
from bot.local.workspace.parts import Parts
from bot.local.workspace.refusal import Refusal
from bot.local.workspace.scopes import channel_scope


@dataclass(frozen=True)
class Call:
    """A method's arguments and the workspace it is called on."""

    args: Json
    parts: Parts

    def text(self, name: str, default: str = "") -> str:
        """An argument as text; empty or the default when it was not given."""
        value = self.args.get(name)
        return default if value is None else str(value)

    def required(self, name: str) -> str:
        """An argument that must be given; raises Refusal."""
        value = self.text(name)
        if not value:
            raise Refusal("invalid_arguments", f"[ERROR] missing required field: {name}")
        return value

    def flag(self, name: str) -> bool:
        """An argument that is true or false, as JSON or as a form's text."""
        return self.text(name).lower() in ("true", "1")

    def number(self, name: str, default: int, *, most: int) -> int:
        """A whole number from 1 to `most`; raises Refusal."""
        try:
            value = int(self.text(name) or default)
        except ValueError as error:
            raise Refusal("invalid_arguments", f"[ERROR] {name} must be an integer") from error
        if not 1 <= value <= most:
            raise Refusal("invalid_limit" if name == "limit" else "invalid_arguments")
        return value

    def data(self, name: str) -> Any:
        """A nested argument, also when a form carried it as JSON text; None when not given."""
        value = self.args.get(name)
        if not isinstance(value, str):
            return value
        if not value:
            return None
        try:
            return json.loads(value)
        except json.JSONDecodeError as error:
            raise Refusal("invalid_arguments", f"[ERROR] {name} is not valid JSON") from error

    def need(self, *scopes: str) -> None:
        """Go on only when one of the scopes is granted; raises Refusal as Slack does."""
        granted = self.parts.manifest
        if not granted.allows(scopes):
            raise Refusal("missing_scope", needed=",".join(scopes), provided=",".join(sorted(granted.scopes)))

    def channel(self, name: str = "channel", *, right: str = "") -> Channel:
        """The conversation an argument names, seen with the bot's eyes; raises Refusal."""
        company = self.parts.company
        channel = company.channel(self.required(name)) or self._by_name(self.required(name))
        if channel is None:
            raise Refusal("channel_not_found")
        inside = company.bot.user_id in channel.members
        if channel.is_private and not inside:
            raise Refusal("channel_not_found")
        if right:
            self.need(channel_scope(channel.kind, right))
        return channel

    def channel_to_post(self) -> Channel:
        """The conversation to post to, a person's id standing for the direct line; raises Refusal."""
        company = self.parts.company
        person = company.person(self.required("channel"))
        channel = company.direct_line(person) if person else self.channel()
        if company.bot.user_id not in channel.members:
            may_join_in = channel.kind == "channel" and "chat:write.public" in self.parts.manifest.scopes
            if not may_join_in:
                raise Refusal("not_in_channel")
        return channel

    def _by_name(self, name: str) -> Channel | None:
        wanted = name.removeprefix("#")
        return next((channel for channel in self.parts.company.channels if channel.name == wanted), None)


async def read_args(request: web.Request) -> Json:
    """The arguments of a request from its query, its form or its JSON; raises Refusal for broken JSON."""
    args: Json = dict(request.query)
    if request.method != "POST" or not request.can_read_body:
        return args
    if request.content_type == "application/json":
        try:
            body = as_object(json.loads(await request.text()))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise Refusal("invalid_json") from error
        if body is None:
            raise Refusal("json_not_object")
        return args | body
    return args | dict(await request.post())
