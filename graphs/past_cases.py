"""What was classified as what, and on which of it a lesson was shown: ids and labels, the texts stay where they are."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.db import Connection, Row
from core.ids import RunId
from graphs.context import RunContext


@dataclass(frozen=True)
class PastCase:
    """One text that a run has classified."""

    run_id: RunId
    subject: str
    """What the run was asked with: of the inbox, the mail's Message-ID; empty once it was forgotten."""
    label: str
    summary: str
    """For people: what the run was about."""


@dataclass(frozen=True)
class Shown:
    """One past case as a lesson's card shows it: what was said then, and what would be said."""

    run_id: RunId
    said: str
    would_say: str
    summary: str = ""


async def note_case(context: RunContext, label: str) -> None:
    """Keep as what this run has classified its text; what a node says when it is replayed is the same."""
    if context.run.request.dry:
        return
    async with context.database.transaction() as conn:
        await context.guard.fence(conn)
        await conn.execute(
            "insert into graphs.past_case (run_id, label) values (%s, %s) on conflict do nothing",
            (context.run.run_id, label),
        )


async def latest_cases(conn: Connection, workspace: str, workflow: str, most: int) -> list[PastCase]:
    """The newest past cases of this workflow whose text can still be looked up."""
    cursor = await conn.execute(
        """
        select run_id, label, request ->> 'text' as subject, plan_summary
        from graphs.past_case join graphs.run using (run_id)
        where workspace = %s and workflow = %s and request ->> 'text' <> ''
        order by classified_at desc, run_id limit %s
        """,
        (workspace, workflow, most),
    )
    return [_past(row) for row in await cursor.fetchall()]


async def case_of(conn: Connection, workspace: str, workflow: str, run_id: str) -> PastCase | None:
    """What that run has classified."""
    cursor = await conn.execute(
        """
        select run_id, label, request ->> 'text' as subject, plan_summary
        from graphs.past_case join graphs.run using (run_id)
        where workspace = %s and workflow = %s and run_id = %s and request ->> 'text' <> ''
        """,
        (workspace, workflow, run_id),
    )
    row = await cursor.fetchone()
    return None if row is None else _past(row)


async def keep_trial(conn: Connection, lesson_id: str, cases: Sequence[Shown]) -> None:
    """Keep on which cases this lesson is shown, in place of an earlier showing."""
    await conn.execute("delete from graphs.trial where lesson_id = %s", (lesson_id,))
    for place, case in enumerate(cases):
        await conn.execute(
            "insert into graphs.trial (lesson_id, place, run_id, said, would_say) values (%s, %s, %s, %s, %s)",
            (lesson_id, place, case.run_id, case.said, case.would_say),
        )


async def trial_of(conn: Connection, lesson_id: str) -> list[Shown]:
    """On which cases this lesson was shown, in order; none where it was not."""
    cursor = await conn.execute(
        """
        select run_id, said, would_say, plan_summary from graphs.trial join graphs.run using (run_id)
        where lesson_id = %s order by place
        """,
        (lesson_id,),
    )
    rows = await cursor.fetchall()
    return [Shown(RunId(row["run_id"]), row["said"], row["would_say"], row["plan_summary"]) for row in rows]


def _past(row: Row) -> PastCase:
    return PastCase(RunId(row["run_id"]), row["subject"], row["label"], row["plan_summary"])
