"""A process dies between any two things LangGraph writes: the run goes on from there to its own end."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from core.db import Database, open_database
from core.ids import RunId
from graphs.checkpoints import FencedSaver
from graphs.run import RunState
from graphs.run_guard import RunGuard
from tests.support.engine import QUICK, Died, Engine, assemble

pytest_plugins = ["tests.support.engine_fixtures"]

#: More than the toy's whole walk takes.
MOST_WRITES = 12


class DyingSaver(FencedSaver):
    """Writes so many times and then no more, as when the process has died."""

    def __init__(self, database: Database, guard: RunGuard, left: int) -> None:
        super().__init__(database, guard)
        self._left = left

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise Died

    async def aput(self, *args: Any, **kwargs: Any) -> Any:
        """Store a checkpoint, if still alive."""
        self._count()
        return await super().aput(*args, **kwargs)

    async def aput_writes(self, *args: Any, **kwargs: Any) -> None:
        """Store what a node gave, if still alive."""
        self._count()
        await super().aput_writes(*args, **kwargs)


@pytest.fixture
async def database(common_engine_url: str) -> AsyncGenerator[Database]:
    """One database for all: each run is advanced by nobody but its own test."""
    async with open_database(common_engine_url) as opened:
        yield opened


@pytest.mark.parametrize("written", range(MOST_WRITES))
async def test_a_run_cut_off_after_any_write_of_its_checkpoints_comes_to_its_own_end(
    database: Database, written: int
) -> None:
    engine = assemble(database, QUICK)
    run_id = await engine.start("plain")
    await _cut_off(engine, run_id, written)

    run = await engine.run(run_id)
    assert (run.state, run.outcome) == (RunState.DONE, "All done.")


@pytest.mark.parametrize("written", range(MOST_WRITES))
async def test_a_run_cut_off_after_any_write_since_its_answer_goes_on_from_the_answer(
    database: Database, written: int
) -> None:
    engine = assemble(database, QUICK)
    run_id = await engine.start("asking")
    await engine.runner.advance(run_id)
    for number in (1, 2):
        await engine.settle(run_id, number)
    await engine.wake(run_id)
    await _cut_off(engine, run_id, written)

    run = await engine.run(run_id)
    assert (run.state, run.outcome) == (RunState.DONE, "All done.")


async def _cut_off(engine: Engine, run_id: RunId, written: int) -> None:
    """One owner that dies after `written` writes, and one that does not."""
    dying = assemble(engine.database, QUICK, open_saver=lambda database, guard: DyingSaver(database, guard, written))
    try:
        await dying.runner.advance(run_id)
    except Died:
        await engine.runner.advance(run_id)
