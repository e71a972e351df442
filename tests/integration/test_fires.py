"""Fires on a real Postgres: one run per due time, and an account of every fire that did not start one."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.db import Connection, Database, open_database
from core.errors import Refused
from core.metrics import Metrics
from scheduler.fires import Fire
from scheduler.schedule import CatchUp, Overlap, Schedule, fire_key
from scheduler.store import FireOutcome, ScheduleStore
from scheduler.ticker import cron_times
from tests.support.schedules import a_schedule, fires_of, make_started, note_start

pytest_plugins = ["tests.support.migrated"]

HOURLY = "0 * * * *"


@pytest.fixture
async def database(installation_url: str) -> AsyncIterator[Database]:
    async with open_database(installation_url) as database:
        async with database.connection() as conn:
            await make_started(conn)
        yield database


@pytest.fixture
def store(database: Database) -> ScheduleStore:
    return ScheduleStore(database)


async def _set_clock(store: ScheduleStore, at: datetime) -> None:
    async with store.database.connection() as conn:
        await conn.execute("delete from core.clock_shift")
        await conn.execute("insert into core.clock_shift (shift) values (%s - clock_timestamp())", (at,))


async def _added(store: ScheduleStore, schedule: Schedule) -> Schedule:
    """Store `schedule` as active since ten o'clock of a day in May."""
    await _set_clock(store, _may(10, 0))
    async with store.database.transaction() as conn:
        assert await store.add(conn, schedule)
    found = await store.get(schedule.schedule_id)
    assert found is not None
    return found


def _may(hour: int, minute: int) -> datetime:
    return datetime(2026, 5, 4, hour, minute, tzinfo=UTC)


async def _started(store: ScheduleStore) -> list[datetime]:
    return [row["due_at"] for row in await _rows(store, "select due_at from public.started order by due_at")]


async def _rows(store: ScheduleStore, query: str) -> list[dict[str, Any]]:
    async with store.database.connection() as conn:
        return await (await conn.execute(query.encode())).fetchall()


async def _end_runs(store: ScheduleStore) -> None:
    async with store.database.connection() as conn:
        await conn.execute("update public.started set ended = true")


async def _outcomes(store: ScheduleStore) -> dict[str, str]:
    return {row.fire_key[11:13]: row.outcome for row in await store.recent("sch_sweep", 100)}


async def test_what_was_stored_is_read_back(store: ScheduleStore) -> None:
    schedule = await _added(store, a_schedule(overlap=Overlap.QUEUE, max_late=timedelta(minutes=90)))
    assert schedule == a_schedule(overlap=Overlap.QUEUE, max_late=timedelta(minutes=90), created_at=schedule.created_at)
    assert await store.all("T1") == [schedule]
    assert await store.all("T2") == []


async def test_a_schedule_can_be_added_only_once(store: ScheduleStore) -> None:
    await _added(store, a_schedule())
    async with store.database.transaction() as conn:
        assert not await store.add(conn, a_schedule(cron="0 1 * * *"))
    assert [schedule.cron for schedule in await store.all()] == ["0 9 * * *"]


async def test_sixteen_simultaneous_schedulers_start_one_run(store: ScheduleStore) -> None:
    schedule = await _added(store, a_schedule(HOURLY))
    await _set_clock(store, _may(11, 0))
    answers = await asyncio.gather(*(fires_of(store).fire(schedule, _may(11, 0)) for _ in range(16)))
    assert sorted(answers, key=str) == [None] * 15 + [FireOutcome.STARTED]
    assert await _started(store) == [_may(11, 0)]


async def test_a_fire_is_on_the_record_with_its_run(store: ScheduleStore) -> None:
    schedule = await _added(store, a_schedule(HOURLY))
    await _set_clock(store, _may(11, 0))
    metrics = Metrics()
    await fires_of(store, metrics=metrics).fire(schedule, _may(11, 0))
    (event,) = await _rows(store, "select event, subject from core.audit")
    (row,) = await store.recent("sch_sweep")
    assert event["event"] == "schedule.fired"
    assert event["subject"] == {"schedule_id": "sch_sweep", "fire_key": "2026-05-04T11:00:00Z", "run_id": row.run_id}
    assert b'countersign_fires_total{outcome="started"} 1.0' in metrics.page()


