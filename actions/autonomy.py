"""Earned autonomy: when people kept saying yes, a suggestion to ask them less; a person grants it, for a while.

Nothing here loosens anything by itself. One rejection, or one effect taken back, ends what was granted at once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from actions.rule import Rule, Verdict
from actions.rule_file import Amount, Duration
from core.money import Money


class Autonomy(BaseModel):
    """What must be seen before a little more may run alone; without this in policy.yml nothing is ever suggested."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    after: Annotated[int, Field(ge=5, le=10_000, strict=True)] = 20
    """That many approvals in a row, none of them changed, rejected or taken back."""
    over: Duration = timedelta(days=7)
    """From the first of them to the last."""
    lasts: Duration = timedelta(days=30)
    """How long what was granted holds."""
    up_to: Amount
    """Nothing above this amount ever runs alone by a grant."""


@dataclass(frozen=True)
class Band:
    """The amounts that one rule asks about and that a grant would let run alone."""

    action: str
    rule: str
    above: Money
    up_to: Money

    def __contains__(self, amount: Money) -> bool:
        same = amount.currency == self.above.currency
        return same and self.above.minor < amount.minor <= self.up_to.minor


@dataclass(frozen=True)
class Past:
    """One earlier question of a rule, and what came of it."""

    at: datetime
    amount: Money
    decided_by: str
    verdict: Literal["approved", "rejected"]
    changed: bool
    """True when a person changed the arguments before agreeing."""
    reversed: bool
    """True when what was agreed to was taken back later."""

    @property
    def is_good(self) -> bool:
        """True for a plain yes that held."""
        return self.verdict == "approved" and not self.changed and not self.reversed


@dataclass(frozen=True)
class Evidence:
    """What a suggestion rests on."""

    approvals: int
    people: int
    first_at: datetime
    last_at: datetime


def bands_of(rules: Sequence[Rule], terms: Autonomy) -> list[Band]:
    """For each rule that asks above an amount: from there to twice as much, never into the next rule's amounts."""
    asking = [rule for rule in rules if asks_by_amount(rule)]
    found: list[Band] = []
    for rule in asking:
        above = rule.when.amount_above
        assert above is not None
        higher = [other.when.amount_above for other in asking if other.action == rule.action]
        ceilings = [limit.minor for limit in higher if limit is not None and limit.minor > above.minor]
        top = min([2 * above.minor, terms.up_to.minor, *ceilings])
        if top > above.minor and terms.up_to.currency == above.currency:
            found.append(Band(rule.action, rule.id, above, Money(top, above.currency)))
    return found


def asks_by_amount(rule: Rule) -> bool:
    """True when this rule asks about one action above an amount."""
    asks = rule.verdict is Verdict.REQUIRE_APPROVAL and rule.when.amount_above is not None
    return asks and not rule.action.endswith("*")


def evidence_for(band: Band, past: Iterable[Past], terms: Autonomy, *, approvers: int) -> Evidence | None:
    """What speaks for this band, or None as long as too little does; `approvers` is how many people may answer.

    One person's habit is no evidence where two could have answered.
    """
    good: list[Past] = []
    for each in sorted(past, key=lambda each: each.at, reverse=True):
        if not each.is_good:
            break
        if each.amount in band:
            good.append(each)
    if len(good) < terms.after or good[0].at - good[-1].at < terms.over:
        return None
    people = len({each.decided_by for each in good})
    if people < min(2, approvers):
        return None
    return Evidence(len(good), people, good[-1].at, good[0].at)
