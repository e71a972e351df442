"""The walk that takes back what a run did: settle what is in doubt, ask, take back newest first, report."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from actions import compensation, errands
from actions.action import ArgumentsInvalid
from actions.compensation import Deed
from actions.intent import IntentState, TrustLabel
from actions.outcome import Declined, Done, Parked
from core.text import visible
from graphs.context import RunContext
from graphs.plan import Plan, Step
from graphs.run import RunState, StepState, StepView
from graphs.spine import Ended, Walked, ended, fitting, learn, report_of, with_more
from graphs.undoing import show_on_ended
from graphs.verify import view_of

_NO_WAY_BACK = "No action can take this back."
#: A person or the clock said no to taking it back: it stands, and undoing may be asked for again.
_STANDS = frozenset({"rejected", "expired", "cancelled", "compensated"})

UndoNode = Callable[[Walked, Runtime[RunContext]], Awaitable[Walked]]


def undo_walk() -> StateGraph[Walked, RunContext, Walked, Walked]:
    """The uncompiled graph; one effect is taken back per super-step, so that a crash repeats none of it."""
    graph: StateGraph[Walked, RunContext, Walked, Walked] = StateGraph(Walked, context_schema=RunContext)
    nodes: dict[str, UndoNode] = {
        "gather": _gather,
        "settle": _settle,
        "agree": _agree,
        "take_back": _take_back,
        "report": _report,
        "learn": learn,
    }
    for name, node in nodes.items():
        graph.add_node(name, node)  # pyright: ignore[reportArgumentType, reportCallIssue] -- as in the spine
    graph.add_edge(START, "gather")
    graph.add_conditional_edges("gather", _has_ended, {True: "learn", False: "settle"})
    graph.add_edge("settle", "agree")
    graph.add_edge("agree", "take_back")
    graph.add_conditional_edges("take_back", _has_deeds_left, {True: "take_back", False: "report"})
    graph.add_edge("report", "learn")
    graph.add_edge("learn", END)
    return graph


def _has_ended(state: Walked) -> bool:
    return "ended" in state["case"]


def _has_deeds_left(state: Walked) -> bool:
    return len(state["case"]["results"]) < len(state["case"]["deeds"])


async def _gather(state: Walked, runtime: Runtime[RunContext]) -> Walked:
    """What the other run did, newest first, as this run's plan."""
    context = runtime.context
    undoes = context.run.request.undoes
    if undoes is None:
        return ended(state, RunState.REFUSED, "Nothing says which run to undo. Ask for it with: undo <run>.")
    async with context.database.connection() as conn:
        deeds = await compensation.deeds_of(conn, undoes.run_id, undoes.steps)
    if not deeds:
        return ended(state, RunState.REFUSED, f"{undoes.run_id} has done nothing that is left to take back.")
    steps = [_way_back(context, deed) or _standing_for(deed) for deed in deeds]
    views = [await _view(context, deed, step) for deed, step in zip(deeds, steps, strict=True)]
    plan = Plan(summary=f"Take back what {undoes.run_id} did, newest first", steps=steps)
    await context.propose(views, plan, predicted="", reasoned_by="")
    return with_more(state, deeds=[deed.intent_id for deed in deeds], results=[])


def _way_back(context: RunContext, deed: Deed) -> Step | None:
    """The step that takes this effect back, or None where only a person can put it right."""
    found = context.catalogue.compensation_of(deed.action)
    if found is None or deed.result is None:
        return None
    try:
        args = found.args_for(deed.record.args, deed.result)
    except ArgumentsInvalid:
        return None
    link = f"as recorded when {deed.key.run_id} did it"
    when = f" at {deed.ended_at:%Y-%m-%d %H:%M} UTC" if deed.ended_at else ""
    return Step(
        key=_key(deed),
        action=found.by.name,
        args=args.model_dump(mode="json"),
        origins={name: (TrustLabel.OPERATOR, link) for name in type(args).model_fields},
        evidence=[f"This takes back: {deed.summary}", f"Done{when} in {deed.key.run_id}"],
        compensates=deed.intent_id,
    )


def _key(deed: Deed) -> str:
    return f"comp:{deed.key.step}"


def _standing_for(deed: Deed) -> Step:
    return Step(key=_key(deed), action=deed.action, args=dict(deed.record.args))


