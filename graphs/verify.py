"""Proves what a plan must satisfy before anything happens, and predicts how long it will take."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from actions.action import AnyAction, ArgumentsInvalid, Catalogue
from actions.compensation import REPORT
from actions.policy import Decision, Rules, Verdict
from graphs.plan import Plan, Step
from graphs.run import StepState, StepView

#: Fewer finished runs than this say nothing about the next one.
ENOUGH_HISTORY = 5


@dataclass(frozen=True)
class Fault:
    """One thing a plan must not have, in words."""

    text: str


def faults_of(plan: Plan, catalogue: Catalogue, allowed: Sequence[str]) -> list[Fault]:
    """Everything wrong with the plan's shape: unknown or foreign actions, bad arguments, repeated keys."""
    faults = [Fault("The plan has no steps.")] if not plan.steps else []
    keys = [step.key for step in plan.steps]
    faults += [Fault(f"Two steps are called {key}.") for key in sorted({key for key in keys if keys.count(key) > 1})]
    if REPORT in keys:
        faults.append(Fault(f"No step may be called {REPORT}: that is how a run tells how it ended."))
    for step in plan.steps:
        faults += _faults_of_step(step, catalogue.get(step.action), allowed)
    return faults


def _faults_of_step(step: Step, action: AnyAction | None, allowed: Sequence[str]) -> list[Fault]:
    if action is None:
        return [Fault(f"Nobody registered an action called {step.action}.")]
    if step.action not in allowed:
        return [Fault(f"This workflow may not ask for {step.action}.")]
    try:
        action.parse(step.args)
    except ArgumentsInvalid as error:
        return [Fault(str(error))]
    return []


def view_of(step: Step, action: AnyAction, decision: Decision, rules: Rules) -> StepView:
    """The step as one line of the plan: what, how far it reaches, and who must agree."""
    who = rules.team.describe(decision.approvers) if decision.approvers else ""
    if decision.verdict is Verdict.REQUIRE_APPROVAL and not who:
        who = "an admin"
    return StepView(
        key=step.key,
        action=step.action,
        summary=action.summarise(step.args),
        effect=action.effect,
        verdict=decision.verdict,
        who=who,
        state=StepState.PLANNED,
        note=" ".join(decision.reasons) if decision.verdict is Verdict.DENY else "",
    )


def predicted(history: Sequence[timedelta]) -> str:
    """How long such a run takes here, in words, from this installation's own finished runs."""
    if len(history) < ENOUGH_HISTORY:
        return "no history yet"
    ordered = sorted(history)
    low, high = ordered[len(ordered) // 10], ordered[(len(ordered) * 9) // 10]
    return f"{_in_words(low)} to {_in_words(high)}, from {len(ordered)} earlier runs"


def _in_words(span: timedelta) -> str:
    seconds = span.total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
