"""Recall in large memories: are all rows given, how near to exact, how long, beside a bare pgvector query.

Run from the repository's root: python -m benchmarks.recall_scale [ITEMS ...]
Vectors are synthetic (384 numbers around 500 centres) and words drawn from a Zipf-like vocabulary: this is about size,
not about meaning. 200 scopes, the sizes Zipf's. Times on a shared machine are upper bounds; ratios are of one run.
"""

import asyncio
import math
import random
import sys
import time
import zlib
from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks.recall import ASKER, TEAM, a_memory
from core.db import Connection
from memory.embedder import Vector
from memory.recall import Asked, visible_to
from memory.search import Looked, candidates, written
from memory.store import EVERYWHERE, INDEX, fence
from tests.support.remembering import NOON, Remembering

SCOPES, WORDS, EACH, QUESTIONS = 200, 20_000, 12, 30
SIZES = ("small (to 120)", "mid (to 1,000)", "large (to 10,000)", "largest")


class Synthetic:
    """Vectors from a seed: near each other where texts name the same centre."""

    model, dimension, is_ready = "synthetic", 384, True

    def __init__(self) -> None:
        dice = random.Random(1)
        self._centres = [[dice.gauss(0, 1) for _ in range(384)] for _ in range(500)]

    def vector(self, seed: int) -> Vector:
        """One vector: a centre and some noise of its own."""
        dice = random.Random(seed)
        centre = self._centres[dice.randrange(500)]
        found = [part + 0.9 * dice.gauss(0, 1) for part in centre]
        length = math.sqrt(sum(part * part for part in found))
        return [part / length for part in found]

    async def query(self, text: str) -> Vector:
        """By the text's own seed."""
        return self.vector(zlib.crc32(text.encode()))

    async def passages(self, texts: Sequence[str]) -> list[Vector]:
        """By each text's own seed."""
        return [self.vector(zlib.crc32(text.encode())) for text in texts]

    async def close(self) -> None:
        """Nothing is held."""


def sizes(items: int) -> list[int]:
    """How many items each scope has, Zipf's way."""
    whole = sum(1 / rank for rank in range(1, SCOPES + 1))
    return [max(3, round(items / rank / whole)) for rank in range(1, SCOPES + 1)]


async def fill(memory: Remembering, items: int) -> None:
    """Items, postings and vectors as the write path leaves them, written in bulk."""
    dice, vectors = random.Random(2), Synthetic()
    async with memory.database.transaction() as conn:
        # The texts are one and the same sealed text: they are read, but what they say is not measured.
        sealed = await memory.store._sealed(conn, TEAM, [ASKER], "A message of the usual length, about this and that.")
        marks = list((await memory.vault.marks(conn, TEAM, INDEX, (f"w{n}" for n in range(WORDS)))).values())
        await fence(conn, EVERYWHERE)
        await conn.execute(
            "insert into memory.embedding_model (name, dimension, is_current) values ('synthetic', 384, true)"
        )
        await conn.execute(
            "insert into memory.scope (workspace, kind, name, members_at) select %s, 'private', 'G' || n, core.now()"
            " from generate_series(1, %s) as n",
            (TEAM, SCOPES),
        )
        await conn.execute("insert into memory.scope_member select scope_id, %s from memory.scope", (ASKER,))
    await _fenced(memory, "no force")
    async with memory.database.connection() as conn:
        await conn.execute("drop index memory.vector_384_embedding_idx")
    place = 0
    for scope, size in enumerate(sizes(items), start=1):
        async with memory.database.transaction() as conn:
            await fence(conn, EVERYWHERE)
            await _scope(conn, scope, size, place, marks, dice, vectors, sealed)
        place += size
    await _fenced(memory, "force")
    async with memory.database.connection() as conn:
        await conn.execute(
            "create index on memory.vector_384 using hnsw (embedding halfvec_cosine_ops)"
            " with (m = 16, ef_construction = 64)"
        )
        await conn.execute("vacuum analyze")


async def _fenced(memory: Remembering, how: str) -> None:
    """Postgres copies into no table that is fenced from its owner too."""
    async with memory.database.connection() as conn:
        for table in ("posting", "vector_384"):
            await conn.execute(f"alter table memory.{table} {how} row level security".encode())


