"""A woken run reaches a worker, whatever was lost on the way."""

import asyncio
from datetime import timedelta

import pytest

from core.clock import SystemClock
from core.db import Database, open_database
from core.ids import new_run_id
from core.migrate import migrate
from core.outbox import Conversation
from graphs.run import Request, RunState
from tests.support.engine import ENGINE, QUICK, Engine, assemble, die_here, make_world, working

pytest_plugins = ["tests.support.engine_fixtures"]

_JOBS = "select * from engine.procrastinate_jobs order by id"


async def test_a_woken_run_is_worked_on_to_its_end(engine: Engine) -> None:
    async with working(engine):
        run_id = await engine.start("plain")
        await engine.until(run_id, RunState.DONE)
    assert await engine.execute(_JOBS) == []


async def test_a_wake_counts_only_once_the_callers_transaction_is_committed(engine: Engine) -> None:
    run_id = await engine.start("plain", wake=False)
    async with engine.database.connection() as conn, conn.transaction(force_rollback=True):
        await engine.dispatcher.wake(run_id, conn)
    assert await engine.execute(_JOBS) == []
    assert (await engine.run(run_id)).wakes == 0


async def test_a_second_wake_leaves_the_callers_transaction_whole(engine: Engine) -> None:
    first = await engine.start("plain")
    run_id = new_run_id()
    async with engine.database.transaction() as conn:
        await engine.dispatcher.wake(first, conn)
        await engine.dispatcher.wake(first, conn)
        request = Request(workspace="T1", requester="U1", origin="cli", workflow="plain", delivery_id="another")
        where = Conversation("T1", "C1")
        assert await engine.store.create(conn, request, conversation=where, workflow_version=1, run_id=run_id)
        await engine.dispatcher.wake(run_id, conn)
    assert [job["queueing_lock"] for job in await engine.execute(_JOBS)] == [f"run:{first}", f"run:{run_id}"]


async def test_a_run_whose_job_vanished_is_found(engine: Engine) -> None:
    run_id = await engine.start("plain", wake=False)
    async with working(engine):
        await engine.until(run_id, RunState.DONE)


async def test_a_run_is_woken_at_the_hour_that_was_set(engine: Engine) -> None:
    run_id = await engine.start("asking", wake=False)
    await engine.runner.advance(run_id)
    await engine.settle(run_id, 1)
    await engine.settle(run_id, 2)
    async with working(engine):
        async with engine.database.transaction() as conn:
            await engine.dispatcher.wake(run_id, conn, at=SystemClock().now() + timedelta(seconds=1))
        await asyncio.sleep(0.4)
        assert (await engine.run(run_id)).state is RunState.WAITING
        await engine.until(run_id, RunState.DONE)


async def test_a_failing_run_is_tried_again_and_then_left_to_an_operator(engine_database: Database) -> None:
    engine = assemble(engine_database, QUICK, stalls_allowed=2)
    async with working(engine):
        run_id = await engine.start("broken")
        await engine.until(run_id, RunState.NEEDS_ATTENTION)
    assert (await engine.done_in_the_world(run_id)).count("broke") == 3
    assert 'countersign_retries_total{what="advance"} 3.0' in engine.metrics.page().decode()


async def test_a_wake_does_not_wait_for_the_next_try(engine_database: Database) -> None:
    engine = assemble(engine_database, QUICK)
    run_id = await engine.start("plain")
    await engine.execute("update engine.procrastinate_jobs set scheduled_at = now() + interval '1 hour'")
    await engine.wake(run_id)
    async with working(engine):
        await engine.until(run_id, RunState.DONE)


@pytest.mark.parametrize("successor", [False, True])
async def test_the_job_of_a_dead_worker_is_given_on(engine: Engine, successor: bool) -> None:
    run_id = await engine.start("plain")
    await engine.execute(
        "with dead as (insert into engine.procrastinate_workers (last_heartbeat) values (now() - interval '1 hour')"
        " returning id) update engine.procrastinate_jobs set status = 'doing', worker_id = dead.id from dead"
    )
    if successor:
        await engine.wake(run_id)
        assert [job["status"] for job in await engine.execute(_JOBS)] == ["doing", "todo"]
    async with working(engine):
        await engine.until(run_id, RunState.DONE)


async def test_a_worker_takes_back_the_job_it_dropped(engine: Engine) -> None:
    run_id = await engine.start("plain")
    await engine.execute("update engine.procrastinate_jobs set status = 'doing'")
    async with working(engine):
        await asyncio.sleep(0.3)
        await engine.execute(
            "update engine.procrastinate_jobs set worker_id = (select max(id) from engine.procrastinate_workers)"
        )
        await engine.until(run_id, RunState.DONE)


async def test_heartbeats_are_judged_only_after_long_enough_contact(engine_database: Database) -> None:
    # After an outage every heartbeat is old; the healthy give theirs first.
    engine = assemble(engine_database, QUICK)
    run_id = await engine.start("gated")
    await engine.execute(
        "with dead as (insert into engine.procrastinate_workers (last_heartbeat) values (now() - interval '1 hour')"
        " returning id) update engine.procrastinate_jobs set status = 'doing', worker_id = dead.id from dead"
    )
    async with working(engine):
        await asyncio.sleep(QUICK.stalled)
        assert await engine.done_in_the_world(run_id) == []
        await engine.until_done(run_id, "gated")
        await engine.execute("insert into public.gate values (true)")
        await engine.until(run_id, RunState.DONE)


async def test_a_worker_outlives_the_loss_of_every_connection(engine: Engine) -> None:
    async with working(engine):
        before = await engine.start("gated")
        await engine.until_done(before, "gated")
        await engine.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        after = await engine.start("plain")
        await engine.until(after, RunState.DONE)
        await engine.execute("insert into public.gate values (true)")
        await engine.until(before, RunState.DONE)


async def test_a_worker_begins_again_when_the_database_is_well(engine: Engine) -> None:
    async with working(engine):
        await engine.execute("alter function engine.procrastinate_fetch_job_v2 rename to gone")
        run_id = await engine.start("plain")
        await asyncio.sleep(0.4)
        await engine.execute("alter function engine.gone rename to procrastinate_fetch_job_v2")
        await engine.until(run_id, RunState.DONE)


async def test_a_worker_can_be_cancelled_while_the_database_is_away(engine: Engine) -> None:
    worker = engine.dispatcher.run_worker(
        engine.runner.advance, stop=asyncio.Event(), metrics=engine.metrics, die=die_here
    )
    work = asyncio.create_task(worker)
    run_id = await engine.start("gated")
    await engine.until_done(run_id, "gated")
    await engine.execute("alter function engine.procrastinate_fetch_job_v2 rename to gone")
    await asyncio.sleep(3 * QUICK.poll)
    work.cancel()
    # What is claimed is that it ends at all; how soon is the machine's business.
    _, unfinished = await asyncio.wait([work], timeout=30 * QUICK.drain)
    assert not unfinished
    with pytest.raises(asyncio.CancelledError):
        await work


async def test_the_engines_tables_are_made_once_however_many_start_together(database_url: str) -> None:
    async with asyncio.timeout(30):
        await asyncio.gather(*(migrate(database_url, ENGINE) for _ in range(4)))
    async with open_database(database_url) as database:
        engine = assemble(database, QUICK)
        await make_world(database_url)
        run_id = await engine.start("plain")
        await engine.runner.advance(run_id)
        assert (await engine.run(run_id)).state is RunState.DONE
