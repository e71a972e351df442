"""Verification as a run does it: its plan is checked against who and where it is, put before policy, and predicted."""

from collections.abc import Mapping, Sequence

from actions.outcome import Declined
from actions.plan_rule import Planned, rule_for
from actions.policy import Decision, Verdict
from actions.tallies import approvals_of_run
from graphs.context import RunContext
from graphs.plan import Plan, Step
from graphs.prediction import keep_actual, pasts_of, predict
from graphs.proposal import tell_dropped
from graphs.references import is_resolved
from graphs.run import Remembered, StepView
from graphs.verify import Around, Fault, comes_too_soon, faults_around, faults_of, view_of

#: What policy says of each step, by its key; None of a step that is not resolved yet.
Decisions = Mapping[str, Decision | None]


def faults_in(context: RunContext, plan: Plan, allowed: Sequence[str]) -> list[Fault]:
    """Everything for which this plan must not be begun."""
    rules, request = context.rules, context.run.request
    around = Around(
        team=rules.team,
        requester=request.requester,
        regions={step.action: context.gateway.region_of(step.action) for step in plan.steps},
        allowed_regions=rules.policy.regions,
    )
    return [*faults_of(plan, context.catalogue, allowed), *faults_around(plan, context.catalogue, around)]


async def asked_as_a_whole(context: RunContext, plan: Plan) -> Plan:
    """The plan, marked where policy asks about it as a whole: then no step of it runs alone.

    What people agree to are the steps that were resolved and shown; one that is resolved later asks then.
    """
    prediction = predict(await pasts_of(context.database, context.run.workflow), len(plan.steps))
    most = None if prediction.micro is None else round(prediction.micro.high)
    planned = Planned(context.run.workflow, len(plan.steps), most)
    place = rule_for(context.rules.policy.plans, planned)
    return plan.model_copy(update={"steps": [s.model_copy(update={"plan_rule": place}) for s in plan.steps]})


async def note_dropped(context: RunContext, plan: Plan, step: Step, declined: Declined) -> None:
    """Write down that people took this step out of the plan, which is another plan without it."""
    if declined.cause != "rejected":
        return
    async with context.database.transaction() as conn:
        await context.guard.fence(conn)
        await tell_dropped(conn, context.run, plan, step.key, declined.text)


async def decisions_on(context: RunContext, plan: Plan) -> Decisions:
    """What policy says of each step now."""
    return {step.key: await context.preview(step) if is_resolved(step) else None for step in plan.steps}


def in_order(plan: Plan, decisions: Decisions) -> list[Step]:
    """The steps with those first that may run alone: nobody waits for an answer about somebody else's step.

    Where a step refers to an earlier one, the order is the plan's own.
    """
    if not all(is_resolved(step) for step in plan.steps):
        return list(plan.steps)
    return sorted(plan.steps, key=lambda step: _group_waits(plan, decisions, step))


def _group_waits(plan: Plan, decisions: Decisions, step: Step) -> bool:
    members = [decisions[other.key] for other in plan.steps if other.group == step.group]
    return any(each is None or each.verdict is not Verdict.ALLOW for each in members)


async def show_plan(
    context: RunContext, plan: Plan, decisions: Decisions, reasoned_by: str, remembered: Remembered | None
) -> None:
    """Write the plan with its prediction to the run, so that its card shows both and later both can be compared."""
    prediction = predict(await pasts_of(context.database, context.run.workflow), len(plan.steps))
    views = [_view(context, plan, step, decisions[step.key]) for step in plan.steps]
    await context.propose(views, plan, predicted=prediction.in_words(), reasoned_by=reasoned_by, remembered=remembered)
    run = context.run
    async with context.database.transaction() as conn:
        await context.store.set_figures(conn, run.run_id, run.epoch, {"predicted": prediction.to_json()})


async def keep_what_it_took(context: RunContext, steps: int) -> None:
    """Keep with the run what it took in the end; of a dry run nothing can be learned."""
    run = context.run
    if run.request.dry:
        return
    async with context.database.transaction() as conn:
        approvals = await approvals_of_run(conn, run.run_id)
        await keep_actual(conn, run.run_id, run.epoch, steps=steps, approvals=approvals)


def _view(context: RunContext, plan: Plan, step: Step, decision: Decision | None) -> StepView:
    action = context.catalogue.get(step.action)
    assert action is not None
    return view_of(step, action, decision, context.rules, late=comes_too_soon(plan, context.catalogue, step))
