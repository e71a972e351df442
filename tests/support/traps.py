"""Named points on the way of an effect at which a process of a test kills or stops itself; the product has none."""

import asyncio
import os
import random
import signal
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from aiohttp import ClientSession

from actions import approvals, store
from actions.approvals import Approvals
from actions.attempts import Attempts
from actions.connector import Outbound, Reply
from actions.connectors.payments import PaymentsConnector
from actions.gateway import Gateway
from core.db import Connection, Database
from graphs.context import RunContext
from graphs.store import RunStore
from tests.support.receiver import Json, Receiver

#: Where a call is under way, seen from the other side.
ON_ITS_WAY, APPLIED = "the call is on its way", "it was applied, no reply yet"
COMMITTED = "after the attempt is committed"
PLANNED = "the plan is made, not stored"

#: What is written down in which transaction; each has a point before its commit and one after it.
_WRITES = (
    (store, "insert_intent", "the intent"),
    (store, "begin_attempt", "the attempt"),
    (store, "renew_attempt", "the renewal"),
    (store, "enter_doubt", "the doubt"),
    (approvals, "ask", "the question"),
    (Approvals, "_after_vote", "the vote"),
    (Gateway, "ask_again", "when to look again"),
    (RunStore, "finish", "the end"),
)
_ENDS = {"done": "the receipt", "failed": "the refusal", "unsent": "that nothing was sent"}


class Traps:
    """Decides at each point whether this process ends there, stands still there, or goes on."""

    def __init__(self, given: Json) -> None:
        self._die_at: str = given.get("die_at", "")
        self._stop_at: str = given.get("stop_at", "")
        self._chances: dict[str, float] = given.get("chances", {})
        self._dice = random.Random(given.get("seed", 0))

    def is_set_for(self, point: str) -> bool:
        """True when this process is to end at this very point."""
        return self._die_at == point

    def reach(self, point: str) -> None:
        """Here we are; what stands still goes on when somebody continues it."""
        if self._die_at == point or self._dice.random() < self._chances.get("die", 0):
            os.kill(os.getpid(), signal.SIGKILL)
        if self._stop_at == point:
            self._stop_at = ""
            os.kill(os.getpid(), signal.SIGSTOP)
        elif point == COMMITTED and self._dice.random() < self._chances.get("stop", 0):
            os.kill(os.getpid(), signal.SIGSTOP)


def lay(traps: Traps, receiver: Receiver) -> None:
    """Lay them through this process, for good."""
    _lay_at_commits(traps)
    _lay_at_calls(traps, receiver)
    _around(Attempts, "_wait_for_landing", before=lambda: traps.reach("waiting for what may still land"))
    _around(RunContext, "preview", after=lambda: traps.reach(PLANNED))
    _around(RunContext, "act", after=lambda: traps.reach("after the effect, before its checkpoint"))
    _around(RunStore, "begin", after=lambda: traps.reach("after the run is taken"))
    _around(RunStore, "park", before=lambda: traps.reach("before it is parked"))


def _nothing() -> None:
    pass


def _is_connection(value: object) -> bool:
    return isinstance(value, psycopg.AsyncConnection)


def _around(
    owner: Any, name: str, *, before: Callable[[], None] = _nothing, after: Callable[[], None] = _nothing
) -> None:
    original = getattr(owner, name)

    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        before()
        result = await original(*args, **kwargs)
        after()
        return result

    setattr(owner, name, wrapped)


def _lay_at_commits(traps: Traps) -> None:
    written: dict[int, list[str]] = defaultdict(list)

    def always(label: str) -> Callable[[tuple[Any, ...]], str]:
        return lambda _: label

    def mark(owner: Any, name: str, label: Callable[[tuple[Any, ...]], str]) -> None:
        original: Callable[..., Awaitable[Any]] = getattr(owner, name)

        async def wrapped(*args: Any, **kwargs: Any) -> Any:
            result = await original(*args, **kwargs)
            [conn] = [id(each) for each in args if _is_connection(each)]
            written[conn].append(label(args))
            return result

        setattr(owner, name, wrapped)

    for owner, name, label in _WRITES:
        mark(owner, name, always(label))
    mark(store, "end_attempt", lambda args: _ENDS.get(args[2], "the doubt again"))

    transaction = Database.transaction

    @asynccontextmanager
    async def watched(self: Database) -> AsyncGenerator[Connection]:
        labels: list[str] = []
        async with transaction(self) as conn:
            written.pop(id(conn), None)
            yield conn
            labels = written.pop(id(conn), [])
            for label in labels:
                traps.reach(f"before {label} is committed")
        for label in labels:
            traps.reach(f"after {label} is committed")

    Database.transaction = watched  # type: ignore[method-assign]


def _lay_at_calls(traps: Traps, receiver: Receiver) -> None:
    send, find = PaymentsConnector.send, PaymentsConnector.find

    async def sent(self: PaymentsConnector, outbound: Outbound, **kwargs: Any) -> Reply:
        traps.reach("before the request is sent")
        for point in (ON_ITS_WAY, APPLIED):
            if traps.is_set_for(point):
                await _seen_outside(point, outbound, receiver, asyncio.create_task(send(self, outbound, **kwargs)))
                traps.reach(point)
        reply = await send(self, outbound, **kwargs)
        traps.reach("after the reply")
        return reply

    async def found(self: PaymentsConnector, *args: Any) -> Reply | None:
        traps.reach("before the look-up")
        reply = await find(self, *args)
        traps.reach("after the look-up")
        return reply

    PaymentsConnector.send = sent  # type: ignore[method-assign]
    PaymentsConnector.find = found  # type: ignore[method-assign]


async def _seen_outside(point: str, outbound: Outbound, receiver: Receiver, sending: asyncio.Task[Reply]) -> None:
    """Return when the other side's log has this call, or its effect, and nobody has heard of it yet."""
    key = outbound.headers["Idempotency-Key"]
    before = sum(call["key"] == key for call in (await receiver.log())["calls"])
    while not sending.done():
        log = await receiver.log()
        calls = sum(call["key"] == key for call in log["calls"])
        if calls > before if point == ON_ITS_WAY else any(made["key"] == key for made in log["applied"]):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{point!r} was missed: the reply came first")


async def open_receiver(port: int) -> Receiver:
    """The outside system at this port, seen from a process that will not live to close it."""
    return Receiver(ClientSession(), port)
