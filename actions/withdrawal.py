"""Approvals that need no answer any more: superseded or cancelled, each with the audit event that says why."""

from typing import Any, Literal

from core import audit
from core.db import Connection, Row
from core.ids import ApprovalId, IntentId, RunId

_TOLD = "a.approval_id, a.revision, a.digest, a.decision, i.run_id, i.step, i.intent_id, i.workspace, i.action"


async def supersede_asked(conn: Connection, approval_id: ApprovalId) -> None:
    """Take an approval out of force because policy asks for more today."""
    await _supersede(conn, "a.approval_id = %s", approval_id, why="policy_is_stricter")


async def supersede_of(conn: Connection, intent_id: IntentId) -> None:
    """Take whatever was asked or agreed about this intent out of force, for its arguments change."""
    await _supersede(conn, "a.intent_id = %s", intent_id, why="arguments_changed")


async def cancel_asked(conn: Connection, run_id: RunId) -> list[str]:
    """Stop asking what a run that ends still asks; the approvals that are no longer asked."""
    query = f"""
        update actions.approval a set state = 'cancelled', decided_at = core.now() from actions.intent i
        where a.intent_id = i.intent_id and i.run_id = %s and a.state = 'pending' returning {_TOLD}
        """
    cursor = await conn.execute(query.encode(), (run_id,))
    rows = await cursor.fetchall()
    for row in rows:
        _tell(conn, row, "approval.cancelled", cause="run_ended")
    return [row["approval_id"] for row in rows]


async def cancel_unsent(conn: Connection, run_id: RunId) -> list[str]:
    """Take back every wish of a run that nothing was sent for; the approvals that were given or expired for them."""
    cursor = await conn.execute(
        """
        update actions.intent i set state = 'cancelled', ended_at = core.now(), cause = 'cancelled'
        from actions.revision r
        where i.run_id = %s and i.state in ('prepared', 'awaiting')
          and r.intent_id = i.intent_id and r.revision = i.revision
        returning i.run_id, i.step, i.intent_id, i.revision, i.action, i.workspace, r.digest
        """,
        (run_id,),
    )
    rows = await cursor.fetchall()
    for row in rows:
        subject = {name: row[name] for name in ("run_id", "step", "intent_id", "revision", "action")}
        detail = {"digest": row["digest"], "cause": "run_ended"}
        audit.append_at_end(
            conn, row["workspace"], "effect.cancelled", actor=audit.CODE, subject=subject, detail=detail
        )
    cursor = await conn.execute(
        "select approval_id from actions.approval where intent_id = any(%s) and state in ('approved', 'expired')"
        " order by approval_id",
        ([row["intent_id"] for row in rows],),
    )
    return [row["approval_id"] for row in await cursor.fetchall()]


async def _supersede(
    conn: Connection, which: Literal["a.approval_id = %s", "a.intent_id = %s"], value: str, *, why: str
) -> None:
    query = f"""
        update actions.approval a set state = 'superseded', decided_at = core.now() from actions.intent i
        where a.intent_id = i.intent_id and {which} and a.state in ('pending', 'approved') returning {_TOLD}
        """
    cursor = await conn.execute(query.encode(), (value,))
    for row in await cursor.fetchall():
        _tell(conn, row, "approval.superseded", cause=why)


def _tell(conn: Connection, row: Row, event: str, *, cause: str) -> None:
    # At the end of the transaction: more is written after this, and an append locks the chain's head.
    subject: dict[str, Any] = {
        name: row[name] for name in ("run_id", "step", "intent_id", "approval_id", "revision", "action")
    }
    version = row["decision"]["policy_version"]
    detail = {"digest": row["digest"], "asked_under": version, "cause": cause}
    audit.append_at_end(conn, row["workspace"], event, actor=audit.CODE, subject=subject, detail=detail)
