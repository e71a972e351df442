"""The walk all workflows share: gather, plan, verify, agree, execute, report, learn."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from actions.compensation import REPORT
from actions.intent import TrustLabel
from actions.outcome import Declined, Done, Failed, Parked, Rehearsed
from actions.policy import Verdict
from actions.records import RecordsUnavailable
from actions.source import SourceMissing
from core.text import visible
from graphs.budgeting import action_is_allowed, plan_is_allowed
from graphs.context import RunContext
from graphs.endorsing import borne_out
from graphs.plan import NoPlan, Plan, Step
from graphs.references import Unresolved, is_resolved, resolved
from graphs.rehearsing import show_payloads, show_rehearsed, told
from graphs.remembering import cite, leave, recalled
from graphs.rounds import Rounds, heard, nodes_of
from graphs.run import Remembered, RunState, StepState
from graphs.verifying import (
    asked_as_a_whole,
    decisions_on,
    faults_in,
    in_order,
    keep_what_it_took,
    note_dropped,
    show_plan,
)
from graphs.walked import Facts, Node, Walked, ended, fitting, has_ended, no_plan, with_more

__all__ = ["Ended", "Facts", "Rounds", "Walk", "Walked", "ended", "fitting", "spine", "with_more"]

Found = TypeVar("Found")

#: A step that depends on one that ended so may follow it.
_HAPPENS = frozenset({StepState.DONE, StepState.REHEARSED})


@dataclass(frozen=True)
class Ended:
    """How one step ended: with a receipt as `result`, or for the reason in `text`."""

    state: StepState
    text: str
    result: dict[str, Any]
    changed: str = ""
    """What people changed when they approved it, in words."""


@dataclass(frozen=True)
class Walk:
    """What a workflow supplies; everything between is the spine's."""

    # A gather that finds nothing to act on may give {"answer": text} alone: then that is how the run ends, done.

    gather: Callable[[str, RunContext], Awaitable[Facts]]
    """Read-only: understand the request and look up trusted records; raises NoPlan."""
    plan: Callable[[Facts, RunContext], Awaitable[Plan]]
    """From facts to typed steps; raises NoPlan with the rule that says so."""
    report: Callable[[Facts, Sequence[tuple[Step, Ended]]], str]
    """What the conversation is told once all steps have ended."""
    actions: tuple[str, ...]
    """The only actions a plan may contain, fixed before any untrusted text is read."""
    may_be_empty: bool = False
    """True: a plan without steps is a report and no mistake."""
    allowed: Callable[[RunContext], Sequence[str]] | None = None
    """The same, where it depends on the installation's rules and not on the workflow alone."""
    undo_on_failure: bool = False
    """True: what was done of a group of steps that then failed is taken back by itself."""
    hand_over: Callable[[Facts, Sequence[tuple[Step, Ended]], RunContext], Awaitable[str]] | None = None
    """Once all steps are done: hand on what another workflow does, and say so in a sentence; repeats are harmless."""
    about: Callable[[Facts], Sequence[str]] = lambda facts: ()
    """What the facts turned out to be about, by name: what is remembered of it stands on the run's card."""
    rounds: Rounds | None = None
    """Where people shape what is planned, in as many rounds as they want, before it is planned."""


def spine(walk: Walk) -> StateGraph[Walked, RunContext, Walked, Walked]:
    """The uncompiled graph of this walk; each node is one super-step."""
    graph: StateGraph[Walked, RunContext, Walked, Walked] = StateGraph(Walked, context_schema=RunContext)
    nodes: dict[str, Node] = {
        "gather": _gather(walk),
        "plan": _plan(walk),
        "verify": _verify(walk),
        "agree": _agree,
        "execute": _execute,
        "report": _report(walk),
        "learn": learn,
    }
    if walk.rounds is not None:
        nodes |= nodes_of(walk.rounds)
    for name, node in nodes.items():
        graph.add_node(name, node)  # pyright: ignore[reportArgumentType] -- its node protocols want one exact shape
    graph.add_edge(START, "gather")
    first = "plan" if walk.rounds is None else "make"
    for before, after in (("gather", first), ("plan", "verify")):
        graph.add_conditional_edges(before, has_ended, {True: "learn", False: after})
    if walk.rounds is not None:
        graph.add_conditional_edges("make", has_ended, {True: "learn", False: "show"})
        graph.add_edge("show", "hear")
        graph.add_conditional_edges("hear", heard, {"ended": "learn", "agreed": "plan", "again": "make"})
    graph.add_conditional_edges("verify", _after_verify, {each: each for each in ("learn", "agree", "report")})
    graph.add_edge("agree", "execute")
    graph.add_conditional_edges("execute", _has_steps_left, {True: "agree", False: "report"})
    graph.add_edge("report", "learn")
    graph.add_edge("learn", END)
    return graph


