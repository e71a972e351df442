"""One run handing work to another: started once per delivery id, by whoever asked for the first, if they still may."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from core.db import Connection
from core.ids import RunId, new_card_id, new_run_id
from core.outbox import Conversation
from graphs.run import ENDED, Request, Run, RunState, StepState
from graphs.store import RunStore
from graphs.workflow import Workflows


@dataclass(frozen=True)
class Errand:
    """What is handed over: which workflow, with which words, under which delivery id."""

    workflow: str
    text: str
    delivery_id: str
    own_thread: bool = False
    """True where it opens a thread of its own beside the card of the run that hands it over."""


@dataclass(frozen=True)
class Began:
    """The run that has an errand in hand, and how far it has come."""

    run_id: RunId
    state: RunState
    touched: bool
    """True when something of it happened, or may have."""

    @property
    def goes_on(self) -> bool:
        """True while it has not ended."""
        return self.state not in ENDED


#: A step in one of these states left something behind, or may have.
_TOUCHED = frozenset({StepState.DONE, StepState.IN_DOUBT, StepState.UNDONE, StepState.BY_HAND})


class HandOver:
    """Starts runs on behalf of runs."""

    def __init__(
        self, runs: RunStore, workflows: Workflows, *, wake: Callable[[RunId, Connection], Awaitable[None]]
    ) -> None:
        self._runs = runs
        self._workflows = workflows
        self._wake = wake

    def knows(self, workflow: str) -> bool:
        """True when that workflow is installed here."""
        return self._workflows.get(workflow) is not None

    async def start(self, conn: Connection, run: Run, errand: Errand) -> RunId | None:
        """Start the errand's run in the transaction of `conn`; None when that delivery id has a run already."""
        workflow = self._workflows.get(errand.workflow)
        assert workflow is not None, "asked for before"
        request = Request(
            workspace=run.request.workspace,
            enterprise=run.request.enterprise,
            requester=run.request.requester,
            origin="run",
            workflow=errand.workflow,
            text=errand.text,
            delivery_id=errand.delivery_id,
        )
        place = run.conversation
        own = Conversation(place.workspace, place.channel, root=new_card_id()) if errand.own_thread else place
        run_id = new_run_id()
        made = await self._runs.create(
            conn, request, conversation=own, workflow_version=workflow.version, run_id=run_id
        )
        if not made:
            return None
        await self._wake(run_id, conn)
        return run_id

    async def begun(self, conn: Connection, delivery_id: str) -> Began | None:
        """The run of that delivery id, or None."""
        cursor = await conn.execute(
            "select run_id, state, steps from graphs.run where delivery_id = %s", (delivery_id,)
        )
        row = await cursor.fetchone()
        if row is None:
            return None
        touched = any(StepState(step["state"]) in _TOUCHED for step in row["steps"])
        return Began(RunId(row["run_id"]), RunState(row["state"]), touched)
