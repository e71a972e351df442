"""What follows a run that failed half-way: it is undone by itself, and ends as people have left it."""

from collections.abc import Sequence
from dataclasses import dataclass

from actions.errands import tally
from core.db import Connection
from core.ids import RunId
from core.metrics import Metrics
from graphs.dispatch import Dispatcher
from graphs.run import Run, RunState
from graphs.store import RunStore
from graphs.undoing import UNDO, Asked, start


@dataclass(frozen=True)
class UndoFailed:
    """Starts the undoing of what a failed run left half done."""

    runs: RunStore
    dispatcher: Dispatcher
    metrics: Metrics

    async def __call__(self, conn: Connection, run: Run, steps: Sequence[str]) -> None:
        """Have these steps taken back by a run of its own, once, in the transaction that ends this one."""
        asked = Asked(run.request.requester, "run", f"undo:{run.run_id}", steps)
        run_id = await start(conn, self.runs, run, asked)
        if run_id is not None:
            await self.dispatcher.wake(run_id, conn)
            self.metrics.runs_started.labels(UNDO, "run").inc()


async def ending_by_hand(conn: Connection, run_id: RunId) -> RunState:
    """How a run ends that has asked people to put things right, by what they have answered so far."""
    left, failed = await tally(conn, run_id)
    if left:
        return RunState.NEEDS_PERSON
    return RunState.FAILED if failed else RunState.DONE