async def _view(context: RunContext, deed: Deed, step: Step) -> StepView:
    action = context.catalogue.get(step.action)
    if action is not None and step.compensates:
        return view_of(step, action, await context.preview(step), context.rules)
    doubt = deed.state is not IntentState.DONE
    state, note = (StepState.IN_DOUBT, "finding out whether it happened") if doubt else (StepState.PLANNED, "")
    summary = f"Take back: {deed.summary}"
    return StepView(
        key=step.key, action=deed.action, summary=summary, effect="", verdict="", who="", state=state, note=note
    )


async def _deeds(state: Walked, context: RunContext) -> list[Deed]:
    async with context.database.connection() as conn:
        return [await compensation.deed(conn, intent_id) for intent_id in state["case"]["deeds"]]


async def _settle(state: Walked, runtime: Runtime[RunContext]) -> Walked:
    """Nothing in doubt is taken back: first it is known what happened, by the other side's record or by a person."""
    context = runtime.context
    for deed in await _deeds(state, context):
        while isinstance(outcome := await context.settle(deed), Parked):
            await context.wait_for(_standing_for(deed), outcome)
        await _settle_earlier(context, deed)
    return state


async def _settle_earlier(context: RunContext, deed: Deed) -> None:
    """An undoing that was stopped may have left its taking back in doubt: it is not begun a second time beside it."""
    async with context.database.connection() as conn:
        earlier = await compensation.begun_before(conn, deed)
    while earlier and isinstance(outcome := await context.settle(earlier, of=deed), Parked):
        await context.wait_for(_standing_for(deed), outcome)


async def _agree(state: Walked, runtime: Runtime[RunContext]) -> Walked:
    """Ask about every step that needs a person, all at once; each is waited for in its turn."""
    context = runtime.context
    for deed in await _deeds(state, context):
        step = _way_back(context, deed) if deed.state is IntentState.DONE else None
        consent = None if step is None else await context.consent(step)
        if step is not None and isinstance(consent, Parked):
            await context.show(step.key, StepState.WAITING, consent.text)
    return state


async def _take_back(state: Walked, runtime: Runtime[RunContext]) -> Walked:
    """One effect per super-step, one act per node."""
    context, results = runtime.context, state["case"]["results"]
    deed = (await _deeds(state, context))[len(results)]
    found = await _taken_back(context, deed)
    await context.show(_key(deed), found.state, found.text)
    async with context.database.transaction() as conn:
        await context.guard.fence(conn)
        if found.state is not StepState.SKIPPED:
            kept = found.state is StepState.REFUSED
            shown = (StepState.DONE, f"not taken back: {found.text}") if kept else (found.state, found.text)
            await show_on_ended(conn, deed.key.run_id, key=deed.key.step, state=shown[0], note=shown[1])
    return with_more(state, results=[*results, {"state": found.state, "summary": deed.summary, "text": found.text}])


async def _taken_back(context: RunContext, deed: Deed) -> Ended:
    if deed.state not in {IntentState.DONE, IntentState.COMPENSATED}:
        return Ended(StepState.SKIPPED, "it never happened", {})
    if deed.state is IntentState.COMPENSATED:
        return Ended(StepState.UNDONE, "it has been taken back", {})
    step, why = _way_back(context, deed), _NO_WAY_BACK
    if step is not None:
        outcome = await context.act(step)
        if isinstance(outcome, Done):
            return Ended(StepState.UNDONE, outcome.text, {})
        if isinstance(outcome, Declined) and outcome.cause in _STANDS:
            return Ended(StepState.REFUSED, outcome.text, {})
        why = outcome.text
    async with context.database.transaction() as conn:
        await errands.ask(conn, context.caller, deed, why)
    return Ended(StepState.BY_HAND, why, {})


async def _report(state: Walked, runtime: Runtime[RunContext]) -> Walked:
    context, results = runtime.context, state["case"]["results"]
    undoes = context.run.request.undoes
    assert undoes is not None
    text = fitting("\n".join([f"Undoing {undoes.run_id}:", *map(_line, results)]))
    await context.act(report_of(context, text))
    return with_more(ended(state, _end_state([StepState(found["state"]) for found in results]), text), told=True)


def _line(found: dict[str, Any]) -> str:
    said = {
        StepState.UNDONE: "taken back.",
        StepState.SKIPPED: "it never happened, so there was nothing to take back.",
        StepState.BY_HAND: "a person must put this right; the card says how.",
    }.get(StepState(found["state"]), f"it stands. {visible(found['text'])}")
    return f"{visible(found['summary'])}: {said}"


def _end_state(states: Sequence[StepState]) -> RunState:
    if StepState.BY_HAND in states:
        return RunState.NEEDS_PERSON
    return RunState.DONE if {StepState.UNDONE, StepState.SKIPPED} & set(states) else RunState.REFUSED
