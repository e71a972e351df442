"""What became of every effect of one run, from the ledger's own rows: judged, asked, answered, sent, settled."""

from typing import Any

from core.db import Connection


async def story_of(conn: Connection, run_id: str) -> list[dict[str, Any]]:
    """Each intent of the run in order, with its newest record, its approvals with their votes, and its attempts."""
    cursor = await conn.execute(
        """
        select i.step, i.action, i.state, i.outcome, i.cause, i.revision, i.sandbox, r.summary, r.digest,
          coalesce((select jsonb_agg(jsonb_build_object('state', a.state, 'decision', a.decision, 'reason', a.reason,
                      'decided_by', a.decided_by, 'revision', a.revision, 'votes',
                      (select coalesce(jsonb_agg(jsonb_build_array(v.person, v.verdict) order by v.at), '[]')
                       from actions.vote v where v.approval_id = a.approval_id)) order by a.asked_at)
                    from actions.approval a where a.intent_id = i.intent_id), '[]') as approvals,
          coalesce((select jsonb_agg(jsonb_build_object('number', t.number, 'state', t.state, 'error', t.error,
                      'verdict', t.verdict, 'policy_version', t.policy_version, 'sha256', t.request_sha256)
                      order by t.number)
                    from actions.attempt t where t.intent_id = i.intent_id), '[]') as attempts
        from actions.intent i join actions.revision r using (intent_id, revision)
        where i.run_id = %s order by i.created_at, i.step
        """,
        (run_id,),
    )
    return [dict(row) for row in await cursor.fetchall()]


async def rows_about(conn: Connection, workspace: str, run_id: str) -> tuple[int, int, int]:
    """How many audit events tell of this run, and the numbers of the first and the last; zeros for none."""
    cursor = await conn.execute(
        "select count(*) as many, coalesce(min(seq), 0) as first, coalesce(max(seq), 0) as last from core.audit"
        " where workspace = %s and subject ->> 'run_id' = %s",
        (workspace, run_id),
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row["many"]), int(row["first"]), int(row["last"])
