"""Recomputes the audit chain outside the database, from its rows alone."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from core.db import Connection


@dataclass(frozen=True)
class Link:
    """One audit event as anybody who may read the table can export it."""

    workspace: str
    seq: int
    at: datetime
    event: str
    actor: str
    subject: str
    detail: str
    prev: bytes
    hash: bytes

    def expected(self, prev: bytes) -> bytes:
        """SHA-256 over the previous hash and the length-prefixed fields."""
        stamp = self.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        fields = (self.workspace, str(self.seq), stamp, self.event, self.actor, self.subject, self.detail)
        encoded = [field.encode() for field in fields]
        return hashlib.sha256(prev + b"".join(b"%d:%s" % (len(field), field) for field in encoded)).digest()


async def links(conn: Connection, workspace: str) -> list[Link]:
    """The workspace's events in order."""
    cursor = await conn.execute(
        """
        select workspace, seq, at, event, actor::text, subject::text, detail::text, prev, hash
        from core.audit where workspace = %s order by seq
        """,
        (workspace,),
    )
    return [Link(**row) for row in await cursor.fetchall()]


def first_fault(chain: Sequence[Link]) -> int | None:
    """The place (counted from 1) of the first row that does not follow from those before it, or None."""
    prev = b""
    for place, link in enumerate(chain, 1):
        if link.seq != place or link.prev != prev or link.hash != link.expected(prev):
            return place
        prev = link.hash
    return None


async def head(conn: Connection, workspace: str) -> tuple[int, bytes]:
    """What the database says the newest event is."""
    cursor = await conn.execute("select seq, hash from core.audit_head where workspace = %s", (workspace,))
    row = await cursor.fetchone()
    assert row is not None
    return row["seq"], row["hash"]
