"""Owes messages under our own key in the outbox, and reads what became of them."""

from dataclasses import dataclass
from typing import Literal

from core.db import Connection
from core.outbox import Conversation, owe_words


@dataclass(frozen=True)
class Fate:
    """What became of one message that is owed."""

    state: Literal["owed", "sending", "sent", "undelivered"]
    channel: str
    ts: str | None
    error: str | None


async def owe(conn: Connection, conversation: Conversation, text: str, receiver_key: str) -> None:
    """Owe `conversation` this message once for ever: a second call with the same key owes nothing more."""
    await owe_words(conn, conversation, words=text, receiver_key=receiver_key)


async def fate(conn: Connection, receiver_key: str) -> Fate | None:
    """What became of the message owed under this key, or None when none was ever owed under it."""
    cursor = await conn.execute(
        "select state, channel, ts, error from core.outbox where receiver_key = %s", (receiver_key,)
    )
    row = await cursor.fetchone()
    return None if row is None else Fate(row["state"], row["channel"], row["ts"], row["error"])
