"""Starts at most one run per due occurrence: claim, run and wake are one transaction (`UNIQUE` row decides)."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from core.audit import CODE, append
from core.clock import Clock
from core.db import Connection
from core.errors import Refused
from core.ids import RunId
from core.metrics import Metrics
from scheduler.schedule import Overlap, Schedule, Times, due_between, fire_key, reckon
from scheduler.store import FireOutcome, FireRow, ScheduleStore, Standing

#: A fire younger than this is left to the clocks; older, nobody fired it and catch-up takes over.
GRACE = timedelta(seconds=10)

#: Fires older than this (and than their schedule's lateness) are not even recorded as missed.
_LOOK_BACK = timedelta(days=7)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fire:
    """One due occurrence of a schedule."""

    schedule: Schedule
    fire_key: str
    due: datetime

    @property
    def delivery_id(self) -> str:
        """The unique id under which this fire's request reaches intake."""
        return f"fire:{self.schedule.schedule_id}:{self.fire_key}"


@dataclass(frozen=True)
class Runs:
    """What fires need to know of runs."""

    start: Callable[[Connection, Fire], Awaitable[str]]
    """Makes the run and wakes it on the given connection; returns its id; raises Refused to have that recorded."""
    still_running: Callable[[Connection, str], Awaitable[bool]]
    """True while that run has not ended."""


