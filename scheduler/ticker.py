"""APScheduler as a clock: it says when; whether a fire happens is decided by its row (scheduler.fires)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

from apscheduler.executors.base import BaseExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger

from core.clock import Clock
from core.db import is_outage
from scheduler.fires import GRACE, Fires
from scheduler.schedule import Overlap, Schedule
from scheduler.store import CHANGED, ScheduleStore

log = logging.getLogger(__name__)

_Ended = Callable[[str, list[object]], None]
_FIELDS = ("second", "minute", "hour", "day", "month", "day_of_week")


def cron_trigger(cron: str, zone: str) -> CronTrigger:
    """What APScheduler makes of `cron` (as `checked_cron` spells it) on the wall clock of `zone`."""
    fields = cron.split()
    named = dict(zip(_FIELDS[len(_FIELDS) - len(fields) :], fields, strict=True))
    return CronTrigger(**{"second": "0", **named}, timezone=ZoneInfo(zone))


def cron_times(cron: str, zone: str, after: datetime, until: datetime) -> Iterator[datetime]:
    """The instants in UTC that `cron` means, in order, later than `after` and not later than `until`."""
    trigger = cron_trigger(cron, zone)
    while (due := _next(trigger, after)) is not None and due <= until:
        yield due
        after = due


def _next(trigger: CronTrigger, after: datetime) -> datetime | None:
    found = cast(datetime | None, trigger.get_next_fire_time(None, after + timedelta(microseconds=1)))
    return None if found is None else found.astimezone(UTC)


class _Executor(BaseExecutor):
    """Hands each job's due times over: APScheduler's own executors would not pass them on."""

    def _do_submit_job(self, job: Any, run_times: list[datetime]) -> None:
        job.func(job.args[0], run_times)
        # The job counts as running, and is not submitted again, until this is called; it is counted after we return.
        events: list[object] = []
        asyncio.get_running_loop().call_soon(cast(_Ended, self._run_job_success), job.id, events)


class Ticker:
    """Fires schedules when they are due; any number of tickers may run at the same time."""

    def __init__(
        self,
        store: ScheduleStore,
        fires: Fires,
        clock: Clock,
        *,
        reload_every: timedelta = timedelta(seconds=10),
        catch_up_every: timedelta = timedelta(minutes=1),
    ) -> None:
        self._store = store
        self._fires = fires
        self._clock = clock
        self._reload_every = reload_every
        self._catch_up_every = catch_up_every
        self._ticking: dict[str, Schedule] = {}
        self._underway: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Tick until `stop` is set, then let the fires under way finish."""
        scheduler = AsyncIOScheduler(
            timezone=UTC,
            executors={"default": _Executor()},
            job_defaults={"misfire_grace_time": None, "coalesce": False},
        )
        scheduler.start()
        bell = asyncio.Event()
        listener = asyncio.create_task(self._store.database.listen([CHANGED], bell.set))
        try:
            await self._follow(scheduler, bell, stop)
        finally:
            listener.cancel()
            scheduler.shutdown(wait=False)
            await asyncio.gather(listener, *self._underway, return_exceptions=True)

    async def _follow(self, scheduler: AsyncIOScheduler, bell: asyncio.Event, stop: asyncio.Event) -> None:
        """Keep the clock's schedules those of the database, and catch up at once and then now and again."""
        caught_up = float("-inf")
        while not stop.is_set():
            bell.clear()
            await _trying("reading the schedules", self._reload(scheduler))
            overdue = self._clock.monotonic() - caught_up >= self._catch_up_every.total_seconds()
            caught_up = self._clock.monotonic() if overdue else caught_up
            for schedule in list(self._ticking.values()):
                if overdue:
                    await _trying(f"catching up {schedule.schedule_id}", self._fires.catch_up(schedule))
                if schedule.overlap is Overlap.QUEUE:
                    await _trying(f"starting what {schedule.schedule_id} queued", self._fires.start_queued(schedule))
            await _either(bell, stop, timeout=self._reload_every.total_seconds())

    async def _reload(self, scheduler: AsyncIOScheduler) -> None:
        current: dict[str, Schedule] = {}
        for schedule in await self._store.all():
            if not schedule.paused and self._admit(scheduler, schedule):
                current[schedule.schedule_id] = schedule
        for gone in self._ticking.keys() - current.keys():
            scheduler.remove_job(gone)
        self._ticking = current

    def _admit(self, scheduler: AsyncIOScheduler, schedule: Schedule) -> bool:
        """Let `schedule` tick, if it does not already; False when its rule in time makes no sense."""
        known = self._ticking.get(schedule.schedule_id)
        if known is not None and known.version == schedule.version:
            return True
        try:
            trigger = cron_trigger(schedule.cron, schedule.zone)
        except (ValueError, LookupError, OSError) as error:
            # One row that somebody wrote by hand must not stop the others.
            log.error("schedule %s never fires: %s. Remove it and add it again.", schedule.schedule_id, error)
            return False
        scheduler.add_job(self._tick, trigger, args=(schedule, ()), id=schedule.schedule_id, replace_existing=True)
        return True

    def _tick(self, schedule: Schedule, dues: Sequence[datetime]) -> None:
        firing = self._fire(schedule, [due.astimezone(UTC) for due in dues])
        task = asyncio.create_task(_trying(f"firing {schedule.schedule_id}", firing))
        self._underway.add(task)
        task.add_done_callback(self._underway.discard)

    async def _fire(self, schedule: Schedule, dues: Sequence[datetime]) -> None:
        # After a sleep of the machine APScheduler delivers all that was due meanwhile: policy must choose.
        fresh = [due for due in dues if self._clock.now() - due <= GRACE]
        if len(fresh) < len(dues):
            await self._fires.catch_up(schedule)
        for due in fresh:
            await self._fires.fire(schedule, due)


async def _trying(what: str, doing: Awaitable[object]) -> None:
    """Await `doing`; a failure is logged and left to the next catch-up, which finds every fire that has no row."""
    try:
        await doing
    except Exception as error:
        if is_outage(error):
            log.warning("%s: the database is away, trying again: %s", what, error)
        else:
            log.error("%s failed and is tried again", what, exc_info=error)


async def _either(first: asyncio.Event, second: asyncio.Event, *, timeout: float) -> None:
    """Return when one of the events is set, or after `timeout` seconds."""
    waits = [asyncio.create_task(event.wait()) for event in (first, second)]
    await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
