"""What people do with cards, commands, modals and shortcuts, and what the bot's answer makes of it."""

from dataclasses import dataclass
from typing import Any

from bot.local.workspace.company import Channel, Person
from bot.local.workspace.elements import (
    Found,
    action_entry,
    find_one,
    input_problems,
    state_values,
)
from bot.local.workspace.envelopes import channel_brief, command_payload, interaction_payload
from bot.local.workspace.json_value import Json, as_object
from bot.local.workspace.parts import Parts
from bot.local.workspace.refusal import NoAnswer, Refusal
from bot.local.workspace.responses import Responses
from bot.local.workspace.store import Message

_BUTTON = frozenset({"button"})
_MENUS = frozenset(
    {
        "static_select",
        "overflow",
        "checkboxes",
        "radio_buttons",
        "datepicker",
        "users_select",
        "plain_text_input",
        "number_input",
    }
)


@dataclass(frozen=True)
class _Front:
    """What a person acts on: a message or a view, and how the payload names it."""

    blocks: Any
    about: Json
    in_view: bool


class Interactions:
    """Turns a person's act into one envelope and waits for its acknowledgement; never sent twice by itself."""

    def __init__(self, parts: Parts, responses: Responses) -> None:
        self._parts = parts
        self._responses = responses

    async def command(self, person: Person, act: Json, *, channel: Channel) -> Json:
        """Run a slash command; the acknowledgement's text, if any. Raises Refusal for an unknown one."""
        command, text = str(act.get("command", "")), str(act.get("text", ""))
        if act.get("thread_ts"):
            raise Refusal("command_in_thread", f"{command} is not supported in threads. Sorry!")
        if command not in self._parts.manifest.commands:
            raise Refusal("unknown_command", f"{command} is not a valid command.")
        place: Json = {"channel": channel.id, "user": person.id}
        about: Json = {
            "command": command,
            "text": text,
            "response_url": self._responses.address(place),
            "trigger_id": self._parts.views.trigger(person.id),
        }
        payload = command_payload(self._parts.company, person, channel=channel, about=about)
        try:
            answer = await self._parts.socket.ask("slash_commands", payload, answerable=True)
        except NoAnswer as missed:
            sentence = f"{command} failed because the app did not respond ({missed.code})."
            self._parts.timeline.notice(channel, person, text=sentence)
            raise Refusal(missed.code, sentence) from missed
        return self._show_command_answer(place, answer)

    async def click(self, person: Person, act: Json) -> Json:
        """Press a button of a message or a view; raises Refusal when it is not there for this person."""
        return await self._act_on(person, act, kinds=_BUTTON, given=None)

    async def select(self, person: Person, act: Json) -> Json:
        """Choose in a menu of a message or a view; raises Refusal when it is not there or offers no such thing."""
        given = act["values"] if "values" in act else act.get("value")
        return await self._act_on(person, act, kinds=_MENUS, given=given)

    async def submit(self, person: Person, act: Json) -> Json:
        """Submit a modal; the view then in front. Raises Refusal with `errors` when a field is wrong."""
        view = self._parts.views.seen(person.id, str(act.get("view_id", "")))
        if view["type"] != "modal" or not view["submit"]:
            raise Refusal("view_not_submittable")
        values = state_values(view["blocks"], as_object(act.get("values")) or {})
        problems = input_problems(view["blocks"], values)
        if problems:
            raise Refusal("view_has_errors", errors=problems)
        about: Json = {
            "trigger_id": self._parts.views.trigger(person.id, in_modal=True),
            "view": {**view, "state": {"values": values}},
            "response_urls": [],
        }
        answer = await self._ask(person, "view_submission", about=about, answerable=True)
        return self._after_submission(person, view, answer=answer)

    async def close(self, person: Person, act: Json) -> Json:
        """Close a modal without submitting it."""
        view = self._parts.views.seen(person.id, str(act.get("view_id", "")))
        if view["type"] != "modal":
            raise Refusal("view_not_found")
        self._parts.views.close(person.id, view)
        if view["notify_on_close"]:
            await self._ask(person, "view_closed", about={"view": view, "is_cleared": False})
        return {}

    async def shortcut(self, person: Person, act: Json) -> Json:
        """Use a shortcut of the manifest, on a message when it is a message shortcut."""
        callback_id = str(act.get("callback_id", ""))
        declared = self._parts.manifest.shortcuts.get(callback_id)
        if declared is None:
            raise Refusal("unknown_shortcut", f"the manifest declares no shortcut {callback_id}")
        about: Json = {
            "callback_id": callback_id,
            "trigger_id": self._parts.views.trigger(person.id),
            "action_ts": self._parts.timeline.next_ts(),
        }
        if declared.get("type") != "message":
            return await self._ask(person, "shortcut", about=about)
        message = self._parts.message_for(person, str(act.get("channel", "")), ts=str(act.get("ts", "")))
        about |= {"message_ts": message.ts, **self._message_about(person, message)}
        return await self._ask(person, "message_action", about=about)

    async def _act_on(self, person: Person, act: Json, *, kinds: frozenset[str], given: Any) -> Json:
        front = self._front(person, act)
        found = find_one(front.blocks, act, kinds=kinds)
        typed = as_object(act.get("state")) or {}
        if given is not None and not _has(typed, found):
            typed = {**typed, found.block_id: {**(as_object(typed.get(found.block_id)) or {}), found.action_id: given}}
        values = state_values(front.blocks, typed)
        about: Json = {
            **front.about,
            "state": {"values": values},
            "trigger_id": self._parts.views.trigger(person.id, in_modal=front.in_view),
            "actions": [action_entry(found, given, ts=self._parts.timeline.next_ts())],
        }
        if "view" in about:
            about["view"] = {**about["view"], "state": {"values": values}}
        return await self._ask(person, "block_actions", about=about)

    def _front(self, person: Person, act: Json) -> _Front:
        if act.get("view_id"):
            view = self._parts.views.seen(person.id, str(act["view_id"]))
            container = {"type": "view", "view_id": view["id"]}
            return _Front(view["blocks"], {"container": container, "view": view}, in_view=view["type"] == "modal")
        message = self._parts.message_for(person, str(act.get("channel", "")), ts=str(act.get("ts", "")))
        container: Json = {
            "type": "message",
            "message_ts": message.ts,
            "channel_id": message.channel,
            "is_ephemeral": message.audience is not None,
        }
        if message.thread_ts is not None:
            container["thread_ts"] = message.thread_ts
        about = {"container": container, **self._message_about(person, message)}
        return _Front(message.body.get("blocks"), about, in_view=False)

    def _message_about(self, person: Person, message: Message) -> Json:
        channel = self._parts.channel_for(person, message.channel)
        place: Json = {
            "channel": channel.id,
            "user": person.id,
            "ts": message.ts,
            "thread_ts": message.thread_ts,
        }
        return {
            "channel": channel_brief(channel),
            "message": self._parts.timeline.shown(message, with_metadata=True),
            "response_url": self._responses.address(place),
        }

    async def _ask(self, person: Person, kind: str, *, about: Json, answerable: bool = False) -> Json:
        if not self._parts.manifest.interactive:
            raise Refusal("interactivity_disabled", "manifest.yml says settings/interactivity: is_enabled: false")
        payload = interaction_payload(self._parts.company, person, kind=kind, about=about)
        try:
            return await self._parts.socket.ask("interactive", payload, answerable=answerable)
        except NoAnswer as missed:
            raise Refusal(missed.code, "The app did not respond. Try again.") from missed

    def _show_command_answer(self, place: Json, answer: Json) -> Json:
        if not answer.get("text") and not answer.get("blocks"):
            return {}
        shown = self._responses.apply(place, answer)
        told = {name: answer[name] for name in ("text", "blocks", "response_type") if name in answer}
        return {**told, "ts": shown.ts} if shown is not None else told

    def _after_submission(self, person: Person, view: Json, *, answer: Json) -> Json:
        views = self._parts.views
        match answer.get("response_action"):
            case None:
                views.close(person.id, view)
            case "clear":
                views.clear(person.id)
            case "errors":
                raise Refusal("view_has_errors", errors=as_object(answer.get("errors")) or {})
            case "update":
                views.replace(person.id, view, made=views.make(as_object(answer.get("view")) or {}))
            case "push":
                views.push_for(person.id, views.make(as_object(answer.get("view")) or {}))
            case other:
                raise Refusal("invalid_response_action", f"the bot answered response_action {other}")
        stack = views.stack(person.id)
        return {"view": stack[-1] if stack else None}


def _has(state: Json, found: Found) -> bool:
    return found.action_id in (as_object(state.get(found.block_id)) or {})
