"""Takes back what was done for a while only, when its time is over: by a run of undoing, through the same gateway."""

from collections.abc import Sequence
from dataclasses import dataclass

from actions.action import Catalogue
from actions.compensation import Lapsed, lapsed
from core.db import Connection, Database
from core.ids import RunId
from core.metrics import Metrics
from graphs.dispatch import Dispatcher
from graphs.store import RunStore
from graphs.undoing import UNDO, Asked, latest_undoing, start

#: How often it is looked whether something has lapsed.
LAPSE_SECONDS = 5.0


@dataclass(frozen=True)
class Releasing:
    """Has every effect that has lapsed taken back, once, whatever was restarted meanwhile."""

    database: Database
    catalogue: Catalogue
    runs: RunStore
    dispatcher: Dispatcher
    metrics: Metrics

    async def look(self) -> None:
        """Start an undoing for each effect whose time is over and that nobody has begun to take back."""
        for each in await self._due():
            run = await self.runs.get(RunId(each.run_id))
            if run is None:
                continue
            async with self.database.transaction() as conn:
                under_way = await latest_undoing(conn, run.run_id)
                if under_way is not None and under_way[1]:
                    continue
                asked = Asked(run.request.requester, "run", f"lapse:{each.intent_id}", [each.step])
                run_id = await start(conn, self.runs, run, asked)
                await self._began(conn, run_id)

    async def _due(self) -> Sequence[Lapsed]:
        found: list[Lapsed] = []
        async with self.database.connection() as conn:
            for action, until in self.catalogue.lapsing():
                found += await lapsed(conn, action, until)
        return found

    async def _began(self, conn: Connection, run_id: RunId | None) -> None:
        if run_id is not None:
            await self.dispatcher.wake(run_id, conn)
            self.metrics.runs_started.labels(UNDO, "run").inc()
