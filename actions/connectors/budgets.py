"""Our own budgets as a receiver of raises: each is made once per key, in the same database."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from actions.catalogue.budget_raise import Raise
from actions.connector import EffectClass, Inconclusive, Outbound, OutcomeUnknown, Rejected, Reply
from actions.connectors.wire import compact
from actions.intent import Record
from core.db import Connection, Database, DatabaseError

_WINDOW = timedelta(seconds=10)
#: Each unit with the measure it counts, and how many of its smallest parts it has.
UNITS: Mapping[str, tuple[str, int]] = {
    "US cents": ("micro", 10_000),
    "tokens": ("tokens", 1),
    "steps": ("steps", 1),
    "actions": ("actions", 1),
    "minutes": ("milliseconds", 60_000),
}

RaiseCeiling = Callable[[Connection, str, Mapping[str, Any]], Awaitable[bool]]
WasRaised = Callable[[Connection, str], Awaitable[bool]]


class BudgetsConnector:
    """Raises budgets by the given functions of those who keep them."""

    name = "budgets"
    settles = EffectClass.KEYED
    key_retention: timedelta | None = None

    def __init__(
        self,
        database: Database,
        raise_ceiling: RaiseCeiling,
        was_raised: WasRaised,
        *,
        account: str,
        sandbox: bool,
        window: timedelta = _WINDOW,
    ) -> None:
        self._database = database
        self._raise_ceiling = raise_ceiling
        self._was_raised = was_raised
        self.account = account
        self.sandbox = sandbox
        self.window = window

    def request(self, record: Record, receiver_key: str) -> Outbound:
        """The raise in the smallest parts of its measure, purely; raises Rejected for anything but a budget.raise."""
        try:
            asked = Raise.model_validate(record.args) if record.action == "budget.raise" else None
        except ValidationError:
            asked = None
        if asked is None:
            raise Rejected(f"Budgets cannot do this {record.action}. Ask for it anew.", code="not_expressible")
        measure, parts = UNITS[asked.unit]
        body = {
            "key": receiver_key,
            "raise": {
                "workspace": self.account,
                "scope": asked.budget,
                "subject": asked.whose,
                "period": asked.period,
                "measure": measure,
                "amount": asked.amount * parts,
            },
        }
        return Outbound("POST", "budgets/raise", compact(body), {})

    async def send(self, outbound: Outbound, *, timeout: timedelta) -> Reply:
        """Raise it unless that was done under this key; raises OutcomeUnknown."""
        body = json.loads(outbound.body)
        try:
            async with asyncio.timeout(timeout.total_seconds()), self._database.transaction() as conn:
                await self._raise_ceiling(conn, body["key"], body["raise"])
        except (DatabaseError, TimeoutError) as error:
            raise OutcomeUnknown("The budget could not be written for certain. It is asked again.") from error
        return {"key": body["key"]}

    async def find(self, record: Record, receiver_key: str) -> Reply | None:
        """The raise made under this key, or None; raises Inconclusive."""
        del record
        try:
            async with asyncio.timeout(self.window.total_seconds()), self._database.connection() as conn:
                return {"key": receiver_key} if await self._was_raised(conn, receiver_key) else None
        except (DatabaseError, TimeoutError) as error:
            raise Inconclusive("The budgets cannot be read now. Ask again later.") from error

    async def is_healthy(self) -> bool:
        """True when budgets can be read now."""
        try:
            async with asyncio.timeout(3), self._database.connection() as conn:
                await self._was_raised(conn, "health")
        except (DatabaseError, TimeoutError):
            return False
        return True
