"""The sandbox mailbox's and the outgoing mail's own databases: what arrived, where it lies, and what was sent."""

import hashlib
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from actions.mime import MOST_BYTES, read_mail
from bot.local.sandbox.answers import Declined, Json
from bot.local.sandbox.control_store import CONTROL_SCHEMA, ControlStore
from bot.local.sandbox.database import connect, database_path, writing
from bot.local.sandbox.effects import EFFECT_SCHEMA, EffectLog, Made
from bot.local.sandbox.received import Received

_SCHEMA = """
CREATE TABLE IF NOT EXISTS message (
    number INTEGER PRIMARY KEY AUTOINCREMENT, message_id TEXT NOT NULL, raw BLOB NOT NULL, size INTEGER NOT NULL,
    is_verified INTEGER NOT NULL, received_at TEXT NOT NULL, folder TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS message_by_id ON message (message_id);
CREATE INDEX IF NOT EXISTS message_by_folder ON message (folder, number);
"""


class FilingBody(BaseModel):
    """The body of `POST /mailbox/filings`."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    message_id: str
    folder: str


class MailBody(BaseModel):
    """The body of `POST /mail/messages`."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    to: str
    subject: str
    text: str
    in_reply_to: str | None
    references: list[str]


class MailboxStore:
    """Everything the sandbox mailbox holds."""

    def __init__(self, home: Path) -> None:
        self._connection = connect(database_path(home, "mailbox"), _SCHEMA + EFFECT_SCHEMA + CONTROL_SCHEMA)
        self.control = ControlStore(self._connection)
        self.filings = EffectLog(self._connection, self.control)

    def close(self) -> None:
        """Close the file; nothing acknowledged is lost without it."""
        self._connection.close()

    def deliver(self, raw: bytes, *, is_verified: bool, at: datetime) -> str:
        """Put an arrived mail into INBOX, as often as it arrives, and give its id."""
        message_id = read_mail(raw, received_at=at, is_verified=is_verified).message_id
        with writing(self._connection):
            self._connection.execute(
                """
                INSERT INTO main.message (message_id, raw, size, is_verified, received_at, folder)
                VALUES (?, ?, ?, ?, ?, 'INBOX')
                """,
                (message_id, raw, len(raw), is_verified, at.isoformat()),
            )
        return message_id

    def is_empty(self) -> bool:
        """True when nothing has ever arrived."""
        return not self._connection.execute("SELECT EXISTS (SELECT 1 FROM main.message)").fetchone()[0]

    def messages(self, folder: str | None, message_id: str | None, limit: int) -> list[Json]:
        """Up to `limit` mails in short, oldest first, of a folder or of one id where they are named."""
        rows = self._connection.execute(
            """
            SELECT number, message_id, size, is_verified, received_at, folder FROM main.message
            WHERE (:folder IS NULL OR folder = :folder) AND (:message_id IS NULL OR message_id = :message_id)
            ORDER BY number LIMIT :limit
            """,
            {"folder": folder, "message_id": message_id, "limit": limit},
        )
        return [{**dict(row), "is_verified": bool(row["is_verified"])} for row in rows]

    def raw(self, number: int) -> bytes:
        """The beginning of the mail's bytes, as much as is worth reading; raises Declined (404)."""
        row = self._connection.execute(
            "SELECT substr(raw, 1, ?) AS raw FROM main.message WHERE number = ?", (MOST_BYTES, number)
        ).fetchone()
        if row is None:
            raise Declined(404, "message_not_found", f"The mailbox has no mail number {number}.")
        return bytes(row["raw"])

    def file(self, body: FilingBody, received: Received) -> Made:
        """Put every mail of that id into the folder, once per honoured key, or raise Declined (404)."""
        return self.filings.once("filing", body.model_dump(), received, lambda: self._file(body))

    def _file(self, body: FilingBody) -> Json:
        row = self._connection.execute(
            "SELECT folder FROM main.message WHERE message_id = ? ORDER BY number DESC LIMIT 1", (body.message_id,)
        ).fetchone()
        if row is None:
            raise Declined(404, "message_not_found", f"The mailbox has no mail {body.message_id}.")
        self._connection.execute(
            "UPDATE main.message SET folder = ? WHERE message_id = ?", (body.folder, body.message_id)
        )
        return {"message_id": body.message_id, "folder": body.folder, "was": row["folder"]}


class OutgoingStore:
    """Everything the sandbox's outgoing mail server has sent: nothing leaves the machine."""

    def __init__(self, home: Path) -> None:
        self._connection = connect(database_path(home, "mail"), EFFECT_SCHEMA + CONTROL_SCHEMA)
        self.control = ControlStore(self._connection)
        self.sent = EffectLog(self._connection, self.control)

    def close(self) -> None:
        """Close the file; nothing acknowledged is lost without it."""
        self._connection.close()

    def send(self, body: MailBody, received: Received) -> Made:
        """Take the mail once per honoured key, under a Message-ID that comes from the key."""
        name = hashlib.sha256((received.key or received.sha256).encode()).hexdigest()[:24]
        return self.sent.once("mail", body.model_dump(), received, lambda: {"message_id": f"<{name}@sandbox.invalid>"})
