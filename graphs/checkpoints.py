"""Checkpoints that only a run's newest owner can write."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

from core.db import Database, connect
from graphs.run_guard import RunGuard
from graphs.serializer import JsonSerializer


class FencedSaver(AsyncPostgresSaver):
    """LangGraph's saver for one owner of one run; each write fails once the run has a newer owner.

    One object per advance over the shared pool: the base class serialises everything that goes through one object.
    """

    def __init__(self, database: Database, guard: RunGuard) -> None:
        # Our connections are a subclass of those it asks for; pools are invariant for the type checker.
        super().__init__(database.pool, serde=JsonSerializer())  # pyright: ignore[reportArgumentType]
        self._guard = guard

    @asynccontextmanager
    async def _cursor(self, *, pipeline: bool = False) -> AsyncGenerator[Any]:
        # The base class asks for a pipeline exactly when it writes, and a pipeline is one implicit transaction:
        # the fence and the writes are committed together or not at all.
        async with super()._cursor(pipeline=pipeline) as cursor:
            if pipeline:
                await cursor.execute("select graphs.fence(%s, %s)", (self._guard.run_id, self._guard.epoch))
            yield cursor

    async def keep_newest(self) -> None:
        """Keep only the newest checkpoint of this run."""
        await self.aprune([self._guard.run_id], strategy="keep_latest")


#: Makes the saver of one owner of one run.
OpenSaver = Callable[[Database, RunGuard], FencedSaver]


class _Tables(AsyncPostgresSaver):
    # An index built concurrently waits for every other session's statement to end; the other processes that start now
    # stand in the statement that waits for us.
    MIGRATIONS = [statement.replace(" CONCURRENTLY", "") for statement in AsyncPostgresSaver.MIGRATIONS]  # noqa: RUF012


async def set_up_checkpoints(url: str) -> None:
    """Make LangGraph's tables, or bring them to this release's shape; run it through `core.migrate` only."""
    async with connect(url) as conn, conn.transaction():
        await conn.execute("set local search_path to langgraph")
        await _Tables(conn, serde=JsonSerializer()).setup()
