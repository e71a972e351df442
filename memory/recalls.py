"""What came of recalls: cited, praised or not, how old, how quick; the figures by which memory is judged."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.db import Connection, Database
from core.metrics import Metrics
from memory.store import EVERYWHERE, fence

_DAYS = 30


class Recalls:
    """The log of recalls."""

    def __init__(self, database: Database, metrics: Metrics) -> None:
        self._database = database
        self._metrics = metrics

    async def cited(self, recall_id: str, items: Sequence[int]) -> None:
        """These items of the recall were used in what was done."""
        async with self._database.transaction() as conn:
            await fence(conn, EVERYWHERE)
            cursor = await conn.execute(
                """
                update memory.recall_item recalled set cited_at = core.now() from memory.item item
                where recalled.recall_id = %s and recalled.item_id = any(%s) and cited_at is null
                  and item.item_id = recalled.item_id returning item.tier
                """,
                (recall_id, list(items)),
            )
            for row in await cursor.fetchall():
                self._metrics.memory_cited.labels(row["tier"]).inc()

    async def judge(self, conn: Connection, recall_id: str, person: str, *, useful: bool) -> bool:
        """What whoever asked says of what came; their last word counts. False for somebody else's recall."""
        cursor = await conn.execute(
            """
            insert into memory.feedback (recall_id, user_id, useful)
            select recall_id, asker, %s from memory.recall_log where recall_id = %s and asker = %s
            on conflict (recall_id, user_id) do update set useful = excluded.useful, at = core.now()
            """,
            (useful, recall_id, person),
        )
        if cursor.rowcount:
            self._metrics.memory_feedback.labels("useful" if useful else "useless").inc()
        return cursor.rowcount == 1

    async def last_of(self, conn: Connection, workspace: str, person: str, recall_id: str = "") -> list[dict[str, Any]]:
        """What was given in this person's last recall, or the named one of theirs, with what each clue gave."""
        cursor = await conn.execute(
            """
            select recalled.recall_id, recalled.item_id, recalled.rank, recalled.score, recalled.why, last.at
            from (select recall_id, at from memory.recall_log
                  where workspace = %(workspace)s and asker = %(person)s and (%(id)s = '' or recall_id = %(id)s)
                    and given > 0 order by at desc limit 1) as last
            join memory.recall_item recalled using (recall_id) order by recalled.rank
            """,
            {"workspace": workspace, "person": person, "id": recall_id},
        )
        return [dict(row) for row in await cursor.fetchall()]

    async def figures(self, conn: Connection, workspace: str) -> Mapping[str, Any]:
        """How memory does, over thirty days."""
        async with conn.transaction():
            await fence(conn, EVERYWHERE)
            return {
                "tiers": await _rows(conn, _TIERS, workspace),
                "waiting": (await _rows(conn, _WAITING, workspace))[0],
                "recalls": (await _rows(conn, _RECALLS, workspace))[0],
                "ages": await _rows(conn, _AGES, workspace),
            }


async def _rows(conn: Connection, query: str, workspace: str) -> list[dict[str, Any]]:
    cursor = await conn.execute(query.encode(), {"workspace": workspace, "days": _DAYS})
    return [dict(row) for row in await cursor.fetchall()]


_TIERS = """
select item.tier, count(*) as items, count(*) filter (where item.indexed) as indexed
from memory.item item join memory.scope scope using (scope_id)
where scope.workspace = %(workspace)s and scope.removed_at is null group by item.tier order by item.tier
"""

_WAITING = """
select count(*) as items, coalesce(extract(epoch from core.now() - min(since)), 0)::int as oldest
from memory.unembedded owed join memory.scope scope using (scope_id) where scope.workspace = %(workspace)s
"""

_RECALLS = """
with recalls as (
  select log.*, exists (select 1 from memory.recall_item item
                        where item.recall_id = log.recall_id and item.cited_at is not null) as cited,
         (select bool_or(useful) from memory.feedback said where said.recall_id = log.recall_id) as useful,
         (select sum(each.value::numeric) from jsonb_each_text(milliseconds) as each) as whole
  from memory.recall_log log
  where workspace = %(workspace)s and at > core.now() - %(days)s * interval '1 day'
)
select count(*) as many, count(*) filter (where given > 0) as found, count(*) filter (where cited) as cited,
       count(useful) as judged, count(*) filter (where useful) as useful,
       coalesce(avg(tokens) filter (where given > 0), 0)::int as tokens,
       coalesce(percentile_disc(0.5) within group (order by whole), 0) as p50,
       coalesce(percentile_disc(0.95) within group (order by whole), 0) as p95,
       (select count(*) from memory.recall_item recalled join recalls using (recall_id)
        join memory.item item on item.item_id = recalled.item_id
        where item.valid_to is not null and item.valid_to <= recalls.at) as stale,
       (select count(*) from memory.recall_item recalled join recalls using (recall_id)) as items
from recalls
"""

_AGES = """
select case when age < interval '1 day' then '1 day' when age < interval '7 days' then '7 days'
            when age < interval '30 days' then '30 days' when age < interval '365 days' then '365 days'
            else 'older' end as age,
       count(*) as recalled, count(*) filter (where used) as used
from (select log.at - item.said_at as age, recalled.cited_at is not null or coalesce(said.useful, false) as used
      from memory.recall_item recalled
      join memory.recall_log log using (recall_id) join memory.item item on item.item_id = recalled.item_id
      left join memory.feedback said on said.recall_id = log.recall_id
      where log.workspace = %(workspace)s and log.at > core.now() - %(days)s * interval '1 day') as each
group by 1 order by min(age)
"""
