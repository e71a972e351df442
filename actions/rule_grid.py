"""The points at which two policies are compared: one on each side of everything that any of their rules asks."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR
from itertools import chain, combinations, product
from math import prod
from typing import Any
from zoneinfo import ZoneInfo

from actions.condition import Considered
from actions.policy import Policy
from actions.rule import Rule
from actions.window import Hours, Tally, Window
from core.money import Money

#: Beyond this many points a comparison is given up.
MOST_POINTS = 8_000
#: A name that no rule can have written.
_OTHER = "(any other)"
#: A week in winter and one in summer, each from a Monday: zones shift against each other between the two.
_WEEKS = (datetime(2026, 1, 5), datetime(2026, 7, 6))  # noqa: DTZ001 -- each is put into a rule's own zone


def points_for(old: Policy, new: Policy, action: str) -> Iterator[Considered] | None:
    """Effects of `action` that between them meet every condition both ways; None where they are too many."""
    rules = [rule for rule in (*old.rules, *new.rules) if rule.covers(action)]
    dimensions = _dimensions(rules)
    amounts = _amounts(rules, old, new)
    windows = _windows(rules, amounts)
    sizes = [len(amounts), *map(len, dimensions.values()), *map(len, windows.values())]
    return None if prod(sizes) > MOST_POINTS else _points(action, dimensions, amounts, windows)


def _points(
    action: str,
    dimensions: dict[str, list[Any]],
    amounts: Sequence[Money | None],
    windows: dict[Window, list[Tally | None]],
) -> Iterator[Considered]:
    for values in product(*dimensions.values()):
        named = dict(zip(dimensions, values, strict=True))
        for amount in amounts:
            for tallies in product(*windows.values()):
                told = {window: tally for window, tally in zip(windows, tallies, strict=True) if tally is not None}
                yield Considered(action=action, amount=amount, windows=told, **named)


def _dimensions(rules: Sequence[Rule]) -> dict[str, list[Any]]:
    conditions = [rule.when for rule in rules]
    roles = sorted({when.requester_role for when in conditions if when.requester_role is not None})
    hours = [each for when in conditions for each in (when.hours, when.outside_hours) if each is not None]
    return {
        "effect": _names([rule.effect for rule in rules]),
        "connector": _names([when.connector for when in conditions]),
        "workflow": _names([when.workflow for when in conditions]),
        "label": _names([when.label for when in conditions]),
        "sandbox": [True, False] if any(when.sandbox is not None for when in conditions) else [False],
        # Always both: a built-in rule asks about what is not endorsed.
        "unendorsed": [(), ("amount",)],
        "first_time_recipient": _claims([when.first_time_recipient for when in conditions]),
        "near_limit": _claims([when.near_limit for when in conditions]),
        "requester_roles": _role_sets(roles),
        "at": [None, *_instants(hours)] if hours else [None],
    }


def _names(written: Sequence[str | None]) -> list[str]:
    names = sorted({name for name in written if name is not None})
    return ["", _OTHER, *names] if names else [""]


def _claims(written: Sequence[bool | None]) -> list[bool | None]:
    return [None, True, False] if any(claim is not None for claim in written) else [None]


def _role_sets(roles: Sequence[str]) -> list[frozenset[str]]:
    if not roles:
        return [frozenset()]
    some = chain.from_iterable(combinations(roles, size) for size in range(len(roles) + 1))
    return [frozenset(), *(frozenset({*chosen, _OTHER}) for chosen in some)]


def _instants(hours: Sequence[Hours]) -> list[datetime]:
    """Every moment at which one of these spans begins or ends, on every day of the week."""
    found: set[datetime] = set()
    for each in hours:
        minutes = [int(part[:2]) * 60 + int(part[3:]) for part in each.between.split("-")]
        for week, day, minute in product(_WEEKS, range(8), minutes):
            local = week + timedelta(days=day, minutes=minute)
            found.add(local.replace(tzinfo=ZoneInfo(each.zone)).astimezone(UTC))
    return sorted(found)


def _amounts(rules: Sequence[Rule], old: Policy, new: Policy) -> list[Money | None]:
    """Just at and just above every limit, in the base currency and in every currency that a rule or a rate knows."""
    limits = {limit for rule in rules for _, limit in rule.when.limits}
    written = {code for rule in rules for code in rule.when.currency or []}
    base = old.base_currency
    found: set[Money] = {Money(minor, base) for minor in (0, 1)}
    for limit in limits:
        found |= {limit, Money(limit.minor + 1, limit.currency)}
    changed = {code for code in (*old.rates, *new.rates) if old.rates.get(code) != new.rates.get(code)}
    for code in changed | written:
        found |= {Money(minor, code) for minor in (1, 10**9)}
        for limit, policy in product(limits, (old, new)):
            found |= _around(limit, policy, code)
    ordered = sorted(found, key=lambda money: (money.currency, money.minor))
    return [None, *ordered]


def _around(limit: Money, policy: Policy, code: str) -> set[Money]:
    """Amounts of another currency close to what `limit` is worth in it."""
    rate = policy.rates.get(code)
    if rate is None:
        return set()
    unit = Money.of(1, code).minor
    middle = int((limit.amount / rate * unit).to_integral_value(rounding=ROUND_FLOOR))
    return {Money(middle + step, code) for step in (-1, 0, 1, 2) if middle + step >= 0}


def _windows(rules: Sequence[Rule], amounts: Sequence[Money | None]) -> dict[Window, list[Tally | None]]:
    """For each window: nothing before, and just enough before that this effect keeps or passes each limit."""
    counts: dict[Window, set[int]] = {}
    sums: dict[Window, set[Money]] = {}
    for rule in rules:
        for each in rule.when.count:
            limit = each.above if each.above is not None else each.at_most or 0
            counts.setdefault(each.window(rule.action), {0}).update({max(limit - 1, 0), limit})
        for each in rule.when.sum:
            limit = each.above or each.at_most
            if limit is not None:
                befores = sums.setdefault(each.window(rule.action), set())
                befores |= {Money(minor, limit.currency) for minor in _befores(limit, amounts)}
    tallies: dict[Window, list[Tally | None]] = {}
    for window in {**counts, **sums}:
        moved: list[tuple[Money, ...]] = [(), *((money,) for money in sorted(sums.get(window, set()), key=_minor))]
        tallies[window] = [None, *(Tally(count, some) for count in sorted(counts.get(window, {0})) for some in moved)]
    return tallies


def _minor(money: Money) -> int:
    return money.minor


def _befores(limit: Money, amounts: Sequence[Money | None]) -> set[int]:
    moved = [amount.minor for amount in amounts if amount is not None and amount.currency == limit.currency]
    return {max(0, limit.minor - minor + more) for minor in moved for more in (0, 1)}
