"""Which conversation a message belongs to: its thread, or what is being talked about around it."""

from datetime import timedelta

from core.db import Connection
from memory.episode import Episode
from memory.item import ScopeId

#: What is said in a channel after so long a silence is another conversation.
SILENCE = timedelta(minutes=30)


async def conversation_of(conn: Connection, scope: ScopeId, episode: Episode) -> int:
    """The thread it stands in, or what is being talked about in the channel around that time."""
    at, silence = episode.said_at, SILENCE
    name, is_thread = episode.conversation, episode.conversation is not None
    if name is None:
        cursor = await conn.execute(
            """
            select name from memory.conversation
            where scope_id = %s and not is_thread and last_at >= %s and began_at <= %s order by last_at desc limit 1
            """,
            (scope, at - silence, at + silence),
        )
        near = await cursor.fetchone()
        name = near["name"] if near else f"from {at.isoformat()}"
    cursor = await conn.execute(
        """
        with talk as (
          insert into memory.conversation (scope_id, name, is_thread, began_at, last_at)
          values (%(scope)s, %(name)s, %(thread)s, %(at)s, %(at)s)
          on conflict (scope_id, name) do update set last_at = greatest(conversation.last_at, excluded.last_at),
            began_at = least(conversation.began_at, excluded.began_at)
          returning conversation_id, xmax = 0 as is_new),
        counted as (update memory.scope set conversations = conversations + 1
                    from talk where scope_id = %(scope)s and talk.is_new)
        select conversation_id from talk
        """,
        {"scope": scope, "name": name, "thread": is_thread, "at": at},
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row["conversation_id"])
