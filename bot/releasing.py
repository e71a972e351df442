"""Takes back what was done for a while only, when its time is over: by a run of undoing, through the same gateway."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from actions.action import Catalogue
from actions.compensation import Lapsed, lapsed
from actions.reopening import Reopening
from core.db import Connection, Database
from core.ids import RunId
from core.metrics import Metrics
from graphs.dispatch import Dispatcher
from graphs.run import Run
from graphs.store import RunStore
from graphs.undoing import UNDO, Asked, last_try, latest_undoing, start

#: How often it is looked whether something has lapsed.
LAPSE_SECONDS = 5.0
#: When people are asked again who said no, or stopped it.
AGAIN = timedelta(days=1)


@dataclass(frozen=True)
class Releasing:
    """Has every effect that has lapsed taken back, once, whatever was restarted meanwhile; it is never forgotten."""

    database: Database
    catalogue: Catalogue
    runs: RunStore
    dispatcher: Dispatcher
    reopening: Reopening
    metrics: Metrics

    async def look(self) -> None:
        """Start an undoing for each effect whose time is over; ask again where none answered, or a no is a day old."""
        for each in await self._due():
            run = await self.runs.get(RunId(each.run_id))
            if run is None:
                continue
            async with self.database.transaction() as conn:
                if each.unanswered is not None:
                    await self.reopening.ask_again(conn, each.unanswered)
                else:
                    await self._take_back(conn, each, run)

    async def _due(self) -> Sequence[Lapsed]:
        found: list[Lapsed] = []
        async with self.database.connection() as conn:
            for action, until in self.catalogue.lapsing():
                found += await lapsed(conn, action, until, again=AGAIN)
        return found

    async def _take_back(self, conn: Connection, each: Lapsed, run: Run) -> None:
        under_way = await latest_undoing(conn, run.run_id)
        before = await last_try(conn, run.run_id, each.step, since=each.lapsed_at, within=AGAIN)
        if (under_way is not None and under_way[1]) or (before is not None and before.is_recent):
            return
        # Named after the try before it, so that each is begun once, by whichever process sees it first.
        named = f"lapse:{each.intent_id}" + (f":{before.run_id}" if before else "")
        run_id = await start(conn, self.runs, run, Asked(run.request.requester, "run", named, [each.step]))
        if run_id is not None:
            await self.dispatcher.wake(run_id, conn)
            self.metrics.runs_started.labels(UNDO, "run").inc()
