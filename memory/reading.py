"""Reads remembered things back: what is sealed is opened only here, and only inside the transaction's fence."""

from collections.abc import Sequence
from typing import Any

from core.db import Connection
from core.subjects import Vault
from core.trust import TrustLabel
from memory.hot import Hot
from memory.item import ItemId, MemoryItem, Provenance, Scope, ScopeId, Tier
from memory.store import ABOUT


class Reading:
    """Opens items and turns; what a destroyed key sealed is as if it were not there."""

    def __init__(self, vault: Vault, hot: Hot) -> None:
        self._vault = vault
        self._hot = hot

    async def items(self, conn: Connection, workspace: str, items: Sequence[ItemId]) -> dict[ItemId, MemoryItem]:
        """These items as far as this transaction may see them and their keys are there; they stay until it ends."""
        cursor = await conn.execute(
            """
            select item.*, coalesce(item.sealed, episode.sealed) as kept, scope.name as channel,
                   coalesce(talk.name, '') as talk,
                   array(select source_item_id from memory.item_source source
                         where source.item_id = item.item_id order by 1) as derived_from
            from memory.item item join memory.scope scope using (scope_id)
            left join memory.episode episode on episode.episode_id = item.episode_id
            left join memory.conversation talk on talk.conversation_id = item.conversation_id
            where item.item_id = any(%s) for key share of item
            """,
            (list(items),),
        )
        rows = await cursor.fetchall()
        texts = await self._vault.open_all(conn, workspace, [row["kept"] for row in rows], about=ABOUT)
        return {
            ItemId(row["item_id"]): _item(row, text) for row, text in zip(rows, texts, strict=True) if text is not None
        }

    async def turns(self, conn: Connection, scope: Scope, conversation: str, *, most: int = 20) -> list[MemoryItem]:
        """The last turns of a conversation, oldest first; the transaction's fence must stand around its scope."""
        cursor = await conn.execute(
            "select scope_id, version from memory.scope where workspace = %s and name = %s",
            (scope.workspace, scope.name),
        )
        row = await cursor.fetchone()
        if row is None:
            return []
        version = (int(row["scope_id"]), int(row["version"]))
        known = await self._hot.turns(version, conversation, most)
        if known is None:
            known = await _turns(conn, version[0], conversation, most)
            await self._hot.keep_turns(version, conversation, most, known)
        found = await self.items(conn, scope.workspace, known)
        return [found[item] for item in known if item in found]


def _item(row: dict[str, Any], text: str) -> MemoryItem:
    return MemoryItem(
        item_id=ItemId(row["item_id"]),
        tier=Tier(row["tier"]),
        scope_id=ScopeId(row["scope_id"]),
        text=text,
        provenance=Provenance(
            source=row["source"],
            author=row["author"],
            channel=row["channel"],
            conversation=row["talk"],
            said_at=row["said_at"],
            recorded_at=row["recorded_at"],
            trust=TrustLabel(row["trust"]),
            derived_from=tuple(ItemId(each) for each in row["derived_from"]),
        ),
        valid_from=row["valid_from"],
        valid_to=row["valid_to"],
    )


async def _turns(conn: Connection, scope: int, conversation: str, most: int) -> list[Any]:
    cursor = await conn.execute(
        """
        select item_id from memory.item join memory.conversation talk using (conversation_id)
        where talk.scope_id = %s and talk.name = %s and tier = 'episode'
        order by said_at desc, item_id desc limit %s
        """,
        (scope, conversation, most),
    )
    return [row["item_id"] for row in await cursor.fetchall()][::-1]
