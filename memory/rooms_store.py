"""What is known of channels and people: who is in, what they are called, and whether anybody let the team learn."""

from datetime import timedelta

from core.db import Connection
from core.trust import TrustLabel
from memory.item import Scope, ScopeId, ScopeKind
from memory.store import EVERYWHERE, fence

#: Members known longer ago than this are asked for again.
FRESH = timedelta(seconds=60)
#: So many at once.
AT_ONCE = 20


class RoomStore:
    """The SQL of scopes as rooms and of people as names."""

    async def learns(self, conn: Connection, scope: Scope) -> bool:
        """True where people have let the team remember what is said."""
        cursor = await conn.execute(
            "select 1 from memory.scope where workspace = %s and name = %s and learns and removed_at is null",
            (scope.workspace, scope.name),
        )
        return await cursor.fetchone() is not None

    async def set_learning(self, conn: Connection, scope: ScopeId, *, learns: bool) -> bool:
        """Let the team learn here from now on, or no longer; False when it was so already."""
        cursor = await conn.execute(
            "update memory.scope set learns = %s, removed_at = null where scope_id = %s and learns <> %s",
            (learns, scope, learns),
        )
        return cursor.rowcount == 1

    async def kind_of(
        self, conn: Connection, workspace: str, channel: str, *, unknown: ScopeKind = ScopeKind.CHANNEL
    ) -> ScopeKind:
        """What kind of scope this channel is; open to all where it is not known, unless something is kept there."""
        cursor = await conn.execute(
            "select kind from memory.scope where workspace = %s and name = %s", (workspace, channel)
        )
        row = await cursor.fetchone()
        return unknown if row is None else ScopeKind(row["kind"])

    async def due(self, conn: Connection) -> list[tuple[ScopeId, str]]:
        """The channels whose members were not asked for lately, those that were longest ago first."""
        cursor = await conn.execute(
            """
            select scope_id, name from memory.scope
            where kind in ('channel', 'private') and removed_at is null and (learns or items > 0)
              and coalesce(members_at, '-infinity') < core.now() - %s::interval
            order by members_at nulls first limit %s
            """,
            (FRESH, AT_ONCE),
        )
        return [(ScopeId(row["scope_id"]), row["name"]) for row in await cursor.fetchall()]

    async def trust_of(self, conn: Connection, workspace: str, person: str) -> TrustLabel:
        """How far somebody may be trusted whom the team file does not name: as a member, once Slack says they are."""
        cursor = await conn.execute(
            "select 1 from memory.person where workspace = %s and user_id = %s and not is_guest", (workspace, person)
        )
        return TrustLabel.EXTERNAL if await cursor.fetchone() is None else TrustLabel.MEMBER

    async def unknown_people(self, conn: Connection) -> list[tuple[str, str]]:
        """Some who have spoken and whose names are not known."""
        async with conn.transaction():
            await fence(conn, EVERYWHERE)
            cursor = await conn.execute(
                """
                select distinct scope.workspace, item.author
                from memory.item item join memory.scope scope using (scope_id)
                where item.tier = 'episode' and item.author ~ '^[UW][A-Z0-9]+$' and not exists (
                  select 1 from memory.person person
                  where person.workspace = scope.workspace and person.user_id = item.author)
                limit %s
                """,
                (AT_ONCE,),
            )
            return [(row["workspace"], row["author"]) for row in await cursor.fetchall()]

    async def vouch_for(self, conn: Connection, workspace: str, person: str) -> None:
        """What a full member said in Slack before we knew that they are one is trusted as a member's."""
        await fence(conn, EVERYWHERE)
        await conn.execute(
            """
            update memory.item set trust = 'member' from memory.scope scope
            where scope.scope_id = item.scope_id and scope.workspace = %s and author = %s and tier = 'episode'
              and trust = 'external' and source like 'slack:%%'
            """,
            (workspace, person),
        )