def _after_verify(state: Walked) -> str:
    """A plan without steps changes nothing outside: it is reported at once."""
    if has_ended(state):
        return "learn"
    return "agree" if _has_steps_left(state) else "report"


def _has_steps_left(state: Walked) -> bool:
    return len(state["case"]["results"]) < len(state["case"]["plan"]["steps"])


def _gather(walk: Walk) -> Node:
    async def gather(state: Walked, runtime: Runtime[RunContext]) -> Walked:
        context = runtime.context
        try:
            facts = await _with_records(context, lambda: walk.gather(context.run.request.text, context))
        except (NoPlan, SourceMissing) as error:
            return no_plan(state, error)
        if "answer" in facts:
            return ended(state, RunState.DONE, facts["answer"])
        known = await recalled(context, walk.about(facts))
        return with_more(state, facts=facts, remembered=known.model_dump(mode="json") if known else None)

    return gather


async def _with_records(context: RunContext, read: Callable[[], Awaitable[Found]]) -> Found:
    """What `read` gives, once the records can be read: an outside system that is away stops no run for good."""
    while True:
        try:
            return await read()
        except RecordsUnavailable as error:
            await context.wait_out(f"{error} I look again by myself.")


def _plan(walk: Walk) -> Node:
    async def plan(state: Walked, runtime: Runtime[RunContext]) -> Walked:
        context = runtime.context
        try:
            made = await _with_records(context, lambda: walk.plan(state["case"]["facts"], context))
        except (NoPlan, SourceMissing) as error:
            return no_plan(state, error)
        return with_more(state, plan=made.model_dump(mode="json"))

    return plan


def _verify(walk: Walk) -> Node:
    async def verify(state: Walked, runtime: Runtime[RunContext]) -> Walked:
        context, plan = runtime.context, Plan.model_validate(state["case"]["plan"])
        is_report = walk.may_be_empty and not plan.steps
        faults = [] if is_report else faults_in(context, plan, walk.allowed(context) if walk.allowed else walk.actions)
        if faults:
            text = " ".join(fault.text for fault in faults)
            return ended(state, RunState.FAILED, f"The plan did not pass its checks, so nothing was done. {text}")
        plan = await _with_records(context, lambda: borne_out(plan, context.catalogue, context.ground))
        plan = await asked_as_a_whole(context, plan)
        decisions = await decisions_on(context, plan)
        # What may run alone goes first: nobody waits for an answer about somebody else's step.
        plan.steps = in_order(plan, decisions)
        reasoned_by = state["case"]["facts"].get("reasoned_by", "")
        await show_plan(context, plan, decisions, reasoned_by, _remembered(state))
        denied = [each for each in decisions.values() if each is not None and each.verdict is Verdict.DENY]
        if denied:
            decision = denied[0]
            reasons = " ".join(decision.reasons)
            return ended(state, RunState.REFUSED, f"{reasons} (rule {', '.join(decision.rules)})")
        too_much = await plan_is_allowed(context, len(plan.steps))
        if too_much:
            return ended(state, RunState.REFUSED, f"The plan was not begun. {too_much}")
        return with_more(state, plan=plan.model_dump(mode="json"), results=[])

    return verify


