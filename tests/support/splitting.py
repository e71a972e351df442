"""Many small effects at once against one cap: what a splitter would try, and what was set aside in the end."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from actions import reservations
from actions.limits import Draw, Limit
from actions.reservations import CapReached, Held
from core.db import Connection, Database
from core.ids import AttemptId, new_id

Reserve = Callable[[Connection, Draw], Awaitable[list[Held]]]

WORKERS = 16
#: Schedules at full size, and in the ordinary test.
SCHEDULES, FEW_SCHEDULES = 10_000, 240
_AT_ONCE = 40
WORKSPACE = "T0LOCAL"
CAP = 20_000


def a_limit(**changes: object) -> Limit:
    """200 USD a day for each recipient."""
    plain = {"id": "daily", "because": "Enough.", "action": "payment.refund", "per": "recipient", "within": "1d"}
    return Limit.model_validate({**plain, "amount": f"{CAP // 100} USD", **changes})


@dataclass(frozen=True)
class Part:
    """One small effect of a schedule, with how it ends."""

    attempt_id: AttemptId
    subject: str
    minor: int
    ends: str


@dataclass(frozen=True)
class Found:
    """What one schedule came to."""

    subject: str
    spent: int
    counted: int


async def reserve_by_update(conn: Connection, draw: Draw) -> list[Held]:
    """As the product does it."""
    return await reservations.reserve(conn, WORKSPACE, [draw])


async def reserve_by_look(conn: Connection, draw: Draw) -> list[Held]:
    """Control: reads what is used, then writes, as a sum over the ledger would."""
    so_far = await reservations.used(conn, WORKSPACE, draw)
    assert draw.cap_minor is not None
    if so_far.minor + draw.minor > draw.cap_minor:
        raise CapReached(draw)
    return await reservations.reserve(conn, WORKSPACE, [draw], permitted=[draw.limit.id])


async def split(database: Database, schedules: int, *, seed: int, reserve: Reserve = reserve_by_update) -> list[Found]:
    """Run this many schedules with 16 workers, some dozens of schedules interleaved at a time."""
    dice, found = random.Random(seed), list[Found]()
    for start in range(0, schedules, _AT_ONCE):
        found += await _batch(database, min(_AT_ONCE, schedules - start), dice, reserve)
    return found


async def _batch(database: Database, schedules: int, dice: random.Random, reserve: Reserve) -> list[Found]:
    subjects = [new_id("subject", 16) for _ in range(schedules)]
    parts = [part for subject in subjects for part in _parts(subject, dice)]
    await _make_attempts(database, parts)
    # Neighbours in the queue are of one schedule, so that workers meet at its row.
    queue = asyncio.Queue[Part]()
    for part in parts:
        queue.put_nowait(part)
    await asyncio.gather(*(_work(database, queue, reserve) for _ in range(WORKERS)))
    return await _read(database, subjects)


def _parts(subject: str, dice: random.Random) -> list[Part]:
    """An amount beyond the cap in three to six parts, each alone below it; some fail and give back."""
    many = dice.randint(3, 6)
    return [
        Part(
            AttemptId(new_id("att", 16)),
            subject,
            dice.randint(CAP // 4, CAP // 2),
            dice.choice(["done", "done", "in_doubt", "failed", "unsent"]),
        )
        for _ in range(many)
    ]


async def _make_attempts(database: Database, parts: Sequence[Part]) -> None:
    ids = [part.attempt_id for part in parts]
    async with database.transaction() as conn:
        await conn.execute(
            """
            insert into actions.intent (intent_id, run_id, step, workspace, workflow, requester, conversation, action,
                                        effect, connector, sandbox, state, revision)
            select id, id, 'refund', 'T0LOCAL', 'returns', 'U0RITA', '{}', 'payment.refund', 'irreversible',
                   'payments', true, 'executing', 1 from unnest(%s::text[]) as id
            """,
            (ids,),
        )
        await conn.execute(
            """
            insert into actions.revision (intent_id, revision, record, digest, receiver_key, summary, origins, evidence)
            select id, 1, '{}', '', id, '', '{}', '[]' from unnest(%s::text[]) as id
            """,
            (ids,),
        )
        await conn.execute(
            """
            insert into actions.attempt (attempt_id, intent_id, revision, number, state, request_sha256,
                                         policy_version, verdict, deadline_at)
            select id, id, 1, 1, 'executing', '', '', 'allow', core.now() from unnest(%s::text[]) as id
            """,
            (ids,),
        )


async def _work(database: Database, queue: asyncio.Queue[Part], reserve: Reserve) -> None:
    while not queue.empty():
        part = queue.get_nowait()
        try:
            async with database.transaction() as conn:
                held = await reserve(conn, Draw(a_limit(), part.subject, part.minor))
                await reservations.hold(conn, WORKSPACE, part.attempt_id, held)
        except CapReached:
            continue
        async with database.transaction() as conn:
            await reservations.settle(conn, part.attempt_id, part.ends)


async def _read(database: Database, subjects: Sequence[str]) -> list[Found]:
    async with database.connection() as conn:
        cursor = await conn.execute(
            """
            select a.subject, actions.used(a.slots, 0, 0) as counted,
                   coalesce((select sum(r.minor) from actions.reservation r where r.subject = a.subject
                             and r.state <> 'released'), 0)::bigint as spent
            from actions.allowance a where a.subject = any(%s)
            """,
            (list(subjects),),
        )
        return [Found(row["subject"], row["spent"], row["counted"]) async for row in cursor]
