"""How much of something a run has asked of people, for those who predict the next one."""

from core.db import Connection


async def approvals_of_run(conn: Connection, run_id: str) -> int:
    """How many approvals this run has asked for."""
    cursor = await conn.execute(
        "select count(*) as many from actions.approval join actions.intent using (intent_id) where run_id = %s",
        (run_id,),
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row["many"])
