"""Who has left and what is no more: deactivated people, channels that are gone, and what follows for memory."""

from datetime import timedelta

from core import audit
from core.db import Connection
from memory.forget import Forgetting, Forgotten
from memory.item import Scope, ScopeKind
from memory.tokens import revoke_tokens

#: How long what is remembered of a channel that is gone is kept, shown to nobody.
KEPT = timedelta(days=30)
_AGAIN = timedelta(hours=1)
_AT_ONCE = 20
#: Who asks for an erasure that follows from what happened.
BY_ITSELF = "countersign"


async def due_people(conn: Connection) -> list[tuple[str, str]]:
    """Some whose standing was not asked for lately, those that were longest ago first."""
    cursor = await conn.execute(
        """
        select workspace, user_id from memory.person
        where left_at is null and coalesce(asked_at, '-infinity') < core.now() - %s::interval
        order by asked_at nulls first limit %s
        """,
        (_AGAIN, _AT_ONCE),
    )
    return [(row["workspace"], row["user_id"]) for row in await cursor.fetchall()]


async def noted(conn: Connection, workspace: str, person: str) -> None:
    """They are still there."""
    await conn.execute(
        "update memory.person set asked_at = core.now() where workspace = %s and user_id = %s", (workspace, person)
    )


async def person_left(conn: Connection, workspace: str, person: str) -> None:
    """Somebody was deactivated: they see nothing, their tools reach nothing, and what was theirs alone shows nowhere.

    What they said to others stays, as in Slack, until it is forgotten on request; their own talk with us is erased with
    the channels that are gone.
    """
    await revoke_tokens(conn, workspace, person)
    await conn.execute(
        """
        delete from memory.scope_member member using memory.scope scope
        where scope.scope_id = member.scope_id and scope.workspace = %s and member.user_id = %s
        """,
        (workspace, person),
    )
    await conn.execute(
        """
        update memory.scope set removed_at = core.now(), version = version + 1
        where workspace = %s and kind = 'person' and name = %s and removed_at is null
        """,
        (workspace, person),
    )
    await conn.execute(
        "update memory.person set left_at = core.now(), asked_at = core.now() where workspace = %s and user_id = %s",
        (workspace, person),
    )
    audit.append_at_end(conn, workspace, "memory.person_left", actor=audit.CODE, subject={"user_id": person})


async def forget_removed(conn: Connection, forgetting: Forgetting) -> list[str]:
    """Ask for the erasure of every scope that has been gone for so long; the erasures' ids."""
    cursor = await conn.execute(
        """
        select workspace, kind, name from memory.scope
        where removed_at < core.now() - %s::interval and items > 0 and name <> '' and not exists (
          select 1 from memory.erasure asked where asked.state <> 'done' and asked.workspace = scope.workspace
            and asked.what -> 'scope' ->> 1 = scope.name)
        """,
        (KEPT,),
    )
    gone = [
        Forgotten(row["workspace"], "scope", scope=Scope(row["workspace"], ScopeKind(row["kind"]), row["name"]))
        for row in await cursor.fetchall()
    ]
    return [await forgetting.ask(conn, what, by=BY_ITSELF) for what in gone]
