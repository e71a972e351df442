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
        """Remove the checkpoints of ended runs, and all words of theirs; what goes on is left for later."""
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
            update graphs.run set request = jsonb_set(request, '{text}', '""'), plan_summary = '', outcome = '',
              remembered = '{}', steps = (
                select coalesce(jsonb_agg(step || jsonb_build_object('summary', step ->> 'action', 'note', '',
                                                                     'payload', null) order by place), '[]')
                from jsonb_array_elements(steps) with ordinality as listed (step, place))
            where run_id = any(%s) and (request ->> 'text' <> '' or plan_summary <> '' or outcome <> '')
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


#: What a sensor wrote is nobody's word: it goes with the place its card stands in, or with a span of time there.
_CASES = """
  workspace = %(workspace)s and (%(channel)s = '' or channel = %(channel)s) and data ->> 'subject' <> ''
  and (%(since)s::timestamptz is null or last_at >= %(since)s)
  and (%(until)s::timestamptz is null or last_at < %(until)s)
"""


class CaseTraces:
    """Empties the alert cases of a place; an open case is left for later."""

    name = "alert cases"
    tables: Sequence[str] = ("graphs.alert_case",)

    async def erase(self, conn: Connection, what: Forgotten) -> Erased:
        """Leave of each closed case that there was one, when, and how bad it was."""
        if not _is_of_a_place(what):
            return Erased(0, 0)
        cursor = await conn.execute(
            f"""
            update graphs.alert_case set case_key = case_id, updated_at = core.now(), data = jsonb_build_object(
              'by', data -> 'by', 'subject', '', 'first_at', data -> 'first_at', 'last_at', data -> 'last_at',
              'severity', data -> 'severity')
            where {_CASES} and not is_open returning case_id
            """.encode(),
            _values(what),
        )
        emptied = await cursor.fetchall()
        for row in emptied:
            await refresh_cards(conn, "case", row["case_id"])
        return Erased(len(emptied), await self._count(conn, what, open_ones=True))

    async def probe(self, conn: Connection, what: Forgotten) -> int:
        """How many closed ones still say something."""
        return await self._count(conn, what, open_ones=False) if _is_of_a_place(what) else 0

    async def _count(self, conn: Connection, what: Forgotten, *, open_ones: bool) -> int:
        cursor = await conn.execute(
            f"select count(*) as many from graphs.alert_case where {_CASES} and is_open = %(open)s".encode(),
            {**_values(what), "open": open_ones},
        )
        row = await cursor.fetchone()
        assert row is not None
        return int(row["many"])


def _is_of_a_place(what: Forgotten) -> bool:
    return what.kind in ("scope", "span") and (what.scope is None or what.scope.kind is not ScopeKind.PERSON)


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
