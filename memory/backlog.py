"""Makes vectors in the background, newest items first; nothing waits for it, and a crash of it loses nothing."""

import logging
import re
from collections.abc import Sequence
from datetime import timedelta

from core.clock import Clock
from core.db import Connection, Database, sql
from core.metrics import Metrics
from memory.embedder import Embedder, EmbedderAway, Vector, width_of
from memory.item import ItemId
from memory.reading import Reading
from memory.search import written
from memory.store import EVERYWHERE, fence
from memory.terms import readable

log = logging.getLogger(__name__)

#: So many at once: a question that comes meanwhile waits no longer than for these.
BATCH = 8

#: What failed so often is tried alone from then on, so that a text that kills the embedder holds up no other.
_SUSPECT = 3

#: After a failure an item waits, the longer the more often it failed.
_WAIT = timedelta(seconds=2)
_MOST_DOUBLINGS = 8

#: For how long one round goes on at most.
_ROUND_SECONDS = 20.0

_MENTION = re.compile(r"<@[UW][A-Z0-9]+(?:\|[^>]*)?>")


class Backlog:
    """Owes every item a vector of the current model, and makes it."""

    def __init__(
        self, database: Database, reading: Reading, embedder: Embedder, *, clock: Clock, metrics: Metrics
    ) -> None:
        self._database = database
        self._reading = reading
        self._embedder = embedder
        self._clock = clock
        self._metrics = metrics

    async def adopt(self) -> bool:
        """Make this embedder's model the current one; True when that owes every item a new vector."""
        name = self._embedder.model
        async with self._database.transaction() as conn:
            await fence(conn, EVERYWHERE)
            cursor = await conn.execute("select name from memory.embedding_model where is_current for update")
            row = await cursor.fetchone()
            if row is not None and row["name"] == name:
                return False
            await conn.execute("update memory.embedding_model set is_current = false where is_current")
            await conn.execute(
                """
                insert into memory.embedding_model (name, dimension, is_current) values (%s, %s, true)
                on conflict (name) do update set is_current = true, since = core.now()
                """,
                (name, self._embedder.dimension),
            )
            await conn.execute(
                "insert into memory.unembedded (item_id, scope_id)"
                " select item_id, scope_id from memory.item where indexed on conflict do nothing"
            )
            return True

    async def work(self) -> int:
        """Make what vectors are owed, for one round at most; how many were made."""
        made, until = 0, self._clock.monotonic() + _ROUND_SECONDS
        while self._clock.monotonic() < until:
            some = await self.work_once()
            if some is None:
                break
            made += some
        await self._measure()
        return made

    async def work_once(self) -> int | None:
        """Make the vectors of one batch; None when nothing is due or the embedder is away."""
        async with self._database.transaction() as conn:
            await fence(conn, EVERYWHERE)
            model_id = await _current(conn, self._embedder.model)
            texts = {} if model_id is None else await self._due(conn)
        if model_id is None or not texts:
            await self._drop_others()
            return None
        try:
            vectors = await self._vectors({item: text for item, (text, _) in texts.items() if text})
        except EmbedderAway as error:
            log.warning("%s", error)
            await self._put_off(list(texts))
            return None
        async with self._database.transaction() as conn:
            await fence(conn, EVERYWHERE)
            for item_id, vector in vectors.items():
                await _keep(conn, item_id, model_id, vector, text_version=texts[item_id][1])
            # What was changed meanwhile is owed again by whoever changed it, under a newer version.
            await conn.execute(
                """
                delete from memory.unembedded owed using unnest(%s::bigint[], %s::int[]) as made (item_id, version)
                where owed.item_id = made.item_id and not exists (
                  select 1 from memory.item where item_id = made.item_id and text_version <> made.version)
                """,
                (list(texts), [version for _, version in texts.values()]),
            )
        return len(texts)

    async def _due(self, conn: Connection) -> dict[ItemId, tuple[str, int]]:
        """The newest items that are owed a vector, leased for as long as making one may take."""
        return await self._leased(conn, BATCH, 0, _SUSPECT - 1) or await self._leased(conn, 1, _SUSPECT, 1 << 30)

    async def _leased(self, conn: Connection, most: int, low: int, high: int) -> dict[ItemId, tuple[str, int]]:
        cursor = await conn.execute(
            """
            with due as (select item_id from memory.unembedded
                         where next_at <= core.now() and attempts between %s and %s
                         order by item_id desc limit %s for update skip locked)
            update memory.unembedded owed set next_at = core.now() + interval '1 minute', attempts = attempts + 1
            from due, memory.item item, memory.scope scope
            where owed.item_id = due.item_id and item.item_id = due.item_id and scope.scope_id = item.scope_id
            returning item.item_id, item.text_version, scope.workspace
            """,
            (low, high, most),
        )
        rows = await cursor.fetchall()
        found = dict[ItemId, tuple[str, int]]()
        for workspace in dict.fromkeys(row["workspace"] for row in rows):
            own = {ItemId(row["item_id"]): row["text_version"] for row in rows if row["workspace"] == workspace}
            read = await self._reading.items(conn, workspace, list(own))
            found |= {item: (plain(read[item].text) if item in read else "", own[item]) for item in own}
        return found

    async def _vectors(self, texts: dict[ItemId, str]) -> dict[ItemId, Vector]:
        return dict(zip(texts, await self._embedder.passages(list(texts.values())), strict=True))

    async def _put_off(self, items: Sequence[ItemId]) -> None:
        async with self._database.connection() as conn:
            await conn.execute(
                "update memory.unembedded set next_at = core.now() + %s * 2 ^ least(attempts - 1, %s)"
                " where item_id = any(%s)",
                (_WAIT, _MOST_DOUBLINGS, list(items)),
            )

    async def _drop_others(self) -> None:
        """Once nothing is owed, vectors of earlier models serve nobody."""
        async with self._database.transaction() as conn:
            await fence(conn, EVERYWHERE)
            cursor = await conn.execute(
                """
                select model_id from memory.embedding_model where not is_current
                  and not exists (select 1 from memory.unembedded)
                """
            )
            for row in await cursor.fetchall():
                await conn.execute("delete from memory.vector_384 where model_id = %s", (row["model_id"],))
                await conn.execute("delete from memory.vector_1536 where model_id = %s", (row["model_id"],))
                await conn.execute("delete from memory.embedding_model where model_id = %s", (row["model_id"],))

    async def _measure(self) -> None:
        async with self._database.connection() as conn:
            cursor = await conn.execute(
                "select count(*) as many, coalesce(extract(epoch from core.now() - min(since)), 0) as age"
                " from memory.unembedded"
            )
            row = await cursor.fetchone()
        assert row is not None
        self._metrics.memory_unembedded.labels(self._embedder.model).set(row["many"])
        self._metrics.memory_backlog.labels(self._embedder.model).set(float(row["age"]))


def plain(text: str) -> str:
    """The text as it is embedded: without markup, and without whom it mentions."""
    return readable(_MENTION.sub(" ", text)).strip()


async def _current(conn: Connection, model: str) -> int | None:
    cursor = await conn.execute("select model_id from memory.embedding_model where is_current and name = %s", (model,))
    row = await cursor.fetchone()
    return None if row is None else int(row["model_id"])


async def _keep(conn: Connection, item_id: ItemId, model_id: int, vector: Vector, *, text_version: int) -> None:
    width = width_of(len(vector))
    statement = sql.SQL(
        """
        insert into {} (scope_id, item_id, model_id, text_version, embedding)
        select scope_id, item_id, %(model)s, text_version, %(vector)s::halfvec from memory.item
        where item_id = %(item)s and text_version = %(version)s and indexed for key share
        on conflict (scope_id, model_id, item_id) do update
          set embedding = excluded.embedding, text_version = excluded.text_version
        """
    ).format(sql.Identifier("memory", f"vector_{width}"))
    await conn.execute(
        statement,
        {"item": item_id, "model": model_id, "version": text_version, "vector": written(vector, width)},
    )
