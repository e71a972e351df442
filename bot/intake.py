"""Turns what reached us into a run, a decision, a stop or a polite answer: each delivery once, with its effect."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Protocol

from bot.channel import Postponed, Unclear
from bot.delivery import Delivery
from bot.store import AlreadyHandled, Deliveries
from core.db import Connection, Database, DatabaseError
from core.metrics import Metrics
from core.outbox import Conversation, owe_ephemeral, owe_post

#: After so many tries the person is told that it did not work.
MOST_TRIES = 5
#: One try that has not ended by then is broken off: what it waits for may never come, and its person waits behind it.
PATIENCE = timedelta(minutes=5)

_AT_ONCE = 8
_POLL_SECONDS = 1.0
_CHANNEL = "bot_delivery"

log = logging.getLogger(__name__)

#: What is written in the transaction that marks a delivery handled; gives the answer owed to the person.
Effect = Callable[[Connection], Awaitable[str]]


class Desk(Protocol):
    """Knows what to do about one kind of delivery."""

    async def consider(self, delivery: Delivery) -> Effect:
        """Look up what is needed, and give what has to be written."""
        ...


async def answer(conn: Connection, delivery: Delivery, text: str) -> None:
    """Owe the person an answer: in the thread when they spoke to us there, else for their eyes only."""
    place = Conversation(delivery.workspace, delivery.channel, delivery.thread_ts)
    if delivery.kind == "event":
        await owe_post(conn, place, text=text)
    else:
        await owe_ephemeral(conn, place, person=delivery.sender.user_id, text=text)


class Intake:
    """Handles deliveries, several at a time, in order per person."""

    def __init__(
        self,
        database: Database,
        *,
        commands: Desk,
        clicks: Desk,
        gave_up: str,
        metrics: Metrics,
        patience: timedelta = PATIENCE,
    ) -> None:
        self._database = database
        self._deliveries = Deliveries(database)
        self._commands = commands
        self._clicks = clicks
        self._gave_up = gave_up
        self._metrics = metrics
        self._patience = patience
        self._bell = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Handle deliveries until `stop` is set; what is in hand then is finished."""
        listening = asyncio.create_task(self._database.listen([_CHANNEL], self._bell.set), name="intake.listen")
        in_hand: set[asyncio.Task[None]] = set()
        try:
            while not stop.is_set():
                in_hand |= await self._start(_AT_ONCE - len(in_hand))
                in_hand = await self._wait(in_hand, stop)
        finally:
            listening.cancel()
            await asyncio.gather(listening, *in_hand, return_exceptions=True)

    async def _start(self, room: int) -> set[asyncio.Task[None]]:
        self._bell.clear()
        if room <= 0:
            return set()
        try:
            claimed = await self._deliveries.claim(room)
        except DatabaseError as error:
            log.warning("deliveries cannot be read, trying again: %s", error)
            return set()
        return {asyncio.create_task(self.handle(delivery), name=delivery.delivery_id) for delivery in claimed}

    async def _wait(self, in_hand: set[asyncio.Task[None]], stop: asyncio.Event) -> set[asyncio.Task[None]]:
        """Until something arrives, is handled or over, for a second at most; gives what is still in hand."""
        bells = [asyncio.create_task(self._bell.wait()), asyncio.create_task(stop.wait())]
        done, _ = await asyncio.wait([*bells, *in_hand], timeout=_POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for bell in bells:
            bell.cancel()
        return in_hand - done

    async def handle(self, delivery: Delivery) -> None:
        """Do what one claimed delivery asks, and mark it handled with it; never raises."""
        try:
            async with asyncio.timeout(self._patience.total_seconds()):
                await self._settle(delivery)
        except AlreadyHandled:
            log.info("delivery %s was handled elsewhere", delivery.delivery_id)
        except (DatabaseError, Postponed, Unclear) as error:
            log.warning("delivery %s is put off: %s", delivery.delivery_id, error)
            await self._again(delivery, error)
        except Exception as error:  # The edge of one delivery: it may not take the others down
            log.exception("delivery %s could not be handled", delivery.delivery_id)
            await self._again(delivery, error)

    async def _settle(self, delivery: Delivery) -> None:
        desk = self._clicks if delivery.press else self._commands
        effect = await desk.consider(delivery)
        async with self._database.transaction() as conn:
            # First, so that a second worker waits here and then undoes what it was about to repeat.
            await self._deliveries.done(conn, delivery.delivery_id)
            text = await effect(conn)
            if text:
                await answer(conn, delivery, text)
        self._metrics.deliveries.labels(delivery.kind, "handled").inc()

    async def _again(self, delivery: Delivery, error: Exception) -> None:
        self._metrics.retries.labels("delivery").inc()
        try:
            if delivery.attempts < MOST_TRIES:
                wait = timedelta(seconds=2.0 ** (delivery.attempts - 1))
                await self._deliveries.put_off(delivery.delivery_id, repr(error), wait)
                return
            async with self._database.transaction() as conn:
                await self._deliveries.failed(conn, delivery.delivery_id, repr(error))
                await answer(conn, delivery, self._gave_up)
            self._metrics.deliveries.labels(delivery.kind, "failed").inc()
        except (DatabaseError, AlreadyHandled) as trouble:
            # Its lease runs out and it is handled again.
            log.warning("delivery %s could not be put off: %s", delivery.delivery_id, trouble)
