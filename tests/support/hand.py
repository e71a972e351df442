"""A process that takes one run as far as it can go, and dies on the way where it is told to."""

import asyncio
import logging

from bot.bootstrap import Installation
from core.ids import RunId
from graphs.run import ENDED, Run, RunState
from tests.support.receiver import Json
from tests.support.thrice import approve_all, installed

_REST = frozenset({*ENDED, RunState.NEEDS_ATTENTION})


async def _take(given: Json) -> None:
    run_id = RunId(given["run_id"])
    async with installed(given) as installation:
        await _wake(installation, run_id)
        while True:
            await installation.runner.advance(run_id)
            run = await installation.runs.get(run_id)
            assert run is not None
            if run.state in _REST or _is_for_a_person(run, given):
                return
            if run.waiting and run.waiting[0].kind == "approval":
                await approve_all(installation, run_id=run_id)
            else:
                await asyncio.sleep(0.3)
                await _wake(installation, run_id)


def _is_for_a_person(run: Run, given: Json) -> bool:
    return given["settles"] == "opaque" and any(one.kind == "in_doubt" for one in run.waiting)


async def _wake(installation: Installation, run_id: RunId) -> None:
    async with installation.database.transaction() as conn:
        await installation.dispatcher.wake(run_id, conn)


def main(given: Json) -> None:
    """Advance until the run has ended or waits for a person to settle it."""
    logging.basicConfig(level=logging.INFO)
    asyncio.run(_take(given))