async def _scope(
    conn: Connection,
    scope: int,
    size: int,
    first: int,
    marks: Sequence[int],
    dice: random.Random,
    vectors: Synthetic,
    sealed: dict[str, Any],
) -> None:
    from core.db import jsonb

    await conn.execute(
        "insert into memory.conversation (scope_id, name, is_thread, items, length, began_at, last_at)"
        " select %s, n::text, true, 20, 20 * %s, %s, %s from generate_series(0, %s) as n",
        (scope, EACH, NOON, NOON, (size - 1) // 20),
    )
    await conn.execute(
        """
        with said as (insert into memory.episode
                        (scope_id, source, kind, author, said_at, happened_at, trust, subjects, sealed)
                      select %(scope)s, n::text, 'said', 'U' || n %% 50, %(noon)s + n * interval '1 minute',
                        %(noon)s, 'member', '{}', %(sealed)s from generate_series(0, %(size)s - 1) as n
                      returning episode_id, source, author, said_at)
        insert into memory.item (item_id, scope_id, tier, source, episode_id, author, subjects, conversation_id,
                                 said_at, trust, valid_from, indexed, length)
        overriding system value
        select %(first)s + source::int + 1, %(scope)s, 'episode', source, episode_id, author, '{}', conversation_id,
               said_at, 'member', said_at, true, %(each)s
        from said join memory.conversation talk on talk.scope_id = %(scope)s and talk.name = (source::int / 20)::text
        """,
        {"scope": scope, "noon": NOON, "size": size, "first": first, "each": EACH, "sealed": jsonb(sealed)},
    )
    talks = {
        row["item_id"]: row["conversation_id"]
        for row in await (
            await conn.execute("select item_id, conversation_id from memory.item where scope_id = %s", (scope,))
        ).fetchall()
    }
    async with conn.cursor().copy(
        "copy memory.posting (scope_id, term, item_id, conversation_id, tf, length) from stdin"
    ) as copy:
        for item, talk in talks.items():
            for word in {int(WORDS * dice.random() ** 3) for _ in range(EACH)}:
                await copy.write_row((scope, marks[word], item, talk, 1, EACH))
    async with conn.cursor().copy(
        "copy memory.vector_384 (scope_id, item_id, model_id, text_version, embedding) from stdin"
    ) as copy:
        for item in talks:
            await copy.write_row((scope, item, 1, 1, written(vectors.vector(item), 384)))
    await conn.execute(
        "update memory.scope set items = %s, length = %s, conversations = %s where scope_id = %s",
        (size, size * EACH, (size + 19) // 20, scope),
    )


@dataclass
class Found:
    """What was measured of scopes of one size."""

    rows: int = 0
    wanted: int = 0
    near: list[float] = field(default_factory=list[float])
    whole: list[float] = field(default_factory=list[float])
    bare: list[float] = field(default_factory=list[float])

    def line(self) -> str:
        """In figures."""

        def at(values: Sequence[float], share: float) -> float:
            return sorted(values)[min(len(values) - 1, int(share * len(values)))] * 1000

        rows = f"rows {self.rows} of {self.wanted}"
        whole = f"whole recall p50 {at(self.whole, 0.5):.1f} p95 {at(self.whole, 0.95):.1f} ms"
        if not any(self.bare):
            return f"{rows}, {whole}"
        return (
            f"{rows}, vector recall {sum(self.near) / len(self.near):.3f}, {whole},"
            f" bare pgvector p50 {at(self.bare, 0.5):.1f} p95 {at(self.bare, 0.95):.1f} ms,"
            f" ratio {at(self.whole, 0.5) / at(self.bare, 0.5):.1f}"
        )


async def measure(memory: Remembering, scopes: Sequence[int], dice: random.Random, counts: Sequence[int]) -> Found:
    """Ask of these scopes, one at a time."""
    found, vectors = Found(), Synthetic()
    for number in range(QUESTIONS):
        scope = dice.choice(scopes)
        words = [f"w{int(WORDS * dice.random() ** 3)}" for _ in range(8)]
        text = f"{' '.join(words)} {number}"
        asked = Asked(TEAM, "U0ONE", text, is_guest=False, tokens=100_000, purpose="benchmark")
        async with _only(memory, scope):
            since = time.perf_counter()
            given = await memory.recall.recall(asked)
            found.whole.append(time.perf_counter() - since)
        found.rows += len(given.found)
        found.wanted += min(10, counts[scope - 1])
        vector = await vectors.query(text)
        found.bare.append(await _bare(memory, scope, vector))
        found.near.append(await _near(memory, asked, scope, vector))
    return found


@asynccontextmanager
async def _only(memory: Remembering, scope: int) -> Any:
    async with memory.database.connection() as conn:
        await conn.execute("insert into memory.scope_member values (%s, 'U0ONE')", (scope,))
    yield
    async with memory.database.connection() as conn:
        await conn.execute("delete from memory.scope_member where user_id = 'U0ONE'")


async def _bare(memory: Remembering, scope: int, vector: Vector) -> float:
    """How long pgvector alone takes for the ten nearest of one scope, as one would ask it without anything else."""
    async with memory.database.transaction() as conn:
        await fence(conn, EVERYWHERE)
        since = time.perf_counter()
        await (
            await conn.execute(
                "select item_id from memory.vector_384 where scope_id = %s and model_id = 1"
                " order by embedding <=> %s::halfvec limit 10",
                (scope, written(vector, 384)),
            )
        ).fetchall()
        return time.perf_counter() - since


async def _near(memory: Remembering, asked: Asked, scope: int, vector: Vector) -> float:
    """Which share of the truly nearest ten the search had among its candidates."""
    async with memory.database.transaction() as conn:
        await fence(conn, [scope])  # type: ignore[list-item]
        size = await (await conn.execute("select items from memory.scope where scope_id = %s", (scope,))).fetchone()
        assert size is not None
        marks = await memory.vault.marks(conn, TEAM, INDEX, asked.text.split())
        looked = Looked([scope], size["items"], list(marks.values()), [], vector, 1)  # type: ignore[list-item]
        had = {each.item_id for each in await candidates(conn, looked)}
        rows = await (
            await conn.execute(
                "select item_id from memory.vector_384 where scope_id = %s and model_id = 1"
                " order by (embedding <=> %s::halfvec) + 0 limit 10",
                (scope, written(vector, 384)),
            )
        ).fetchall()
    return len({row["item_id"] for row in rows} & had) / max(1, len(rows))


async def everywhere(memory: Remembering, dice: random.Random) -> Found:
    """Ask as somebody who sees all scopes."""
    found = Found()
    for number in range(QUESTIONS):
        words = [f"w{int(WORDS * dice.random() ** 3)}" for _ in range(8)]
        asked = Asked(TEAM, ASKER, f"{' '.join(words)} all {number}", is_guest=False, tokens=100_000)
        async with memory.database.transaction() as conn:
            assert len((await visible_to(conn, asked)).scopes) == SCOPES
        since = time.perf_counter()
        given = await memory.recall.recall(asked)
        found.whole.append(time.perf_counter() - since)
        found.rows += len(given.found)
        found.wanted += 10
    found.bare, found.near = [0.0], [math.nan]
    return found


async def at_size(items: int) -> None:
    """Fill and measure one memory."""
    async with a_memory(Synthetic()) as memory:
        since = time.perf_counter()
        await fill(memory, items)
        print(f"{items:,} items, filled in {time.perf_counter() - since:.0f} s", flush=True)
        counts = sizes(items)
        dice = random.Random(3)
        bounds = ((0, 120), (121, 1_000), (1_001, 10_000), (10_001, items))
        for name, (low, high) in zip(SIZES, bounds, strict=True):
            scopes = [place for place, size in enumerate(counts, start=1) if low <= size <= high]
            if scopes:
                print(f"  {name:18} {(await measure(memory, scopes, dice, counts)).line()}", flush=True)
        print(f"  {'all 200 scopes':18} {(await everywhere(memory, dice)).line()}", flush=True)


async def main(arguments: Sequence[str]) -> None:
    """One size after the other."""
    for items in [int(each) for each in arguments] or [10_000, 100_000, 300_000]:
        await at_size(items)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
