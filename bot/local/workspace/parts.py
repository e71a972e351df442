"""What the workspace server is made of, put together once and handed to those who answer calls."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bot.local.workspace.changes import Changes
from bot.local.workspace.company import Channel, Company, Person
from bot.local.workspace.faults import Faults
from bot.local.workspace.manifest import Manifest
from bot.local.workspace.refusal import Refusal
from bot.local.workspace.socket_mode import SocketMode
from bot.local.workspace.store import Message, Store
from bot.local.workspace.timeline import Timeline
from bot.local.workspace.views import Views
from core.clock import Clock


@dataclass(frozen=True)
class Parts:
    """The pieces of one running workspace."""

    company: Company
    manifest: Manifest
    roles: Mapping[str, Sequence[str]]
    store: Store
    faults: Faults
    changes: Changes
    clock: Clock
    socket: SocketMode
    timeline: Timeline
    views: Views
    url: Callable[[], str]

    def person(self, user_id: str) -> Person:
        """The person of an id; raises Refusal when there is none."""
        person = self.company.person(user_id)
        if person is None:
            raise Refusal("user_not_found")
        return person

    def channel_for(self, person: Person, channel_id: str) -> Channel:
        """A channel that a person is in; raises Refusal when there is none or the person is not in it."""
        channel = self.company.channel(channel_id)
        if channel is None or (person.id not in channel.members and channel.kind != "channel"):
            raise Refusal("channel_not_found")
        if person.id not in channel.members:
            raise Refusal("not_in_channel")
        return channel

    def message_for(self, person: Person, channel_id: str, *, ts: str) -> Message:
        """A message that a person can see; raises Refusal."""
        channel = self.channel_for(person, channel_id)
        message = self.store.message(channel.id, ts)
        if message is None or message.audience not in (None, person.id):
            raise Refusal("message_not_found")
        return message
