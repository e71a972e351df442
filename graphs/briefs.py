"""Who has a brief in hand: one run at a time, and nobody any more once its post stands."""

from dataclasses import dataclass

from core.db import Connection
from core.ids import RunId


@dataclass(frozen=True)
class Holder:
    """The run that has a brief, and where its post stands, if it does."""

    run_id: RunId
    url: str
    is_published: bool


async def claim(conn: Connection, workspace: str, fingerprint: str, run_id: RunId) -> Holder | None:
    """Take the brief for this run; the holder where another has it, or has published it and it was not taken back."""
    taken = await conn.execute(
        """
        insert into graphs.brief (workspace, fingerprint, run_id) values (%(workspace)s, %(brief)s, %(run)s)
        on conflict (workspace, fingerprint) do update set run_id = excluded.run_id, url = '', published_at = null
        where brief.run_id = excluded.run_id or exists (
            select from graphs.run where run.run_id = brief.run_id and run.finished_at is not null
              and not exists (select from jsonb_array_elements(run.steps) as step
                              where step ->> 'action' = 'post.publish' and step ->> 'state' in ('done', 'in_doubt')))
        """,
        {"workspace": workspace, "brief": fingerprint, "run": run_id},
    )
    if taken.rowcount:
        return None
    cursor = await conn.execute(
        "select run_id, url, published_at is not null as is_published from graphs.brief"
        " where workspace = %s and fingerprint = %s",
        (workspace, fingerprint),
    )
    row = await cursor.fetchone()
    assert row is not None
    return Holder(RunId(row["run_id"]), row["url"], row["is_published"])


async def published(conn: Connection, workspace: str, fingerprint: str, run_id: RunId, url: str) -> None:
    """Note where the post of this run's brief stands."""
    await conn.execute(
        "update graphs.brief set url = %s, published_at = core.now()"
        " where workspace = %s and fingerprint = %s and run_id = %s",
        (url, workspace, fingerprint, run_id),
    )
