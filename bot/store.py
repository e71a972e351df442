"""What reached us and what we owe, as rows: their SQL, and the promises that rest on it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bot.channel import Message, Place
from bot.delivery import Delivery
from core.db import Connection, Database, Row, jsonb
from core.errors import CountersignError


class AlreadyHandled(CountersignError):
    """Another worker has finished this delivery; whatever was begun for it here must be undone."""


class Deliveries:
    """Deliveries, each kept once and handled once, in order per person."""

    #: Handling that began and left no word is begun again after this long.
    LEASE = timedelta(seconds=30)
    #: Slack repeats within hours. After that, the run, vote or answer that came of a delivery knows it by its id.
    KEEP = timedelta(days=30)

    def __init__(self, database: Database) -> None:
        self._database = database

    async def commit(self, delivery: Delivery) -> bool:
        """Keep `delivery` for good; False when its id is known already, which makes this a repeat."""
        async with self._database.connection() as conn:
            cursor = await conn.execute(
                """
                insert into bot.delivery (delivery_id, lane, kind, payload) values (%s, %s, %s, %s)
                on conflict (delivery_id) do nothing
                """,
                (delivery.delivery_id, delivery.lane, delivery.kind, jsonb(delivery.to_json())),
            )
            return cursor.rowcount == 1

    async def claim(self, limit: int) -> list[Delivery]:
        """Up to `limit` deliveries, oldest first, each the first open one of its person, ours until the lease ends."""
        async with self._database.connection() as conn:
            cursor = await conn.execute(
                """
                with due as (
                  select d.delivery_id from bot.delivery d
                  where d.state = 'received' and (d.claimed_until is null or d.claimed_until <= core.now())
                    and not exists (
                      select 1 from bot.delivery e
                      where e.lane = d.lane and e.state = 'received' and e.place < d.place)
                  order by d.place limit %s for update skip locked)
                update bot.delivery d set claimed_until = core.now() + %s, attempts = d.attempts + 1
                from due where d.delivery_id = due.delivery_id
                returning d.delivery_id, d.kind, d.payload, d.attempts, d.place
                """,
                (limit, self.LEASE),
            )
            rows = sorted(await cursor.fetchall(), key=lambda row: row["place"])
        return [
            Delivery.from_json(row["delivery_id"], row["kind"], row["payload"], attempts=row["attempts"])
            for row in rows
        ]

    async def done(self, conn: Connection, delivery_id: str) -> None:
        """Mark it handled in the transaction of what was done for it; raises AlreadyHandled to undo a second time."""
        await self._end(conn, delivery_id, "handled", None)

    async def failed(self, conn: Connection, delivery_id: str, error: str) -> None:
        """Give up on it in the transaction that tells the person; raises AlreadyHandled."""
        await self._end(conn, delivery_id, "failed", error)

    async def put_off(self, delivery_id: str, error: str, wait: timedelta) -> None:
        """Handle it again after `wait`; what the person did after it waits too."""
        async with self._database.connection() as conn:
            await conn.execute(
                """
                update bot.delivery set claimed_until = core.now() + %s, error = %s
                where delivery_id = %s and state = 'received'
                """,
                (wait, error, delivery_id),
            )

    async def forget_old(self, most: int) -> int:
        """Drop what was finished long ago, so much of it at most; returns how many."""
        async with self._database.connection() as conn:
            cursor = await conn.execute(
                """
                delete from bot.delivery where delivery_id in (
                  select delivery_id from bot.delivery where handled_at <= core.now() - %s limit %s)
                """,
                (self.KEEP, most),
            )
            return cursor.rowcount

    async def _end(self, conn: Connection, delivery_id: str, state: str, error: str | None) -> None:
        cursor = await conn.execute(
            """
            update bot.delivery set state = %s, error = %s, claimed_until = null, handled_at = core.now()
            where delivery_id = %s and state = 'received'
            """,
            (state, error, delivery_id),
        )
        if cursor.rowcount != 1:
            raise AlreadyHandled(f"Delivery {delivery_id} was finished elsewhere. Nothing needs to be done.")


@dataclass(frozen=True)
class CardCopy:
    """One message that is a view of a stored row, as it stands in Slack."""

    card_id: str
    kind: str
    subject_id: str
    ts: str | None
    rendered_sha256: str | None


@dataclass(frozen=True)
class Owed:
    """One claimed outbox row."""

    outbox_id: int
    claimed_until: datetime
    """Names this claim: only its holder may end the row."""
    mark: str
    lane: str
    kind: str
    place: Place
    root_card_id: str | None
    root_ts: str | None
    root_open: bool
    """True while the card that opens the thread is still owed."""
    card: CardCopy | None
    person: str | None
    receiver_key: str | None
    payload: dict[str, Any]
    tries: int
    """How often sending it was begun before this claim; above 0, it may have been posted already."""
    age_seconds: float

    @property
    def message(self) -> Message:
        """The message a post or an answer was written with."""
        return Message(self.payload["text"], self.payload.get("blocks"))


class Outbox:
    """What we owe people: per lane one row in flight, in the order it was owed."""

    #: A row whose sender left no word is sent again, after a look, when this has passed.
    LEASE = timedelta(seconds=30)
    #: How long it can be looked up what became of a rendering or an answer.
    KEEP = timedelta(days=30)

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, limit: int) -> list[Owed]:
        """The first open row of each of up to `limit` lanes that are not waiting, ours until the lease ends."""
        async with self._database.connection() as conn:
            cursor = await conn.execute(
                """
                with due as (
                  select o.outbox_id from core.outbox o
                  where (o.state = 'owed' and o.next_at <= core.now()
                      or o.state = 'sending' and o.claimed_until <= core.now())
                    and not exists (
                      select 1 from core.outbox e
                      where e.lane = o.lane and e.state in ('owed', 'sending') and e.outbox_id <> o.outbox_id
                        and (e.outbox_id < o.outbox_id or e.state = 'sending' and e.claimed_until > core.now()))
                  order by o.outbox_id limit %s for update skip locked),
                claimed as (
                  update core.outbox o
                  set state = 'sending', claimed_until = core.now() + %s, attempts = o.attempts + 1
                  from due where o.outbox_id = due.outbox_id returning o.*)
                select claimed.*, card.kind as card_kind, card.subject_id, card.ts as card_ts, card.rendered_sha256,
                  root.ts as root_ts, extract(epoch from core.now() - claimed.created_at)::float8 as age_seconds,
                  exists (select 1 from core.outbox r
                    where r.card_id = claimed.root_card_id and r.state in ('owed', 'sending')) as root_open
                from claimed
                left join core.card card on card.card_id = claimed.card_id
                left join core.card root on root.card_id = claimed.root_card_id
                order by claimed.outbox_id
                """,
                (limit, self.LEASE),
            )
            return [_owed(row) for row in await cursor.fetchall()]

    async def sent(self, conn: Connection, owed: Owed, ts: str | None, rendered_sha256: str | None = None) -> bool:
        """End the row and keep where its message stands, together; False when the claim is no longer ours."""
        if not await self._end(conn, owed, "sent", ts=ts):
            return False
        if owed.card is not None and ts is not None:
            await conn.execute(
                """
                update core.card set ts = %s, rendered_sha256 = %s, posted_at = coalesce(posted_at, core.now())
                where card_id = %s
                """,
                (ts, rendered_sha256, owed.card.card_id),
            )
        return True

    async def undelivered(self, conn: Connection, owed: Owed, error: str) -> bool:
        """End the row as never delivered, with the reason; False when the claim is no longer ours."""
        return await self._end(conn, owed, "undelivered", error=error)

    async def put_off(self, owed: Owed, wait: timedelta, error: str, *, tries: int) -> None:
        """Let the row and its lane wait; it stays claimed until then, so a newer row of its card keeps its place.

        `tries` is how many tries stand against the row from now on; above 0, the next one looks before it posts.
        """
        async with self._database.connection() as conn:
            await conn.execute(
                """
                update core.outbox set claimed_until = core.now() + %s, error = %s, attempts = %s
                where outbox_id = %s and state = 'sending' and claimed_until = %s
                """,
                (wait, error, tries, owed.outbox_id, owed.claimed_until),
            )

    async def forget_message(self, owed: Owed) -> None:
        """The card's message is gone from Slack: post it anew the next time."""
        assert owed.card is not None
        async with self._database.connection() as conn:
            await conn.execute(
                "update core.card set ts = null, rendered_sha256 = null where card_id = %s and ts = %s",
                (owed.card.card_id, owed.card.ts),
            )

    async def forget_old(self, most: int) -> int:
        """Drop what ended long ago, so much of it at most; returns how many. A message under a key is kept for ever."""
        async with self._database.connection() as conn:
            cursor = await conn.execute(
                """
                delete from core.outbox where outbox_id in (
                  select outbox_id from core.outbox
                  where ended_at <= core.now() - %s and receiver_key is null limit %s)
                """,
                (self.KEEP, most),
            )
            return cursor.rowcount

    async def _end(
        self, conn: Connection, owed: Owed, state: str, *, ts: str | None = None, error: str | None = None
    ) -> bool:
        cursor = await conn.execute(
            """
            update core.outbox set state = %s, ts = %s, error = %s, claimed_until = null, ended_at = core.now()
            where outbox_id = %s and state = 'sending' and claimed_until = %s
            """,
            (state, ts, error, owed.outbox_id, owed.claimed_until),
        )
        return cursor.rowcount == 1


def _owed(row: Row) -> Owed:
    card = None
    if row["card_id"] is not None:
        card = CardCopy(row["card_id"], row["card_kind"], row["subject_id"], row["card_ts"], row["rendered_sha256"])
    return Owed(
        outbox_id=row["outbox_id"],
        claimed_until=row["claimed_until"],
        mark=row["mark"],
        lane=row["lane"],
        kind=row["kind"],
        place=Place(row["channel"], row["thread_ts"]),
        root_card_id=row["root_card_id"],
        root_ts=row["root_ts"],
        root_open=row["root_open"],
        card=card,
        person=row["person"],
        receiver_key=row["receiver_key"],
        payload=row["payload"],
        tries=row["attempts"] - 1,
        age_seconds=row["age_seconds"],
    )