async def test_a_fire_whose_start_fails_leaves_nothing_and_is_caught_up(store: ScheduleStore) -> None:
    schedule = await _added(store, a_schedule(HOURLY))
    await _set_clock(store, _may(11, 1))

    async def breaks(conn: Connection, fire: Fire) -> str:
        await note_start(conn, fire)
        raise RuntimeError("out of luck")

    with pytest.raises(RuntimeError):
        await fires_of(store, start=breaks).fire(schedule, _may(11, 0))
    assert await _started(store) == []
    assert await fires_of(store).catch_up(schedule) == 1
    assert await _started(store) == [_may(11, 0)]


async def test_a_refused_start_is_recorded_with_its_reason_and_leaves_nothing_else(store: ScheduleStore) -> None:
    schedule = await _added(store, a_schedule(HOURLY))
    await _set_clock(store, _may(11, 1))

    async def refuses(conn: Connection, fire: Fire) -> str:
        await note_start(conn, fire)
        raise Refused("U1 may no longer start runs.")

    assert await fires_of(store, start=refuses).fire(schedule, _may(11, 0)) is FireOutcome.REFUSED
    (row,) = await store.recent("sch_sweep")
    assert (row.outcome, row.reason) == (FireOutcome.REFUSED, "U1 may no longer start runs.")
    assert await _started(store) == []
    assert await fires_of(store).catch_up(schedule) == 0


@pytest.mark.parametrize("change", ["pause", "remove"])
async def test_a_schedule_stopped_meanwhile_does_not_fire(store: ScheduleStore, change: str) -> None:
    schedule = await _added(store, a_schedule(HOURLY))
    async with store.database.transaction() as conn:
        assert await getattr(store, change)(conn, "sch_sweep")
        assert not await getattr(store, change)(conn, "sch_sweep")
    await _set_clock(store, _may(11, 1))
    # Neither as it was read before, nor as it is now.
    for known in (schedule, replace(schedule, version=schedule.version + 1)):
        assert await fires_of(store).fire(known, _may(11, 0)) is None
        assert await fires_of(store).catch_up(known) == 0
    assert await _started(store) == []


async def test_a_schedule_changed_meanwhile_does_not_fire_as_it_was(store: ScheduleStore) -> None:
    schedule = await _added(store, a_schedule(HOURLY))
    async with store.database.transaction() as conn:
        await store.pause(conn, "sch_sweep")
        await store.resume(conn, "sch_sweep")
    await _set_clock(store, _may(11, 1))
    assert await fires_of(store).fire(schedule, _may(11, 0)) is None
    assert await _started(store) == []


async def test_a_pause_waits_for_the_fire_in_progress_and_stops_the_next(store: ScheduleStore) -> None:
    schedule = await _added(store, a_schedule(HOURLY))
    await _set_clock(store, _may(12, 1))
    begun, go = asyncio.Event(), asyncio.Event()

    async def slow(conn: Connection, fire: Fire) -> str:
        begun.set()
        await go.wait()
        return await note_start(conn, fire)

    async def pause() -> None:
        async with store.database.transaction() as conn:
            assert await store.pause(conn, "sch_sweep")

    firing = asyncio.create_task(fires_of(store, start=slow).fire(schedule, _may(11, 0)))
    await begun.wait()
    pausing = asyncio.create_task(pause())
    await asyncio.sleep(0.2)
    assert not pausing.done()
    go.set()
    assert await firing is FireOutcome.STARTED
    await pausing
    assert await fires_of(store).fire(schedule, _may(12, 0)) is None


async def test_what_a_paused_schedule_missed_is_not_caught_up_when_it_is_resumed(store: ScheduleStore) -> None:
    await _added(store, a_schedule(HOURLY, catch_up=CatchUp.ALL))
    async with store.database.transaction() as conn:
        await store.pause(conn, "sch_sweep")
    await _set_clock(store, _may(12, 30))
    async with store.database.transaction() as conn:
        await store.resume(conn, "sch_sweep")
    await _set_clock(store, _may(13, 1))
    schedule = await store.get("sch_sweep")
    assert schedule is not None
    assert await fires_of(store).catch_up(schedule) == 1
    assert await _started(store) == [_may(13, 0)]


