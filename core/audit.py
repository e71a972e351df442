"""Appends what can never be altered: who did or decided what, when and why."""

import json
import re
from collections.abc import Mapping
from typing import Any

from core.db import Connection, DatabaseError, is_outage, jsonb, settle
from core.errors import CountersignError
from core.subjects import LEFT_OUT

#: The actor of what no person did.
CODE: Mapping[str, Any] = {"kind": "code"}

#: Details that hold what somebody wrote, or may repeat it. They enter the chain as ciphertext only.
PRIVATE = frozenset({"reason", "text", "words", "summary", "outcome", "error", "why"})

#: Whose key it is where a text is of nobody in particular.
NOBODY = "nobody"

_MENTION = re.compile(r"<@([UW][A-Z0-9]+)>")


class AuditUnwritable(CountersignError):
    """An audit event could not be appended, so what it tells of was not done either."""


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
    whose: str = "",
) -> int:
    """Append one audit event and return its number; call it last in a transaction, for it locks the chain's head.

    The details named in PRIVATE are sealed under the key of `whose` (the actor where nobody is named) and of everybody
    they mention, so that `erase` of any of them makes them unreadable.
    """
    await settle(conn)
    return await _append(conn, workspace, event, actor=actor, subject=subject, detail=detail or {}, whose=whose)


def append_at_end(
    conn: Connection,
    workspace: str,
    event: str,
    *,
    actor: Mapping[str, Any],
    subject: Mapping[str, Any],
    detail: Mapping[str, Any] | None = None,
    whose: str = "",
) -> None:
    """As `append`, at the end of the transaction: for code that does not know whether other statements follow."""

    async def later() -> int:
        return await _append(conn, workspace, event, actor=actor, subject=subject, detail=detail or {}, whose=whose)

    conn.owed.append(later)


async def _append(
    conn: Connection,
    workspace: str,
    event: str,
    *,
    actor: Mapping[str, Any],
    subject: Mapping[str, Any],
    detail: Mapping[str, Any],
    whose: str,
) -> int:
    whose = whose or str(actor.get("user_id", "")) or NOBODY
    sealed = await _sealed(conn, workspace, event, whose, detail)
    try:
        cursor = await conn.execute(
            "select core.audit_append(%s, %s, %s, %s, %s) as seq",
            (workspace, event, jsonb(dict(actor)), jsonb(dict(subject)), jsonb(sealed)),
        )
    except DatabaseError as error:
        if is_outage(error):
            raise
        raise AuditUnwritable(f"the audit log refused {event}: {str(error).splitlines()[0]}") from error
    row = await cursor.fetchone()
    assert row is not None
    return int(row["seq"])


async def _sealed(
    conn: Connection, workspace: str, event: str, whose: str, detail: Mapping[str, Any]
) -> dict[str, Any]:
    sealed = dict(detail)
    for name in sorted(PRIVATE & detail.keys()):
        if not detail[name]:
            continue
        text = detail[name] if isinstance(detail[name], str) else json.dumps(detail[name], ensure_ascii=False)
        people = dict.fromkeys([whose, *_MENTION.findall(text)])
        sealed[name] = (
            dict(LEFT_OUT)
            if conn.vault is None
            else await conn.vault.seal(conn, workspace, list(people), about=f"{event} {name}", text=text)
        )
    return sealed


async def erase(conn: Connection, workspace: str, user_id: str, *, actor: Mapping[str, Any]) -> int:
    """Destroy every key of this person, with the event that tells of it; how many texts' keys there were.

    What they wrote can be read by nobody afterwards, and the chain verifies as before.
    """
    await settle(conn)
    cursor = await conn.execute(
        "select core.subject_erase(%s, %s, %s) as many", (workspace, user_id, jsonb(dict(actor)))
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row["many"])


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
