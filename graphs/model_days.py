"""The log of model calls: kept for a while; what the older ones cost is added up by day before they go."""

from datetime import timedelta

from core.db import Connection

#: So many calls go in one transaction.
AT_ONCE = 5_000

# What a run that goes on has spent is read from its calls.
_OLD = """
  call.started_at < core.now() - %(keep)s and call.outcome <> 'started'
  and not exists (select 1 from graphs.run where run.run_id = call.run_id and run.finished_at is null)
"""


async def old_calls(conn: Connection, keep: timedelta) -> int:
    """How many calls of ended runs are older than that."""
    cursor = await conn.execute(
        f"select count(*) as many from graphs.model_call call where {_OLD}".encode(), {"keep": keep}
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row["many"])


async def prune_calls(conn: Connection, keep: timedelta) -> int:
    """Remove some calls older than that, the oldest first, adding up what they cost; how many went."""
    cursor = await conn.execute(
        f"""
        with gone as (
          delete from graphs.model_call where call_id in (
            select call_id from graphs.model_call call where {_OLD} order by started_at limit %(most)s
            for update skip locked)
          returning workspace, workflow, (started_at at time zone 'UTC')::date as day, coalesce(micro, 0) as micro,
                    tokens_in + tokens_out as tokens
        ), days as (
          insert into graphs.model_day (workspace, workflow, day, micro, tokens)
          select workspace, workflow, day, sum(micro), sum(tokens) from gone group by workspace, workflow, day
          on conflict (workspace, workflow, day) do update
            set micro = model_day.micro + excluded.micro, tokens = model_day.tokens + excluded.tokens
        )
        select count(*) as many from gone
        """.encode(),
        {"keep": keep, "most": AT_ONCE},
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row["many"])
