"""A memory over a real database, and short words to fill and ask it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from core.cache import Cache
from core.clock import SystemClock
from core.db import Connection, Database
from core.metrics import Metrics
from core.subjects import Vault
from core.trust import TrustLabel
from memory.backlog import Backlog
from memory.embedder import Embedder, HashedNgrams
from memory.episode import Episode
from memory.hot import Hot
from memory.item import ItemId, Scope, ScopeId, ScopeKind, Tier
from memory.reading import Reading
from memory.recall import Asked, Recall, Recalled
from memory.store import EVERYWHERE, Derived, Store, fence

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TEAM = "T0"
SHOP = Scope(TEAM, ScopeKind.CHANNEL, "C0SHOP")
BACK_OFFICE = Scope(TEAM, ScopeKind.PRIVATE, "G0BACK")
ANN, BOB, CAT, GUEST = "U0ANN", "U0BOB", "U0CAT", "U0GUEST"


def said(text: str, *, ts: str = "1", by: str = ANN, at: datetime = NOON, scope: Scope = SHOP, **more: Any) -> Episode:
    """One message as it reaches the memory."""
    more.setdefault("trust", TrustLabel.MEMBER)
    return Episode(scope, f"slack:{scope.name}:{ts}", by, text, at, **more)


class NoCache(Cache):
    """A cache in which nothing ever is."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    async def get(self, key: str) -> Any | None:
        """Nothing."""
        return None

    async def put(self, key: str, value: Any, *, keep: Any) -> None:
        """Keep nothing."""


class Remembering:
    """The parts of the memory on one database, embedding by letters unless told otherwise."""

    def __init__(
        self, database: Database, vault: Vault, *, embedder: Embedder | None = None, cache: Cache | None = None
    ) -> None:
        self.database, self.vault = database, vault
        self.store = Store(vault)
        self.embedder = embedder or HashedNgrams()
        hot = Hot(cache or NoCache())
        self.metrics, clock = Metrics(), SystemClock()
        self.reading = Reading(vault, hot)
        self.recall = Recall(database, vault, self.embedder, hot, clock=clock, metrics=self.metrics)
        self.backlog = Backlog(database, self.reading, self.embedder, clock=clock, metrics=self.metrics)

    async def remember(self, *episodes: Episode) -> list[ItemId | None]:
        """Each in a transaction of its own."""
        found: list[ItemId | None] = []
        for episode in episodes:
            async with self.database.transaction() as conn:
                found.append(await self.store.remember(conn, episode))
        return found

    async def members(self, scope: Scope, *people: str) -> ScopeId:
        """Let these and no others be members of the scope."""
        async with self.database.transaction() as conn:
            number = await self.store.scope_of(conn, scope)
            await self.store.set_members(conn, number, people)
            return number

    async def derived(self, conn: Connection, scope: ScopeId, text: str, *, of: Sequence[ItemId]) -> ItemId:
        """An item made of others."""
        made = Derived(scope, Tier.CHRONICLE, f"digest:{text}", "countersign", text, NOON, "member", [ANN], of)
        return await self.store.derive(conn, TEAM, made)

    async def embed(self) -> None:
        """Make all vectors that are owed."""
        await self.backlog.adopt()
        while await self.backlog.work_once() is not None:
            pass

    def asked(self, text: str, *, by: str = ANN, **more: Any) -> Asked:
        """The question of a full member who may be given as much as they like."""
        return replace(Asked(TEAM, by, text, is_guest=False, tokens=1_000_000), **more)

    async def ask(self, text: str, *, by: str = ANN, **more: Any) -> Sequence[Recalled]:
        """What is recalled for them."""
        return (await self.recall.recall(self.asked(text, by=by, **more))).found

    async def texts(self, text: str, **more: Any) -> list[str]:
        """The same, the texts only."""
        return [each.item.text for each in await self.ask(text, **more)]

    async def rows(self, query: str, *args: Any) -> list[dict[str, Any]]:
        """The rows of a query that sees everything."""
        async with self.database.transaction() as conn:
            await fence(conn, EVERYWHERE)
            return await (await conn.execute(query.encode(), args)).fetchall()