class Fires:
    """Fires schedules once, and accounts for every fire that was missed."""

    def __init__(self, store: ScheduleStore, runs: Runs, *, times: Times, clock: Clock, metrics: Metrics) -> None:
        self._store = store
        self._runs = runs
        self._times = times
        self._clock = clock
        self._metrics = metrics

    async def fire(self, schedule: Schedule, due: datetime) -> FireOutcome | None:
        """Settle one due fire; None when it is another's already, not due yet, or of a schedule changed since."""
        fire = Fire(schedule, fire_key(schedule, due), due)
        while True:
            answer = await self._try(fire)
            if not isinstance(answer, timedelta):
                return answer
            # This machine's clock is ahead of the database's, which counts. Far ahead: catch-up will find the fire.
            if answer > GRACE:
                return None
            await self._clock.sleep(answer.total_seconds())

    async def _try(self, fire: Fire) -> FireOutcome | timedelta | None:
        async with self._store.database.transaction() as conn:
            held = await self._store.hold(conn, fire.schedule)
            if held is None:
                return None
            if held.now < fire.due:
                return fire.due - held.now
            if not await self._store.claim(conn, fire.schedule.schedule_id, fire.fire_key, fire.due):
                return None
            outcome = await self._settle(conn, fire, await self._obstacle(conn, fire, held.now))
        self._metrics.fires.labels(outcome).inc()
        return outcome

    async def _obstacle(self, conn: Connection, fire: Fire, now: datetime) -> FireOutcome | None:
        """Why this fire does not start now, if there is a reason."""
        if now - fire.due > fire.schedule.max_late:
            return FireOutcome.SKIPPED_LATE
        match fire.schedule.overlap:
            case Overlap.ALLOW:
                return None
            case Overlap.SKIP:
                return FireOutcome.SKIPPED_OVERLAP if await self._last_still_goes(conn, fire.schedule) else None
            case Overlap.QUEUE:
                waits = await self._store.first_queued(conn, fire.schedule.schedule_id) is not None
                return FireOutcome.QUEUED if waits or await self._last_still_goes(conn, fire.schedule) else None

    async def _last_still_goes(self, conn: Connection, schedule: Schedule) -> bool:
        run_id = await self._store.last_run(conn, schedule.schedule_id)
        return run_id is not None and await self._runs.still_running(conn, run_id)

    async def _settle(self, conn: Connection, fire: Fire, obstacle: FireOutcome | None) -> FireOutcome:
        """Start the run unless something is in its way; write down what became of the fire; append the event last."""
        run_id, reason, outcome = None, "", obstacle
        if outcome is None:
            try:
                # A savepoint: what a refused start has written must not stay.
                async with conn.transaction():
                    run_id = RunId(await self._runs.start(conn, fire))
                outcome = FireOutcome.STARTED
            except Refused as error:
                outcome, reason = FireOutcome.REFUSED, str(error)
        schedule = fire.schedule
        row = FireRow(schedule.schedule_id, fire.fire_key, fire.due, outcome, run_id, reason)
        await self._store.settle(conn, row)
        await append(
            conn,
            schedule.workspace,
            "schedule.fired" if run_id else f"schedule.{outcome}",
            actor=CODE,
            subject={"schedule_id": schedule.schedule_id, "fire_key": fire.fire_key, "run_id": run_id},
            detail={"due_at": fire.due.isoformat(), "workflow": schedule.workflow, "reason": reason},
        )
        return outcome

    async def catch_up(self, schedule: Schedule) -> int:
        """Account for every fire nobody fired in time, by the schedule's policy; returns how many were started."""
        async with self._store.database.transaction() as conn:
            held = await self._store.hold(conn, schedule)
            start = () if held is None else await self._reckon(conn, held)
        outcomes = [await self.fire(schedule, due) for due in start]
        return outcomes.count(FireOutcome.STARTED)

    async def _reckon(self, conn: Connection, held: Standing) -> tuple[datetime, ...]:
        """Record what will not be started and return what shall be."""
        schedule, until = held.schedule, held.now - GRACE
        since = max(held.unsettled_since, until - max(schedule.max_late, _LOOK_BACK))
        dues = due_between(schedule, since, until, times=self._times)
        if not dues:
            return ()
        # A day more: in autumn a wall time may have been fired an hour before this instant under the same key.
        known = await self._store.known(conn, schedule.schedule_id, since - timedelta(days=1))
        reckoning = reckon(schedule, [due for due in dues if fire_key(schedule, due) not in known], held.now)
        # What shall be started has no row yet: should this process die before, the next reckoning finds it again.
        settled = reckoning.start[0] - timedelta(microseconds=1) if reckoning.start else until
        await self._store.settled_until(conn, schedule.schedule_id, settled)
        await self._pass_over(conn, schedule, FireOutcome.SKIPPED_LATE, reckoning.late)
        await self._pass_over(conn, schedule, FireOutcome.MISSED, reckoning.missed)
        return reckoning.start

    async def _pass_over(
        self, conn: Connection, schedule: Schedule, outcome: FireOutcome, dues: tuple[datetime, ...]
    ) -> None:
        fires = [(fire_key(schedule, due), due) for due in dues]
        count = await self._store.record(conn, schedule.schedule_id, fires, outcome)
        if not count:
            return
        log.warning("schedule %s: %d fires %s, the last due at %s", schedule.schedule_id, count, outcome, dues[-1])
        self._metrics.fires.labels(outcome).inc(count)
        detail: dict[str, Any] = {"count": count, "first": dues[0].isoformat(), "last": dues[-1].isoformat()}
        await append(
            conn,
            schedule.workspace,
            f"schedule.{outcome}",
            actor=CODE,
            subject={"schedule_id": schedule.schedule_id},
            detail=detail,
        )

    async def start_queued(self, schedule: Schedule) -> FireOutcome | None:
        """Settle the oldest queued fire once the run before it has ended; None when there is nothing to do yet."""
        async with self._store.database.transaction() as conn:
            held = await self._store.hold(conn, schedule)
            row = None if held is None else await self._store.first_queued(conn, schedule.schedule_id)
            if held is None or row is None:
                return None
            late = held.now - row.due_at > schedule.max_late
            if not late and await self._last_still_goes(conn, schedule):
                return None
            fire = Fire(schedule, row.fire_key, row.due_at)
            outcome = await self._settle(conn, fire, FireOutcome.SKIPPED_LATE if late else None)
        self._metrics.fires.labels(outcome).inc()
        return outcome
