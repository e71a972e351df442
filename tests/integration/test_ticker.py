"""Whole schedulers as processes: every due time fires once, whoever dies."""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest

from core.db import Database, open_database
from scheduler.schedule import CatchUp, Overlap, Schedule, due_between
from scheduler.store import FireOutcome, ScheduleStore
from scheduler.ticker import cron_times
from tests.support.schedules import a_schedule, make_started, running, ticker_of

pytest_plugins = ["tests.support.migrated"]

EVERY_SECOND = "* * * * * *"
SCHEDULES = 3


@pytest.fixture
async def database(installation_url: str) -> AsyncIterator[Database]:
    async with open_database(installation_url) as database:
        async with database.connection() as conn:
            await make_started(conn)
        yield database


@pytest.fixture
def store(database: Database) -> ScheduleStore:
    return ScheduleStore(database)


def _restless(number: int) -> Schedule:
    return a_schedule(
        EVERY_SECOND, schedule_id=f"sch_{number}", catch_up=CatchUp.ALL, overlap=Overlap.ALLOW, text=str(number)
    )


async def _add(store: ScheduleStore, *schedules: Schedule) -> None:
    async with store.database.transaction() as conn:
        for schedule in schedules:
            assert await store.add(conn, schedule)


async def _now(database: Database) -> datetime:
    async with database.connection() as conn:
        row = await (await conn.execute("select core.now() as now")).fetchone()
    assert row is not None
    return row["now"]


@asynccontextmanager
async def _scheduler(database: Database, kind: str = "guarded") -> AsyncIterator[asyncio.subprocess.Process]:
    command = [sys.executable, "-m", "tests.support.schedules", database.url, kind]
    process = await asyncio.create_subprocess_exec(*command, env=dict(os.environ))
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _fired(database: Database, after: datetime, until: datetime) -> Counter[tuple[str, datetime]]:
    async with database.connection() as conn:
        cursor = await conn.execute(
            "select schedule_id, due_at from public.started where due_at > %s and due_at <= %s", (after, until)
        )
        return Counter((row["schedule_id"], row["due_at"]) for row in await cursor.fetchall())


async def _until_fired(database: Database, count: int) -> None:
    async with asyncio.timeout(30):
        while True:
            async with database.connection() as conn:
                row = await (await conn.execute("select count(*) as n from public.started")).fetchone()
            if row is not None and row["n"] >= count:
                return
            await asyncio.sleep(0.1)


def _owed(schedules: list[Schedule], after: datetime, until: datetime) -> Counter[tuple[str, datetime]]:
    return Counter(
        (schedule.schedule_id, due)
        for schedule in schedules
        for due in due_between(schedule, after, until, times=cron_times)
    )


async def test_two_schedulers_one_of_them_killed_fire_every_due_time_once(
    database: Database, store: ScheduleStore
) -> None:
    schedules = [_restless(number) for number in range(SCHEDULES)]
    await _add(store, *schedules)
    since = await _now(database)
    async with _scheduler(database) as doomed, _scheduler(database):
        await _until_fired(database, 4 * SCHEDULES)
        doomed.kill()
        killed = await _now(database)
        await asyncio.sleep(4)
        until = killed + timedelta(seconds=3)
        # What the doomed one may have had in hand is found by catch-up, once it is older than the clocks' grace.
        async with asyncio.timeout(20):
            while await _fired(database, since, until) != _owed(schedules, since, until):
                assert max((await _fired(database, since, until)).values()) == 1
                await asyncio.sleep(0.1)
    assert len(_owed(schedules, since, until)) >= 6 * SCHEDULES


async def test_schedulers_that_claim_nothing_are_found_out(database: Database, store: ScheduleStore) -> None:
    await _add(store, *(_restless(number) for number in range(SCHEDULES)))
    since = await _now(database)
    async with _scheduler(database, "forgetful"), _scheduler(database, "forgetful"):
        await _until_fired(database, SCHEDULES)
        for _ in range(100):
            fired = await _fired(database, since, await _now(database))
            if max(fired.values()) > 1:
                break
            await asyncio.sleep(0.1)
    assert max(fired.values()) > 1


async def test_a_schedule_added_while_ticking_fires_and_paused_stops(database: Database, store: ScheduleStore) -> None:
    async with running(ticker_of(store)):
        await _add(store, _restless(1))
        await _until_fired(database, 2)
        async with database.transaction() as conn:
            await store.pause(conn, "sch_1")
        paused = await _now(database)
        await asyncio.sleep(2.5)
    assert await _fired(database, paused, paused + timedelta(days=1)) == Counter()


async def test_a_schedule_paused_and_resumed_at_once_goes_on_in_time(database: Database, store: ScheduleStore) -> None:
    await _add(store, _restless(1))
    async with running(ticker_of(store)):
        await _until_fired(database, 1)
        async with database.transaction() as conn:
            await store.pause(conn, "sch_1")
            await store.resume(conn, "sch_1")
        resumed = await _now(database)
        await asyncio.sleep(3)
    assert len(await _fired(database, resumed, resumed + timedelta(seconds=3))) >= 2


async def test_a_schedule_that_makes_no_sense_does_not_stop_the_others(
    database: Database, store: ScheduleStore, caplog: pytest.LogCaptureFixture
) -> None:
    await _add(store, a_schedule("at dawn and at dusk", schedule_id="sch_0"), _restless(1))
    async with running(ticker_of(store)):
        await _until_fired(database, 1)
    assert "schedule sch_0 never fires" in caplog.text


async def test_fires_come_within_a_second_of_their_time(database: Database, store: ScheduleStore) -> None:
    await _add(store, *(_restless(number) for number in range(SCHEDULES)))
    async with running(ticker_of(store)):
        await _until_fired(database, 5 * SCHEDULES)
    async with database.connection() as conn:
        cursor = await conn.execute(
            "select claimed_at - due_at as late from scheduler.fire order by due_at offset %s", (SCHEDULES,)
        )
        lateness = [row["late"] for row in await cursor.fetchall()]
    # Catch-up would come ten seconds later: these are the clock's.
    assert len(lateness) >= 3 * SCHEDULES
    assert max(lateness) < timedelta(seconds=1)


async def test_what_was_missed_while_nobody_ticked_is_caught_up_at_once(
    database: Database, store: ScheduleStore
) -> None:
    await _add(store, a_schedule("0 * * * *", catch_up=CatchUp.LATEST))
    async with database.connection() as conn:
        await conn.execute("update scheduler.schedule set active_since = core.now() - interval '3 hours 30 minutes'")
    async with running(ticker_of(store)):
        await _until_fired(database, 1)
    outcomes = Counter(row.outcome for row in await store.recent("sch_sweep"))
    assert outcomes[FireOutcome.STARTED] == 1
    assert outcomes[FireOutcome.MISSED] in (2, 3)


async def test_a_ticker_outlives_an_outage_of_its_database(database: Database, store: ScheduleStore) -> None:
    await _add(store, _restless(1))
    async with running(ticker_of(store)):
        await _until_fired(database, 1)
        async with database.connection() as conn:
            await conn.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )
        cut = await _now(database)
        async with asyncio.timeout(10):
            while not await _fired(database, cut, await _now(database)):
                await asyncio.sleep(0.1)
