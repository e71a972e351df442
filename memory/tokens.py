"""Tokens by which people's own tools use their memory: shown once, kept as a hash, ended by time or by their owner."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from core import audit
from core.db import Connection, Database

LASTS = timedelta(days=90)
_PREFIX = "csm_"


@dataclass(frozen=True)
class Holder:
    """Whose token it is, and until when."""

    workspace: str
    user_id: str
    expires_at: datetime


async def make_token(conn: Connection, workspace: str, user_id: str, *, actor: Mapping[str, Any] | None = None) -> str:
    """A new token of this person; the ones they had end."""
    token = _PREFIX + secrets.token_urlsafe(32)
    await revoke_tokens(conn, workspace, user_id)
    await conn.execute(
        "insert into memory.token (token_hash, workspace, user_id, expires_at) values (%s, %s, %s, core.now() + %s)",
        (_hash(token), workspace, user_id, LASTS),
    )
    audit.append_at_end(
        conn, workspace, "memory.token_made", actor=actor or audit.person(user_id), subject={"user_id": user_id}
    )
    return token


async def revoke_tokens(conn: Connection, workspace: str, user_id: str) -> int:
    """End every token of this person; how many there were."""
    cursor = await conn.execute(
        """
        update memory.token set revoked_at = core.now()
        where workspace = %s and user_id = %s and revoked_at is null
        """,
        (workspace, user_id),
    )
    return cursor.rowcount


async def holder_of(database: Database, token: str) -> Holder | None:
    """Whose token this is, while it holds."""
    async with database.connection() as conn:
        cursor = await conn.execute(
            """
            select workspace, user_id, expires_at from memory.token
            where token_hash = %s and revoked_at is null and expires_at > core.now()
            """,
            (_hash(token),),
        )
        row = await cursor.fetchone()
    return None if row is None else Holder(row["workspace"], row["user_id"], row["expires_at"])


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
