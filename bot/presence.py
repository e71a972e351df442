"""What people say of their own time, and what they want asked again: away, delegate, back, reopen."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from actions.absence import Absences
from actions.chain import Absence
from actions.reopening import Reopening
from actions.team import Team
from bot.channel import Channel
from bot.delivery import Delivery
from bot.intake import Effect
from bot.pointer import Pointer
from bot.runs import say
from bot.schedules import ZoneOf
from bot.slack.blocks import answers
from bot.until import until
from core.clock import Clock
from core.db import Connection
from core.outbox import Conversation
from core.text import in_answer

USAGE = {
    "reopen": "reopen <run or approval> [in #channel]",
    "away": "away until <date> [to @person]",
    "delegate": "delegate @person until <date>",
    "back": "back",
}
_PERSON = r"<@(?P<who>[UW][A-Z0-9]+)(\|[^>]*)?>"
_FORMS = {
    "reopen": re.compile(r"[`*]?(?P<subject>\w+)[`*.,]*(\s+(in\s+)?<#(?P<channel>[CG][A-Z0-9]+)(\|[^>]*)?>)?", re.I),
    "away": re.compile(rf"(until\s+)?(?P<until>[^<@]+?)(\s+to\s+{_PERSON})?", re.IGNORECASE),
    "delegate": re.compile(rf"(to\s+)?{_PERSON}\s+until\s+(?P<until>[^<@]+)", re.IGNORECASE),
}


@dataclass(frozen=True)
class Leave:
    """Be away until then, or only have `stand_in` answer in one's place."""

    until: str
    stand_in: str | None
    away: bool


@dataclass(frozen=True)
class Reopen:
    """Ask again about this approval, or about all of this run; `channel` is where its card shall stand as well."""

    subject: str
    channel: str | None = None


@dataclass(frozen=True)
class Back:
    """Be there again, and answer for oneself."""


def read(verb: str, text: str) -> Leave | Reopen | Back | None:
    """What these words after the verb ask for; None when something is missing or not understood."""
    if verb == "back":
        return Back()
    found = _FORMS[verb].fullmatch(text.strip())
    if found is None:
        return None
    if verb == "reopen":
        return Reopen(found["subject"], found["channel"])
    return Leave(found["until"], found["who"], away=verb == "away")


class PresenceDesk:
    """Does what people say about being there, and about questions that were not answered in time."""

    def __init__(
        self,
        absences: Absences,
        reopening: Reopening,
        channel: Channel,
        *,
        team: Callable[[], Team],
        zone_of: ZoneOf,
        clock: Clock,
    ) -> None:
        self._absences = absences
        self._reopening = reopening
        self._channel = channel
        self._team = team
        self._zone_of = zone_of
        self._clock = clock

    async def consider(self, delivery: Delivery) -> Effect:
        """What the button of an expired approval's card does."""
        if not self.is_ours(delivery):
            return say(answers.may_not_see())
        return await self.reopen(delivery, Reopen(Pointer.parse(delivery.value).approval_id))

    def is_ours(self, delivery: Delivery) -> bool:
        """True when the sender belongs to the workspace whose team this is, and is on it."""
        team = self._team()
        return delivery.sender.team_id == team.workspace and team.member(delivery.sender.user_id) is not None

    async def leave(self, delivery: Delivery, asked: Leave) -> Effect:
        """Note that somebody is away, or stood in for, or say why not."""
        person = delivery.sender.user_id
        problem = self._absences.problem(person, asked.stand_in)
        if problem:
            return say(in_answer(problem))
        ends = until(asked.until, self._clock.now(), await self._zone_of(person) or "UTC")
        if ends is None:
            return say(answers.no_such_time(asked.until))
        absence = Absence(person, asked.away, asked.stand_in, ends)

        async def write(conn: Connection) -> str:
            if not await self._absences.leave(conn, absence, delivery_id=delivery.delivery_id):
                return answers.not_that_long(absence.until)
            return answers.left(absence)

        return write

    def come_back(self, delivery: Delivery) -> Effect:
        """Note that somebody is there again."""

        async def write(conn: Connection) -> str:
            was = await self._absences.come_back(conn, delivery.sender.user_id, delivery_id=delivery.delivery_id)
            return answers.back(was)

        return write

    async def reopen(self, delivery: Delivery, asked: Reopen) -> Effect:
        """Have it asked again, or its card shown elsewhere too, or say why not."""
        if asked.channel is not None and not await self._channel.reaches(asked.channel):
            return say(answers.cannot_reach(asked.channel))
        place = None if asked.channel is None else Conversation(delivery.workspace, asked.channel)

        async def write(conn: Connection) -> str:
            return await self._reopening.reopen(
                conn, asked.subject, delivery.sender.user_id, delivery_id=delivery.delivery_id, place=place
            )

        return write


class PresenceVerb:
    """One of the verbs of the presence desk."""

    def __init__(self, name: str, desk: PresenceDesk, command: str) -> None:
        self.usage = USAGE[name]
        self._name = name
        self._desk = desk
        self._command = command

    async def consider(self, delivery: Delivery, text: str) -> Effect:
        """Do what the words after the verb say."""
        if not self._desk.is_ours(delivery):
            return say(answers.may_not_see())
        match read(self._name, text):
            case Leave() as asked:
                return await self._desk.leave(delivery, asked)
            case Reopen() as asked:
                return await self._desk.reopen(delivery, asked)
            case Back():
                return self._desk.come_back(delivery)
            case None:
                return say(answers.incomplete(self.usage, self._command))


def presence_verbs(desk: PresenceDesk, command: str) -> Mapping[str, PresenceVerb]:
    """Every verb of this desk."""
    return {name: PresenceVerb(name, desk, command) for name in USAGE}
