"""Wishes that never became an intent: nobody can perform them here, which is told and audited all the same."""

from actions.outcome import Caller, Declined
from core import audit
from core.db import Database

#: The cause of every such refusal.
DENIED = "denied"


async def tell(database: Database, caller: Caller, step: str, action: str, refused: Declined) -> Declined:
    """Audit that this step was refused before anything was written for it; asked again, it adds nothing."""
    async with database.transaction() as conn:
        await caller.guard.fence(conn)
        cursor = await conn.execute(
            """
            select 1 from core.audit
            where subject ->> 'run_id' = %s and event = 'effect.denied' and subject ->> 'step' = %s
              and not subject ? 'intent_id'
            """,
            (caller.run_id, step),
        )
        if await cursor.fetchone() is None:
            await audit.append(
                conn,
                caller.workspace,
                "effect.denied",
                actor=audit.CODE,
                subject={"run_id": caller.run_id, "step": step, "action": action},
                detail={"text": refused.text},
                whose=caller.requester,
            )
    return refused
