"""What a person granted: only a question of the very rule that was granted becomes a yes, and only for a while."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from actions.autonomy import Band, asks_by_amount
from actions.condition import Considered
from actions.policy import Decision, Policy, Verdict


@dataclass(frozen=True)
class Grant:
    """What a person let run alone, until when."""

    grant_id: str
    band: Band
    granted_by: str
    expires_at: datetime


def loosened(decision: Decision, considered: Considered, grants: Sequence[Grant], policy: Policy) -> Decision:
    """The decision with what a person granted: only a question of the very rule that was granted becomes a yes."""
    if decision.verdict is not Verdict.REQUIRE_APPROVAL or considered.amount is None or considered.unendorsed:
        return decision
    for grant in grants:
        if decision.rules == (grant.band.rule,) and considered.amount in grant.band and _stands(grant, policy):
            until = f"{grant.expires_at:%-d %B %Y}"
            reason = (
                f"<@{grant.granted_by}> lets amounts up to {grant.band.up_to} run alone until {until}"
                f" (granted: {grant.grant_id})."
            )
            return replace(
                decision,
                verdict=Verdict.ALLOW,
                rules=(*decision.rules, f"granted:{grant.grant_id}"),
                reasons=(reason, *decision.reasons),
                approvers=None,
                approvals_channel=None,
            )
    return decision


def _stands(grant: Grant, policy: Policy) -> bool:
    """A grant is about a rule as it was: a rule that was changed since asks again."""
    rules = [rule for rule in policy.rules if rule.id == grant.band.rule and rule.action == grant.band.action]
    return any(asks_by_amount(rule) and rule.when.amount_above == grant.band.above for rule in rules)
