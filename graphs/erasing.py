"""What runs keep of what people said: their checkpoints and the words they were asked with, erased on request."""

from collections.abc import Sequence

from core.db import Connection
from core.outbox import refresh_cards
from memory.forget import Erased, Forgotten
from memory.item import ScopeKind

_WHICH = """
  workspace = %(workspace)s
  and (%(person)s = '' or requester = %(person)s)
  and (%(channel)s = '' or conversation ->> 'channel' = %(channel)s)
  and (%(thread)s = '' or conversation ->> 'thread_ts' = %(thread)s)
  and (%(since)s::timestamptz is null or created_at >= %(since)s)
  and (%(until)s::timestamptz is null or created_at < %(until)s)
"""
#: What was said to such a run, and what this person said to any.
_SAID = f"""
  run.run_id = reply.run_id and workspace = %(workspace)s and (reply.run_id in (
    select run_id from graphs.run where {_WHICH}) or %(person)s <> '' and reply.person = %(person)s)
"""


class RunTraces:
    """Erases of ended runs what was said in them; of a run that goes on nothing, for it could not go on."""

    name = "checkpoints"
    tables: Sequence[str] = ("graphs.run", "graphs.reply")

    async def erase(self, conn: Connection, what: Forgotten) -> Erased:
        """Remove the checkpoints of ended runs, and the words they were asked with; what goes on is left for later."""
        cursor = await conn.execute(
            f"select run_id, finished_at from graphs.run where {_WHICH} for update".encode(), _values(what)
        )
        rows = await cursor.fetchall()
        ended = [row["run_id"] for row in rows if row["finished_at"] is not None]
        removed = 0
        for table in ("checkpoints", "checkpoint_blobs", "checkpoint_writes"):
            cursor = await conn.execute(f"delete from langgraph.{table} where thread_id = any(%s)".encode(), (ended,))
            removed += cursor.rowcount
        await conn.execute(
            """
            update graphs.run set request = jsonb_set(request, '{text}', '""'), plan_summary = ''
            where run_id = any(%s) and (request ->> 'text' <> '' or plan_summary <> '')
            """,
            (ended,),
        )
        cursor = await conn.execute(
            f"delete from graphs.reply using graphs.run where {_SAID} and run.finished_at is not null".encode(),
            _values(what),
        )
        removed += cursor.rowcount
        for run_id in ended:
            await refresh_cards(conn, "run", run_id)
        return Erased(removed, len(rows) - len(ended) + await self._heard(conn, what, ended=False))

    async def _heard(self, conn: Connection, what: Forgotten, *, ended: bool) -> int:
        """How many replies such runs still hold."""
        cursor = await conn.execute(
            f"""
            select count(*) as many from graphs.reply, graphs.run
            where {_SAID} and (run.finished_at is not null) = %(ended)s
            """.encode(),
            {**_values(what), "ended": ended},
        )
        row = await cursor.fetchone()
        assert row is not None
        return int(row["many"])

    async def probe(self, conn: Connection, what: Forgotten) -> int:
        """How many checkpoints and replies of ended runs are still there."""
        cursor = await conn.execute(
            f"""
            select count(*) as many from langgraph.checkpoints where thread_id in (
              select run_id from graphs.run where {_WHICH} and finished_at is not null)
            """.encode(),
            _values(what),
        )
        row = await cursor.fetchone()
        assert row is not None
        return int(row["many"]) + await self._heard(conn, what, ended=True)


def _values(what: Forgotten) -> dict[str, object]:
    channel, thread = place_of(what)
    person = what.scope.name if what.scope and what.scope.kind is ScopeKind.PERSON else what.person
    return {
        "workspace": what.workspace,
        "person": person,
        "channel": channel,
        "thread": thread,
        "since": what.since,
        "until": what.until,
    }


def place_of(what: Forgotten) -> tuple[str, str]:
    """The channel and the thread this is limited to; empty where it is not."""
    if what.kind == "message":
        _, channel, ts = f"{what.source}::".split(":")[:3]
        return channel or "none", ts or "none"
    scope = what.scope
    if scope is None or scope.kind is ScopeKind.PERSON:
        return "", ""
    # What belongs to everybody was said nowhere in particular.
    return (scope.name or "none"), ""
