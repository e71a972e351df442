"""What an outside system of the sandbox did on request: each honoured key once, in a log that is never changed."""

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from bot.local.sandbox.answers import Declined, Json
from bot.local.sandbox.control_store import ControlStore
from bot.local.sandbox.database import writing
from bot.local.sandbox.received import Received

EFFECT_SCHEMA = """
CREATE TABLE IF NOT EXISTS effect_log (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, receiver_key TEXT, fingerprint TEXT NOT NULL,
    received_sha256 TEXT NOT NULL, created_at TEXT NOT NULL, asked TEXT NOT NULL, answer TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS effect_log_by_key ON effect_log (kind, receiver_key);
CREATE TRIGGER IF NOT EXISTS effect_log_is_never_changed BEFORE UPDATE ON effect_log
BEGIN SELECT RAISE(ABORT, 'effect_log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS effect_log_is_never_shortened BEFORE DELETE ON effect_log
BEGIN SELECT RAISE(ABORT, 'effect_log is append-only'); END;
"""


@dataclass(frozen=True, slots=True)
class Made:
    """The answer to one effect, and whether the system is to keep it to itself."""

    answer: Json
    unanswered: bool


class EffectLog:
    """The log of one system's effects, of several kinds."""

    def __init__(self, connection: sqlite3.Connection, control: ControlStore) -> None:
        self._connection = connection
        self._control = control

    def once(self, kind: str, asked: Json, received: Received, apply: Callable[[], Json]) -> Made:
        """What `apply` answers, once per honoured key; a repeat gets the first answer, a refusal changes nothing."""
        with writing(self._connection):
            earlier = self._logged(kind, received.key) if self._control.read().honour_keys else None
            if earlier is not None:
                return Made(_replayed(earlier, received), unanswered=False)
            answer = apply()
            self._append(kind, asked, received, answer)
            return Made(answer, unanswered=self._control.take_timeout())

    def _logged(self, kind: str, key: str | None) -> sqlite3.Row | None:
        return self._connection.execute(
            "SELECT * FROM main.effect_log WHERE kind = ? AND receiver_key = ? ORDER BY sequence LIMIT 1", (kind, key)
        ).fetchone()

    def _append(self, kind: str, asked: Json, received: Received, answer: Json) -> None:
        letter = (received.key, received.fingerprint, received.sha256, received.at.isoformat())
        self._connection.execute(
            """
            INSERT INTO main.effect_log
                (kind, receiver_key, fingerprint, received_sha256, created_at, asked, answer)
            VALUES (?, ?, ?, ?, ?, ?, ?)
            """,
            (kind, *letter, json.dumps(asked), json.dumps(answer)),
        )

    def under(self, kind: str, key: str) -> Json:
        """What was answered to the first effect of that kind that came with that key; raises Declined (404)."""
        row = self._logged(kind, key)
        if row is None:
            raise Declined(404, f"{kind}_not_found", f"No {kind} was made under the key {key}.")
        return json.loads(row["answer"])

    def all(self, kind: str) -> list[Json]:
        """Every effect of that kind, oldest first: what was asked, what was answered, and the hash of what came."""
        rows = self._connection.execute("SELECT * FROM main.effect_log WHERE kind = ? ORDER BY sequence", (kind,))
        return [
            {
                **json.loads(row["asked"]),
                **json.loads(row["answer"]),
                "sequence": row["sequence"],
                "key": row["receiver_key"],
                "received_sha256": row["received_sha256"],
                "created_at": row["created_at"],
            }
            for row in rows
        ]


def _replayed(earlier: sqlite3.Row, received: Received) -> Json:
    if earlier["fingerprint"] != received.fingerprint:
        message = f"The key {received.key} came before with another request. Use a new key for a new one."
        raise Declined(409, "idempotency_mismatch", message)
    return json.loads(earlier["answer"])
