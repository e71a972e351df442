"""Upkeep: moves what has lost its worth out of the way, step by step, and reports what it did or would do."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.db import Connection, Database, Row
from memory.erasing import Found, erase_items
from memory.facts import Facts
from memory.item import ItemId
from memory.retention import Aged, Classes, Kind, Stage, stage_of
from memory.store import EVERYWHERE, Store, fence

_AT_ONCE = 500
#: What is not yet to go is looked at again after so long.
_AGAIN = timedelta(days=7)


@dataclass(frozen=True)
class Upkept:
    """What one look did, or would do: how many items of each kind come to which stage."""

    looked: int
    moves: Mapping[tuple[Kind, Stage], int]

    def count(self, stage: Stage) -> int:
        """How many came to this stage."""
        return sum(many for (_, to), many in self.moves.items() if to is stage)


class Upkeep:
    """Follows each message's worth; `classes` says how an installation keeps things."""

    def __init__(self, database: Database, store: Store, facts: Facts, *, classes: Classes | None = None) -> None:
        self._database = database
        self._store = store
        self._facts = facts
        self._classes = classes or Classes()

    async def look(self, *, dry: bool = False, most: int = _AT_ONCE) -> Upkept:
        """Move what is due, or with `dry` only count it."""
        async with self._database.transaction() as conn:
            await fence(conn, EVERYWHERE)
            rows = await _due(conn, most)
            moves = Counter[tuple[Kind, Stage]]()
            to = dict[Stage, list[Row]]()
            for row in rows:
                stage = stage_of(_aged(row), self._classes)
                if stage is Stage.DIGEST_ONLY and not row["told"]:
                    # Its words go only once the chronicle tells of it.
                    stage = Stage.SET_ASIDE
                to.setdefault(stage, []).append(row)
                if stage != row["stage"]:
                    moves[Kind(row["kind"]), stage] += 1
            done = Upkept(len(rows), moves)
            if not dry:
                await self._move(conn, to)
                await _note(conn, done)
        return done

    async def _move(self, conn: Connection, to: Mapping[Stage, Sequence[Row]]) -> None:
        aside = [row for row in to.get(Stage.SET_ASIDE, []) if row["stage"] == Stage.FOUND]
        emptied = [row for row in to.get(Stage.DIGEST_ONLY, []) if row["stage"] != Stage.DIGEST_ONLY]
        await self._store.unindex(conn, [ItemId(row["item_id"]) for row in (*aside, *emptied)])
        await conn.execute(
            "update memory.episode set sealed = null where episode_id = any(%s)",
            ([row["episode_id"] for row in emptied],),
        )
        for stage, rows in to.items():
            if stage is Stage.GONE:
                await self._remove(conn, rows)
                continue
            await conn.execute(
                "update memory.item set stage = %s, due_at = core.now() + %s where item_id = any(%s)",
                (stage, _AGAIN, [row["item_id"] for row in rows]),
            )

    async def _remove(self, conn: Connection, rows: Sequence[Row]) -> None:
        for workspace in {row["workspace"] for row in rows}:
            theirs = [row for row in rows if row["workspace"] == workspace]
            found = Found(
                messages=[(row["scope_id"], row["source"]) for row in theirs],
                items=[ItemId(row["item_id"]) for row in theirs],
                claims=(),
                rules=(),
                scopes=sorted({row["scope_id"] for row in theirs}),
                sealed=(),
            )
            await erase_items(conn, self._store, self._facts, workspace, found)


def _aged(row: Row) -> Aged:
    return Aged(Kind(row["kind"]), row["age"], int(row["uses"]), Stage(row["stage"]))


async def _due(conn: Connection, most: int) -> list[Row]:
    cursor = await conn.execute(
        """
        select item.item_id, item.scope_id, item.source, item.episode_id, item.kind, item.stage, scope.workspace,
               core.now() - item.said_at as age,
               item.uses + (select count(*) from memory.recall_item used join memory.recall_log log using (recall_id)
                left join memory.feedback said on said.recall_id = log.recall_id
                where used.item_id = item.item_id and (used.cited_at is not null or said.useful)) as uses,
               exists (select 1 from memory.item_source link join memory.item told on told.item_id = link.item_id
                       where link.source_item_id = item.item_id and told.tier = 'chronicle') as told
        from memory.item item join memory.scope scope using (scope_id)
        where item.due_at <= core.now() and item.kind <> '' order by item.due_at limit %s
        for update of item skip locked
        """,
        (most,),
    )
    return await cursor.fetchall()


async def _note(conn: Connection, done: Upkept) -> None:
    await conn.execute(
        "insert into memory.upkeep_round (looked, set_aside, digest_only, gone) values (%s, %s, %s, %s)",
        (done.looked, *(done.count(stage) for stage in (Stage.SET_ASIDE, Stage.DIGEST_ONLY, Stage.GONE))),
    )


async def reported(conn: Connection, since: datetime) -> dict[str, int]:
    """What upkeep has done since then, for the daily report."""
    cursor = await conn.execute(
        """
        select coalesce(sum(looked), 0) as looked, coalesce(sum(set_aside), 0) as set_aside,
               coalesce(sum(digest_only), 0) as digest_only, coalesce(sum(gone), 0) as gone
        from memory.upkeep_round where at >= %s
        """,
        (since,),
    )
    row = await cursor.fetchone()
    assert row is not None
    return {name: int(row[name]) for name in ("looked", "set_aside", "digest_only", "gone")}
