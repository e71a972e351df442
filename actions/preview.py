"""What an effect will change, by the trusted records, before anybody agrees; it informs and is in nobody's way."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from actions import history
from actions.ground import Ground
from actions.outcome import Wish
from core.db import Database

_SECONDS = 3.0

log = logging.getLogger(__name__)

AWAY = "The records cannot be read now, so what this changes is not shown."


@dataclass(frozen=True)
class Preview:
    """Each thing that changes with how it stands and how it will stand, or why that cannot be told."""

    changes: tuple[tuple[str, str, str], ...] = ()
    """A label, before, after."""
    away: str = ""

    def to_json(self) -> dict[str, Any]:
        """This preview as plain data."""
        return {"changes": [list(each) for each in self.changes], "away": self.away}

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None) -> "Preview | None":
        """The preview that `to_json` wrote down."""
        return None if data is None else cls(tuple((a, b, c) for a, b, c in data["changes"]), data["away"])


async def with_preview(database: Database, wish: Wish, ground: Ground | None) -> Wish:
    """The wish with what it will change, where its action can tell and nobody has looked yet."""
    look = wish.action.hooks.preview
    if look is None:
        return wish
    async with database.connection() as conn:
        if await history.is_written(conn, wish.key, wish.revision.digest):
            return wish
    found = Preview(away=AWAY)
    if ground is not None:
        try:
            async with asyncio.timeout(_SECONDS):
                found = Preview(tuple(await look(wish.action.parse(wish.revision.record.args), ground)))
        except Exception as error:  # noqa: BLE001 -- a look that only informs must not keep anybody from deciding
            log.warning("what %s changes cannot be shown: %r", wish.action.name, error)
    return replace(wish, revision=replace(wish.revision, preview=found.to_json()))
