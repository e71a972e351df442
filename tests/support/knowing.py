"""What tests of memory say, remember and ask, in a few words."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from core.db import Database
from core.subjects import Vault
from core.trust import TrustLabel
from memory.episode import Episode, EpisodeKind
from memory.facts import Facts
from memory.item import ItemId, Scope, ScopeId, ScopeKind
from memory.store import EVERYWHERE, Store, fence

TEAM = "T0LOCAL"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SHOP = Scope(TEAM, ScopeKind.CHANNEL, "C0SHOP")
OTHER = Scope(TEAM, ScopeKind.PRIVATE, "G0BOARD")


class Memory:
    """One installation's memory, as far as a test drives it."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self.database = database
        self.vault = vault
        self.store = Store(vault)
        self.facts = Facts(self.store, vault)
        self._said = 0

    async def say(
        self,
        text: str,
        *,
        by: str = "U0RITA",
        minute: float | None = None,
        scope: Scope = SHOP,
        trust: TrustLabel = TrustLabel.MEMBER,
        ts: str = "",
        kind: EpisodeKind = EpisodeKind.SAID,
    ) -> ItemId | None:
        """Remember that this was said, a minute after the last unless told otherwise."""
        self._said += 1
        at = NOON + timedelta(minutes=self._said if minute is None else minute)
        changed = None if kind is EpisodeKind.SAID else at + timedelta(seconds=self._said)
        source = f"slack:{scope.name}:{ts or self._said}"
        episode = Episode(scope, source, by, text, at, trust, kind=kind, event_at=changed)
        async with self.database.transaction() as conn:
            return await self.store.remember(conn, episode)

    async def scope_id(self, scope: Scope = SHOP) -> ScopeId:
        """The number of a scope."""
        async with self.database.transaction() as conn:
            return await self.store.scope_of(conn, scope)

    async def rows(self, question: str, *values: Any) -> list[dict[str, Any]]:
        """What the database answers to somebody who may see everything."""
        async with self.database.transaction() as conn:
            await fence(conn, EVERYWHERE)
            return await (await conn.execute(question.encode(), values)).fetchall()

    async def told(
        self,
        subject: str,
        relation: str | None = None,
        *,
        at: datetime | None = None,
        known_at: datetime | None = None,
        scopes: Sequence[Scope] = (SHOP,),
    ) -> list[str]:
        """The objects of this subject that hold, newest first."""
        numbers = [await self.scope_id(scope) for scope in scopes]
        async with self.database.transaction() as conn:
            found = await self.facts.as_of(conn, TEAM, numbers, subject, relation, at=at, known_at=known_at)
        return [fact.object for fact in found]
