"""What an owner of a run shows before it writes: a run that has a newer owner is left alone."""

from dataclasses import dataclass

from core.db import Connection
from core.ids import RunId
from graphs.run import RunStopped


@dataclass(frozen=True)
class RunGuard:
    """What one owner of a run shows before it writes: the epoch it holds."""

    run_id: RunId
    epoch: int

    async def fence(self, conn: Connection) -> None:
        """Raise the error `core.db.is_fenced` knows unless this is the run's newest owner until `conn` commits."""
        await conn.execute("select graphs.fence(%s, %s)", (self.run_id, self.epoch))

    async def may_start(self, conn: Connection) -> None:
        """As `fence`; also raises RunStopped when the run was asked to stop."""
        await self.fence(conn)
        cursor = await conn.execute("select stop_requested from graphs.run where run_id = %s", (self.run_id,))
        row = await cursor.fetchone()
        if row is None or row["stop_requested"]:
            raise RunStopped(f"Run {self.run_id} was stopped. What was in flight is finished; nothing new starts.")
