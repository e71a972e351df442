"""Runs are taken as far as they can go, by their newest owner, and no further than people allow."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import ormsgpack
import pytest

from core.db import Database, DatabaseError, is_fenced
from core.ids import RunId
from graphs.checkpoints import FencedSaver, OpenSaver
from graphs.prediction import pasts_of
from graphs.run import Run, RunState, Sight, StepState, StepView, Waiting
from graphs.run_guard import RunGuard
from graphs.serializer import SerializerRefused
from graphs.store import RunChanged, RunStore
from tests.support.controls import UnfencedSaver
from tests.support.engine import QUICK, Engine, assemble

pytest_plugins = ["tests.support.engine_fixtures"]


async def test_a_run_goes_from_its_request_to_its_end(engine: Engine) -> None:
    run_id = await engine.start("plain")
    await engine.runner.advance(run_id)

    run = await engine.run(run_id)
    assert (run.state, run.outcome) == (RunState.DONE, "All done.")
    assert run.started_at is not None
    assert run.finished_at is not None
    assert await engine.done_in_the_world(run_id) == ["first", "last"]
    events = await engine.execute("select event from core.audit where subject ->> 'run_id' = %s order by seq", run_id)
    assert [row["event"] for row in events] == ["run.started", "run.finished"]
    cards = await engine.execute("select * from core.card where kind = 'run' and subject_id = %s", run_id)
    assert len(cards) == 1
    page = engine.metrics.page().decode()
    assert 'countersign_runs_ended_total{state="done",workflow="plain"} 1.0' in page
    assert 'countersign_run_seconds_count{workflow="plain"} 1.0' in page


async def test_an_ended_run_keeps_one_checkpoint_and_is_not_begun_again(engine: Engine) -> None:
    run_id = await engine.start("plain")
    await engine.runner.advance(run_id)
    epoch = (await engine.run(run_id)).epoch
    await engine.wake(run_id)
    await engine.runner.advance(run_id)

    kept = await engine.execute("select 1 from langgraph.checkpoints where thread_id = %s", run_id)
    assert len(kept) == 1
    assert (await engine.run(run_id)).epoch == epoch
    assert await engine.done_in_the_world(run_id) == ["first", "last"]


async def test_a_request_delivered_twice_makes_one_run(engine: Engine) -> None:
    await engine.start("plain", delivery="same")
    await engine.execute("delete from engine.procrastinate_jobs")
    await engine.start("plain", delivery="same", wake=False)
    assert len(await engine.execute("select 1 from graphs.run")) == 1


async def test_a_run_goes_on_only_past_what_is_settled(engine: Engine) -> None:
    run_id = await engine.start("asking")
    await engine.runner.advance(run_id)
    run = await engine.run(run_id)
    assert run.state is RunState.WAITING
    assert [waiting.subject_id for waiting in run.waiting] == [f"{run_id}.1"]

    await engine.wake(run_id)
    await engine.runner.advance(run_id)
    assert (await engine.run(run_id)).state is RunState.WAITING
    assert await engine.done_in_the_world(run_id) == ["first", "asking"]

    await engine.settle(run_id, 1)
    await engine.wake(run_id)
    await engine.runner.advance(run_id)
    run = await engine.run(run_id)
    assert run.state is RunState.WAITING
    assert [waiting.subject_id for waiting in run.waiting] == [f"{run_id}.2"]

    await engine.settle(run_id, 2)
    await engine.wake(run_id)
    await engine.runner.advance(run_id)
    assert (await engine.run(run_id)).state is RunState.DONE
    assert (await engine.done_in_the_world(run_id)).count("answered 2") == 1


async def test_a_waiting_run_may_be_woken_in_vain_any_number_of_times(engine: Engine) -> None:
    run_id = await engine.start("asking")
    for _ in range(8):
        await engine.runner.advance(run_id)
        await engine.wake(run_id)
    await engine.runner.advance(run_id)
    assert (await engine.run(run_id)).state is RunState.WAITING


class WokenWhileParking(RunStore):
    """Both questions are answered, and the run woken, after it has looked and before it is parked."""

    async def park(self, run: Run, waiting: Sequence[Waiting]) -> bool:
        async with self._database.transaction() as conn:
            for number in (1, 2):
                await conn.execute("insert into public.settled values (%s)", (f"{run.run_id}.{number}",))
            if not run.waiting and run.epoch == 1:
                await self.wake(conn, run.run_id)
        return await super().park(run, waiting)


async def test_a_wake_while_a_run_is_advanced_is_not_lost(engine_database: Database) -> None:
    engine = assemble(engine_database, QUICK, open_store=WokenWhileParking)
    run_id = await engine.start("asking", wake=False)
    await engine.runner.advance(run_id)
    assert (await engine.run(run_id)).state is RunState.DONE


@pytest.mark.parametrize(("open_saver", "times"), [(FencedSaver, 1), (UnfencedSaver, 2)])
async def test_of_two_owners_only_the_newer_carries_on(
    engine_database: Database, open_saver: OpenSaver, times: int
) -> None:
    engine = assemble(engine_database, QUICK, open_saver=open_saver)
    run_id = await engine.start("gated")
    older = asyncio.create_task(engine.runner.advance(run_id))
    await engine.until_done(run_id, "gated")
    newer = asyncio.create_task(engine.runner.advance(run_id))
    async with asyncio.timeout(5):
        while (await engine.done_in_the_world(run_id)).count("gated") < 2:
            await asyncio.sleep(0.02)
    await engine.execute("insert into public.gate values (true)")

    ends = await asyncio.gather(older, newer, return_exceptions=True)
    if open_saver is FencedSaver:
        assert isinstance(ends[0], Exception)
        assert is_fenced(ends[0])
        assert (await engine.run(run_id)).state is RunState.DONE
    # The control shows what the fence is for: without it the older owner goes on into the next node.
    assert (await engine.done_in_the_world(run_id)).count("last") == times


async def test_an_older_owner_can_write_no_checkpoint_at_all(engine: Engine) -> None:
    run_id = await engine.start("plain", wake=False)
    old, new = await engine.store.begin(run_id), await engine.store.begin(run_id)
    assert old is not None
    assert new is not None
    saver = FencedSaver(engine.database, RunGuard(run_id, old.epoch))
    config = {"configurable": {"thread_id": run_id, "checkpoint_ns": "", "checkpoint_id": "1"}}
    checkpoint = {
        "v": 4,
        "id": "2",
        "ts": "",
        "channel_values": {"case": {"a": 1}},
        "channel_versions": {"case": "1"},
        "versions_seen": {},
        "updated_channels": None,
    }
    writes = [
        saver.aput(config, checkpoint, {}, {"case": "1"}),
        saver.aput_writes(config, [("case", {"a": 1})], "task"),
        saver.adelete_thread(run_id),
    ]
    for write in writes:
        with pytest.raises(DatabaseError) as refused:
            await write
        assert is_fenced(refused.value)
    for table in ("checkpoints", "checkpoint_blobs", "checkpoint_writes"):
        assert await engine.execute(f"select 1 from langgraph.{table}") == []


async def test_an_older_owner_can_change_nothing_of_the_run(engine: Engine) -> None:
    run_id = await engine.start("plain", wake=False)
    old, new = await engine.store.begin(run_id), await engine.store.begin(run_id)
    assert old is not None
    assert new is not None
    store, steps = engine.store, [StepView(key="a", action="x", summary="", effect="read", verdict="allow")]
    attempts = [
        lambda conn: store.set_plan(conn, run_id, old.epoch, steps, "a plan"),
        lambda conn: store.set_step(conn, run_id, old.epoch, key="a", state=StepState.DONE),
        lambda conn: store.set_figures(conn, run_id, old.epoch, {"tokens": 1}),
        lambda conn: store.finish(conn, old, RunState.DONE, "mine"),
        lambda conn: RunGuard(run_id, old.epoch).may_start(conn),
    ]
    for attempt in attempts:
        with pytest.raises(DatabaseError) as refused:
            async with engine.database.transaction() as conn:
                await attempt(conn)
        assert is_fenced(refused.value)
    for parked in (store.park(old, []), store.needs_attention(old, "why")):
        with pytest.raises(DatabaseError) as refused:
            await parked
        assert is_fenced(refused.value)
    assert await engine.run(run_id) == new


async def test_the_newest_owner_shows_its_plan_and_how_far_it_has_come(engine: Engine) -> None:
    run_id = await engine.start("plain", wake=False)
    run = await engine.store.begin(run_id)
    assert run is not None
    steps = [StepView(key=key, action="x", summary=key, effect="read", verdict="allow") for key in ("b", "a")]
    async with engine.database.transaction() as conn:
        await engine.store.set_plan(conn, run_id, run.epoch, steps, "two steps", predicted="soon", sandbox=True)
        await engine.store.set_step(conn, run_id, run.epoch, key="a", state=StepState.DONE, note="receipt 1")
        await engine.store.set_step(conn, run_id, run.epoch, key="none such", state=StepState.DONE)
        await engine.store.set_figures(conn, run_id, run.epoch, {"tokens": 1})
        await engine.store.set_figures(conn, run_id, run.epoch, {"cost": 2})

    shown = await engine.run(run_id)
    assert [(step.key, step.state, step.note) for step in shown.steps] == [
        ("b", StepState.PLANNED, ""),
        ("a", StepState.DONE, "receipt 1"),
    ]
    assert (shown.plan_summary, shown.predicted, shown.sandbox) == ("two steps", "soon", True)
    assert shown.figures == {"tokens": 1, "cost": 2}


async def test_an_ended_run_cannot_end_again(engine: Engine) -> None:
    run_id = await engine.start("plain", wake=False)
    run = await engine.store.begin(run_id)
    assert run is not None
    async with engine.database.transaction() as conn:
        took = await engine.store.finish(conn, run, RunState.FAILED, "no")
    assert timedelta() < took < timedelta(seconds=30)
    with pytest.raises(RunChanged):
        async with engine.database.transaction() as conn:
            await engine.store.finish(conn, run, RunState.DONE, "yes")
    assert (await engine.run(run_id)).outcome == "no"


async def test_a_waiting_run_stops_at_once_when_asked(engine: Engine) -> None:
    run_id = await engine.start("asking")
    await engine.runner.advance(run_id)
    assert await stop(engine, run_id) is RunState.WAITING
    await engine.runner.advance(run_id)

    run = await engine.run(run_id)
    assert run.state is RunState.STOPPED
    assert engine.cancelled == [run_id]
    assert await engine.done_in_the_world(run_id) == ["first", "asking"]


async def test_a_stopped_run_starts_nothing_new(engine: Engine) -> None:
    async def ask_to_stop(run: Run) -> None:
        await stop(engine, run.run_id)

    run_id = await engine.start("starting")
    engine.hooks.append(ask_to_stop)
    await engine.runner.advance(run_id)
    assert (await engine.run(run_id)).state is RunState.STOPPED
    assert await engine.done_in_the_world(run_id) == ["first", "before"]
    assert engine.cancelled == [run_id]


async def test_a_run_stopped_before_it_began_does_nothing(engine: Engine) -> None:
    run_id = await engine.start("plain")
    await stop(engine, run_id)
    await engine.runner.advance(run_id)
    assert (await engine.run(run_id)).state is RunState.STOPPED
    assert await engine.done_in_the_world(run_id) == []


async def test_stopping_what_has_ended_or_never_was_changes_nothing(engine: Engine) -> None:
    run_id = await engine.start("plain")
    await engine.runner.advance(run_id)
    assert await stop(engine, run_id) is RunState.DONE
    assert not (await engine.run(run_id)).stop_requested
    assert await stop(engine, RunId("run_none")) is None


async def test_a_run_that_gets_no_further_is_parked_for_an_operator(engine_database: Database) -> None:
    engine = assemble(engine_database, QUICK, stalls_allowed=2)
    run_id = await engine.start("broken")
    # The first of these advances got a node further.
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await engine.runner.advance(run_id)
    await engine.runner.advance(run_id)

    run = await engine.run(run_id)
    assert run.state is RunState.NEEDS_ATTENTION
    assert await engine.done_in_the_world(run_id) == ["first", "broke", "broke", "broke"]
    posts = await engine.execute("select payload from core.outbox where kind = 'post'")
    assert [post["payload"]["text"] for post in posts] == [run.outcome]
    assert "operator" in run.outcome


async def test_only_an_operator_or_a_stop_moves_a_run_that_needs_attention(engine_database: Database) -> None:
    engine = assemble(engine_database, QUICK, stalls_allowed=1)
    run_id = await engine.start("broken")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            await engine.runner.advance(run_id)
    await engine.runner.advance(run_id)
    await engine.wake(run_id)
    assert (await engine.run(run_id)).state is RunState.NEEDS_ATTENTION

    async with engine.database.transaction() as conn:
        assert await engine.store.try_again(conn, run_id)
    with pytest.raises(ZeroDivisionError):
        await engine.runner.advance(run_id)
    await engine.runner.advance(run_id)
    assert (await engine.run(run_id)).state is RunState.NEEDS_ATTENTION

    await stop(engine, run_id)
    # A node broke midway: what it had in flight gets its chance to finish first.
    with pytest.raises(ZeroDivisionError):
        await engine.runner.advance(run_id)


async def test_a_run_whose_process_always_dies_is_parked_too(engine_database: Database) -> None:
    engine = assemble(engine_database, QUICK, stalls_allowed=3)
    run_id = await engine.start("plain")
    for _ in range(3):
        assert await engine.store.begin(run_id) is not None
        await engine.store.count_stall(run_id)
    await engine.runner.advance(run_id)
    assert (await engine.run(run_id)).state is RunState.NEEDS_ATTENTION


async def test_a_run_that_is_only_taken_up_again_and_again_is_never_given_up(engine_database: Database) -> None:
    engine = assemble(engine_database, QUICK, stalls_allowed=1)
    run_id = await engine.start("plain")
    for _ in range(5):
        assert await engine.store.begin(run_id) is not None
    # Whoever lost the run to a newer owner fails, and that is nobody's fault either.
    await engine.store.count_stall(run_id, epoch=1)
    await engine.runner.advance(run_id)
    assert (await engine.run(run_id)).state is RunState.DONE


async def test_progress_begins_the_count_of_stalls_anew(engine: Engine) -> None:
    run_id = await engine.start("broken")
    for _ in range(3):
        await engine.store.count_stall(run_id)
    with pytest.raises(ZeroDivisionError):
        await engine.runner.advance(run_id)
    run = await engine.store.begin(run_id)
    assert run is not None
    assert run.stalls == 0


async def test_a_run_of_a_version_that_is_gone_waits_for_an_operator(engine: Engine) -> None:
    run_id = await engine.start("plain", version=7)
    await engine.runner.advance(run_id)
    run = await engine.run(run_id)
    assert run.state is RunState.NEEDS_ATTENTION
    assert "version 7 of plain" in run.outcome
    await stop(engine, run_id)
    await engine.runner.advance(run_id)
    assert (await engine.run(run_id)).state is RunState.STOPPED


async def test_a_workflow_that_ends_without_a_word_has_failed(engine: Engine) -> None:
    run_id = await engine.start("endless")
    await engine.runner.advance(run_id)
    run = await engine.run(run_id)
    assert run.state is RunState.FAILED
    assert "endless" in run.outcome


async def test_a_node_cannot_store_what_is_not_json(engine: Engine) -> None:
    run_id = await engine.start("unstorable")
    with pytest.raises(SerializerRefused, match=r"wrong is set"):
        await engine.runner.advance(run_id)


async def test_a_planted_checkpoint_is_never_built(engine: Engine) -> None:
    run_id = await engine.start("asking")
    await engine.runner.advance(run_id)
    planted = ormsgpack.packb(ormsgpack.Ext(0, ormsgpack.packb(("pathlib", "PosixPath", "/tmp/x"))))
    await engine.execute("update langgraph.checkpoint_blobs set type = 'msgpack', blob = %s", planted)
    await engine.wake(run_id)
    with pytest.raises(SerializerRefused, match="msgpack"):
        await engine.runner.advance(run_id)


async def test_what_is_listed_is_what_is_stored(engine: Engine) -> None:
    ended, waiting = await engine.start("plain"), await engine.start("asking")
    for run_id in (ended, waiting):
        await engine.runner.advance(run_id)
    assert [run.run_id for run in await engine.store.recent(5)] == [waiting, ended]
    assert await engine.store.recent(5, Sight(requester="U2")) == []
    assert [run.run_id for run in await engine.store.recent(1, Sight(requester="U1"))] == [waiting]
    counts = await engine.store.counts()
    assert (counts[RunState.DONE], counts[RunState.WAITING], counts[RunState.FAILED]) == (1, 1, 0)
    assert len(await pasts_of(engine.database, "plain")) == 1
    assert await pasts_of(engine.database, "asking") == []


async def stop(engine: Engine, run_id: RunId) -> RunState | None:
    async with engine.database.transaction() as conn:
        found = await engine.store.request_stop(conn, run_id)
        await engine.dispatcher.wake(run_id, conn)
    return found
