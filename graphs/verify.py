"""Proves what a plan must satisfy before anything happens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from actions.action import AnyAction, ArgumentsInvalid, Catalogue, Effect
from actions.compensation import REPORT
from actions.policy import Decision, Rules, Verdict
from actions.team import Team
from graphs.plan import Plan, Step
from graphs.references import faults_of_references, is_resolved, shown
from graphs.run import StepState, StepView


@dataclass(frozen=True)
class Fault:
    """One thing a plan must not have, in words."""

    text: str


@dataclass(frozen=True)
class Around:
    """Who wants a plan and where it would reach, as far as its verification depends on it."""

    team: Team
    requester: str
    regions: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    """The region that each action reaches, where its connector says one."""
    allowed_regions: Sequence[str] = ()
    """Where data may go; anywhere, where none is named."""


def faults_around(plan: Plan, catalogue: Catalogue, around: Around) -> list[Fault]:
    """What whoever asks, or the place it reaches, does not permit; what the teammate may ask for, policy says."""
    faults: list[Fault] = []
    if not around.team.may_start(around.requester):
        name = around.team.name_of(around.requester)
        faults.append(Fault(f"{name} may not have anything done here any more. An admin can change team.yml."))
    for name in dict.fromkeys(step.action for step in plan.steps):
        region = around.regions.get(name)
        if around.allowed_regions and region not in around.allowed_regions:
            where = region or "a place that its connector does not name"
            allowed = ", ".join(around.allowed_regions)
            faults.append(Fault(f"{name} would send data to {where}, and policy keeps it in {allowed}."))
        if not catalogue.can_be_put_right(name):
            faults.append(Fault(f"Nobody has said how {name} is taken back or put right. Its author must."))
    return faults


def faults_of(plan: Plan, catalogue: Catalogue, allowed: Sequence[str]) -> list[Fault]:
    """Everything wrong with the plan's shape: unknown or foreign actions, bad arguments, repeated keys."""
    faults = [Fault("The plan has no steps.")] if not plan.steps else []
    keys = [step.key for step in plan.steps]
    faults += [Fault(f"Two steps are called {key}.") for key in sorted({key for key in keys if keys.count(key) > 1})]
    if REPORT in keys:
        faults.append(Fault(f"No step may be called {REPORT}: that is how a run tells how it ended."))
    for step in plan.steps:
        faults += _faults_of_step(step, catalogue.get(step.action), allowed)
    known = {step.action: catalogue.get(step.action) for step in plan.steps}
    gives = {name: frozenset(action.result.model_fields) for name, action in known.items() if action is not None}
    faults += [Fault(text) for text in faults_of_references(plan, gives)]
    return faults


def _faults_of_step(step: Step, action: AnyAction | None, allowed: Sequence[str]) -> list[Fault]:
    if action is None:
        return [Fault(f"Nobody registered an action called {step.action}.")]
    if step.action not in allowed:
        return [Fault(f"This workflow may not ask for {step.action}.")]
    if not is_resolved(step):
        foreign = sorted(step.args.keys() - action.args.model_fields.keys())
        return [Fault(f"{step.action} knows no {', '.join(foreign)}.")] if foreign else []
    try:
        action.parse(step.args)
    except ArgumentsInvalid as error:
        return [Fault(str(error))]
    return []


def view_of(step: Step, action: AnyAction, decision: Decision | None, rules: Rules, *, late: bool = False) -> StepView:
    """The step as one line of the plan: what, how far it reaches, and who must agree.

    There is no decision about a step that is not resolved; `late` is one that cannot be taken back and is followed by
    others of its group.
    """
    if decision is None:
        words = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in shown(step).items())
        return StepView(
            key=step.key,
            action=step.action,
            summary=f"{step.action}: {words}",
            effect=action.effect,
            verdict=Verdict.REQUIRE_APPROVAL,
            who="whoever policy names once all of it is known",
            state=StepState.PLANNED,
        )
    who = rules.team.describe(decision.approvers) if decision.approvers else ""
    if decision.verdict is Verdict.REQUIRE_APPROVAL and not who:
        who = "an admin"
    note = " ".join(decision.reasons) if decision.verdict is Verdict.DENY else ""
    if late and not note:
        note = "cannot be taken back should a later step of its group fail"
    return StepView(
        key=step.key,
        action=step.action,
        summary=action.summarise(step.args),
        effect=action.effect,
        verdict=decision.verdict,
        who=who,
        state=StepState.PLANNED,
        note=note,
    )


def comes_too_soon(plan: Plan, catalogue: Catalogue, step: Step) -> bool:
    """True for a step that cannot be taken back and stands before one of its group that could be."""
    later = plan.steps[plan.steps.index(step) + 1 :]
    action = catalogue.get(step.action)
    if action is None or action.effect is not Effect.IRREVERSIBLE or not step.group:
        return False
    after = [catalogue.get(other.action) for other in later if other.group == step.group]
    return any(other is not None and other.effect is Effect.REVERSIBLE for other in after)