def _summary(context: RunContext, step: Step) -> str:
    action = context.catalogue.get(step.action)
    assert action is not None
    return action.summarise(action.parse(step.args).model_dump(mode="json")) if is_resolved(step) else step.action


async def _agree(state: Walked, runtime: Runtime[RunContext]) -> Walked:
    """Ask about every step that needs a person, all at once; pause until the next group of steps is decided.

    No step of a group begins before all of the group is agreed, so a rejection never finds half of it done.
    """
    context, plan = runtime.context, Plan.model_validate(state["case"]["plan"])
    left = [step for step in await _left(context, plan, state["case"]["results"]) if is_resolved(step)]
    if not left:
        return state
    for step in left:
        consent = await context.consent(step)
        if isinstance(consent, Parked):
            await context.show(step.key, StepState.WAITING, consent.text)
    for step in _group_of(left, left[0]):
        while isinstance(consent := await context.consent(step), Parked):
            await context.wait_for(step, consent)
    return state


async def _execute(state: Walked, runtime: Runtime[RunContext]) -> Walked:
    """One step per super-step, one act per node."""
    context, plan, results = runtime.context, Plan.model_validate(state["case"]["plan"]), state["case"]["results"]
    known = await _left(context, plan, results)
    step = known[0]
    reason = (
        _missing(plan, results, step)
        or _broken(plan, results, step)
        or await _declined_beside(context, known, step)
        or await action_is_allowed(context, step.key)
    )
    outcome = None if reason else await context.act(step)
    if isinstance(outcome, Declined):
        await note_dropped(context, plan, step, outcome)
    ended = await _passed_over(context, plan, step, reason) if outcome is None else _ended_by(outcome)
    if isinstance(outcome, Rehearsed):
        await show_rehearsed(context.database, context.run, step.key, outcome)
    else:
        await context.show(step.key, ended.state, ended.text)
    found = {"state": ended.state, "text": ended.text, "result": ended.result, "changed": ended.changed}
    return with_more(state, results=[*results, found])


async def _passed_over(context: RunContext, plan: Plan, step: Step, reason: str) -> Ended:
    own = await context.consent(step) if is_resolved(step) else None
    if isinstance(own, Declined):
        await note_dropped(context, plan, step, own)
        return Ended(StepState.REFUSED, visible(own.text), {})
    return Ended(StepState.SKIPPED, reason, {})


async def _left(context: RunContext, plan: Plan, results: Sequence[Mapping[str, Any]]) -> list[Step]:
    """The steps that are left; what was filled in since is looked at as the rest was when the plan was verified."""
    known = _as_far_as_known(plan, results)
    planned = plan.steps[len(results) :]
    late = [is_resolved(step) and not is_resolved(before) for before, step in zip(planned, known, strict=True)]
    if not any(late):
        return known
    filled = plan.model_copy(update={"steps": known})
    looked = await _with_records(context, lambda: borne_out(filled, context.catalogue, context.ground))
    return [new if is_late else old for old, new, is_late in zip(known, looked.steps, late, strict=True)]


def _as_far_as_known(plan: Plan, results: Sequence[Mapping[str, Any]]) -> list[Step]:
    """The steps that are left, with what earlier ones gave filled in as far as it is there."""
    left: list[Step] = []
    for step in plan.steps[len(results) :]:
        try:
            left.append(resolved(step, _given(plan, results)))
        except Unresolved:
            left.append(step)
    return left


