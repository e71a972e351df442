"""Builds schedules, and runs whole schedulers as processes that tests may kill."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from core.clock import SystemClock
from core.db import Connection, Database, open_database
from core.ids import ScheduleId
from core.metrics import Metrics
from core.outbox import Conversation
from scheduler.fires import Fire, Fires, Runs
from scheduler.schedule import Schedule
from scheduler.store import ScheduleStore
from scheduler.ticker import Ticker, cron_times

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


def a_schedule(cron: str = "0 9 * * *", **changes: Any) -> Schedule:
    """A daily sweep of returns in UTC, with some fields changed."""
    schedule = Schedule(
        schedule_id=ScheduleId("sch_sweep"),
        workspace="T1",
        workflow="returns",
        text="sweep",
        cron=cron,
        zone="UTC",
        owner="U1",
        conversation=Conversation("T1", "C1"),
    )
    return replace(schedule, **changes)


async def note_start(conn: Connection, fire: Fire) -> str:
    """Start a run that is only a row in public.started: what tests count, apart from the scheduler's own tables."""
    cursor = await conn.execute(
        "insert into public.started (schedule_id, due_at) values (%s, %s) returning 'run_' || number as run_id",
        (fire.schedule.schedule_id, fire.due),
    )
    row = await cursor.fetchone()
    assert row is not None
    return row["run_id"]


async def has_not_ended(conn: Connection, run_id: str) -> bool:
    """True until the test ends the run by its row."""
    cursor = await conn.execute("select ended from public.started where 'run_' || number = %s", (run_id,))
    row = await cursor.fetchone()
    return row is not None and not row["ended"]


async def make_started(conn: Connection) -> None:
    """Make the table that `note_start` writes."""
    await conn.execute(
        "create table public.started (number bigint generated always as identity, schedule_id text not null,"
        " due_at timestamptz not null, ended boolean not null default false)"
    )


def fires_of(
    store: ScheduleStore,
    *,
    start: Callable[[Connection, Fire], Awaitable[str]] = note_start,
    metrics: Metrics | None = None,
) -> Fires:
    """Fires over `store` whose runs are rows of public.started."""
    runs = Runs(start, has_not_ended)
    return Fires(store, runs, times=cron_times, clock=SystemClock(), metrics=metrics or Metrics())


def ticker_of(store: ScheduleStore) -> Ticker:
    """A ticker in a hurry: it reloads each second and catches up every two."""
    return Ticker(
        store,
        fires_of(store),
        SystemClock(),
        reload_every=timedelta(seconds=1),
        catch_up_every=timedelta(seconds=2),
    )


@asynccontextmanager
async def running(ticker: Ticker) -> AsyncGenerator[None]:
    """The ticker ticks inside the block."""
    stop = asyncio.Event()
    task = asyncio.create_task(ticker.run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, 15)


async def _scheduler_process(url: str, make_store: Callable[[Database], ScheduleStore]) -> None:
    async with open_database(url) as database:
        await ticker_of(make_store(database)).run(asyncio.Event())


def main() -> None:
    """Be a scheduler on the database of the first argument, guarded unless the second says `forgetful`."""
    from tests.support.controls import ForgetfulFires

    url, kind = sys.argv[1:]
    asyncio.run(_scheduler_process(url, ForgetfulFires if kind == "forgetful" else ScheduleStore))


if __name__ == "__main__":
    main()
