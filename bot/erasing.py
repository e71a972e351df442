"""What the bot keeps of what people said to it and what it told them: emptied on request, once it is done with it."""

from collections.abc import Sequence

from core.db import Connection
from graphs.erasing import place_of
from memory.forget import Erased, Forgotten

_DELIVERIES = """
  payload ->> 'workspace' = %(workspace)s
  and (%(person)s = '' or payload ->> 'user_id' = %(person)s)
  and (%(channel)s = '' or payload ->> 'channel' = %(channel)s)
  and (%(thread)s = '' or payload ->> 'thread_ts' = %(thread)s)
  and (%(since)s::timestamptz is null or received_at >= %(since)s)
  and (%(until)s::timestamptz is null or received_at < %(until)s)
"""
_POSTS = """
  workspace = %(workspace)s and payload <> '{}'
  and (%(person)s = '' or person = %(person)s or payload::text like '%%<@' || %(person)s || '>%%')
  and (%(channel)s = '' or channel = %(channel)s)
  and (%(thread)s = '' or thread_ts = %(thread)s)
  and (%(since)s::timestamptz is null or created_at >= %(since)s)
  and (%(until)s::timestamptz is null or created_at < %(until)s)
"""


class DeliveryTraces:
    """Empties handled deliveries and sent messages; what is still to be handled or sent is left for later."""

    name = "deliveries"
    tables: Sequence[str] = ("bot.delivery", "core.outbox")

    async def erase(self, conn: Connection, what: Forgotten) -> Erased:
        """Take the words out of both; the rows stay, so that a repeat is known as one."""
        values = _values(what)
        cursor = await conn.execute(
            f"""
            update bot.delivery set payload = payload || '{{"text": "", "value": ""}}', error = null
            where {_DELIVERIES} and state <> 'received' and (payload ->> 'text' <> '' or payload ->> 'value' <> '')
            """.encode(),
            values,
        )
        removed = cursor.rowcount
        cursor = await conn.execute(
            f"update core.outbox set payload = '{{}}' where {_POSTS} and state in ('sent', 'undelivered')".encode(),
            values,
        )
        return Erased(removed + cursor.rowcount, await self._count(conn, what, open_ones=True))

    async def probe(self, conn: Connection, what: Forgotten) -> int:
        """How many still hold words."""
        return await self._count(conn, what, open_ones=False)

    async def _count(self, conn: Connection, what: Forgotten, *, open_ones: bool) -> int:
        cursor = await conn.execute(
            f"""
            select (select count(*) from bot.delivery where {_DELIVERIES} and (state = 'received') = %(open)s
                      and payload ->> 'text' <> '')
              + (select count(*) from core.outbox where {_POSTS} and (state in ('owed', 'sending')) = %(open)s) as many
            """.encode(),
            {**_values(what), "open": open_ones},
        )
        row = await cursor.fetchone()
        assert row is not None
        return int(row["many"])


def _values(what: Forgotten) -> dict[str, object]:
    channel, thread = place_of(what)
    return {
        "workspace": what.workspace,
        "person": what.person,
        "channel": channel,
        "thread": thread,
        "since": what.since,
        "until": what.until,
    }