async def test_a_fire_that_comes_too_late_is_recorded_and_starts_nothing(store: ScheduleStore) -> None:
    schedule = await _added(store, a_schedule(HOURLY, max_late=timedelta(minutes=30)))
    await _set_clock(store, _may(11, 31))
    assert await fires_of(store).fire(schedule, _may(11, 0)) is FireOutcome.SKIPPED_LATE
    assert await _started(store) == []


async def test_a_fire_waits_for_the_clock_of_the_database(store: ScheduleStore) -> None:
    schedule = await _added(store, a_schedule(HOURLY))
    await _set_clock(store, _may(11, 0) - timedelta(milliseconds=300))
    assert await fires_of(store).fire(schedule, _may(11, 0)) is FireOutcome.STARTED
    (row,) = await _rows(store, "select claimed_at >= due_at as in_time from scheduler.fire")
    assert row["in_time"]


async def test_a_fire_far_ahead_of_the_clock_of_the_database_is_left_alone(store: ScheduleStore) -> None:
    schedule = await _added(store, a_schedule(HOURLY))
    assert await fires_of(store).fire(schedule, _may(11, 0)) is None
    assert await _outcomes(store) == {}


@pytest.mark.parametrize(
    ("policy", "outcomes"),
    [
        (CatchUp.SKIP, {"11": "missed", "12": "missed", "13": "missed"}),
        (CatchUp.LATEST, {"11": "missed", "12": "missed", "13": "started"}),
        (CatchUp.ALL, {"11": "started", "12": "started", "13": "started"}),
    ],
)
async def test_after_an_outage_missed_fires_are_settled_by_policy(
    store: ScheduleStore, policy: CatchUp, outcomes: dict[str, str]
) -> None:
    schedule = await _added(store, a_schedule(HOURLY, catch_up=policy, overlap=Overlap.ALLOW))
    await _set_clock(store, _may(13, 5))
    counts = [await fires_of(store).catch_up(schedule) for _ in range(2)]
    assert counts == [list(outcomes.values()).count("started"), 0]
    assert await _outcomes(store) == outcomes


async def test_two_schedulers_that_catch_up_together_start_each_fire_once(store: ScheduleStore) -> None:
    schedule = await _added(store, a_schedule(HOURLY, catch_up=CatchUp.ALL, overlap=Overlap.ALLOW))
    await _set_clock(store, _may(15, 5))
    counts = await asyncio.gather(*(fires_of(store).catch_up(schedule) for _ in range(4)))
    assert sum(counts) == 5
    assert await _started(store) == [_may(hour, 0) for hour in (11, 12, 13, 14, 15)]


async def test_catching_up_after_months_is_bounded(store: ScheduleStore) -> None:
    schedule = await _added(store, a_schedule(HOURLY))
    await _set_clock(store, _may(10, 5) + timedelta(days=200))
    assert await fires_of(store).catch_up(schedule) == 1
    (count,) = await _rows(store, "select count(*) as fires from scheduler.fire")
    assert count["fires"] == 7 * 24


async def test_what_catching_up_could_not_start_is_found_by_the_next(store: ScheduleStore) -> None:
    schedule = await _added(store, a_schedule(HOURLY, catch_up=CatchUp.ALL, overlap=Overlap.ALLOW))
    await _set_clock(store, _may(12, 5))

    async def breaks(conn: Connection, fire: Fire) -> str:
        raise RuntimeError("killed here")

    with pytest.raises(RuntimeError):
        await fires_of(store, start=breaks).catch_up(schedule)
    assert await fires_of(store).catch_up(schedule) == 2
    assert await _started(store) == [_may(11, 0), _may(12, 0)]


async def test_a_gap_between_fires_is_found_though_later_ones_were_fired(store: ScheduleStore) -> None:
    schedule = await _added(store, a_schedule(HOURLY, catch_up=CatchUp.ALL, overlap=Overlap.ALLOW))
    await _set_clock(store, _may(13, 5))
    await fires_of(store).fire(schedule, _may(11, 0))
    await fires_of(store).fire(schedule, _may(13, 0))
    assert await fires_of(store).catch_up(schedule) == 1
    assert await _started(store) == [_may(11, 0), _may(12, 0), _may(13, 0)]


