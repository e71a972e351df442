"""What a run has done and how each of it is taken back: newest first, once, while its time lasts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from actions import approvals, grants, store
from actions.action import Catalogue, Compensation
from actions.intent import FOLLOWS, IntentKey, IntentState, Record
from actions.outcome import Caller
from core import audit
from core.db import Connection, Row
from core.ids import IntentId, RunId
from core.outbox import refresh_cards

#: The step under which a run tells its conversation how it ended, and `report:…` what it tells on the way there: what
#: was said to people is not undone, for an undoing tells the same people itself.
REPORT = "report"

_REVERSED = "what it did was taken back"


@dataclass(frozen=True)
class Deed:
    """One effect of a run that has happened, or may have."""

    intent_id: IntentId
    key: IntentKey
    state: IntentState
    action: str
    record: Record
    result: Mapping[str, Any] | None
    summary: str
    ended_at: datetime | None
    age: timedelta
    """Since it was done, by the database's clock."""


_DEEDS = """
    select i.*, r.record, r.summary, coalesce(core.now() - i.ended_at, interval '0') as age
    from actions.intent i join actions.revision r using (intent_id, revision)
"""


async def deeds_of(conn: Connection, run_id: str, steps: Sequence[str] | None = None) -> list[Deed]:
    """What this run did and nobody has taken back or was asked to, newest first; only `steps` where they are named."""
    query = f"""{_DEEDS}
        where i.run_id = %s and i.state in ('done', 'executing', 'in_doubt') and i.effect <> 'read'
          and split_part(i.step, ':', 1) <> %s and i.compensates is null and (%s::text[] is null or i.step = any(%s))
          and not exists (select from actions.errand e where e.intent_id = i.intent_id)
        order by coalesce(i.ended_at, 'infinity') desc, i.created_at desc, i.intent_id
        """
    wanted = None if steps is None else list(steps)
    cursor = await conn.execute(query.encode(), (run_id, REPORT, wanted, wanted))
    return [_deed(row) for row in await cursor.fetchall()]


@dataclass(frozen=True)
class Lapsed:
    """One effect whose time is over and that has not been taken back."""

    intent_id: str
    run_id: str
    step: str
    lapsed_at: datetime
    unanswered: str | None
    """The approval of its taking back that expired, where one did and nobody asked again."""


async def lapsed(conn: Connection, action: str, until: str, *, again: timedelta) -> list[Lapsed]:
    """The effects of this action whose `until` has passed and that no person has been given to put right.

    What was refused since then is among them once that is `again` ago.
    """
    cursor = await conn.execute(
        """
        select i.intent_id, i.run_id, i.step, (i.result ->> %(until)s)::timestamptz as lapsed_at,
               (select a.approval_id from actions.intent c join actions.approval a using (intent_id)
                where c.compensates = i.intent_id and c.state = 'awaiting' and a.parked_until > core.now()
                limit 1) as unanswered
        from actions.intent i
        where i.action = %(action)s and i.state = 'done' and i.compensates is null
          and (i.result ->> %(until)s)::timestamptz <= core.now()
          and not exists (select from actions.intent c where c.compensates = i.intent_id
                          and c.created_at >= (i.result ->> %(until)s)::timestamptz
                          and c.ended_at > core.now() - %(again)s)
          and not exists (select from actions.errand e where e.intent_id = i.intent_id)
        order by i.ended_at limit 100
        """,
        {"action": action, "until": until, "again": again},
    )
    return [Lapsed(**row) for row in await cursor.fetchall()]


async def deed(conn: Connection, intent_id: str) -> Deed:
    """The effect of this intent as the ledger has it now."""
    cursor = await conn.execute(f"{_DEEDS} where i.intent_id = %s".encode(), (intent_id,))
    row = await cursor.fetchone()
    assert row is not None
    return _deed(row)


async def begun_before(conn: Connection, done: Deed) -> Deed | None:
    """The taking back of this effect that an ended run began and whose outcome nobody knows."""
    query = f"{_DEEDS} where i.compensates = %s and i.state in ('executing', 'in_doubt')"
    cursor = await conn.execute(query.encode(), (done.intent_id,))
    row = await cursor.fetchone()
    return None if row is None else _deed(row)


def _deed(row: Row) -> Deed:
    return Deed(
        intent_id=IntentId(row["intent_id"]),
        key=IntentKey(RunId(row["run_id"]), row["step"]),
        state=IntentState(row["state"]),
        action=row["action"],
        record=Record.from_json(row["record"]),
        result=row["result"],
        summary=row["summary"],
        ended_at=row["ended_at"],
        age=row["age"],
    )


def too_late(compensation: Compensation, done: Deed) -> str:
    """Why this can no longer be taken back, as a sentence; empty while it can."""
    if done.age <= compensation.within:
        return ""
    return f"It can be taken back for {_in_words(compensation.within)} only, and that time has passed."


def _in_words(span: timedelta) -> str:
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        count = int(span.total_seconds() // size)
        if count:
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{span.total_seconds():.0f} seconds"


async def obstacle(conn: Connection, catalogue: Catalogue, caller: Caller) -> tuple[str, str]:
    """Why a compensation may not begin now, as a cause and a sentence; empty where it may. Locks what it takes back."""
    if caller.compensates is None:
        return "", ""
    await conn.execute("select 1 from actions.intent where intent_id = %s for update", (caller.compensates,))
    done = await deed(conn, caller.compensates)
    compensation = catalogue.compensation_of(done.action)
    if done.state is not IntentState.DONE or compensation is None:
        return "not_there", "There is nothing left to take back: it is not done, or was taken back before."
    late = too_late(compensation, done)
    return ("too_late", late) if late else ("", "")


async def mark_taken_back(conn: Connection, caller: Caller, by: IntentId) -> None:
    """Write down that the effect `caller` takes back is compensated, in the transaction that ends its compensation."""
    if caller.compensates is None:
        return
    cursor = await conn.execute(
        "update actions.intent set state = %s where intent_id = %s and state = any(%s) returning run_id, step, action",
        (
            IntentState.COMPENSATED,
            caller.compensates,
            sorted(FOLLOWS[IntentState.COMPENSATED]),
        ),
    )
    row = await cursor.fetchone()
    if row is None:
        return
    found = await store.lock_intent(conn, IntentKey(RunId(row["run_id"]), row["step"]))
    assert found is not None
    await refresh_cards(conn, "approval", await approvals.last_of(conn, found.intent))
    ended = await grants.take_back(conn, caller.workspace, row["action"], _REVERSED)
    await audit.append(
        conn,
        caller.workspace,
        "effect.compensated",
        actor=audit.CODE,
        subject={**dict(row), "intent_id": caller.compensates},
        detail={"by": by, "undone_by_run": caller.run_id},
    )
    await grants.tell_taken_back(conn, caller.workspace, ended, _REVERSED)