def _given(plan: Plan, results: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    ended = zip(plan.steps, results, strict=False)
    return {step.key: found["result"] for step, found in ended if found["state"] == StepState.DONE}


def _missing(plan: Plan, results: Sequence[Mapping[str, Any]], step: Step) -> str:
    """Why a step cannot begin that refers to what an earlier one did not give."""
    try:
        resolved(step, _given(plan, results))
    except Unresolved as error:
        return f"not begun: {error}"
    return ""


def _group_of(steps: Sequence[Step], step: Step) -> list[Step]:
    return [other for other in steps if other.key == step.key or (step.group and other.group == step.group)]


def _broken(plan: Plan, results: list[dict[str, Any]], step: Step) -> str:
    """Why this step cannot follow, where an earlier one of its group did not happen."""
    before = zip(plan.steps, results, strict=False)
    gone = any(step.group and other.group == step.group and found["state"] not in _HAPPENS for other, found in before)
    return "not begun: a step it depends on did not happen" if gone else ""


async def _declined_beside(context: RunContext, left: Sequence[Step], step: Step) -> str:
    """Why this step is not begun, where a later one of its group was declined."""
    for other in _group_of(left, step):
        if other.key != step.key and is_resolved(other) and isinstance(await context.consent(other), Declined):
            return "not begun: a step that belongs to it was declined"
    return ""


def _ended_by(outcome: Done | Declined | Failed | Rehearsed) -> Ended:
    match outcome:
        case Done(result, text, changed):
            return Ended(StepState.DONE, visible(text), dict(result), visible(changed))
        case Declined(_, text):
            return Ended(StepState.REFUSED, visible(text), {})
        case Failed(text):
            return Ended(StepState.FAILED, visible(text), {})
        case Rehearsed(text):
            return Ended(StepState.REHEARSED, text, {})


def _report(walk: Walk) -> Node:
    async def report(state: Walked, runtime: Runtime[RunContext]) -> Walked:
        context, plan = runtime.context, Plan.model_validate(state["case"]["plan"])
        results = [
            (step, Ended(StepState(found["state"]), found["text"], found["result"], found.get("changed", "")))
            for step, found in zip(plan.steps, state["case"]["results"], strict=True)
        ]
        if context.run.request.dry:
            await show_payloads(context.database, context.run)
            # Told as the run ends: nothing of a dry run goes through the gateway.
            lines = [(_summary(context, step), found.state, found.text) for step, found in results]
            return ended(state, _end_state(results), fitting("\n".join([told(lines), *map(visible, plan.notes)])))
        changed = [f"{step.group or step.key}: approved with changes. {e.changed}." for step, e in results if e.changed]
        back = _half_done(results) if walk.undo_on_failure else []
        more = ["What was done of it is being taken back."] if back else []
        if walk.hand_over is not None and _end_state(results) is RunState.DONE:
            more += [said] if (said := await walk.hand_over(state["case"]["facts"], results, context)) else []
        text = fitting(
            "\n".join([walk.report(state["case"]["facts"], results), *changed, *map(visible, plan.notes), *more])
        )
        await context.act(report_of(context, text))
        return with_more(ended(state, _end_state(results), text), told=True, undo=back)

    return report


def _half_done(results: Sequence[tuple[Step, Ended]]) -> list[str]:
    """The steps that were done of groups of which another step was not."""
    broken = {step.group for step, found in results if step.group and found.state is not StepState.DONE}
    return [step.key for step, found in results if step.group in broken and found.state is StepState.DONE]


def report_of(context: RunContext, text: str) -> Step:
    """The step that tells the run's own conversation how it went."""
    conversation = context.run.conversation
    own: dict[str, tuple[TrustLabel, str | None]] = {"channel": (TrustLabel.MEMBER, "the run's own conversation")}
    return Step(key=REPORT, action="message.post", args={**conversation.to_json(), "text": text}, origins=own)


def _end_state(results: Sequence[tuple[Step, Ended]]) -> RunState:
    states = {ended.state for _, ended in results}
    if StepState.FAILED in states:
        return RunState.FAILED
    return RunState.DONE if states & _HAPPENS or not states else RunState.REFUSED


async def learn(state: Walked, runtime: Runtime[RunContext]) -> Walked:
    """What a run cost and how often it asked is kept with it, and how it came out in memory."""
    await keep_what_it_took(runtime.context, len(state["case"].get("plan", {}).get("steps", ())))
    how = state["case"].get("ended", {})
    if how.get("state") == RunState.DONE:
        await cite(runtime.context, _remembered(state))
    await leave(runtime.context, how.get("text", ""))
    return state


def _remembered(state: Walked) -> Remembered | None:
    known = state["case"].get("remembered")
    return Remembered.model_validate(known) if known else None
