"""Finds rules that can never do what they say, before they are in force."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from actions.condition import Conditions
from actions.exchange import Exchange
from actions.rule import Rule, Verdict
from actions.window import Counted, Summed


@dataclass(frozen=True)
class Contradiction:
    """One rule that contradicts itself or another, and where in it."""

    position: int
    place: tuple[str | int, ...]
    reason: str


def contradictions(rules: Sequence[Rule], exchange: Exchange) -> Iterator[Contradiction]:
    """Every rule whose conditions can never hold, or that another rule silences whenever it matches."""
    for position, rule in enumerate(rules):
        for place, reason in _never_holds(rule, exchange):
            yield Contradiction(position, place, reason)
        for other_position, other in enumerate(rules):
            if other is not rule and _silences(other, rule, earlier=other_position < position):
                yield Contradiction(position, ("id",), _silenced(other, rule))
                break


def _never_holds(rule: Rule, exchange: Exchange) -> Iterator[tuple[tuple[str | int, ...], str]]:
    when = rule.when
    if when.unendorsed and when.label in {"operator", "member"}:
        yield ("when", "label"), f"what nobody endorses comes from outside, never from a {when.label}. Remove one."
    if when.hours is not None and when.hours == when.outside_hours:
        yield ("when", "outside_hours"), "no time is inside and outside of the same hours. Remove one."
    known = {exchange.base, *exchange.rates}
    unknown = [code for code in when.currency or [] if code not in known]
    if unknown and list(when.limits):
        yield ("when", "currency"), f"{unknown[0]} has no rate, so its limits cannot be checked. Add it to rates."
    for name, entries in (("count", when.count), ("sum", when.sum)):
        for position, one in enumerate(entries):
            above = [other for other in entries if other.at_most is not None and _same_window(one, other)]
            if one.above is not None and any(not _is_below(one.above, other.at_most) for other in above):
                reason = f"nothing is above {one.above} and at most {above[0].at_most}. Correct one."
                yield ("when", name, position, "above"), reason


def _is_below(low: object, high: object) -> bool:
    return type(low) is type(high) and low < high  # type: ignore[operator]  -- two counts, or two amounts of one file


def _same_window(one: Counted | Summed, other: Counted | Summed) -> bool:
    return (one.per, one.within) == (other.per, other.within)


def _silences(other: Rule, rule: Rule, *, earlier: bool) -> bool:
    """True when `other` matches whenever `rule` does and then decides in its place."""
    if other.verdict.strictness < rule.verdict.strictness:
        return False
    if other.verdict is rule.verdict:
        asks_otherwise = (other.approvers, other.expires_in) != (rule.approvers, rule.expires_in)
        if rule.verdict is not Verdict.REQUIRE_APPROVAL or not earlier or not asks_otherwise:
            return False
    wider = other.covers(rule.action) or (other.action.endswith("*") and rule.action.startswith(other.action[:-1]))
    if not wider or other.effect not in {None, rule.effect}:
        return False
    return implies(rule.when, other.when, same=other.action == rule.action)


def _silenced(other: Rule, rule: Rule) -> str:
    if other.verdict is rule.verdict:
        return (
            f"whenever this rule asks, {other.id!r} above it asks too and names who may answer, so this one never does."
            " Put this one first."
        )
    return f"whenever this rule matches, {other.id!r} says {other.verdict}, so this one never decides. Remove one."


#: Conditions that hold for one value and no other.
_EXACT = (
    "workflow",
    "connector",
    "requester_role",
    "unendorsed",
    "label",
    "first_time_recipient",
    "near_limit",
    "hours",
    "outside_hours",
    "sandbox",
)


def implies(narrow: Conditions, wide: Conditions, *, same: bool = True) -> bool:
    """True when `wide` can be shown to hold whenever `narrow` does; `same`: they count the same actions."""
    exact = all(getattr(wide, name) in (None, getattr(narrow, name)) for name in _EXACT)
    currency = wide.currency is None or (narrow.currency is not None and set(narrow.currency) <= set(wide.currency))
    above = wide.amount_above is None or (narrow.amount_above is not None and wide.amount_above <= narrow.amount_above)
    most = wide.amount_at_most is None or (
        narrow.amount_at_most is not None and narrow.amount_at_most <= wide.amount_at_most
    )
    counts = all(any(_at_least(one, other) for one in narrow.count) for other in wide.count)
    sums = all(any(_at_least(one, other) for one in narrow.sum) for other in wide.sum)
    windows = counts and sums and (same or not (wide.count or wide.sum))
    return exact and currency and above and most and windows


def _at_least(narrow: Counted | Summed, wide: Counted | Summed) -> bool:
    """True when the limit `wide` is passed (or kept) whenever `narrow` is."""
    if not _same_window(narrow, wide):
        return False
    if wide.above is not None:
        return narrow.above is not None and (narrow.above == wide.above or _is_below(wide.above, narrow.above))
    return narrow.at_most is not None and (narrow.at_most == wide.at_most or _is_below(narrow.at_most, wide.at_most))
