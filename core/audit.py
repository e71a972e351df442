"""Appends what can never be altered: who did or decided what, when and why."""

from collections.abc import Mapping
from typing import Any

from core.db import Connection, jsonb

#: The actor of what no person did.
CODE: Mapping[str, Any] = {"kind": "code"}


def person(user_id: str) -> dict[str, Any]:
    """The actor of what a person of Slack did."""
    return {"kind": "person", "user_id": user_id}


async def append(
    conn: Connection,
    workspace: str,
    event: str,
    *,
    actor: Mapping[str, Any],
    subject: Mapping[str, Any],
    detail: Mapping[str, Any] | None = None,
) -> int:
    """Append one audit event and return its number; call it last in a transaction, for it locks the chain's head."""
    cursor = await conn.execute(
        "select core.audit_append(%s, %s, %s, %s, %s) as seq",
        (workspace, event, jsonb(dict(actor)), jsonb(dict(subject)), jsonb(dict(detail or {}))),
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row["seq"])


async def recent(conn: Connection, limit: int) -> list[dict[str, Any]]:
    """The newest audit events of every workspace, as plain data for listings."""
    cursor = await conn.execute(
        """
        select workspace, seq, at, event, actor, subject, detail, encode(hash, 'hex') as hash
        from core.audit order by at desc, seq desc limit %s
        """,
        (limit,),
    )
    return [{**row, "at": row["at"].isoformat()} for row in await cursor.fetchall()]
