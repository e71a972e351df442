"""Schedules and fires in Postgres; the row of a fire is what makes it happen once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from core.db import Connection, Database, jsonb
from core.ids import RunId, ScheduleId
from core.outbox import Conversation
from scheduler.schedule import CatchUp, Overlap, Schedule

#: Rings when a schedule is added, paused, resumed or removed.
CHANGED = "scheduler_changed"


class FireOutcome(StrEnum):
    """What became of a fire."""

    STARTED = "started"
    QUEUED = "queued"
    """Starts when the run of the one before has ended."""
    SKIPPED_OVERLAP = "skipped_overlap"
    SKIPPED_LATE = "skipped_late"
    MISSED = "missed"
    """Passed over by the schedule's catch-up policy."""
    REFUSED = "refused"
    """Its run was refused; the reason stands beside it."""


@dataclass(frozen=True)
class FireRow:
    """One recorded fire."""

    schedule_id: ScheduleId
    fire_key: str
    due_at: datetime
    outcome: FireOutcome
    run_id: RunId | None
    reason: str


@dataclass(frozen=True)
class Standing:
    """A schedule as it stands now, with its row locked until the transaction ends."""

    schedule: Schedule
    now: datetime
    unsettled_since: datetime
    """Everything due up to here has its row, or was due before the schedule was active."""


