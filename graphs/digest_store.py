"""Reads from our own tables what a digest tells; it changes nothing."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from core.db import Connection
from core.money import Money
from graphs.digest import Figures, Waiting
from memory.upkeep import reported


async def figures_of(conn: Connection, workspace: str, *, since: timedelta) -> Figures:
    """What this workspace's tables say of the last `since`."""
    cursor = await conn.execute("select core.now() - %s as since, core.now() as until", (since,))
    span = await cursor.fetchone()
    assert span is not None
    asked = {"workspace": workspace, "since": span["since"]}
    waited, edits = await _answered(conn, asked)
    return Figures(
        since=span["since"],
        until=span["until"],
        runs=await _runs(conn, asked),
        effects=await _effects(conn, asked),
        approvals=await _approvals(conn, asked),
        waited=waited,
        edits=edits,
        refunds=await _refunds(conn, asked),
        reversals=await _one(
            conn,
            """
            select count(*) as number from actions.intent
            where workspace = %(workspace)s and compensates is not null and state = 'done' and ended_at >= %(since)s
            """,
            asked,
        ),
        in_doubt=await _one(
            conn,
            "select count(*) as number from actions.intent where workspace = %(workspace)s and state = 'in_doubt'",
            asked,
        ),
        undelivered=await _one(
            conn,
            """
            select count(*) as number from core.outbox
            where workspace = %(workspace)s and state = 'undelivered' and ended_at >= %(since)s
            """,
            asked,
        ),
        waiting=await _waiting(conn, asked),
        spent=await _spent(conn, asked),
        cases=await _cases(conn, asked),
        upkept=await reported(conn, span["since"]),
    )


async def _one(conn: Connection, query: Any, asked: Mapping[str, Any]) -> int:
    row = await (await conn.execute(query, asked)).fetchone()
    assert row is not None
    return int(row["number"])


async def _runs(conn: Connection, asked: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    cursor = await conn.execute(
        """
        select workflow, state, count(*) as number from graphs.run
        where workspace = %(workspace)s and created_at >= %(since)s and not dry group by workflow, state
        """,
        asked,
    )
    return _by_two(await cursor.fetchall(), "workflow", "state")


async def _effects(conn: Connection, asked: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    cursor = await conn.execute(
        """
        select action, state, count(*) as number from actions.intent
        where workspace = %(workspace)s and created_at >= %(since)s and action <> 'message.post'
          and state not in ('prepared', 'rehearsed') group by action, state
        """,
        asked,
    )
    return _by_two(await cursor.fetchall(), "action", "state")


def _by_two(rows: list[Any], first: str, second: str) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for row in rows:
        found[row[first]][row[second]] = int(row["number"])
    return dict(found)


async def _approvals(conn: Connection, asked: Mapping[str, Any]) -> dict[str, int]:
    cursor = await conn.execute(
        """
        select a.state, count(*) as number from actions.approval a join actions.intent i using (intent_id)
        where i.workspace = %(workspace)s and a.asked_at >= %(since)s group by a.state
        """,
        asked,
    )
    return {row["state"]: int(row["number"]) for row in await cursor.fetchall()}


async def _answered(conn: Connection, asked: Mapping[str, Any]) -> tuple[list[timedelta], int]:
    cursor = await conn.execute(
        """
        select a.decided_at - a.asked_at as waited, r.edited_by is not null as edited
        from actions.approval a join actions.intent i using (intent_id)
        join actions.revision r on r.intent_id = a.intent_id and r.revision = a.revision
        where i.workspace = %(workspace)s and a.decided_at >= %(since)s and a.state in ('approved', 'rejected')
        """,
        asked,
    )
    rows = await cursor.fetchall()
    return [row["waited"] for row in rows], sum(1 for row in rows if row["edited"])


async def _refunds(conn: Connection, asked: Mapping[str, Any]) -> list[Money]:
    cursor = await conn.execute(
        """
        select result from actions.intent
        where workspace = %(workspace)s and action = 'payment.refund' and state = 'done' and ended_at >= %(since)s
        """,
        asked,
    )
    found = [row["result"]["amount"] for row in await cursor.fetchall()]
    return [Money(each["minor"], each["currency"]) for each in found]


async def _waiting(conn: Connection, asked: Mapping[str, Any]) -> list[Waiting]:
    cursor = await conn.execute(
        """
        select r.summary, a.asked_at from actions.approval a join actions.intent i using (intent_id)
        join actions.revision r on r.intent_id = a.intent_id and r.revision = a.revision
        where i.workspace = %(workspace)s and a.state = 'pending' order by a.asked_at limit 1000
        """,
        asked,
    )
    return [Waiting(row["summary"], row["asked_at"]) for row in await cursor.fetchall()]


async def _spent(conn: Connection, asked: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    cursor = await conn.execute(
        """
        select workflow, coalesce(sum(micro), 0)::bigint as micro, sum(tokens)::bigint as tokens
        from (select workflow, micro, tokens_in + tokens_out as tokens from graphs.model_call
              where workspace = %(workspace)s and started_at >= %(since)s and outcome <> 'started'
              union all
              select workflow, micro, tokens from graphs.model_day
              where workspace = %(workspace)s and day >= (%(since)s at time zone 'UTC')::date) as spent
        group by workflow
        """,
        asked,
    )
    return {row["workflow"]: (int(row["micro"]), int(row["tokens"])) for row in await cursor.fetchall()}


async def _cases(conn: Connection, asked: Mapping[str, Any]) -> dict[str, int]:
    cursor = await conn.execute(
        """
        select severity, count(*) as number from graphs.alert_case
        where workspace = %(workspace)s and updated_at >= %(since)s group by severity
        """,
        asked,
    )
    return {row["severity"]: int(row["number"]) for row in await cursor.fetchall()}