async def test_a_fire_still_young_is_left_to_the_clocks(store: ScheduleStore) -> None:
    schedule = await _added(store, a_schedule(HOURLY, catch_up=CatchUp.SKIP))
    await _set_clock(store, _may(11, 0) + timedelta(seconds=3))
    assert await fires_of(store).catch_up(schedule) == 0
    assert await _outcomes(store) == {}


async def test_the_repeated_hour_in_autumn_fires_once(store: ScheduleStore) -> None:
    schedule = await _added(store, a_schedule("30 2 * * *", zone="Europe/Berlin"))
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    dues = list(cron_times(schedule.cron, schedule.zone, first - timedelta(hours=1), first + timedelta(hours=2)))
    assert len(dues) == 2
    await _set_clock(store, first + timedelta(hours=1, minutes=5))
    await _end_runs(store)
    answers = [await fires_of(store).fire(schedule, due) for due in dues]
    assert answers == [FireOutcome.STARTED, None]
    assert fire_key(schedule, dues[0]) == fire_key(schedule, dues[1])


async def test_catch_up_knows_the_second_coming_of_a_fire_for_settled(store: ScheduleStore) -> None:
    schedule = await _added(store, a_schedule("30 2 * * *", zone="Europe/Berlin"))
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    for minutes in (15, 20, 65):
        await _set_clock(store, first + timedelta(minutes=minutes))
        await fires_of(store).catch_up(schedule)
    assert await _started(store) == [first]
    (row,) = await _rows(store, "select settled_until from scheduler.schedule")
    assert row["settled_until"] > first + timedelta(minutes=60)


async def test_overlap_skip_records_the_fire_and_starts_nothing(store: ScheduleStore) -> None:
    schedule = await _added(store, a_schedule(HOURLY, overlap=Overlap.SKIP))
    await _set_clock(store, _may(13, 1))
    fires = fires_of(store)
    assert await fires.fire(schedule, _may(11, 0)) is FireOutcome.STARTED
    assert await fires.fire(schedule, _may(12, 0)) is FireOutcome.SKIPPED_OVERLAP
    await _end_runs(store)
    assert await fires.fire(schedule, _may(13, 0)) is FireOutcome.STARTED


async def test_overlap_allow_starts_the_next_beside_the_last(store: ScheduleStore) -> None:
    schedule = await _added(store, a_schedule(HOURLY, overlap=Overlap.ALLOW))
    await _set_clock(store, _may(12, 1))
    assert [await fires_of(store).fire(schedule, _may(hour, 0)) for hour in (11, 12)] == [FireOutcome.STARTED] * 2


async def test_overlap_queue_starts_the_next_when_the_last_has_ended_in_order(store: ScheduleStore) -> None:
    schedule = await _added(store, a_schedule(HOURLY, overlap=Overlap.QUEUE))
    await _set_clock(store, _may(13, 1))
    fires = fires_of(store)
    outcomes = [await fires.fire(schedule, _may(hour, 0)) for hour in (11, 12)]
    assert outcomes == [FireOutcome.STARTED, FireOutcome.QUEUED]
    assert await fires.start_queued(schedule) is None
    await _end_runs(store)
    # A queued fire goes first even though nothing is running now.
    assert await fires.fire(schedule, _may(13, 0)) is FireOutcome.QUEUED
    answers = await asyncio.gather(*(fires_of(store).start_queued(schedule) for _ in range(4)))
    assert sorted(answers, key=str) == [None] * 3 + [FireOutcome.STARTED]
    assert await _started(store) == [_may(11, 0), _may(12, 0)]


async def test_a_queued_fire_that_has_become_too_late_is_dropped_with_a_record(store: ScheduleStore) -> None:
    schedule = await _added(store, a_schedule(HOURLY, overlap=Overlap.QUEUE))
    await _set_clock(store, _may(12, 1))
    fires = fires_of(store)
    for hour in (11, 12):
        await fires.fire(schedule, _may(hour, 0))
    await _set_clock(store, _may(18, 1))
    assert await fires.start_queued(schedule) is FireOutcome.SKIPPED_LATE
    assert await _started(store) == [_may(11, 0)]
