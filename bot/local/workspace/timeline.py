"""What is said in channels, by people and by the bot, and the events that tell the bot of it."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bot.local.workspace.changes import Changes
from bot.local.workspace.company import Channel, Company, Person
from bot.local.workspace.envelopes import event_callback
from bot.local.workspace.json_value import Json, as_object, objects_in
from bot.local.workspace.manifest import Manifest
from bot.local.workspace.refusal import Refusal
from bot.local.workspace.scopes import message_event
from bot.local.workspace.store import Message, PendingEvent, Store
from bot.local.workspace.timestamps import Timestamps
from core.clock import Clock

_SLACKBOT = "USLACKBOT"


@dataclass(frozen=True)
class Draft:
    """A message before it stands anywhere."""

    channel: Channel
    content: Json
    thread_ts: str | None = None
    broadcast: bool = False
    #: The only person who may see it; None when all may.
    audience: str | None = field(default=None)


@dataclass(frozen=True)
class Ground:
    """What the timeline stands on."""

    company: Company
    manifest: Manifest
    store: Store
    changes: Changes
    clock: Clock


class Timeline:
    """Every message of the workspace; each change is on disk, with its events, before a method returns."""

    def __init__(self, ground: Ground, publish: Callable[[Sequence[PendingEvent]], None]) -> None:
        self._company = ground.company
        self._manifest = ground.manifest
        self._store = ground.store
        self._changes = ground.changes
        self._clock = ground.clock
        self._publish = publish
        self._timestamps = Timestamps(ground.clock, after=ground.store.latest_ts())

    def next_ts(self) -> str:
        """A timestamp that nothing else has."""
        return self._timestamps.next()

    def post_as_bot(self, draft: Draft) -> Message:
        """Say something as the bot."""
        return self._post(draft, self._bot_author())

    def post_as_person(self, draft: Draft, person: Person) -> Message:
        """Say something as a person."""
        author = {"user": person.id, "team": self._company.team.id, "client_msg_id": secrets.token_hex(16)}
        return self._post(draft, author)

    def whisper(self, draft: Draft) -> Message:
        """Show a person something that nobody else sees and no event tells of, as the bot."""
        return self._put_ephemeral(draft, self._bot_author())

    def notice(self, channel: Channel, person: Person, *, text: str) -> Message:
        """Tell a person alone, as Slack itself, that something did not work."""
        draft = Draft(channel, {"text": text}, audience=person.id)
        return self._put_ephemeral(draft, {"user": _SLACKBOT, "username": "Slackbot"})

    def rewrite(self, message: Message, body: Json) -> Message:
        """Put other contents into a message."""
        fresh = message.with_body(body)
        events: list[PendingEvent] = []
        if message.audience is None:
            about = {
                "message": without_metadata(body),
                "previous_message": without_metadata(message.body),
            }
            events = self._hidden_events(message.channel, "message_changed", about=about)
        self._store.put_message(fresh, events)
        self._told(fresh, events)
        return fresh

    def remove(self, message: Message) -> None:
        """Take a message away."""
        events: list[PendingEvent] = []
        if message.audience is None:
            about = {"deleted_ts": message.ts, "previous_message": without_metadata(message.body)}
            events = self._hidden_events(message.channel, "message_deleted", about=about)
        self._store.remove_message(message.channel, message.ts, events=events)
        self._told(message, events)

    def react(self, message: Message, user: str, *, name: str, add: bool) -> None:
        """Add or take back a person's reaction; raises Refusal when there is nothing to do."""
        reactions = {entry["name"]: list(entry["users"]) for entry in objects_in(message.body.get("reactions"))}
        users: list[str] = reactions.setdefault(name, [])
        if (user in users) == add:
            raise Refusal("already_reacted" if add else "no_reaction")
        if add:
            users.append(user)
        else:
            users.remove(user)
        body = {
            **message.body,
            "reactions": [{"name": each, "users": who, "count": len(who)} for each, who in reactions.items() if who],
        }
        event: Json = {
            "type": "reaction_added" if add else "reaction_removed",
            "user": user,
            "reaction": name,
            "item_user": message.body.get("user"),
            "item": {"type": "message", "channel": message.channel, "ts": message.ts},
            "event_ts": self.next_ts(),
        }
        events = self._events(str(event["type"]), event)
        fresh = message.with_body(body)
        self._store.put_message(fresh, events)
        self._told(fresh, events)

    def announce(self, name: str, event: Json) -> None:
        """Tell the bot of something that is no message, if it asked to be told."""
        events = self._events(name, {"type": name, **event})
        self._store.add_events(events)
        self._publish(events)

    def shown(self, message: Message, *, with_metadata: bool) -> Json:
        """A message's JSON as Slack's history gives it, the counts of its thread included."""
        body = message.body if with_metadata else without_metadata(message.body)
        if message.audience is not None:
            return {**body, "is_ephemeral": True}
        if message.thread_ts in (None, message.ts):
            return {**body, **self._store.thread_summary(message.channel, message.ts)}
        return body

    def _bot_author(self) -> Json:
        bot = self._company.bot
        return {
            "user": bot.user_id,
            "bot_id": bot.bot_id,
            "app_id": bot.app_id,
            "team": self._company.team.id,
            "bot_profile": {
                "id": bot.bot_id,
                "app_id": bot.app_id,
                "user_id": bot.user_id,
                "name": bot.real_name,
                "deleted": False,
                "team_id": self._company.team.id,
            },
        }

    def _put_ephemeral(self, draft: Draft, author: Json) -> Message:
        message = self._placed(draft, author)
        self._store.put_message(message)
        self._told(message, [])
        return message

    def _post(self, draft: Draft, author: Json) -> Message:
        message = self._placed(draft, author)
        events = self._events_of(message, draft.channel)
        self._store.put_message(message, events)
        self._told(message, events)
        return message

    def _placed(self, draft: Draft, author: Json) -> Message:
        ts = self.next_ts()
        body: Json = {"type": "message", **author, "text": "", **draft.content, "ts": ts}
        if draft.thread_ts is not None:
            body |= {"thread_ts": draft.thread_ts, **self._parent_fields(draft)}
        return Message(
            channel=draft.channel.id,
            ts=ts,
            body=body,
            thread_ts=draft.thread_ts,
            audience=draft.audience,
            broadcast=draft.broadcast,
        )

    def _parent_fields(self, draft: Draft) -> Json:
        parent = self._store.message(draft.channel.id, draft.thread_ts or "")
        is_parent = parent is not None and parent.audience is None and parent.thread_ts in (None, parent.ts)
        if draft.audience is None and not is_parent:
            raise Refusal("thread_not_found", "there is no message at thread_ts that could have replies")
        fields: Json = {"parent_user_id": parent.body.get("user")} if parent is not None else {}
        return {**fields, "subtype": "thread_broadcast"} if draft.broadcast else fields

    def _told(self, message: Message, events: Sequence[PendingEvent]) -> None:
        self._changes.tell("messages", channel=message.channel, thread_ts=message.thread_ts, user=message.audience)
        self._publish(events)

    def _events_of(self, message: Message, channel: Channel) -> list[PendingEvent]:
        body = without_metadata(message.body)
        event: Json = {
            **body,
            "channel": channel.id,
            "channel_type": channel.kind,
            "event_ts": message.ts,
        }
        events = self._channel_events(channel, message_event(channel.kind), event=event)
        by_person = "bot_id" not in body
        if by_person and not channel.is_im and f"<@{self._company.bot.user_id}" in str(body["text"]):
            kept = ("user", "text", "ts", "team", "client_msg_id", "thread_ts", "parent_user_id", "blocks", "files")
            mention: Json = {name: body[name] for name in kept if name in body}
            mention |= {"type": "app_mention", "channel": channel.id, "event_ts": message.ts}
            events = [*self._channel_events(channel, "app_mention", event=mention), *events]
        return events

    def _hidden_events(self, channel_id: str, subtype: str, *, about: Json) -> list[PendingEvent]:
        channel = self._company.channel(channel_id)
        if channel is None:
            return []
        ts = self.next_ts()
        event: Json = {
            "type": "message",
            "subtype": subtype,
            "hidden": True,
            "channel": channel.id,
            "channel_type": channel.kind,
            "ts": ts,
            "event_ts": ts,
            **about,
        }
        return self._channel_events(channel, message_event(channel.kind), event=event)

    def _channel_events(self, channel: Channel, name: str, *, event: Json) -> list[PendingEvent]:
        return self._events(name, event) if self._company.bot.user_id in channel.members else []

    def _events(self, name: str, event: Json) -> list[PendingEvent]:
        if name not in self._manifest.events:
            return []
        return [event_callback(self._company, event, now=self._clock.now())]


def without_metadata(body: Json) -> Json:
    """A message's JSON as those see it who did not ask for metadata."""
    return {name: value for name, value in body.items() if name != "metadata"}


def is_by_bot(message: Message, company: Company) -> bool:
    """Whether the bot wrote a message, so that it may change it."""
    return message.body.get("bot_id") == company.bot.bot_id


def draft_content(args: Json, blocks: list[Json]) -> Json:
    """What of a call's arguments becomes part of a message: text, blocks, metadata."""
    content: Json = {"text": str(args.get("text") or "")}
    if blocks:
        content["blocks"] = blocks
    metadata = as_object(args.get("metadata"))
    if metadata:
        content["metadata"] = metadata
    return content
