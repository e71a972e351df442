"""The controls: each is the product without one guard, so that a campaign can show that it would find the harm."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

from actions.attempts import Attempts, _Sending  # pyright: ignore[reportPrivateUsage]
from actions.connector import Reply
from actions.gateway import Gateway
from actions.outcome import Go, Outcome, Wish
from core.db import Connection
from core.ids import new_id
from graphs.checkpoints import FencedSaver
from scheduler.store import ScheduleStore


class ForgetfulFires(ScheduleStore):
    """Lets everybody have every fire: two schedulers start two runs."""

    async def claim(self, conn: Connection, schedule_id: str, fire_key: str, due: datetime) -> bool:
        """True for whoever asks."""
        await super().claim(conn, schedule_id, fire_key, due)
        return True


class UnfencedSaver(FencedSaver):
    """Writes checkpoints for any owner, however old: two owners of a run both carry it on."""

    @asynccontextmanager
    async def _cursor(self, *, pipeline: bool = False) -> AsyncGenerator[Any]:
        async with AsyncPostgresSaver._cursor(self, pipeline=pipeline) as cursor:
            yield cursor


class ForgetfulAttempts(Attempts):
    """Forgets what an earlier process began, and the receiver's key with it: what was cut off is sent anew."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._mine: set[str] = set()

    async def _send(self, wish: Wish, go: Go) -> Outcome | None:
        self._mine.add(go.attempt.attempt_id)
        return await super()._send(wish, go)

    async def _settle(self, wish: Wish, go: Go) -> Outcome | None:
        if go.attempt.attempt_id in self._mine:
            return await super()._settle(wish, go)
        async with self._database.transaction() as conn:
            await conn.execute(
                "update actions.revision set receiver_key = %s where intent_id = %s",
                (new_id("key", 26), go.intent.intent_id),
            )
        return await self._end_unsent(wish, go, "forgotten")


class ForgetfulGateway(Gateway):
    """A gateway whose attempts are forgotten by the next process."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._attempts = ForgetfulAttempts(
            self._database,
            self.ask_again,
            rules=self._rules,
            clock=self._clock,
            metrics=self._metrics,
            ground=self._ground,
        )


class UnwatchedSending(_Sending):  # pyright: ignore[reportPrivateUsage]
    """Sends without a look at any clock: a process that stood still past its attempt's window sends late."""

    async def send(self) -> Reply:
        """The other side's answer, however late it is asked for."""
        if self._reply is None:
            self._reply = await self._connector.send(self._outbound, timeout=self._left)
        return self._reply
