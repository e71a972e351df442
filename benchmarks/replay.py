"""Ten thousand messages through the write path and the distiller: what is learned, and how soon it is found.

    python -m benchmarks.replay [messages]

Nearly half is junk; the rest says some facts again and again in other words, changes some, and repeats what recall
gave. Everything is counted from the tables afterwards, by other means than the product's own gates.
"""

import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from difflib import SequenceMatcher
from pathlib import Path

from bot.bootstrap import MIGRATIONS
from core.clock import SystemClock
from core.db import Database, open_database
from core.ids import new_id
from core.migrate import migrate
from core.secrets import FileWrappingKey
from core.subjects import Vault
from core.trust import TrustLabel
from memory.distil import Distiller
from memory.episode import Episode
from memory.facts import Facts
from memory.following import Following
from memory.item import ItemId, Scope, ScopeKind
from memory.store import EVERYWHERE, Store, fence

TEAM = "T0REPLAY"
START = datetime(2026, 1, 5, 8, tzinfo=UTC)
PEOPLE = [f"U0P{n:02d}" for n in range(20)]
CHANNELS = [Scope(TEAM, ScopeKind.CHANNEL, f"C0R{n:02d}") for n in range(8)]
THINGS = [f"{a} {b}" for a in ("spring", "bulk", "gold", "export", "field") for b in ("rate", "window", "limit", "fee")]
JUNK = [
    "ok thanks!",
    "🎉🎉",
    "good morning all",
    "lol",
    "The build is down again",
    "is the {thing} 9 days?",
    "brb",
    "+1",
]
SAYS = [
    "The {thing} is {value} days",
    "fyi our {thing} is now {value} days!",
    "{thing} is {value} days.",
    "Note: the {thing} is {value} days",
]


@dataclass
class Result:
    """What one replay came to."""

    messages: int = 0
    searchable_ms: list[float] = field(default_factory=list[float])
    claims: int = 0
    live_facts: int = 0
    exact_twice: int = 0
    near_twice: int = 0
    echoes_learned: int = 0
    echoes_refused: int = 0
    unsupported: int = 0
    model_calls_before: int = 0
    current_right: int = 0
    current_asked: int = 0
    distil_seconds: float = 0.0

    @property
    def near_share(self) -> float:
        """Facts that nearly say what another of the same subject and relation says."""
        return self.near_twice / max(1, self.live_facts)

    def p99(self) -> float:
        """The 99th percentile of how long a message took to be searchable."""
        return sorted(self.searchable_ms)[int(len(self.searchable_ms) * 0.99)] if self.searchable_ms else 0.0


