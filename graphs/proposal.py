"""The plan as the audit log has it: which steps were intended, under which rules, with a digest of all of it."""

from collections.abc import Sequence

from core import audit
from core.db import Connection
from graphs.plan import Plan
from graphs.run import Run, StepView


async def tell_plan(conn: Connection, run: Run, steps: Sequence[StepView], plan: Plan, *, rules_version: str) -> None:
    """Append the event of a new plan, as the last statement; a plan proposed again after a crash adds nothing."""
    sha256 = plan.sha256
    cursor = await conn.execute(
        """
        select 1 from core.audit
        where subject ->> 'run_id' = %s and event = 'plan.proposed' and detail ->> 'plan_sha256' = %s
        """,
        (run.run_id, sha256),
    )
    if await cursor.fetchone() is not None:
        return
    await audit.append(
        conn,
        run.request.workspace,
        "plan.proposed",
        actor=audit.CODE,
        subject={"run_id": run.run_id, "workflow": run.workflow},
        detail={
            "plan_sha256": sha256,
            "rules_version": rules_version,
            "steps": [{"step": step.key, "action": step.action, "verdict": step.verdict} for step in steps],
            "summary": plan.summary,
        },
        whose=run.request.requester,
    )


async def tell_dropped(conn: Connection, run: Run, plan: Plan, key: str, why: str) -> None:
    """Append that a step was taken out of the plan, with the digest of what is left; told once."""
    left = plan.without(key)
    cursor = await conn.execute(
        """
        select 1 from core.audit
        where subject ->> 'run_id' = %s and event = 'plan.step_dropped' and detail ->> 'plan_sha256' = %s
        """,
        (run.run_id, left.sha256),
    )
    if await cursor.fetchone() is None:
        await audit.append(
            conn,
            run.request.workspace,
            "plan.step_dropped",
            actor=audit.CODE,
            subject={"run_id": run.run_id, "workflow": run.workflow, "step": key},
            detail={"plan_sha256": left.sha256, "was_sha256": plan.sha256, "why": why},
            whose=run.request.requester,
        )
