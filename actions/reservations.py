"""The SQL of limits: what is used, reserved by one conditional UPDATE, kept or given back with the outcome."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from actions.limits import SLOTS, Draw, Used
from core.db import Connection
from core.ids import AttemptId, IntentId


@dataclass(frozen=True)
class Held:
    """What was set aside of one limit for an attempt about to begin."""

    draw: Draw
    slot: int
    exceeds: bool


class CapReached(Exception):
    """A limit has no room for this effect; raised inside a savepoint, so that nothing of it stays reserved."""

    def __init__(self, draw: Draw) -> None:
        super().__init__(draw.limit.id)
        self.draw = draw


async def used(conn: Connection, workspace: str, draw: Draw) -> Used:
    """What the limit has used up in its window, whatever is reserved included."""
    cursor = await conn.execute(
        """
        select actions.used(slots, at.oldest, 0) as minor, actions.used(slots, at.oldest, 1) as effects
        from actions.allowance,
             (select (floor(extract(epoch from core.now()) / %(slot)s) - %(slots)s)::bigint * %(slot)s as oldest) as at
        where workspace = %(workspace)s and limit_id = %(limit)s and subject = %(subject)s
        """,
        {
            "slot": draw.limit.slot,
            "slots": SLOTS,
            "workspace": workspace,
            "limit": draw.limit.id,
            "subject": draw.subject,
        },
    )
    row = await cursor.fetchone()
    return Used(0, 0) if row is None else Used(row["minor"], row["effects"])


async def reserve(
    conn: Connection, workspace: str, draws: Sequence[Draw], *, permitted: Collection[str] = ()
) -> list[Held]:
    """Set aside what one effect takes from every limit, or nothing at all; raises CapReached.

    A limit whose id is in `permitted` may be exceeded: people agreed to exactly that.
    """
    async with conn.transaction():
        return [await _reserve(conn, workspace, draw, exceeds=draw.limit.id in permitted) for draw in draws]


async def _reserve(conn: Connection, workspace: str, draw: Draw, *, exceeds: bool) -> Held:
    names = {"workspace": workspace, "limit": draw.limit.id, "subject": draw.subject}
    await conn.execute(
        "insert into actions.allowance (workspace, limit_id, subject) values (%(workspace)s, %(limit)s, %(subject)s)"
        " on conflict do nothing",
        names,
    )
    # One statement: whoever waits here for a rival looks again at what the rival has left.
    cursor = await conn.execute(
        """
        update actions.allowance
        set slots = actions.with_use(slots, at.slot, at.slot - %(length)s, %(minor)s, 1)
        from (select floor(extract(epoch from core.now()) / %(each)s)::bigint * %(each)s as slot) as at
        where workspace = %(workspace)s and limit_id = %(limit)s and subject = %(subject)s
          and (%(exceeds)s or (
            (%(cap)s::bigint is null or actions.used(slots, at.slot - %(length)s, 0) + %(minor)s <= %(cap)s)
            and (%(count)s::int is null or actions.used(slots, at.slot - %(length)s, 1) + 1 <= %(count)s)))
        returning at.slot
        """,
        {
            **names,
            "each": draw.limit.slot,
            "length": draw.limit.slot * SLOTS,
            "minor": draw.minor,
            "cap": draw.cap_minor,
            "count": draw.limit.count,
            "exceeds": exceeds,
        },
    )
    row = await cursor.fetchone()
    if row is None:
        raise CapReached(draw)
    return Held(draw, row["slot"], exceeds)


async def hold(conn: Connection, workspace: str, attempt_id: AttemptId, held: Sequence[Held]) -> None:
    """Write down what this attempt has reserved, so that its outcome keeps it or gives it back."""
    for one in held:
        await conn.execute(
            """
            insert into actions.reservation (attempt_id, workspace, limit_id, subject, slot, minor, exceeds)
            values (%s, %s, %s, %s, %s, %s, %s)
            """,
            (attempt_id, workspace, one.draw.limit.id, one.draw.subject, one.slot, one.draw.minor, one.exceeds),
        )


async def settle(conn: Connection, attempt_id: AttemptId, state: str) -> None:
    """Keep what an attempt that is `done` has reserved, give back that of one `failed` or `unsent`; once."""
    if state not in {"done", "failed", "unsent"}:
        return
    released = state != "done"
    cursor = await conn.execute(
        """
        update actions.reservation set state = %s where attempt_id = %s and state = 'held'
        returning workspace, limit_id, subject, slot, minor
        """,
        ("released" if released else "kept", attempt_id),
    )
    rows = await cursor.fetchall()
    for row in sorted(rows, key=lambda each: each["limit_id"]) if released else ():
        # A slot that is not there any more has left the window, and counts for nothing.
        await conn.execute(
            """
            update actions.allowance set slots = actions.with_use(slots, %(slot)s, 0, -%(minor)s::bigint, -1)
            where workspace = %(workspace)s and limit_id = %(limit_id)s and subject = %(subject)s
              and slots ? %(slot)s::text
            """,
            row,
        )


async def note_breach(conn: Connection, workspace: str, limit_id: str, action: str, *, intent_id: IntentId) -> None:
    """Write down that an effect ran into a cap that denies."""
    await conn.execute(
        """
        insert into actions.breach (workspace, limit_id, action, intent_id) values (%s, %s, %s, %s)
        on conflict do nothing
        """,
        (workspace, limit_id, action, intent_id),
    )
