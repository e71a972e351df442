"""Empties the outbox: everything owed is delivered once, in order per conversation, or ends with its reason."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from bot.channel import Channel, Message, Place, Postponed, Unclear, Undeliverable
from bot.pacing import Pacing
from bot.store import CardCopy, Outbox, Owed
from core.clock import Clock
from core.db import Connection, Database, DatabaseError, is_outage
from core.metrics import Metrics

#: Called with the transaction that ends an outbox row, for rows somebody waits for.
OnReceipt = Callable[[Connection, str], Awaitable[None]]

#: Called for a row that will never be delivered; gives what is to be written in the transaction that ends it.
OnUndelivered = Callable[[Owed, str], Awaitable[Callable[[Connection], Awaitable[None]] | None]]

#: After so many tries that Slack answered with trouble, a row ends undelivered.
MOST_TRIES = 10

_AT_ONCE = 16
_POLL_SECONDS = 1.0
_ROOT_WAIT = timedelta(seconds=1)
_SILENCE_WAIT = timedelta(seconds=2)
_LONGEST_WAIT = timedelta(minutes=5)
_CHANNEL = "core_outbox"
# A person removed the message; what it showed must be seen all the same.
_GONE = "message_not_found"

log = logging.getLogger(__name__)


class Cards(Protocol):
    """Makes the message of a card from what is stored now."""

    async def render(self, kind: str, subject_id: str) -> Message | None:
        """The card of this subject, or None when there is no such subject."""
        ...


@dataclass(frozen=True)
class Sent:
    """Where a message stands now, and what it shows."""

    ts: str | None
    rendered_sha256: str | None = None
    outcome: str = "sent"


class Sender:
    """Delivers what the outbox owes."""

    def __init__(
        self,
        database: Database,
        channel: Channel,
        cards: Cards,
        *,
        clock: Clock,
        metrics: Metrics,
        on_receipt: OnReceipt,
        on_undelivered: OnUndelivered | None = None,
        pacing: Pacing | None = None,
    ) -> None:
        self._database = database
        self._outbox = Outbox(database)
        self._channel = channel
        self._cards = cards
        self._clock = clock
        self._pacing = pacing or Pacing(clock)
        self._metrics = metrics
        self._on_receipt = on_receipt
        self._on_undelivered = on_undelivered
        self._bell = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until `stop` is set; what is in flight then is finished."""
        listening = asyncio.create_task(self._database.listen([_CHANNEL], self._bell.set), name="sender.listen")
        in_flight: set[asyncio.Task[None]] = set()
        try:
            while not stop.is_set():
                in_flight |= await self._start(_AT_ONCE - len(in_flight))
                in_flight = await self._wait(in_flight, stop)
        finally:
            listening.cancel()
            await asyncio.gather(listening, *in_flight, return_exceptions=True)

    async def _start(self, room: int) -> set[asyncio.Task[None]]:
        self._bell.clear()
        self._pacing.forget_idle()
        if room <= 0:
            return set()
        try:
            claimed = await self._outbox.claim(room)
        except DatabaseError as error:
            log.warning("the outbox cannot be read, trying again: %s", error)
            return set()
        return {asyncio.create_task(self._deliver(owed), name=f"sender.{owed.outbox_id}") for owed in claimed}

    async def _wait(self, in_flight: set[asyncio.Task[None]], stop: asyncio.Event) -> set[asyncio.Task[None]]:
        """Until something is owed, delivered or over, for a second at most; gives what is still in flight."""
        bells = [asyncio.create_task(self._bell.wait()), asyncio.create_task(stop.wait())]
        done, _ = await asyncio.wait([*bells, *in_flight], timeout=_POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for bell in bells:
            bell.cancel()
        return in_flight - done

    async def _deliver(self, owed: Owed) -> None:
        try:
            await self._attempt(owed)
        except DatabaseError as error:
            # The claim runs out and the row is sent again, after a look.
            log.warning("outbox row %s could not be ended: %s", owed.outbox_id, error, exc_info=not is_outage(error))
        except Exception:  # The edge of one delivery: no row may take the sender down with it
            log.exception("outbox row %s could not be sent", owed.outbox_id)
            await self._try_again(owed, "an error of our own", answered=True)

    async def _attempt(self, owed: Owed) -> None:
        if owed.root_ts is None and owed.root_open and owed.kind != "ephemeral":
            # Sent in order, the card that opens the thread is there soon.
            await self._outbox.put_off(owed, _ROOT_WAIT, "waits for its thread", tries=owed.tries)
            return
        try:
            # Whoever goes on after their claim has run out posts beside the next one, who found nothing to look at.
            async with asyncio.timeout(0.8 * Outbox.LEASE.total_seconds()):
                await self._clock.sleep(self._pacing.take(owed.lane))
                sent = await self._send(owed)
        except Postponed as error:
            self._metrics.retries.labels("outbox").inc()
            await self._outbox.put_off(owed, timedelta(seconds=error.seconds), str(error), tries=owed.tries)
        except Unclear as error:
            await self._try_again(owed, str(error), answered=error.answered)
        except TimeoutError:
            await self._try_again(owed, "Slack took longer than the row was ours.", answered=False)
        except Undeliverable as error:
            await self._refused(owed, error)
        else:
            await self._end(owed, sent)

    async def _send(self, owed: Owed) -> Sent:
        place = Place(owed.place.channel, owed.place.thread_ts or owed.root_ts)
        if owed.card is not None:
            return await self._send_card(owed, owed.card, place)
        if owed.person is not None:
            # Whispers have no mark: one whose answer was lost may be shown twice, never withheld.
            await self._channel.whisper(place, owed.person, owed.message)
            return Sent(None)
        found = await self._channel.find_by_mark(place, owed.mark) if owed.tries else None
        return Sent(found or await self._channel.post(place, owed.message, mark=owed.mark))

    async def _send_card(self, owed: Owed, card: CardCopy, place: Place) -> Sent:
        message = await self._cards.render(card.kind, card.subject_id)
        if message is None:
            raise Undeliverable(f"There is no {card.kind} {card.subject_id} to show.", code="no_subject")
        if card.ts is not None and card.rendered_sha256 == message.sha256:
            return Sent(card.ts, message.sha256, "unchanged")
        # One that may have been posted by somebody who died is found by its mark and brought up to date.
        posted = card.ts or (await self._channel.find_by_mark(place, card.card_id) if owed.tries else None)
        if posted is None:
            return Sent(await self._channel.post(place, message, mark=card.card_id), message.sha256)
        await self._channel.update(place.channel, posted, message)
        return Sent(posted, message.sha256)

    async def _end(self, owed: Owed, sent: Sent) -> None:
        async with self._database.transaction() as conn:
            if await self._outbox.sent(conn, owed, sent.ts, sent.rendered_sha256):
                await self._tell(conn, owed)
        self._metrics.outbox_sent.labels(owed.kind, sent.outcome).inc()
        self._metrics.outbox_seconds.labels(owed.kind).observe(owed.age_seconds)

    async def _tell(self, conn: Connection, owed: Owed) -> None:
        if owed.receiver_key is not None:
            await self._on_receipt(conn, owed.receiver_key)

    async def _refused(self, owed: Owed, error: Undeliverable) -> None:
        if error.code == _GONE and owed.card is not None and owed.card.ts is not None:
            await self._outbox.forget_message(owed)
            await self._outbox.put_off(owed, timedelta(0), str(error), tries=owed.tries)
            return
        await self._give_up(owed, str(error))

    async def _try_again(self, owed: Owed, error: str, *, answered: bool) -> None:
        """Put off a row that may have been sent; silence never exhausts the tries, for Slack may be down for hours."""
        self._metrics.retries.labels("outbox").inc()
        if not answered:
            await self._outbox.put_off(owed, _SILENCE_WAIT, error, tries=max(owed.tries, 1))
        elif owed.tries + 1 >= MOST_TRIES:
            await self._give_up(owed, f"{error} Given up after {MOST_TRIES} tries.")
        else:
            wait = min(timedelta(seconds=2.0**owed.tries), _LONGEST_WAIT)
            await self._outbox.put_off(owed, wait, error, tries=owed.tries + 1)

    async def _give_up(self, owed: Owed, error: str) -> None:
        log.error("outbox row %s (%s) is undelivered: %s", owed.outbox_id, owed.kind, error)
        tell = None if self._on_undelivered is None else await self._on_undelivered(owed, error)
        async with self._database.transaction() as conn:
            if await self._outbox.undelivered(conn, owed, error):
                await self._tell(conn, owed)
                if tell is not None:
                    await tell(conn)
        self._metrics.outbox_sent.labels(owed.kind, "undelivered").inc()
