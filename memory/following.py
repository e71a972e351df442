"""What follows when a message is said, edited or deleted: what was made of its older wording goes with it."""

from core.db import Connection
from core.outbox import Conversation
from core.subjects import Vault
from memory.episode import Episode, EpisodeKind
from memory.facts import Facts
from memory.holding import hold
from memory.item import ItemId, ScopeKind
from memory.store import Store


class Following:
    """Keeps the other tiers true to the log; given to the store, which calls it in its transaction."""

    def __init__(self, vault: Vault) -> None:
        self._store = Store(vault)
        self._facts = Facts(self._store, vault)

    async def changes(self, conn: Connection, workspace: str, item: ItemId) -> None:
        """Take back what the wording so far was made into; the distiller and the chronicle look at the new one."""
        await self._facts.forget_message(conn, workspace, item)
        cursor = await conn.execute(
            """
            with gone as (
              delete from memory.digest where item_id in (
                select item_id from memory.item_source where source_item_id = %s) returning *),
            owed as (insert into memory.digest_owed (scope_id, kind, name) select scope_id, kind, name from gone)
            select item_id from gone
            """,
            (item,),
        )
        await self._store.remove(conn, [ItemId(row["item_id"]) for row in await cursor.fetchall()])

    async def shown(self, conn: Connection, episode: Episode, item: ItemId) -> None:
        """Hold back what reads like an order to a machine, and ask people where it was said."""
        if episode.kind is EpisodeKind.DELETED:
            return
        is_channel = episode.scope.kind in (ScopeKind.CHANNEL, ScopeKind.PRIVATE)
        place = Conversation(episode.scope.workspace, episode.scope.name) if is_channel else None
        await hold(conn, self._store, item, episode.text, episode.trust, at=place)
