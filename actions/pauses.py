"""The SQL of the kill switch: no attempt begins after a pause has committed."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from actions.pause import Cause, Kind, NameOf, Pause, Scope, paused_words
from core.db import Connection, DatabaseError, Row, is_outage
from core.errors import CountersignError
from core.ids import RunId, new_id


class SwitchUnreadable(CountersignError):
    """The kill switch cannot be read, so everything counts as paused."""


async def share(conn: Connection, workspace: str) -> None:
    """Take part in what a pause waits for: called before anything else of a transaction that may begin an attempt."""
    await conn.execute("select pg_advisory_xact_lock_shared(actions.switch_key(%s))", (workspace,))


async def take_alone(conn: Connection, workspace: str) -> None:
    """Wait for every attempt that is being begun, and let none begin until this transaction ends."""
    await conn.execute("select pg_advisory_xact_lock(actions.switch_key(%s))", (workspace,))


async def covering(conn: Connection, scope: Scope) -> Pause | None:
    """The widest pause in force over this effect, if any; raises SwitchUnreadable.

    Read after `share` it stays true until the transaction ends.
    """
    try:
        cursor = await conn.execute(
            """
            select * from actions.pause
            where workspace = %s and lifted_at is null and actions.pause_covers(kind, name, %s, %s, %s)
            order by array_position(array['workspace', 'connector', 'action', 'workflow'], kind), paused_at limit 1
            """,
            (scope.workspace, scope.workflow, scope.action, scope.connector),
        )
        row = await cursor.fetchone()
    except DatabaseError as error:
        if is_outage(error):
            raise
        raise SwitchUnreadable("the kill switch cannot be read, so nothing new begins") from error
    return None if row is None else _pause(row)


async def in_force(conn: Connection, workspace: str) -> list[Pause]:
    """Everything that is paused, the oldest first."""
    cursor = await conn.execute(
        "select * from actions.pause where workspace = %s and lifted_at is null order by paused_at", (workspace,)
    )
    return [_pause(row) for row in await cursor.fetchall()]


async def insert(
    conn: Connection, workspace: str, kind: Kind, name: str, *, cause: Cause, because: str, by: str | None
) -> Pause | None:
    """Pause this; None where exactly this is paused already."""
    cursor = await conn.execute(
        """
        insert into actions.pause (pause_id, workspace, kind, name, cause, because, paused_by)
        values (%s, %s, %s, %s, %s, %s, %s)
        on conflict (workspace, kind, name) where lifted_at is null do nothing
        returning *
        """,
        (new_id("pause"), workspace, kind, name, cause, because, by),
    )
    row = await cursor.fetchone()
    return None if row is None else _pause(row)


async def lift(conn: Connection, workspace: str, kind: Kind, name: str, by: str) -> Pause | None:
    """End the pause of exactly this; None where it is not paused."""
    cursor = await conn.execute(
        """
        update actions.pause set lifted_at = core.now(), lifted_by = %s
        where workspace = %s and kind = %s and name = %s and lifted_at is null returning *
        """,
        (by, workspace, kind, name),
    )
    row = await cursor.fetchone()
    return None if row is None else _pause(row)


async def is_lifted(conn: Connection, pause_id: str) -> bool:
    """True when this pause holds nothing back any more."""
    cursor = await conn.execute("select 1 from actions.pause where pause_id = %s and lifted_at is null", (pause_id,))
    return await cursor.fetchone() is None


async def hold_run(conn: Connection, run_id: RunId, pause: Pause) -> None:
    """Remember that this run met the switch, so that lifting the pause wakes it."""
    await conn.execute(
        """
        insert into actions.held (run_id, pause_id) values (%s, %s)
        on conflict (run_id) do update set pause_id = excluded.pause_id
        """,
        (run_id, pause.pause_id),
    )


async def let_go(conn: Connection, pause: Pause) -> list[RunId]:
    """The runs that met this pause, in one order for all; they are not held any more."""
    cursor = await conn.execute("delete from actions.held where pause_id = %s returning run_id", (pause.pause_id,))
    return sorted(RunId(row["run_id"]) for row in await cursor.fetchall())


async def asked_under(conn: Connection, pause: Pause) -> list[str]:
    """The approvals that people still answer about effects this pause is over."""
    cursor = await conn.execute(
        """
        select a.approval_id from actions.approval a join actions.intent i using (intent_id)
        where a.state = 'pending' and i.workspace = %s
          and actions.pause_covers(%s, %s, i.workflow, i.action, i.connector)
        order by a.approval_id
        """,
        (pause.workspace, pause.kind, pause.name),
    )
    return [row["approval_id"] for row in await cursor.fetchall()]


async def doubtful(conn: Connection, workspace: str, within: timedelta, more_than: int) -> list[tuple[str, int]]:
    """The connectors with more effects in doubt than that, begun within the window and since they were last resumed."""
    cursor = await conn.execute(
        """
        select i.connector as name, count(*) as many
        from actions.attempt a join actions.intent i using (intent_id)
        where a.state = 'in_doubt' and i.workspace = %s and a.started_at > core.now() - %s::interval
          and a.started_at > coalesce((select max(p.lifted_at) from actions.pause p where p.workspace = i.workspace
                                       and p.kind = 'connector' and p.name = i.connector), '-infinity')
        group by i.connector having count(*) > %s order by i.connector
        """,
        (workspace, within, more_than),
    )
    return [(row["name"], row["many"]) for row in await cursor.fetchall()]


async def breaching(conn: Connection, workspace: str, within: timedelta, more_than: int) -> list[tuple[str, int]]:
    """The actions that ran into a denying cap more often than that, within the window and since last resumed."""
    cursor = await conn.execute(
        """
        select b.action as name, count(*) as many from actions.breach b
        where b.workspace = %s and b.at > core.now() - %s::interval
          and b.at > coalesce((select max(p.lifted_at) from actions.pause p where p.workspace = b.workspace
                               and p.kind = 'action' and p.name = b.action), '-infinity')
        group by b.action having count(*) > %s order by b.action
        """,
        (workspace, within, more_than),
    )
    return [(row["name"], row["many"]) for row in await cursor.fetchall()]


async def list_recent(conn: Connection, limit: int) -> list[dict[str, Any]]:
    """The newest pauses, lifted ones too, as plain data for listings."""
    cursor = await conn.execute(
        """
        select pause_id, kind, name, cause, because, paused_by, paused_at::text, lifted_by, lifted_at::text
        from actions.pause order by paused_at desc limit %s
        """,
        (limit,),
    )
    return [dict(row) for row in await cursor.fetchall()]


def words_of(row: Mapping[str, Any] | None, name_of: NameOf) -> str:
    """By whom and why something is paused, from a pause as `actions.pause_over` gives it; empty without one."""
    return "" if row is None else paused_words(_pause(row), name_of)


def _pause(row: Row | Mapping[str, Any]) -> Pause:
    return Pause(
        row["pause_id"],
        row["workspace"],
        row["kind"],
        row["name"],
        row["cause"],
        row["because"],
        row["paused_by"],
    )
