"""Postgres dies and comes back: that is nobody's fault, least of all a run's."""

import os
import signal
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from bot.local.embedded import EmbeddedPostgres
from core.clock import SystemClock
from core.db import Database, open_database
from core.ids import RunId
from core.migrate import migrate
from core.outbox import Conversation
from graphs.run import Request
from graphs.store import RunStore
from tests.support.engine import ENGINE

RUN = RunId("run_outage")


@pytest.fixture
async def postgres(tmp_path: Path) -> AsyncGenerator[EmbeddedPostgres]:
    """A Postgres of this test's own, to be killed; the engine's tables and one run are in it."""
    server = EmbeddedPostgres(tmp_path / "var", clock=SystemClock())
    url = await server.start()
    await migrate(url, ENGINE)
    async with open_database(url) as database:
        await _create_run(database)
    yield server
    await server.forget()


async def test_what_died_with_the_database_is_not_held_against_a_run(postgres: EmbeddedPostgres) -> None:
    assert await _advances(postgres, times=3) == [0, 1, 2]

    await _kill(postgres)
    async with open_database(await postgres.start()) as database:
        await RunStore(database).count_stall(RUN)
    assert await _advances(postgres, times=2) == [3, 4]


async def _kill(server: EmbeddedPostgres) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    await server.start()


async def _advances(server: EmbeddedPostgres, *, times: int) -> list[float]:
    """How many stalls each of that many owners finds, each of which dies where the one before it did."""
    found: list[float] = []
    async with open_database(await server.start()) as database:
        store = RunStore(database)
        for _ in range(times):
            run = await store.begin(RUN)
            assert run is not None
            found.append(run.stalls)
            await store.count_stall(RUN)
    return found


async def _create_run(database: Database) -> None:
    request = Request(
        workspace="T1",
        enterprise=None,
        requester="U1",
        origin="command",
        workflow="returns",
        text="",
        delivery_id="d1",
    )
    async with database.transaction() as conn:
        await RunStore(database).create(
            conn, request, conversation=Conversation("T1", "C1"), workflow_version=1, run_id=RUN
        )
