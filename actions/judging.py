"""Judges a wish inside a transaction: reads of the past what the rules ask for, then lets pure policy decide."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from actions import grants, history
from actions.caps import Standing, standing, with_caps
from actions.condition import Considered
from actions.exchange import Exchange
from actions.grant import loosened
from actions.history import Subject
from actions.intent import Origin, TrustLabel
from actions.limits import Charge
from actions.outcome import Wish
from actions.plan_rule import PLAN
from actions.policy import Decision, Needs, Policy, Rules, Verdict, decide, needs_of
from actions.team import Approvers, Team
from actions.teammates import in_its_name
from core.db import Connection
from core.metrics import Metrics

#: From what may be trusted least to what may be trusted most.
_LEAST_FIRST = (TrustLabel.EXTERNAL, TrustLabel.MEMBER, TrustLabel.OPERATOR)


@dataclass(frozen=True)
class Judged(Wish):
    """A wish with the verdict on it, and what the verdict rests on."""

    decision: Decision
    considered: Considered
    subject: Subject
    charge: Charge
    limits: Standing


class Judge:
    """Puts a wish before the rules in force, with the past as the caller's transaction sees it."""

    def __init__(self, rules: Callable[[], Rules], metrics: Metrics) -> None:
        self._rules = rules
        self._metrics = metrics

    async def judge(self, conn: Connection, wish: Wish, *, holding: bool) -> Judged:
        """The verdict on this wish now; with `holding`, no rival can be judged by the same past until commit."""
        rules, subject = self._rules(), subject_of_wish(wish)
        needs = needs_of(rules.policy, wish.action.name)
        if holding and needs.history:
            await history.hold_still(conn, wish.caller.workspace)
        charge = _charge(wish, subject, rules.policy.exchange)
        limits = await standing(conn, rules.policy, charge)
        considered = replace(await self._considered(conn, wish, subject, needs, rules.team), near_limit=limits.near)
        decision = decide(rules.policy, considered, rules.version)
        decision = in_its_name(decision, rules.team, wish.caller, wish.action.name)
        if decision.verdict is Verdict.REQUIRE_APPROVAL and considered.at is not None:
            granted = await grants.in_force(conn, wish.caller.workspace, wish.action.name, considered.at)
            decision = loosened(decision, considered, granted, rules.policy)
        # Last, so that nothing that loosens can let a breach run alone.
        decision = with_caps(decision, limits.reached, rules.policy, rules.team)
        decision = _as_planned(decision, rules.policy, wish.caller.plan_rule)
        self._metrics.decisions.labels(wish.action.name, decision.verdict).inc()
        return Judged(
            **vars(wish), decision=decision, considered=considered, subject=subject, charge=charge, limits=limits
        )

    async def _considered(self, conn: Connection, wish: Wish, subject: Subject, needs: Needs, team: Team) -> Considered:
        action, origins = wish.action, wish.revision.origins
        guarded = {name: origins.get(name) for name in _guarded(wish)}
        member = team.member(wish.caller.requester)
        at = await history.now(conn)
        return Considered(
            action=action.name,
            effect=action.effect,
            connector=wish.connector.name,
            sandbox=wish.connector.sandbox,
            workflow=wish.caller.workflow,
            requester_roles=member.roles if member else frozenset(),
            amount=action.amount_of(wish.revision.record.args),
            unendorsed=tuple(name for name, origin in guarded.items() if not action.trusts(name, origin)),
            label=_lowest([*guarded.values()]),
            at=at,
            first_time_recipient=await history.is_first_time(conn, subject, at) if needs.first_time else None,
            is_unseen=action.is_foreign and not await history.was_agreed(conn, subject.workspace, wish.revision.record),
            windows=await history.tallies(conn, needs.windows, subject, at),
        )


def _as_planned(decision: Decision, policy: Policy, place: int | None) -> Decision:
    """The decision on a step of a plan that is asked about as a whole: it does not run alone either."""
    if place is None or decision.verdict is not Verdict.ALLOW:
        return decision
    # A rule that went away meanwhile still had asked: then an admin answers.
    rule = policy.plans[place] if place < len(policy.plans) else None
    because = "This plan is asked about as a whole" if rule is None else rule.because.rstrip(".")
    return replace(
        decision,
        verdict=Verdict.REQUIRE_APPROVAL,
        rules=(PLAN,),
        reasons=(f"{because} ({PLAN}).", *decision.reasons),
        approvers=Approvers(role="admin") if rule is None else rule.approvers,
        approvals_channel=policy.approvals.channel,
    )


def subject_of_wish(wish: Wish) -> Subject:
    """Whose earlier effects count together with this wish."""
    caller, action, args = wish.caller, wish.action, wish.revision.record.args
    return Subject(
        workspace=caller.workspace,
        action=action.name,
        workflow=caller.workflow,
        requester=caller.requester,
        recipient=_text(args.get(action.recipient)) if action.recipient else None,
        customer=_text(args.get(action.customer)) if action.customer else None,
        run_id=wish.key.run_id,
        step=wish.key.step,
    )


def _charge(wish: Wish, subject: Subject, exchange: Exchange) -> Charge:
    amount = wish.action.amount_of(wish.revision.record.args)
    return Charge(
        action=subject.action,
        workspace=subject.workspace,
        workflow=subject.workflow,
        requester=subject.requester,
        recipient=subject.recipient or "",
        customer=subject.customer or "",
        moves_money=wish.action.amount is not None,
        amount=None if amount is None else exchange.in_base(amount),
    )


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)


def _guarded(wish: Wish) -> list[str]:
    """What untrusted text must not choose; whose account it is on counts too, for windows are kept by it."""
    action = wish.action
    customer = action.customer
    named = customer is not None and wish.revision.record.args.get(customer) is not None
    # What is not given chooses nothing.
    guarded = [name for name in action.guarded if name in wish.revision.record.args or not action.is_foreign]
    return [*guarded, *([customer] if customer is not None and named else [])]


def _lowest(origins: list[Origin | None]) -> str:
    labels = [TrustLabel.EXTERNAL if origin is None else origin.label for origin in origins]
    return min(labels, key=_LEAST_FIRST.index).value if labels else ""