class Replay:
    """One run over one database."""

    def __init__(self, database: Database, vault: Vault, messages: int, seed: int = 7) -> None:
        self.database, self.vault, self.messages = database, vault, messages
        self.random = random.Random(seed)
        self.store = Store(vault, follow=Following(vault))
        self.facts = Facts(self.store, vault)
        self.distiller = Distiller(database, self.store, self.facts)
        self.truth: dict[tuple[str, str], int] = {}
        self.echoed: set[int] = set()
        self.result = Result()
        self.known: list[tuple[ItemId, Scope, str]] = []

    async def run(self) -> Result:
        """Say everything, distilling as it comes, and count."""
        for number in range(self.messages):
            await self._say(number)
            if number % 500 == 499:
                await self._distil()
        await self._distil()
        await self._count()
        return self.result

    async def _say(self, number: int) -> None:
        scope = self.random.choice(CHANNELS)
        echo = self.random.random() < 0.05 and self.known
        at = START + timedelta(minutes=number)
        value = 0
        thing = self.random.choice(THINGS)
        if echo:
            item, scope, text = self.random.choice(self.known)
            await self._recalled(item)
        elif self.random.random() < 0.45:
            text = self.random.choice(JUNK).format(thing=thing)
        elif self.random.random() < 0.6:
            # What is known already, in other words.
            value = self.truth.get((scope.name, thing), self.random.randint(1, 90))
            text = self.random.choice(SAYS).format(thing=thing, value=value)
        else:
            value = self.random.randint(1, 90)
            text = f"From now on the {thing} is {value} days"
        if value:
            self.truth[scope.name, thing] = value
        began = time.perf_counter()
        episode = Episode(
            scope, f"slack:{scope.name}:{number}", self.random.choice(PEOPLE), text, at, TrustLabel.MEMBER
        )
        async with self.database.transaction() as conn:
            item = await self.store.remember(conn, episode)
        async with self.database.transaction() as conn:
            await fence(conn, EVERYWHERE)
            row = await (
                await conn.execute("select count(*) as many from memory.posting where item_id = %s", (item,))
            ).fetchone()
        self.result.searchable_ms.append((time.perf_counter() - began) * 1000)
        assert item is not None
        assert row is not None
        assert row["many"]
        self.result.messages += 1
        if echo:
            self.echoed.add(item)
        elif value and "From now on" not in text and "now" not in text and len(self.known) < 200:
            self.known.append((item, scope, text))

    async def _recalled(self, item: ItemId) -> None:
        recall = new_id("rec", 12)
        async with self.database.transaction() as conn:
            await fence(conn, EVERYWHERE)
            await conn.execute(
                "insert into memory.recall_log (recall_id, workspace, asker, purpose, asked, given, tokens)"
                " values (%s, %s, %s, 'search', 1, 1, 1)",
                (recall, TEAM, PEOPLE[0]),
            )
            await conn.execute(
                "insert into memory.recall_item (recall_id, item_id, rank, score, why) values (%s, %s, 1, 1, '{}')",
                (recall, item),
            )

    async def _distil(self) -> None:
        began = time.perf_counter()
        while (done := await self.distiller.distil(500)).looked:
            self.result.claims += done.claims
            self.result.echoes_refused += done.echoes
            self.result.unsupported += done.unsupported
            self.result.model_calls_before += done.model_calls
        self.result.distil_seconds += time.perf_counter() - began

    async def _count(self) -> None:
        async with self.database.transaction() as conn:
            await fence(conn, EVERYWHERE)
            rows = await (
                await conn.execute("select * from memory.fact where retired_at is null and valid_to is null")
            ).fetchall()
            told = [(row, await self.facts.opened(conn, TEAM, row)) for row in rows]
            claims = await (await conn.execute("select item_id from memory.claim")).fetchall()
            scopes = {
                row["scope_id"]: row["name"]
                for row in await (await conn.execute("select scope_id, name from memory.scope")).fetchall()
            }
        result = self.result
        result.live_facts = len(told)
        result.echoes_learned = sum(row["item_id"] in self.echoed for row in claims)
        said = [
            (scopes[row["scope_id"]], fact["subject"].lower(), fact["object"].lower()) for row, fact in told if fact
        ]
        result.exact_twice = sum(many - 1 for many in Counter(said).values())
        result.near_twice = _near(said)
        for (channel, thing), value in self.truth.items():
            found = [o for c, s, o in said if c == channel and s.removeprefix("the ").removeprefix("our ") == thing]
            result.current_asked += 1
            result.current_right += found == [f"{value} days"]


def _near(said: list[tuple[str, str, str]]) -> int:
    """Pairs of one channel that are nearly the same sentence, by letters: another measure than the product's own."""
    near = 0
    by_channel: dict[str, list[str]] = {}
    for channel, subject, object_ in said:
        by_channel.setdefault(channel, []).append(f"{subject} {object_}")
    for texts in by_channel.values():
        for place, one in enumerate(texts):
            near += any(one != other and SequenceMatcher(None, one, other).ratio() > 0.95 for other in texts[:place])
    return near


async def main(messages: int) -> None:
    """Replay on an embedded Postgres of its own, and print what came of it."""
    from bot.local.embedded import EmbeddedPostgres

    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedPostgres(Path(folder), clock=SystemClock())
        url = await server.start()
        try:
            await migrate(url, MIGRATIONS)
            vault = Vault(FileWrappingKey(Path(folder) / "wrapping.key"))
            async with open_database(url, vault=vault) as database:
                told(await Replay(database, vault, messages).run())
        finally:
            await server.forget()


def told(result: Result) -> None:
    """The figures, a line each."""
    print(f"messages {result.messages:,}; model calls before searchable: {result.model_calls_before}")
    middle = sorted(result.searchable_ms)[len(result.searchable_ms) // 2]
    print(f"searchable after p50 {middle:.1f} ms, p99 {result.p99():.1f} ms, most {max(result.searchable_ms):.1f} ms")
    print(
        f"claims {result.claims:,}, facts that hold {result.live_facts:,}, distilled in {result.distil_seconds:.1f} s"
    )
    print(f"exact duplicates {result.exact_twice}, near duplicates {result.near_twice} ({result.near_share:.2%})")
    print(f"echoes learned {result.echoes_learned}, refused {result.echoes_refused}; unsupported {result.unsupported}")
    print(f"current value right {result.current_right} of {result.current_asked}")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
