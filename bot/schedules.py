"""Schedules as people add, list, pause, resume and remove them."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from bot.commands import AddSchedule, ChangeSchedule
from bot.delivery import Delivery
from bot.intake import Effect
from bot.runs import RunDesk, say
from bot.slack.blocks import answers, limits
from core import audit
from core.clock import Clock
from core.db import Connection
from core.ids import new_schedule_id
from core.outbox import Conversation
from scheduler.schedule import Schedule, ScheduleInvalid, Times, checked_zone, next_due, parse_when
from scheduler.store import ScheduleStore

#: The IANA zone of a person's profile, or None when it is not known.
ZoneOf = Callable[[str], Awaitable[str | None]]

_CHANGERS = frozenset({"admin", "operator"})
_PAST = {"pause": "schedule.paused", "resume": "schedule.resumed", "remove": "schedule.removed"}


class ScheduleDesk:
    """Does what people say about schedules."""

    def __init__(self, store: ScheduleStore, runs: RunDesk, *, zone_of: ZoneOf, times: Times, clock: Clock) -> None:
        self._store = store
        self._runs = runs
        self._zone_of = zone_of
        self._times = times
        self._clock = clock

    async def add(self, delivery: Delivery, asked: AddSchedule) -> Effect:
        """Add a schedule, or say why not."""
        problem = await self._runs.start_problem(delivery, asked.workflow)
        if problem:
            return say(problem)
        try:
            schedule = await self._schedule(delivery, asked)
        except ScheduleInvalid as error:
            return say(limits.escape(str(error)))

        async def write(conn: Connection) -> str:
            await self._store.add(conn, schedule)
            await _audit(conn, delivery, "schedule.added", schedule)
            return answers.scheduled(schedule, self._next(schedule))

        return write

    async def _schedule(self, delivery: Delivery, asked: AddSchedule) -> Schedule:
        when = parse_when(asked.rule)
        zone = when.zone or await self._zone_of(delivery.sender.user_id)
        return Schedule(
            schedule_id=new_schedule_id(),
            workspace=delivery.workspace,
            workflow=asked.workflow,
            text=when.rest,
            cron=when.cron,
            zone=checked_zone(zone) if zone else "UTC",
            owner=delivery.sender.user_id,
            conversation=Conversation(delivery.workspace, delivery.channel),
        )

    def _next(self, schedule: Schedule) -> datetime | None:
        if schedule.paused:
            return None
        return next(iter(next_due(schedule, self._clock.now(), 1, times=self._times)), None)

    async def list_all(self, delivery: Delivery) -> Effect:
        """The schedules that this person may see where the answer stands."""
        seen, every = self._runs.sight(delivery), await self._store.all(delivery.workspace)
        found = [each for each in every if seen.has(each.owner, each.conversation.channel)]
        times = [(schedule, self._next(schedule)) for schedule in found]
        return say(answers.schedules(times, of_everybody=seen.everything))

    async def change(self, delivery: Delivery, asked: ChangeSchedule) -> Effect:
        """Pause, resume or remove a schedule, or say why not."""
        schedule = await self._store.get(asked.schedule_id)
        if schedule is None or schedule.workspace != delivery.workspace:
            return say(answers.no_such_schedule(asked.schedule_id))
        if not self._may_change(delivery, schedule):
            return say(answers.may_not_change_schedule())
        changes = {"pause": self._store.pause, "resume": self._store.resume, "remove": self._store.remove}

        async def write(conn: Connection) -> str:
            if not await changes[asked.change](conn, schedule.schedule_id):
                return answers.no_such_schedule(asked.schedule_id)
            await _audit(conn, delivery, _PAST[asked.change], schedule)
            return answers.schedule_changed(schedule.schedule_id, asked.change)

        return write

    def _may_change(self, delivery: Delivery, schedule: Schedule) -> bool:
        member = self._runs.team().member(delivery.sender.user_id)
        if member is None or not self._runs.is_ours(delivery):
            return False
        return schedule.owner == delivery.sender.user_id or bool(member.roles & _CHANGERS)


async def _audit(conn: Connection, delivery: Delivery, event: str, schedule: Schedule) -> None:
    await audit.append(
        conn,
        delivery.workspace,
        event,
        actor=audit.person(delivery.sender.user_id),
        subject={"schedule_id": schedule.schedule_id, "delivery_id": delivery.delivery_id},
        detail={"workflow": schedule.workflow, "cron": schedule.cron, "zone": schedule.zone},
    )
