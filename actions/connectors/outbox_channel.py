"""Slack as a receiver of messages: through our own outbox, which honours our key for ever."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from actions.catalogue.message_post import Message
from actions.connector import (
    EffectClass,
    Inconclusive,
    Outbound,
    OutcomeUnknown,
    Rejected,
    Reply,
    StillOpen,
)
from actions.connectors import outbox_store
from actions.connectors.outbox_store import Fate
from actions.connectors.wire import compact
from actions.intent import Record
from core.db import Connection, Database, DatabaseError
from core.ids import CardId
from core.outbox import Conversation

_WINDOW = timedelta(seconds=10)


class OutboxChannel:
    """Posts messages by owing them; the receipt is Slack's own ts once the outbox has delivered."""

    name = "slack"
    settles = EffectClass.KEYED
    key_retention: timedelta | None = None

    def __init__(self, database: Database, *, account: str, sandbox: bool, window: timedelta = _WINDOW) -> None:
        self._database = database
        self.account = account
        self.sandbox = sandbox
        self.window = window

    def request(self, record: Record, receiver_key: str) -> Outbound:
        """The message as the outbox takes it, purely; raises Rejected for anything but a message.post."""
        message = _message(record)
        body = {"message": message.model_dump(mode="json"), "receiver_key": receiver_key}
        return Outbound("POST", f"outbox/{message.workspace}/{message.channel}", compact(body), {})

    async def send(self, outbound: Outbound, *, timeout: timedelta) -> Reply:
        """Owe the message unless it is owed already; raises StillOpen until Slack has it, Rejected if it never will."""
        body = json.loads(outbound.body)
        key: str = body["receiver_key"]
        message = Message.model_validate(body["message"])

        async def owe(conn: Connection) -> Fate | None:
            await outbox_store.owe(conn, _conversation(message), message.text, key)
            return await outbox_store.fate(conn, key)

        try:
            became = await self._within(timeout, owe)
        except (DatabaseError, TimeoutError) as error:
            raise OutcomeUnknown("The outbox could not be written for certain. It is asked again.") from error
        if became is None:
            raise OutcomeUnknown("The outbox does not show what was just written. It is asked again.")
        if became.state == "undelivered":
            raise Rejected(f"Slack did not take the message: {became.error}.", code=became.error or "undelivered")
        return _receipt(became)

    async def find(self, record: Record, receiver_key: str) -> Reply | None:
        """Slack's ts, or None when no message is or will be there; raises StillOpen or Inconclusive."""
        try:
            became = await self._within(self.window, lambda conn: outbox_store.fate(conn, receiver_key))
        except (DatabaseError, TimeoutError) as error:
            raise Inconclusive("The outbox cannot be read now. Ask again later.") from error
        return None if became is None or became.state == "undelivered" else _receipt(became)

    async def is_healthy(self) -> bool:
        """True when the outbox can be read now; whether Slack listens is the sender's business."""
        try:
            await self._within(timedelta(seconds=3), lambda conn: outbox_store.fate(conn, "health"))
        except (DatabaseError, TimeoutError):
            return False
        return True

    async def _within(self, window: timedelta, work: Callable[[Connection], Awaitable[Fate | None]]) -> Fate | None:
        async with asyncio.timeout(window.total_seconds()), self._database.transaction() as conn:
            return await work(conn)


def _receipt(became: Fate) -> dict[str, Any]:
    if became.state != "sent" or became.ts is None:
        raise StillOpen("The message waits for its turn: Slack takes about one a second. Nothing needs to be done.")
    return {"channel": became.channel, "ts": became.ts}


def _conversation(message: Message) -> Conversation:
    root = None if message.root is None else CardId(message.root)
    return Conversation(message.workspace, message.channel, message.thread_ts, root)


def _message(record: Record) -> Message:
    if record.action != "message.post":
        raise Rejected(f"The outbox cannot do {record.action}.", code="not_expressible")
    try:
        return Message.model_validate(record.args)
    except ValidationError as error:
        message = "This message cannot be written for Slack. Ask for it anew."
        raise Rejected(message, code="not_expressible") from error
