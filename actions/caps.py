"""What caps do to a decision: one that is reached asks its own people, or denies; an approval may know of it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from actions.limits import Charge, Draw, Limit, Reached, draws_of, exceeded, is_near, reason_of
from actions.policy import Decision, Policy, Verdict
from actions.reservations import CapReached, Held, reserve, used
from actions.team import Approvers, Team
from core.db import Connection


@dataclass(frozen=True)
class Standing:
    """How the limits stand towards one effect that is wished for."""

    draws: Sequence[Draw] = ()
    reached: Sequence[Reached] = ()
    near: bool | None = None
    """Whether one of them is nearly used up; None where none covers the effect, or that cannot be told."""


async def standing(conn: Connection, policy: Policy | None, charge: Charge) -> Standing:
    """How the limits stand now, by a look that reserves nothing."""
    if policy is None or not policy.limits:
        return Standing()
    draws, untold = draws_of(policy.limits, charge)
    found = [(draw, await used(conn, charge.workspace, draw)) for draw in draws]
    reached = [over for draw, so_far in found if (over := exceeded(draw, so_far)) is not None]
    is_told = bool(draws) and not untold
    near = True if any(is_near(draw, so_far) for draw, so_far in found) else False if is_told else None
    return Standing(draws, [*untold, *reached], near)


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


def with_caps(decision: Decision, reached: Sequence[Reached], policy: Policy, team: Team) -> Decision:
    """The decision once limits have spoken: a reached cap asks or denies, and never lets anything run alone."""
    reached = [each for each in reached if each.limit.rule not in decision.rules]
    if not reached or decision.verdict is Verdict.DENY:
        return decision
    denying = [each for each in reached if each.limit.at_cap == "deny"]
    winners = denying or reached
    asking = decision.verdict is Verdict.REQUIRE_APPROVAL and not denying
    reasons = tuple(reason_of(each) for each in winners)
    return replace(
        decision,
        verdict=Verdict.DENY if denying else Verdict.REQUIRE_APPROVAL,
        rules=(*(each.limit.rule for each in winners), *(decision.rules if asking else ())),
        reasons=(*reasons, *decision.reasons),
        approvers=None if denying else _joined(winners, decision.approvers, team),
        approvals_channel=None if denying else policy.approvals.channel,
    )


def _joined(winners: Sequence[Reached], asked: Approvers | None, team: Team) -> Approvers:
    """Whom every one of these limits, and the rules, would ask; an admin where that is nobody."""
    asking = [*(each.limit.asks for each in winners), *([asked] if asked else [])]
    roles, groups = {each.role for each in asking}, {each.group for each in asking if each.group}
    tier, quorum = max(each.tier for each in asking), max(each.quorum for each in asking)
    # Who is in a group only Slack knows.
    circles = [set(team.eligible(each.model_copy(update={"group": None}))) for each in asking]
    common = [person for person in team.people if all(person in circle for circle in circles)]
    if not common or len(groups) > 1:
        return Approvers(role="admin", tier=tier, quorum=quorum)
    # An admin is asked for no tier, and an approver need not be an admin: those who are both are asked by name.
    is_by_name = len(roles) > 1 or any(each.people for each in asking)
    return Approvers(
        role="admin" if "admin" in roles else "approver",
        tier=tier,
        people=common if is_by_name else [],
        group=min(groups, default=None),
        quorum=quorum,
    )


def permitted_by(decision: Decision | None) -> frozenset[str]:
    """The ids of the limits that people were told would be exceeded when they were asked."""
    rules = () if decision is None else decision.rules
    return frozenset(rule.removeprefix("limit:") for rule in rules if rule.startswith("limit:"))


def known_limits(policy: Policy | None, decision: Decision) -> list[Limit]:
    """The limits of today's policy that people were told of when they were asked."""
    return [] if policy is None else [each for each in policy.limits if each.id in permitted_by(decision)]


def as_asked(decision: Decision, asked: Decision, policy: Policy | None, team: Team) -> Decision:
    """Today's decision with the limits that the approval knew of, so that both speak of the same."""
    if policy is None:
        return decision
    known = [Reached(limit, "known when this was asked") for limit in known_limits(policy, asked)]
    return with_caps(decision, [each for each in known if each.limit.at_cap == "ask"], policy, team)
