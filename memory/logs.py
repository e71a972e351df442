"""The logs of recalls and of learning: kept for a while; what is worth knowing for longer is counted before they go."""

from collections.abc import Mapping
from datetime import timedelta

from core.db import Connection
from memory.store import EVERYWHERE, fence

#: So many recalls go in one transaction.
AT_ONCE = 2_000

_OLD = "at < core.now() - %(keep)s"


async def old_rows(conn: Connection, keep: timedelta) -> Mapping[str, int]:
    """How many rows of each log are older than that."""
    cursor = await conn.execute(
        f"""
        select (select count(*) from memory.recall_log where {_OLD}) as recalls,
               (select count(*) from memory.distil_round where {_OLD}) as rounds
        """.encode(),
        {"keep": keep},
    )
    row = await cursor.fetchone()
    assert row is not None
    return {name: int(many) for name, many in row.items()}


async def prune_rounds(conn: Connection, keep: timedelta) -> int:
    """Remove what rounds of learning older than that came to; how many went."""
    return (await conn.execute(f"delete from memory.distil_round where {_OLD}".encode(), {"keep": keep})).rowcount


async def prune_recalls(conn: Connection, keep: timedelta) -> int:
    """Remove some recalls older than that, counting confirmed uses with their items first; how many went."""
    await fence(conn, EVERYWHERE)
    cursor = await conn.execute(
        f"""
        with old as (
          select recall_id from memory.recall_log where {_OLD} order by at limit %(most)s for update skip locked
        ), used as (
          select given.item_id, count(*) as uses from old join memory.recall_item given using (recall_id)
          where given.cited_at is not null
             or exists (select 1 from memory.feedback said where said.recall_id = given.recall_id and said.useful)
          group by given.item_id
        ), counted as (
          update memory.item set uses = item.uses + used.uses from used where item.item_id = used.item_id
        )
        delete from memory.recall_log using old where recall_log.recall_id = old.recall_id
        """.encode(),
        {"keep": keep, "most": AT_ONCE},
    )
    return cursor.rowcount
