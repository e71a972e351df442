"""Quarantine as stored: what reads like an order to a machine is remembered but not found until a person lets it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from core import audit
from core.db import Connection, Database, Row
from core.outbox import Conversation, refresh_cards, show_card
from core.trust import TrustLabel
from memory.item import ItemId, ScopeId
from memory.store import EVERYWHERE, Store, fence
from memory.suspicion import suspicion

CARD = "quarantine"


@dataclass(frozen=True)
class Held:
    """One message in quarantine, for its card."""

    item_id: ItemId
    workspace: str
    channel: str
    author: str
    text: str
    trust: TrustLabel
    reason: str
    state: str
    said_at: datetime
    settled_by: str | None
    settled_at: datetime | None


async def hold(
    conn: Connection, store: Store, item: ItemId, text: str, trust: TrustLabel, *, at: Conversation | None = None
) -> str:
    """In the transaction that remembered it: keep this out of recall if it is suspicious, and why; else nothing.

    With `at`, people are asked there by a card.
    """
    reason = suspicion(text, trust)
    await fence(conn, EVERYWHERE)
    if not reason:
        # It may have been edited into something harmless.
        await conn.execute("delete from memory.quarantine where item_id = %s", (item,))
        return ""
    await conn.execute(
        """
        insert into memory.quarantine (item_id, scope_id, reason)
        select item_id, scope_id, %s from memory.item where item_id = %s
        on conflict (item_id) do update set reason = excluded.reason, state = 'waiting', settled_by = null,
          settled_at = null, at = core.now()
        """,
        (reason, item),
    )
    await store.unindex(conn, [item])
    if at is not None:
        await show_card(conn, CARD, str(item), at)
    return reason


class Quarantine:
    """Holds what is suspicious, and lets it go or keeps it out by a person's word."""

    def __init__(self, database: Database, store: Store) -> None:
        self._database = database
        self._store = store

    async def hold(
        self, conn: Connection, item: ItemId, text: str, trust: TrustLabel, *, at: Conversation | None = None
    ) -> str:
        """As the function `hold`."""
        return await hold(conn, self._store, item, text, trust, at=at)

    async def settle(
        self, conn: Connection, item: ItemId, *, release: bool, by: str, scopes: Collection[ScopeId]
    ) -> bool:
        """Let it be found, or keep it out for good; False when somebody was faster, or it is of no such scope."""
        await fence(conn, EVERYWHERE)
        cursor = await conn.execute(
            """
            update memory.quarantine set state = %s, settled_by = %s, settled_at = core.now()
            where item_id = %s and state = 'waiting' and scope_id = any(%s) returning scope_id
            """,
            ("released" if release else "kept_out", by, item, list(scopes)),
        )
        row = await cursor.fetchone()
        if row is None:
            return False
        workspace = await self._workspace(conn, row["scope_id"])
        if release:
            await self._store.show_again(conn, workspace, item)
        await refresh_cards(conn, CARD, str(item))
        audit.append_at_end(
            conn,
            workspace,
            "memory.released" if release else "memory.kept_out",
            actor=audit.person(by),
            subject={"item_id": item},
        )
        return True

    async def _workspace(self, conn: Connection, scope_id: int) -> str:
        cursor = await conn.execute("select workspace from memory.scope where scope_id = %s", (scope_id,))
        row = await cursor.fetchone()
        assert row is not None
        return str(row["workspace"])

    async def view(self, item: ItemId) -> Held | None:
        """One held message, or None where it is gone or its key is."""
        found = await self._views("held.item_id = %(item)s", item=item)
        return found[0] if found else None

    async def waiting(self, scopes: Sequence[int]) -> list[Held]:
        """What waits for a person in these scopes, oldest first."""
        return await self._views("held.scope_id = any(%(scopes)s) and held.state = 'waiting'", scopes=list(scopes))

    async def _views(self, which: str, **values: object) -> list[Held]:
        async with self._database.transaction() as conn:
            await fence(conn, EVERYWHERE)
            cursor = await conn.execute(
                f"""
                select held.*, item.author, item.said_at, item.trust, scope.workspace, scope.name as channel,
                       episode.sealed
                from memory.quarantine held join memory.item item using (item_id)
                join memory.scope scope on scope.scope_id = held.scope_id
                join memory.episode episode on episode.episode_id = item.episode_id
                where {which} order by held.at, held.item_id
                """.encode(),
                values,
            )
            found = [await self._held(conn, row) for row in await cursor.fetchall()]
        return [held for held in found if held is not None]

    async def _held(self, conn: Connection, row: Row) -> Held | None:
        text = await self._store.text_of(conn, row["workspace"], row["sealed"] or {})
        if text is None:
            return None
        return Held(
            item_id=ItemId(row["item_id"]),
            workspace=row["workspace"],
            channel=row["channel"],
            author=row["author"],
            text=text,
            trust=TrustLabel(row["trust"]),
            reason=row["reason"],
            state=row["state"],
            said_at=row["said_at"],
            settled_by=row["settled_by"],
            settled_at=row["settled_at"],
        )
