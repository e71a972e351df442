"""Postgres is cut off at once, three times, while runs are under way: nothing is lost and nothing happens twice."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio

from bot.bootstrap import MIGRATIONS
from bot.local.embedded import EmbeddedPostgres
from core.clock import SystemClock
from core.migrate import migrate
from tests.support.ground import KEYED, PROBEABLE, Contract, open_ground
from tests.support.nursery import Nursery
from tests.support.postgres import session_home
from tests.support.storm import Storm, rage

FULL = os.environ.get("COUNTERSIGN_CAMPAIGN") == "full"
RESTARTS = 3
CALM = Storm(runs=60 if FULL else 12, kills=0, workers=2, dies=0)

pytest_plugins = ["tests.support.nursery_fixture"]
pytestmark = [pytest.mark.campaign, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(loop_scope="session")
async def postgres() -> AsyncGenerator[EmbeddedPostgres]:
    """A server of this test's own."""
    with session_home() as home:
        server = EmbeddedPostgres(home, clock=SystemClock())
        await server.start()
        yield server
        await server.forget()


@pytest.mark.parametrize("contract", [KEYED, PROBEABLE] if FULL else [PROBEABLE], ids=lambda contract: contract.settles)
async def test_three_immediate_restarts_under_load(
    tmp_path: Path, postgres: EmbeddedPostgres, nursery: Nursery, contract: Contract
) -> None:
    url = await postgres.start()
    await migrate(url, MIGRATIONS)

    async def restart() -> None:
        for _ in range(RESTARTS):
            await asyncio.sleep(2)
            assert postgres.pid is not None
            # What `pg_ctl stop -m immediate` does: every session is cut off, the log is replayed at the start.
            with suppress(ProcessLookupError):
                os.kill(postgres.pid, signal.SIGQUIT)
            await asyncio.sleep(0.5)
            assert await postgres.start() == url

    async with open_ground(tmp_path, url, contract, nursery, delays=0.3) as ground:
        verdict = await rage(ground, CALM, also=restart)
    print(f"{contract.settles}, {RESTARTS} restarts of Postgres: {verdict}")
    assert verdict.is_clean, str(verdict)
