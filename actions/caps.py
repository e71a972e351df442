"""What caps do to a decision: one that is reached asks its own people, or denies; an approval may know of it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from actions.limits import Charge, Draw, Limit, Reached, draws_of, exceeded, is_near, reason_of
from actions.policy import Decision, Policy, Verdict
from actions.reservations import CapReached, Held, reserve, used
from actions.team import Approvers
from core.db import Connection


@dataclass(frozen=True)
class Standing:
    """How the limits stand towards one effect that is wished for."""

    draws: Sequence[Draw] = ()
    reached: Sequence[Reached] = ()
    near: bool = False


async def standing(conn: Connection, policy: Policy | None, charge: Charge) -> Standing:
    """How the limits stand now, by a look that reserves nothing."""
    if policy is None or not policy.limits:
        return Standing()
    draws, untold = draws_of(policy.limits, charge)
    found = [(draw, await used(conn, charge.workspace, draw)) for draw in draws]
    reached = [over for draw, so_far in found if (over := exceeded(draw, so_far)) is not None]
    return Standing(draws, [*untold, *reached], any(is_near(draw, so_far) for draw, so_far in found))


async def reserve_for(
    conn: Connection, charge: Charge, stands: Standing, permitted: Collection[str]
) -> list[Held] | Standing:
    """What is set aside for an attempt; or how the limits stand, where one has no room and nobody permitted that."""
    missing = [each for each in stands.reached if each.limit.id not in permitted or each.limit.at_cap == "deny"]
    if missing:
        return replace(stands, reached=missing)
    allowed = {draw.limit.id for draw in stands.draws if draw.limit.at_cap == "ask"} & set(permitted)
    try:
        return await reserve(conn, charge.workspace, stands.draws, permitted=allowed)
    except CapReached as error:
        # Somebody else took the room between our look and our reservation.
        so_far = await used(conn, charge.workspace, error.draw)
        over = exceeded(error.draw, so_far) or Reached(error.draw.limit, "the room left was just taken")
        return replace(stands, reached=[over])


def with_caps(decision: Decision, reached: Sequence[Reached], policy: Policy) -> Decision:
    """The decision once limits have spoken: a reached cap asks or denies, and never lets anything run alone."""
    if not reached or decision.verdict is Verdict.DENY:
        return decision
    denying = [each for each in reached if each.limit.at_cap == "deny"]
    winners = denying or list(reached)
    asking = decision.verdict is Verdict.REQUIRE_APPROVAL and not denying
    reasons = tuple(reason_of(each) for each in winners)
    return replace(
        decision,
        verdict=Verdict.DENY if denying else Verdict.REQUIRE_APPROVAL,
        rules=(*(each.limit.rule for each in winners), *(decision.rules if asking else ())),
        reasons=(*reasons, *decision.reasons),
        approvers=None if denying else _joined(winners, decision.approvers),
        approvals_channel=None if denying else policy.approvals.channel,
    )


def _joined(winners: Sequence[Reached], asked: Approvers | None) -> Approvers:
    """Who may permit all of this: whoever every one of the limits, and the rules, would have asked."""
    found = winners[0].limit.asks
    for other in [*(each.limit.asks for each in winners[1:]), *([asked] if asked else [])]:
        found = _both(found, other)
    return found


def _both(one: Approvers, other: Approvers) -> Approvers:
    """Those whom both would ask; an admin where they would ask nobody in common."""
    common = [person for person in one.people if person in other.people]
    apart = [one.people and other.people and not common, one.group and other.group and one.group != other.group]
    return Approvers(
        role="admin" if any(apart) or "admin" in (one.role, other.role) else "approver",
        tier=max(one.tier, other.tier),
        people=[] if any(apart) else common or one.people or other.people,
        group=None if any(apart) else one.group or other.group,
        quorum=max(one.quorum, other.quorum),
    )


def permitted_by(decision: Decision | None) -> frozenset[str]:
    """The ids of the limits that people were told would be exceeded when they were asked."""
    rules = () if decision is None else decision.rules
    return frozenset(rule.removeprefix("limit:") for rule in rules if rule.startswith("limit:"))


def known_limits(policy: Policy | None, decision: Decision) -> list[Limit]:
    """The limits of today's policy that people were told of when they were asked."""
    return [] if policy is None else [each for each in policy.limits if each.id in permitted_by(decision)]


def as_asked(decision: Decision, asked: Decision, policy: Policy | None) -> Decision:
    """Today's decision with the limits that the approval knew of, so that both speak of the same."""
    if policy is None:
        return decision
    known = [Reached(limit, "known when this was asked") for limit in known_limits(policy, asked)]
    return with_caps(decision, [each for each in known if each.limit.at_cap == "ask"], policy)
