"""What stands of memory on cards: it goes from there when it is forgotten."""

from collections.abc import Sequence

from core.db import Connection
from core.outbox import refresh_cards
from memory.item import ItemId


async def redraw_runs(conn: Connection, items: Sequence[ItemId]) -> None:
    """Have the cards drawn anew of all runs that recalled any of these, which are about to go."""
    cursor = await conn.execute(
        "select distinct run_id from memory.recall_item join memory.recall_log using (recall_id)"
        " where item_id = any(%s) and run_id is not null",
        (list(items),),
    )
    for row in await cursor.fetchall():
        await refresh_cards(conn, "run", row["run_id"])
