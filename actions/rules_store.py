"""The versions of the rules: which were offered, which is in force, and who put it there. The SQL of `rules_keeper`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from actions.policy_file import Texts
from core.db import Connection, Row, jsonb
from core.ids import new_id


@dataclass(frozen=True)
class Change:
    """One offer of a version: in force, waiting for people, replaced or withdrawn."""

    change_id: str
    workspace: str
    version: str
    was: str | None
    state: str
    kind: str
    differences: list[list[str]]
    """Kind and words of each, the loosening first."""
    quorum: int
    consents: list[str]
    """Who has pressed, in order."""
    at: datetime


async def hold(conn: Connection, workspace: str) -> None:
    """Let no other process change which rules are in force until this transaction ends."""
    await conn.execute("select pg_advisory_xact_lock(hashtextextended('actions.rules/' || %s, 0))", (workspace,))


_CHANGE = """
    select c.*, coalesce((select array_agg(person order by k.at) from actions.rules_consent k
                          where k.change_id = c.change_id), '{}') as consents
    from actions.rules_change c
"""


async def in_state(conn: Connection, workspace: str, state: str) -> Change | None:
    """The newest change of this workspace in this state; at most one is in force, and at most one waits."""
    query = _CHANGE + " where workspace = %s and state = %s order by at desc limit 1"
    cursor = await conn.execute(query.encode(), (workspace, state))
    row = await cursor.fetchone()
    return None if row is None else _change(row)


async def change_of(conn: Connection, change_id: str) -> Change | None:
    """The change with this id."""
    cursor = await conn.execute((_CHANGE + " where change_id = %s").encode(), (change_id,))
    row = await cursor.fetchone()
    return None if row is None else _change(row)


def _change(row: Row) -> Change:
    names = ("change_id", "workspace", "version", "was", "state", "kind", "differences", "quorum", "consents", "at")
    return Change(**{name: row[name] for name in names})


async def version_in_force(conn: Connection, workspace: str) -> str | None:
    """The version by which every process of this workspace judges."""
    cursor = await conn.execute(
        "select version from actions.rules_change where workspace = %s and state = 'in_force'", (workspace,)
    )
    row = await cursor.fetchone()
    return None if row is None else row["version"]


async def texts_of(conn: Connection, version: str) -> tuple[str, Texts] | None:
    """The files of the one version that begins like this, with its whole name; None when none or several do."""
    cursor = await conn.execute(
        "select version, policy, team, rulebook from actions.rules_version where starts_with(version, %s) limit 2",
        (version,),
    )
    rows = await cursor.fetchall()
    if len(rows) != 1:
        return None
    return rows[0]["version"], Texts(rows[0]["policy"], rows[0]["team"], rows[0]["rulebook"])


async def keep(conn: Connection, version: str, texts: Texts) -> None:
    """Keep the files of a version; those of one that is known already are kept as they were."""
    await conn.execute(
        "insert into actions.rules_version (version, policy, team, rulebook) values (%s, %s, %s, %s)"
        " on conflict do nothing",
        (version, texts.policy, texts.team, texts.rulebook),
    )


async def put(
    conn: Connection, workspace: str, version: str, *, was: str | None, kind: str, differences: Sequence[Sequence[str]]
) -> str:
    """A new change in force; whatever was in force is replaced, whatever waited is withdrawn."""
    await end(conn, workspace, "waiting", "withdrawn")
    await end(conn, workspace, "in_force", "replaced")
    return await _insert(conn, workspace, version, (was, kind, "in_force", 0), differences)


async def propose(
    conn: Connection,
    workspace: str,
    version: str,
    *,
    was: str | None,
    quorum: int,
    differences: Sequence[Sequence[str]],
) -> str:
    """A new change that waits for people; whatever waited before is withdrawn."""
    await end(conn, workspace, "waiting", "withdrawn")
    return await _insert(conn, workspace, version, (was, "loosened", "waiting", quorum), differences)


async def _insert(
    conn: Connection,
    workspace: str,
    version: str,
    how: tuple[str | None, str, str, int],
    differences: Sequence[Sequence[str]],
) -> str:
    change_id = new_id("rules", 16)
    was, kind, state, quorum = how
    await conn.execute(
        """
        insert into actions.rules_change (change_id, workspace, version, was, kind, state, quorum, differences,
                                          in_force_at)
        values (%s, %s, %s, %s, %s, %s, %s, %s, case when %s = 'in_force' then core.now() end)
        """,
        (change_id, workspace, version, was, kind, state, quorum, jsonb([list(each) for each in differences]), state),
    )
    return change_id


async def end(conn: Connection, workspace: str, state: str, to: str) -> list[str]:
    """Move whatever is in `state` on to `to`; gives the ids."""
    cursor = await conn.execute(
        "update actions.rules_change set state = %s where workspace = %s and state = %s returning change_id",
        (to, workspace, state),
    )
    return [row["change_id"] for row in await cursor.fetchall()]


async def consent(conn: Connection, change_id: str, person: str, delivery_id: str) -> int:
    """Count this person's press; gives how many people have pressed."""
    await conn.execute(
        "insert into actions.rules_consent (change_id, person, delivery_id) values (%s, %s, %s) on conflict do nothing",
        (change_id, person, delivery_id),
    )
    cursor = await conn.execute(
        "select count(*) as number from actions.rules_consent where change_id = %s", (change_id,)
    )
    row = await cursor.fetchone()
    assert row is not None
    return row["number"]


async def put_waiting(conn: Connection, change: Change) -> None:
    """Put what waited in force in place of what was."""
    await end(conn, change.workspace, "in_force", "replaced")
    await conn.execute(
        "update actions.rules_change set state = 'in_force', in_force_at = core.now() where change_id = %s",
        (change.change_id,),
    )


async def recent_changes(conn: Connection, limit: int) -> list[dict[str, Any]]:
    """The newest changes, as plain data for listings."""
    cursor = await conn.execute((_CHANGE + " order by at desc, change_id limit %s").encode(), (limit,))
    return [
        {
            "version": row["version"],
            "state": row["state"],
            "kind": row["kind"],
            "at": row["at"].isoformat(timespec="seconds"),
            "pressed": ", ".join(row["consents"]),
            "differences": row["differences"],
        }
        for row in await cursor.fetchall()
    ]
