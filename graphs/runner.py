"""Takes a run as far as it can go now: to its end, or to what it must wait for."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, StateSnapshot

from core.db import Connection, Database
from core.ids import RunId
from core.log import about_run
from core.metrics import Metrics
from core.outbox import owe_words
from graphs.checkpoints import FencedSaver, OpenSaver
from graphs.models import untraced
from graphs.rehearsing import said_of
from graphs.run import ENDED, Run, RunState, RunStopped, Waiting
from graphs.run_guard import RunGuard
from graphs.store import RunStore
from graphs.workflow import Workflow, Workflows

Graph = CompiledStateGraph[Any, Any, Any, Any]

_STOPPED = "Stopped on request. What had happened before that stands; nothing new was started."

log = logging.getLogger(__name__)


async def _nothing_to_undo(conn: Connection, run: Run, steps: Sequence[str]) -> None:
    del conn, run, steps


async def _by_hand(conn: Connection, run_id: RunId) -> RunState:
    del conn, run_id
    return RunState.NEEDS_PERSON


@dataclass(frozen=True)
class Surroundings:
    """What runs need from the rest of the installation."""

    make_context: Callable[[Run, RunGuard], Any]
    """The object nodes get as `runtime.context`."""
    is_settled: Callable[[Waiting], Awaitable[bool]]
    """True when a run may go on past this."""
    on_ended: Callable[[Connection, RunId], Awaitable[None]]
    """Cancels what an ended run still waits for, in the transaction that ends it."""
    undo: Callable[[Connection, Run, Sequence[str]], Awaitable[None]] = _nothing_to_undo
    """Has taken back what these steps of a failed run did, as part of the transaction that ends it."""
    by_hand: Callable[[Connection, RunId], Awaitable[RunState]] = _by_hand
    """How a run ends that has asked people to put things right: they may have answered already."""


class Runner:
    """Advances runs, each as its newest owner; safe to call at any time, any number of times."""

    def __init__(
        self,
        database: Database,
        store: RunStore,
        *,
        workflows: Workflows,
        surroundings: Surroundings,
        metrics: Metrics,
        stalls_allowed: int = 5,
        open_saver: OpenSaver = FencedSaver,
    ) -> None:
        self._database = database
        self._store = store
        self._workflows = workflows
        self._surroundings = surroundings
        self._metrics = metrics
        self._stalls_allowed = stalls_allowed
        self._open_saver = open_saver

    async def advance(self, run_id: RunId) -> None:
        """Advance the run until it has ended or waits; an unexpected error of a node is raised, to be tried again."""
        with about_run(run_id):
            while (run := await self._store.begin(run_id)) is not None:
                try:
                    rests = await self._advance(run)
                except Exception:
                    await self._store.count_stall(run_id, epoch=run.epoch)
                    raise
                if rests:
                    return

    async def _advance(self, run: Run) -> bool:
        """True when the run rests; False when it was woken meanwhile and must look again."""
        workflow = self._workflows.get(run.workflow, run.workflow_version)
        if workflow is None:
            return await self._without_workflow(run)
        if run.stalls >= self._stalls_allowed and not run.stop_requested:
            return await self._give_up(run)
        guard = RunGuard(run.run_id, run.epoch)
        saver = self._open_saver(self._database, guard)
        try:
            found = await self._walk(run, guard, workflow.build().compile(checkpointer=saver))
        except RunStopped:
            return await self._stop(run, saver)
        if _has_ended(found):
            return await self._end(run, saver, _ending(workflow, found))
        if run.stop_requested:
            return await self._stop(run, saver)
        return await self._store.park(run, _waiting(found))

    async def _walk(self, run: Run, guard: RunGuard, graph: Graph) -> StateSnapshot:
        """Where the graph stands after everything that can be done now was done."""
        config: RunnableConfig = {"configurable": {"thread_id": run.run_id}, "recursion_limit": 200}
        found = await graph.aget_state(config)
        # What is answered is asked of our own tables every time: an answer given earlier may be of another question,
        # and LangGraph forgets one when the process dies before the node has ended.
        answers = await self._answers(found)
        if found.created_at is None:
            if run.stop_requested:
                raise RunStopped(_STOPPED)
            given: Any = {"case": {}}
        elif answers:
            given = Command(resume=answers)
        elif _is_interrupted_midway(found):
            given = None
        else:
            return found
        context = self._surroundings.make_context(run, guard)
        with untraced():
            await graph.ainvoke(given, config, context=context, durability="sync")
        return await graph.aget_state(config)

    async def _answers(self, found: StateSnapshot) -> dict[str, Any]:
        answers: dict[str, Any] = {}
        for question in found.interrupts:
            waiting = Waiting.model_validate(question.value)
            if await self._surroundings.is_settled(waiting):
                answers[question.id] = {"settled": waiting.subject_id}
        return answers

    async def _without_workflow(self, run: Run) -> bool:
        if run.stop_requested:
            return await self._stop(run, self._open_saver(self._database, RunGuard(run.run_id, run.epoch)))
        why = (
            f"This run needs version {run.workflow_version} of {run.workflow}, which is not installed here."
            " An operator must bring that version back, or stop the run."
        )
        await self._store.needs_attention(run, why)
        return True

    async def _give_up(self, run: Run) -> bool:
        why = (
            f"I tried at least {self._stalls_allowed} times to go on with {run.workflow} and got no further, so I"
            f" stopped trying. Nothing is lost: an operator should look at the log of {run.run_id}, then try again or"
            " stop it."
        )
        log.error("no progress in %d advances; an operator must look", self._stalls_allowed)
        await self._store.needs_attention(run, why)
        return True

    async def _stop(self, run: Run, saver: FencedSaver) -> bool:
        return await self._end(run, saver, Ending(RunState.STOPPED, _STOPPED, told=False))

    async def _end(self, run: Run, saver: FencedSaver, ending: "Ending") -> bool:
        # Before the end is stored: a run that has ended is never begun again, and so would never be pruned.
        await saver.keep_newest()
        async with self._database.transaction() as conn:
            await self._surroundings.on_ended(conn, run.run_id)
            if not ending.told:
                words = said_of(run, ending.outcome)
                await owe_words(conn, run.conversation, words=words, receiver_key=f"{run.run_id}.end")
            needs_person = ending.state is RunState.NEEDS_PERSON
            state = await self._surroundings.by_hand(conn, run.run_id) if needs_person else ending.state
            took = await self._store.finish(conn, run, state, ending.outcome)
            if ending.undo:
                await self._surroundings.undo(conn, run, ending.undo)
        self._metrics.runs_ended.labels(run.workflow, state.value).inc()
        self._metrics.run_seconds.labels(run.workflow).observe(took.total_seconds())
        return True


def _has_ended(found: StateSnapshot) -> bool:
    # Not `next`: a node whose results are stored is no longer in it, though the step they belong to may not be.
    return found.created_at is not None and not found.tasks


def _is_interrupted_midway(found: StateSnapshot) -> bool:
    """True when a node neither finished nor waits, or all have finished and the step has not: the process died."""
    unfinished = any(not task.interrupts and task.result is None for task in found.tasks)
    return unfinished or bool(found.tasks and not found.next)


@dataclass(frozen=True)
class Ending:
    """How a run ended, and whether its conversation has been told."""

    state: RunState
    outcome: str
    told: bool
    undo: Sequence[str] = ()
    """The steps that are to be taken back."""


def _ending(workflow: Workflow, found: StateSnapshot) -> Ending:
    case: Mapping[str, Any] = found.values["case"]
    ended: Mapping[str, Any] | None = case.get("ended")
    if ended is None or ended["state"] not in ENDED:
        text = f"{workflow.name} came to its end without saying how. Its author must correct it."
        return Ending(RunState.FAILED, text, told=False)
    return Ending(RunState(ended["state"]), ended["text"], told=bool(case.get("told")), undo=case.get("undo", ()))


def _waiting(found: StateSnapshot) -> list[Waiting]:
    return [Waiting.model_validate(question.value) for question in found.interrupts]
