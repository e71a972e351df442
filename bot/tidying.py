"""Drops what the bot has long done with, so that its tables do not grow with every click."""

from bot.store import Deliveries, Outbox
from core.db import Database

#: How often it is looked what can go.
TIDY_SECONDS = 3600.0
_AT_ONCE = 1000
_MOST_STEPS = 100


class Tidying:
    """Drops old deliveries and renderings in small steps, which nobody else has to wait for."""

    def __init__(self, database: Database) -> None:
        self._tables = (Deliveries(database), Outbox(database))

    async def look(self) -> None:
        """Drop what is old, and leave the rest of a great deal for the next time."""
        for table in self._tables:
            for _ in range(_MOST_STEPS):
                if await table.forget_old(_AT_ONCE) < _AT_ONCE:
                    break
