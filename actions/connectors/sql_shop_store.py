"""The two functions and one table by which a shop's own Postgres is read and changed; the shop writes its side."""

import json
from datetime import timedelta
from typing import Any

from core.db import Connection


async def look(conn: Connection, what: str, query: dict[str, Any]) -> Any:
    """What the shop's `countersign.look` says of one thing; None where it has no such thing."""
    cursor = await conn.execute("select countersign.look(%s, %s::jsonb) as found", (what, json.dumps(query)))
    row = await cursor.fetchone()
    assert row is not None
    return row["found"]


async def act_once(conn: Connection, key: str, action: str, body: str, *, within: timedelta) -> Any:
    """The shop's answer to this change, made once under this key; the caller's transaction holds all of it.

    Whoever comes second under the same key waits for the first, and is given what the first was given; None when
    the key stands for another change.
    """
    # What we no longer wait for must not go on there and count in the end.
    limit = f"{int(within.total_seconds() * 1000)}ms"
    await conn.execute("select set_config('statement_timeout', %s, true)", (limit,))
    cursor = await conn.execute(
        """
        insert into countersign.effect (key, action, args_sha256)
        values (%(key)s, %(action)s, encode(sha256(convert_to(%(body)s, 'UTF8')), 'hex'))
        on conflict (key) do nothing returning key
        """,
        {"key": key, "action": action, "body": body},
    )
    if await cursor.fetchone() is None:
        return await _as_before(conn, key, action, body)
    cursor = await conn.execute(
        "update countersign.effect set reply = countersign.act(%(action)s, %(body)s::jsonb) where key = %(key)s"
        " returning reply",
        {"key": key, "action": action, "body": body},
    )
    row = await cursor.fetchone()
    assert row is not None
    return row["reply"]


async def _as_before(conn: Connection, key: str, action: str, body: str) -> Any:
    cursor = await conn.execute(
        "select reply from countersign.effect where key = %s and action = %s"
        " and args_sha256 = encode(sha256(convert_to(%s, 'UTF8')), 'hex')",
        (key, action, body),
    )
    row = await cursor.fetchone()
    return None if row is None else row["reply"]


async def reply_under(conn: Connection, key: str) -> Any:
    """What was answered under this key, or None where nothing ever came under it."""
    cursor = await conn.execute("select reply from countersign.effect where key = %s", (key,))
    row = await cursor.fetchone()
    return None if row is None else row["reply"]
