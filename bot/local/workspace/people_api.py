"""What people do, for the page and for scripts alike: JSON in, JSON out, `{"ok": false}` on refusal."""

import json
import secrets
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from bot.local.workspace.company import Person, people_json
from bot.local.workspace.interactions import Interactions
from bot.local.workspace.json_value import Json, as_object, dump
from bot.local.workspace.parts import Parts
from bot.local.workspace.refusal import Refusal
from bot.local.workspace.speech import as_command, as_message
from bot.local.workspace.store import Message, Span
from bot.local.workspace.timeline import Draft

_HEARTBEAT_SECONDS = 15.0
_MOST_FILE = 1_000_000
_MOST_SHOWN = 500

_Verb = Callable[[Person, Json], Awaitable[Json]]


class PeopleApi:
    """The acts of people and what they see; every act says as whom (`as`)."""

    def __init__(self, parts: Parts, interactions: Interactions) -> None:
        self._parts = parts
        self._verbs: Mapping[str, _Verb] = {
            "say": self._say,
            "command": self._command(interactions),
            "click": interactions.click,
            "select": interactions.select,
            "submit": interactions.submit,
            "shortcut": interactions.shortcut,
            "close": interactions.close,
            "react": self._react,
            "edit": self._edit,
            "delete": self._delete,
            "upload": self._upload,
            "stop": self._stop,
            "open": self._open,
        }

    async def act(self, request: web.Request) -> web.Response:
        """POST /local/api/<verb>."""
        try:
            body = await _body(request)
            verb = self._verbs.get(request.match_info["verb"])
            if verb is None:
                raise Refusal("unknown_verb", f"there are {', '.join(sorted(self._verbs))}")
            person = self._parts.person(str(body.get("as", "")))
            answer: Json = {"ok": True, **await verb(person, body)}
        except Refusal as refusal:
            answer = refusal.answer
        return web.json_response(answer)

    async def faults(self, request: web.Request) -> web.Response:
        """GET and POST /local/api/faults: the faults in force, and how to change them."""
        try:
            if request.method == "POST":
                await self._change_faults(await _body(request))
        except Refusal as refusal:
            return web.json_response(refusal.answer)
        return web.json_response({"ok": True, "faults": self._parts.faults.in_force()})

    async def look(self, request: web.Request) -> web.Response:
        """GET /local/api/<what>."""
        query: Json = dict(request.query)
        try:
            match request.match_info["what"]:
                case "people":
                    answer = self._people()
                case "channels":
                    answer = self._channels(query)
                case "messages":
                    answer = self._messages(query)
                case "views":
                    answer = {"views": self._parts.views.stack(self._as(query).id)}
                case "home":
                    answer = {"view": self._parts.store.home(self._as(query).id)}
                case "wire":
                    answer = {"entries": self._parts.changes.trail(), "connections": self._parts.socket.count}
                case _:
                    raise Refusal("unknown_view_of_things")
        except Refusal as refusal:
            return web.json_response(refusal.answer)
        return web.json_response({"ok": True, **answer})

    async def changes(self, request: web.Request) -> web.StreamResponse:
        """GET /local/api/changes: server-sent notices of what to fetch again."""
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        await response.write(b"retry: 1000\n\n")
        try:
            async for change in self._parts.changes.follow(heartbeat_seconds=_HEARTBEAT_SECONDS):
                frame = ": still here\n\n" if change is None else f"data: {dump(change)}\n\n"
                await response.write(frame.encode())
        except ConnectionError:
            # The page was closed: nobody is left to tell.
            return response
        return response

    # What people see

    def _as(self, query: Json) -> Person:
        return self._parts.person(str(query.get("as", "")))

    def _people(self) -> Json:
        company = self._parts.company
        return {
            "team": company.team.model_dump(),
            "bot": company.bot.model_dump(),
            "people": people_json(company, self._parts.roles),
            "user_groups": [group.model_dump() for group in company.user_groups],
            "commands": list(self._parts.manifest.commands.values()),
            "shortcuts": list(self._parts.manifest.shortcuts.values()),
            "agent": self._parts.manifest.agent,
            "home_tab": self._parts.manifest.home_tab,
        }

    def _channels(self, query: Json) -> Json:
        person = self._as(query) if query.get("as") else None
        listed = [
            channel for channel in self._parts.company.conversations() if person is None or person.id in channel.members
        ]
        return {
            "channels": [
                {
                    **channel.model_dump(),
                    "latest_ts": self._parts.store.latest_ts(channel.id),
                    "sessions": self._parts.store.sessions(channel.id),
                }
                for channel in listed
            ]
        }

    def _messages(self, query: Json) -> Json:
        channel_id, thread_ts = str(query.get("channel", "")), str(query.get("thread_ts", ""))
        person = self._as(query) if query.get("as") else None
        if person is not None:
            self._parts.channel_for(person, channel_id)
        elif self._parts.company.channel(channel_id) is None:
            raise Refusal("channel_not_found")
        span = Span(limit=_MOST_SHOWN, audience=person.id if person else None)
        if thread_ts:
            found = self._parts.store.replies(channel_id, thread_ts, span=span)
        else:
            found = self._parts.store.history(channel_id, span)[::-1]
        return {"messages": [self._parts.timeline.shown(message, with_metadata=True) for message in found]}

    # What people do

    async def _say(self, person: Person, body: Json) -> Json:
        channel = self._parts.channel_for(person, str(body.get("channel", "")))
        text = str(body.get("text", "")).strip()
        if not text:
            raise Refusal("no_text")
        content = {"text": as_message(text, self._parts.company)}
        draft = Draft(channel, content, thread_ts=str(body.get("thread_ts") or "") or None)
        return {"ts": self._parts.timeline.post_as_person(draft, person).ts}

    def _command(self, interactions: Interactions) -> _Verb:
        async def run(person: Person, body: Json) -> Json:
            channel = self._parts.channel_for(person, str(body.get("channel", "")))
            declared = self._parts.manifest.commands.get(str(body.get("command", ""))) or {}
            escaped = as_command(
                str(body.get("text", "")).strip(),
                self._parts.company,
                should_escape=bool(declared.get("should_escape")),
            )
            return await interactions.command(person, {**body, "text": escaped}, channel=channel)

        return run

    async def _react(self, person: Person, body: Json) -> Json:
        message = self._all_may_see(person, body)
        name = str(body.get("name", "")).strip(":")
        if not name:
            raise Refusal("no_item_specified", "name says which emoji")
        self._parts.timeline.react(message, person.id, name=name, add=not body.get("remove"))
        return {}

    async def _edit(self, person: Person, body: Json) -> Json:
        message = self._own(person, body, not_own="cant_update_message")
        text = as_message(str(body.get("text", "")).strip(), self._parts.company)
        if not text:
            raise Refusal("no_text")
        edited = {"user": person.id, "ts": self._parts.timeline.next_ts()}
        self._parts.timeline.rewrite(message, {**message.body, "text": text, "edited": edited})
        return {"ts": message.ts}

    async def _delete(self, person: Person, body: Json) -> Json:
        self._parts.timeline.remove(self._own(person, body, not_own="cant_delete_message"))
        return {}

    async def _upload(self, person: Person, body: Json) -> Json:
        channel = self._parts.channel_for(person, str(body.get("channel", "")))
        name, content = str(body.get("name", "")), str(body.get("content", "")).encode()
        if not name or len(content) > _MOST_FILE:
            raise Refusal("invalid_file", f"a file needs a name and at most {_MOST_FILE} bytes of text")
        file_id = "F" + secrets.token_hex(5).upper()
        file: Json = {
            "id": file_id,
            "name": name,
            "title": name,
            "mimetype": "text/plain",
            "size": len(content),
            "user": person.id,
            "url_private": f"{self._parts.url()}/files-pri/{file_id}",
        }
        self._parts.store.put_file(file_id, file, content=content)
        text = as_message(str(body.get("text", "")), self._parts.company)
        draft = Draft(
            channel,
            {"subtype": "file_share", "text": text, "files": [file], "upload": True},
            thread_ts=str(body.get("thread_ts") or "") or None,
        )
        return {"ts": self._parts.timeline.post_as_person(draft, person).ts, "file_id": file_id}

    async def _stop(self, person: Person, body: Json) -> Json:
        channel = self._parts.channel_for(person, str(body.get("channel", "")))
        thread_ts = str(body.get("thread_ts") or "")
        session = self._parts.store.session(channel.id, thread_ts)
        if session is None or session.get("status") != "processing":
            raise Refusal("session_not_processing", "there is nothing under way here to stop")
        about: Json = {
            "channel": channel.id,
            "user": person.id,
            "thread_ts": thread_ts,
            "streaming_message_ts": [],
            "event_ts": self._parts.timeline.next_ts(),
        }
        self._parts.timeline.announce("agent_session_stopped", about)
        return {}

    async def _open(self, person: Person, body: Json) -> Json:
        tab = str(body.get("tab", "home"))
        if tab not in ("home", "messages"):
            raise Refusal("unknown_tab", "the app has the tabs home and messages")
        event: Json = {
            "user": person.id,
            "channel": self._parts.company.direct_line(person).id,
            "tab": tab,
            "event_ts": self._parts.timeline.next_ts(),
        }
        home = self._parts.store.home(person.id)
        if home is not None and tab == "home":
            event["view"] = home
        self._parts.timeline.announce("app_home_opened", event)
        return {}

    async def _change_faults(self, wanted: Json) -> None:
        wanted = dict(wanted)
        if wanted.pop("clear", False):
            self._parts.faults.clear()
        cut = wanted.pop("disconnect", False)
        self._parts.faults.change(wanted)
        if cut:
            await self._parts.socket.disconnect(abrupt=cut == "abrupt")
        self._parts.changes.tell("faults")

    def _all_may_see(self, person: Person, body: Json) -> Message:
        message = self._parts.message_for(person, str(body.get("channel", "")), ts=str(body.get("ts", "")))
        if message.audience is not None:
            raise Refusal("message_not_found")
        return message

    def _own(self, person: Person, body: Json, *, not_own: str) -> Message:
        message = self._all_may_see(person, body)
        if message.body.get("user") != person.id:
            raise Refusal(not_own)
        return message


async def _body(request: web.Request) -> Json:
    # A page elsewhere can send a form anywhere, but not JSON.
    if request.content_type != "application/json":
        raise Refusal("invalid_content_type", "send JSON with Content-Type: application/json")
    try:
        body = as_object(json.loads(await request.text()))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise Refusal("invalid_json") from error
    if body is None:
        raise Refusal("json_not_object")
    return body
