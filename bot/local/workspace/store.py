"""What this server must not forget: once a call is answered `ok`, a killed process still has it."""

import json
import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from bot.local.workspace.json_value import Json, dump
from core.errors import CountersignError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS message (
    channel TEXT NOT NULL, ts TEXT NOT NULL, thread_ts TEXT, audience TEXT, broadcast INTEGER NOT NULL,
    body TEXT NOT NULL, PRIMARY KEY (channel, ts)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS message_of_thread ON message (channel, thread_ts, ts);
CREATE TABLE IF NOT EXISTS event (
    event_id TEXT PRIMARY KEY, body TEXT NOT NULL, attempt INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS response_url (
    id TEXT PRIMARY KEY, place TEXT NOT NULL, uses_left INTEGER NOT NULL, expires_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS home (user TEXT PRIMARY KEY, view TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS session (
    channel TEXT NOT NULL, thread_ts TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (channel, thread_ts)
);
CREATE TABLE IF NOT EXISTS file (id TEXT PRIMARY KEY, body TEXT NOT NULL, content BLOB NOT NULL);
"""


class StoreUnusable(CountersignError):
    """The workspace's database cannot be opened."""


@dataclass(frozen=True)
class Message:
    """A stored message: where it stands, who alone may see it (`audience`), and its JSON."""

    channel: str
    ts: str
    body: Json
    thread_ts: str | None = None
    audience: str | None = None
    broadcast: bool = False

    def with_body(self, body: Json) -> "Message":
        """The same message with other contents."""
        return replace(self, body=body)


@dataclass(frozen=True)
class Span:
    """Which messages of a conversation are asked for; the bounds are timestamps."""

    oldest: str = "0"
    latest: str = "9999999999.999999"
    inclusive: bool = False
    limit: int = 100
    audience: str | None = field(default=None)


@dataclass(frozen=True)
class PendingEvent:
    """An event the bot has not acknowledged, and how often it was sent."""

    event_id: str
    body: Json
    attempt: int = 0


class Store:
    """The workspace's memory in one SQLite file; every write is on disk when its method returns."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=0.5)
            # One process owns the file: a second workspace on it would send every event twice.
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise StoreUnusable(
                f"The workspace database {path} cannot be used ({error}). "
                "Stop the other workspace that uses it, or name another file."
            ) from error

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    @contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection, None, None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # Messages

    def put_message(self, message: Message, events: Sequence[PendingEvent] = ()) -> None:
        """Keep a message, new or changed, together with the events that tell of it."""
        with self._transaction() as db:
            db.execute(
                "INSERT INTO message (channel, ts, thread_ts, audience, broadcast, body) "
                "VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (channel, ts) DO UPDATE SET body = excluded.body, broadcast = excluded.broadcast",
                (
                    message.channel,
                    message.ts,
                    message.thread_ts,
                    message.audience,
                    message.broadcast,
                    dump(message.body),
                ),
            )
            _add_events(db, events)

    def remove_message(self, channel: str, ts: str, *, events: Sequence[PendingEvent] = ()) -> None:
        """Forget a message, together with keeping the events that tell of it."""
        with self._transaction() as db:
            db.execute("DELETE FROM message WHERE channel = ? AND ts = ?", (channel, ts))
            _add_events(db, events)

    def message(self, channel: str, ts: str) -> Message | None:
        """The message of a channel and timestamp, ephemeral or not."""
        row = self._db.execute(
            "SELECT channel, ts, thread_ts, audience, broadcast, body FROM message WHERE channel = ? AND ts = ?",
            (channel, ts),
        ).fetchone()
        return _message(row) if row else None

    def history(self, channel: str, span: Span) -> list[Message]:
        """Messages that stand in the channel itself, newest first, one more than the limit if there are."""
        rows = self._db.execute(
            "SELECT channel, ts, thread_ts, audience, broadcast, body FROM message "
            "WHERE channel = ? AND (thread_ts IS NULL OR thread_ts = ts OR broadcast) "
            "AND (audience IS NULL OR audience = ?) "
            "AND (ts > ? OR (? AND ts = ?)) AND (ts < ? OR (? AND ts = ?)) ORDER BY ts DESC LIMIT ?",
            (channel, span.audience, *_bounds(span), span.limit + 1),
        ).fetchall()
        return [_message(row) for row in rows]

    def replies(self, channel: str, thread_ts: str, *, span: Span) -> list[Message]:
        """A thread, its parent first, oldest first, one more than the limit if there are."""
        rows = self._db.execute(
            "SELECT channel, ts, thread_ts, audience, broadcast, body FROM message "
            "WHERE channel = ? AND (ts = ? OR (thread_ts = ? "
            "AND (ts > ? OR (? AND ts = ?)) AND (ts < ? OR (? AND ts = ?)))) "
            "AND (audience IS NULL OR audience = ?) ORDER BY ts LIMIT ?",
            (channel, thread_ts, thread_ts, *_bounds(span), span.audience, span.limit + 1),
        ).fetchall()
        return [_message(row) for row in rows]

    def thread_summary(self, channel: str, thread_ts: str) -> Json:
        """Slack's counts of the replies under a message; empty when there are none."""
        rows = self._db.execute(
            "SELECT ts, json_extract(body, '$.user') FROM message "
            "WHERE channel = ? AND thread_ts = ? AND ts <> thread_ts AND audience IS NULL ORDER BY ts",
            (channel, thread_ts),
        ).fetchall()
        if not rows:
            return {}
        users = list(dict.fromkeys(str(user) for _, user in rows))
        return {
            "thread_ts": thread_ts,
            "reply_count": len(rows),
            "reply_users_count": len(users),
            "reply_users": users[:5],
            "latest_reply": str(rows[-1][0]),
            "subscribed": False,
        }

    def latest_ts(self, channel: str | None = None) -> str:
        """The timestamp of the newest message of a channel that all may see, or of all; `0` when none."""
        row = self._db.execute(
            "SELECT max(ts) FROM message WHERE :channel IS NULL OR (channel = :channel AND audience IS NULL)",
            {"channel": channel},
        ).fetchone()
        return str(row[0] or "0")

    # Events

    def pending_events(self) -> list[PendingEvent]:
        """Events that are still owed to the bot, oldest first."""
        rows = self._db.execute("SELECT event_id, body, attempt FROM event ORDER BY rowid").fetchall()
        return [PendingEvent(str(row[0]), json.loads(row[1]), int(row[2])) for row in rows]

    def add_events(self, events: Sequence[PendingEvent]) -> None:
        """Keep events that belong to no message."""
        with self._transaction() as db:
            _add_events(db, events)

    def note_attempt(self, event_id: str, attempt: int) -> None:
        """Keep how often an event was sent."""
        with self._transaction() as db:
            db.execute("UPDATE event SET attempt = ? WHERE event_id = ?", (attempt, event_id))

    def settle_event(self, event_id: str) -> None:
        """Forget an event that was acknowledged or given up."""
        with self._transaction() as db:
            db.execute("DELETE FROM event WHERE event_id = ?", (event_id,))

    # Response addresses

    def add_response_url(self, url_id: str, place: Json, *, expires_at: float) -> None:
        """Keep where a response address leads and until when (seconds since the epoch)."""
        with self._transaction() as db:
            db.execute(
                "INSERT INTO response_url (id, place, uses_left, expires_at) VALUES (?, ?, 5, ?)",
                (url_id, dump(place), expires_at),
            )

    def use_response_url(self, url_id: str, now: float) -> Json | None:
        """Where the address leads, having used it up by one; None when unknown, expired or used up."""
        with self._transaction() as db:
            row = db.execute(
                "UPDATE response_url SET uses_left = uses_left - 1 "
                "WHERE id = ? AND uses_left > 0 AND expires_at > ? RETURNING place",
                (url_id, now),
            ).fetchone()
        return json.loads(row[0]) if row else None

    # Homes, sessions, files

    def put_home(self, user: str, view: Json) -> None:
        """Keep the Home view published for a person."""
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO home (user, view) VALUES (?, ?)", (user, dump(view)))

    def home(self, user: str) -> Json | None:
        """The Home view published for a person."""
        row = self._db.execute("SELECT view FROM home WHERE user = ?", (user,)).fetchone()
        return json.loads(row[0]) if row else None

    def put_session(self, channel: str, thread_ts: str, *, body: Json) -> None:
        """Keep the state of an agent session."""
        with self._transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO session (channel, thread_ts, body) VALUES (?, ?, ?)",
                (channel, thread_ts, dump(body)),
            )

    def session(self, channel: str, thread_ts: str) -> Json | None:
        """The state of an agent session."""
        row = self._db.execute(
            "SELECT body FROM session WHERE channel = ? AND thread_ts = ?", (channel, thread_ts)
        ).fetchone()
        return json.loads(row[0]) if row else None

    def sessions(self, channel: str) -> list[Json]:
        """The agent sessions of a channel."""
        rows = self._db.execute("SELECT body FROM session WHERE channel = ?", (channel,)).fetchall()
        return [json.loads(row[0]) for row in rows]

    def put_file(self, file_id: str, body: Json, *, content: bytes) -> None:
        """Keep an uploaded file."""
        with self._transaction() as db:
            db.execute("INSERT INTO file (id, body, content) VALUES (?, ?, ?)", (file_id, dump(body), content))

    def file(self, file_id: str) -> tuple[Json, bytes] | None:
        """An uploaded file: what is known of it, and its bytes."""
        row = self._db.execute("SELECT body, content FROM file WHERE id = ?", (file_id,)).fetchone()
        return (json.loads(row[0]), bytes(row[1])) if row else None


def _bounds(span: Span) -> tuple[str, bool, str, str, bool, str]:
    return (span.oldest, span.inclusive, span.oldest, span.latest, span.inclusive, span.latest)


def _add_events(db: sqlite3.Connection, events: Sequence[PendingEvent]) -> None:
    db.executemany(
        "INSERT INTO event (event_id, body, attempt) VALUES (?, ?, ?)",
        [(event.event_id, dump(event.body), event.attempt) for event in events],
    )


def _message(row: tuple[str, str, str | None, str | None, int, str]) -> Message:
    channel, ts, thread_ts, audience, broadcast, body = row
    return Message(
        channel=channel,
        ts=ts,
        body=json.loads(body),
        thread_ts=thread_ts,
        audience=audience,
        broadcast=bool(broadcast),
    )