class ScheduleStore:
    """The rows of schedules and fires."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def add(self, conn: Connection, schedule: Schedule) -> bool:
        """Store a new schedule, active from now; False, changing nothing, when its id is known already."""
        cursor = await conn.execute(
            """
            insert into scheduler.schedule (schedule_id, workspace, workflow, text, cron, zone, owner, conversation,
                                            paused, catch_up, overlap, max_late)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict (schedule_id) do nothing
            """,
            (
                schedule.schedule_id,
                schedule.workspace,
                schedule.workflow,
                schedule.text,
                schedule.cron,
                schedule.zone,
                schedule.owner,
                jsonb(schedule.conversation.to_json()),
                schedule.paused,
                schedule.catch_up,
                schedule.overlap,
                schedule.max_late,
            ),
        )
        return cursor.rowcount == 1

    async def get(self, schedule_id: str) -> Schedule | None:
        """That schedule, unless it does not exist or was removed."""
        async with self.database.connection() as conn:
            cursor = await conn.execute(
                "select * from scheduler.schedule where schedule_id = %s and removed_at is null", (schedule_id,)
            )
            row = await cursor.fetchone()
        return None if row is None else _schedule(row)

    async def all(self, workspace: str | None = None) -> list[Schedule]:
        """Every schedule that was not removed, paused ones too, of one workspace or of all; oldest first."""
        async with self.database.connection() as conn:
            cursor = await conn.execute(
                """
                select * from scheduler.schedule
                where removed_at is null and (%(workspace)s::text is null or workspace = %(workspace)s)
                order by created_at, schedule_id
                """,
                {"workspace": workspace},
            )
            return [_schedule(row) for row in await cursor.fetchall()]

    async def pause(self, conn: Connection, schedule_id: str) -> bool:
        """Let it fire no more until resumed; False when there is nothing to pause."""
        cursor = await conn.execute(
            """
            update scheduler.schedule set paused = true, version = version + 1
            where schedule_id = %s and removed_at is null and not paused
            """,
            (schedule_id,),
        )
        return cursor.rowcount == 1

    async def resume(self, conn: Connection, schedule_id: str) -> bool:
        """Let it fire again from now on, without what it missed; False when it is not paused."""
        cursor = await conn.execute(
            """
            update scheduler.schedule set paused = false, version = version + 1, active_since = core.now()
            where schedule_id = %s and removed_at is null and paused
            """,
            (schedule_id,),
        )
        return cursor.rowcount == 1

    async def remove(self, conn: Connection, schedule_id: str) -> bool:
        """Let it fire never again, keeping its history; False when there is nothing to remove."""
        cursor = await conn.execute(
            """
            update scheduler.schedule set removed_at = core.now(), version = version + 1
            where schedule_id = %s and removed_at is null
            """,
            (schedule_id,),
        )
        return cursor.rowcount == 1

    async def hold(self, conn: Connection, schedule: Schedule) -> Standing | None:
        """Lock `schedule` so that its fires are settled one after the other; None when it is no longer so."""
        cursor = await conn.execute(
            """
            select *, core.now() as now, greatest(active_since, settled_until) as unsettled_since
            from scheduler.schedule
            where schedule_id = %s and version = %s and not paused and removed_at is null
            for no key update
            """,
            (schedule.schedule_id, schedule.version),
        )
        row = await cursor.fetchone()
        return None if row is None else Standing(_schedule(row), row["now"], row["unsettled_since"])

    async def claim(self, conn: Connection, schedule_id: str, fire_key: str, due: datetime) -> bool:
        """True for exactly one caller per fire, whose transaction must settle it."""
        cursor = await conn.execute(
            """
            insert into scheduler.fire (schedule_id, fire_key, due_at) values (%s, %s, %s)
            on conflict (schedule_id, fire_key) do nothing returning fire_key
            """,
            (schedule_id, fire_key, due),
        )
        return await cursor.fetchone() is not None

    async def settle(self, conn: Connection, fire: FireRow) -> None:
        """Write down what became of a claimed or queued fire."""
        await conn.execute(
            """
            update scheduler.fire set outcome = %s, run_id = %s, reason = %s, claimed_at = core.now()
            where schedule_id = %s and fire_key = %s
            """,
            (fire.outcome, fire.run_id, fire.reason, fire.schedule_id, fire.fire_key),
        )

    async def record(
        self, conn: Connection, schedule_id: str, fires: Sequence[tuple[str, datetime]], outcome: FireOutcome
    ) -> int:
        """Write down fires (key, due) that nobody will start, and say how many were new."""
        cursor = await conn.execute(
            """
            insert into scheduler.fire (schedule_id, fire_key, due_at, outcome)
            select %s, key, due, %s from unnest(%s::text[], %s::timestamptz[]) as t(key, due)
            on conflict (schedule_id, fire_key) do nothing
            """,
            (schedule_id, outcome, [key for key, _ in fires], [due for _, due in fires]),
        )
        return cursor.rowcount

    async def known(self, conn: Connection, schedule_id: str, since: datetime) -> set[str]:
        """The keys of the fires that were due at `since` or later and have their row."""
        cursor = await conn.execute(
            "select fire_key from scheduler.fire where schedule_id = %s and due_at >= %s", (schedule_id, since)
        )
        return {row["fire_key"] for row in await cursor.fetchall()}

    async def settled_until(self, conn: Connection, schedule_id: str, until: datetime) -> None:
        """Remember that everything due up to `until` has its row."""
        await conn.execute(
            """
            update scheduler.schedule set settled_until = greatest(settled_until, %s) where schedule_id = %s
            """,
            (until, schedule_id),
        )

    async def last_run(self, conn: Connection, schedule_id: str) -> RunId | None:
        """The run that this schedule started last."""
        cursor = await conn.execute(
            """
            select run_id from scheduler.fire where schedule_id = %s and outcome = 'started'
            order by due_at desc limit 1
            """,
            (schedule_id,),
        )
        row = await cursor.fetchone()
        return None if row is None else RunId(row["run_id"])

    async def first_queued(self, conn: Connection, schedule_id: str) -> FireRow | None:
        """The oldest fire that waits for the run of the one before."""
        cursor = await conn.execute(
            """
            select * from scheduler.fire where schedule_id = %s and outcome = 'queued' order by due_at limit 1
            """,
            (schedule_id,),
        )
        row = await cursor.fetchone()
        return None if row is None else _fire(row)

    async def recent(self, schedule_id: str, limit: int = 10) -> list[FireRow]:
        """The newest recorded fires of one schedule, newest first."""
        async with self.database.connection() as conn:
            cursor = await conn.execute(
                "select * from scheduler.fire where schedule_id = %s order by due_at desc limit %s",
                (schedule_id, limit),
            )
            return [_fire(row) for row in await cursor.fetchall()]


def _schedule(row: dict[str, Any]) -> Schedule:
    return Schedule(
        schedule_id=ScheduleId(row["schedule_id"]),
        workspace=row["workspace"],
        workflow=row["workflow"],
        text=row["text"],
        cron=row["cron"],
        zone=row["zone"],
        owner=row["owner"],
        conversation=Conversation.from_json(row["conversation"]),
        paused=row["paused"],
        catch_up=CatchUp(row["catch_up"]),
        overlap=Overlap(row["overlap"]),
        max_late=row["max_late"],
        version=row["version"],
        created_at=row["created_at"],
    )


def _fire(row: dict[str, Any]) -> FireRow:
    return FireRow(
        ScheduleId(row["schedule_id"]),
        row["fire_key"],
        row["due_at"],
        FireOutcome(row["outcome"]),
        None if row["run_id"] is None else RunId(row["run_id"]),
        row["reason"],
    )
