"""Processes die or stand still, and their runs go on elsewhere."""

import asyncio
import signal
from subprocess import Popen

from core.db import Database
from graphs.dispatch import FENCED_EXIT
from graphs.run import RunState
from tests.support.engine import STEADY, Engine, assemble, worker_process

pytest_plugins = ["tests.support.engine_fixtures"]


async def _exit_code(process: Popen[bytes], within: float = 10) -> int:
    return await asyncio.to_thread(process.wait, within)


async def _pids(engine: Engine) -> list[int]:
    return [row["pid"] for row in await engine.execute("select pid from public.world order by at")]


async def test_a_killed_workers_run_is_finished_by_another(engine_url: str, engine_database: Database) -> None:
    engine = assemble(engine_database, STEADY)
    async with worker_process(engine_url) as one, worker_process(engine_url) as another:
        async with asyncio.timeout(30):
            while len(await engine.execute("select 1 from engine.procrastinate_workers")) < 2:
                await asyncio.sleep(0.1)
        run_id = await engine.start("gated")
        await engine.until_done(run_id, "gated", within=30)
        # A newcomer judges heartbeats only after a while.
        await asyncio.sleep(2 * STEADY.stalled + STEADY.heartbeat)
        [killed] = [each for each in (one, another) if each.pid in await _pids(engine)]
        killed.kill()
        # A wake meanwhile makes a successor that blocks the plain rescue.
        await engine.wake(run_id)
        await engine.execute("insert into public.gate values (true)")
        await engine.until(run_id, RunState.DONE, within=30)
    # The node that was finished is not run again; the one that was cut off is.
    assert await engine.done_in_the_world(run_id) == ["first", "gated", "gated", "last"]
    pids = await _pids(engine)
    assert pids[0] == pids[1] == killed.pid
    assert killed.pid not in pids[2:]


async def test_a_process_that_lost_its_run_ends_itself_at_its_next_write(
    engine_url: str, engine_database: Database
) -> None:
    engine = assemble(engine_database, STEADY)
    async with worker_process(engine_url) as process:
        run_id = await engine.start("gated")
        await engine.until_done(run_id, "gated", within=30)
        assert await engine.store.begin(run_id) is not None
        await engine.execute("insert into public.gate values (true)")
        assert await _exit_code(process) == FENCED_EXIT
    assert await engine.done_in_the_world(run_id) == ["first", "gated"]
    assert (await engine.run(run_id)).state is RunState.READY


async def test_a_process_that_stood_still_ends_itself(engine_url: str, engine_database: Database) -> None:
    engine = assemble(engine_database, STEADY)
    async with worker_process(engine_url) as process:
        run_id = await engine.start("plain")
        await engine.until(run_id, RunState.DONE, within=30)
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(STEADY.heartbeat / 2 + STEADY.stalled / 2 + 0.3)
        process.send_signal(signal.SIGCONT)
        assert await _exit_code(process) == FENCED_EXIT
