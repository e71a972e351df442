"""What policy must say of one effect, by docs/how-to/write-a-policy.md alone over the files as they are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Any, cast
from zoneinfo import ZoneInfo

ALLOW, ASK, DENY = STRICTER = ("allow", "require_approval", "deny")
UNNAMED = "built-in:unnamed"
UNTRUSTED = "built-in:untrusted"

Doc = Mapping[str, Any]
#: Whether something holds; None where that cannot be told.
Truth = bool | None
#: How many earlier effects there were, and what they come to in each currency.
Tally = tuple[int, Mapping[str, str]]

_ADMIN: Doc = {"role": "admin"}
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_PLACES = {"JPY": 0, "KRW": 0, "CLP": 0, "ISK": 0, "VND": 0, "KWD": 3, "BHD": 3, "TND": 3, "OMR": 3, "JOD": 3}


@dataclass(frozen=True)
class Effect:
    """One effect that somebody wants; an empty text, an empty set and None are what is not known."""

    action: str
    registered: bool
    effect: str
    amount: str | None
    connector: str
    sandbox: bool
    workflow: str
    requester: str
    requester_roles: frozenset[str]
    unendorsed: tuple[str, ...]
    label: str
    at: datetime | None
    first_time_recipient: bool | None
    near_limit: bool | None
    before: Mapping[tuple[str, str], Tally]
    moves_money: bool = True
    nameless: frozenset[str] = frozenset()
    """The kinds of subject that a limit may be kept by and that are not known of this effect."""
    used: Mapping[str, tuple[int, str]] = field(default_factory=dict[str, tuple[int, str]])
    """How often and how much of each limit is used up; one that is not named has room."""


@dataclass(frozen=True)
class Expected:
    """What the page says must come out for one effect."""

    verdict: str
    rules: tuple[str, ...]
    who: tuple[str, ...]
    quorum: int


@dataclass(frozen=True)
class _Voice:
    """One rule, limit or built-in rule that speaks about the effect."""

    name: str
    verdict: str
    asks: Doc


def expect(policy: Doc | None, team: Doc, effect: Effect) -> Expected:
    """The verdict, the rules that gave it and who may answer, as the page predicts them."""
    nothing = Expected(DENY, (), (), 0)
    if policy is None or not effect.registered:
        return nothing
    try:
        rules, limits = _rules(policy, effect), _limits(policy, effect)
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError):
        return nothing  # a policy that cannot be evaluated
    return _strictest(rules, limits, team, effect.requester)


def _rules(policy: Doc, effect: Effect) -> list[_Voice]:
    matching = [rule for rule in cast("list[Doc]", policy["rules"]) if _matches(policy, rule, effect)]
    found = [_Voice(rule["id"], rule["verdict"], rule.get("approvers") or {}) for rule in matching]
    if not found:
        found.append(_Voice(UNNAMED, ASK, _ADMIN))
    if effect.unendorsed:
        found.append(_Voice(UNTRUSTED, ASK, _ADMIN))
    return found


def _limits(policy: Doc, effect: Effect) -> list[_Voice]:
    limits = cast("list[Doc]", policy.get("limits") or [])
    reached = [each for each in limits if _covers(each["action"], effect.action) and _is_reached(policy, each, effect)]
    return [
        _Voice(f"limit:{each['id']}", DENY if each.get("at_cap") == "deny" else ASK, each.get("approvers", _ADMIN))
        for each in reached
    ]


def _strictest(rules: Sequence[_Voice], limits: Sequence[_Voice], team: Doc, requester: str) -> Expected:
    verdict = max((each.verdict for each in (*rules, *limits)), key=STRICTER.index)
    speaking, capping = ([each for each in some if each.verdict == verdict] for some in (rules, limits))
    if verdict == DENY and speaking:
        capping = []  # what no rule lets happen does not reach a limit
    names = tuple(each.name for each in (*capping, *speaking))
    if verdict != ASK:
        return Expected(verdict, names, (), 0)
    # The first in the file names who may answer; a limit narrows that.
    asking = [each.asks for each in (*speaking[:1], *capping)]
    quorum = max(int(each.get("quorum", 1)) for each in asking)
    people: Mapping[str, Doc] = team["people"]
    able = [one for one in people if all(_admits(asks, one, people[one]) for asks in asking)]
    if not able and capping:
        able = [one for one in people if _admits(_ADMIN, one, people[one])]
    who = tuple(one for one in able if one != requester or team.get("solo") is True)
    return Expected(ASK, names, who, quorum)


def _admits(asks: Doc, member: str, person: Doc) -> bool:
    """Whether somebody is among those whom a rule or a limit asks."""
    role = asks.get("role", "approver")
    if asks.get("people") and member not in asks["people"]:
        return False
    if role not in person["roles"]:
        return False
    return role != "approver" or person["tier"] >= asks.get("tier", 1)


# Coverage and matching.


def _covers(pattern: str, action: str) -> bool:
    return pattern in ("*", action) or (pattern.endswith(".*") and action.startswith(pattern[:-1]))


def _matches(policy: Doc, rule: Doc, effect: Effect) -> bool:
    if not _covers(rule["action"], effect.action):
        return False
    when: Doc = rule.get("when") or {}
    truths = [_CONDITIONS[name](policy, value, effect) for name, value in when.items()]
    if rule.get("effect") is not None:
        truths.append(_is_called(rule["effect"], effect.effect))
    truth = _every(truths)
    return rule["verdict"] != ALLOW if truth is None else truth


def _every(truths: Sequence[Truth]) -> Truth:
    if False in truths:
        return False
    return None if None in truths else True


def _listed(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else [value]


def _is_called(wanted: object, found: str) -> Truth:
    return found == wanted if found else None


def _is(wanted: object, found: bool | None) -> Truth:
    return None if found is None else found == wanted


# Money.


def _money(text: str) -> tuple[Decimal, str]:
    number, _, currency = text.partition(" ")
    return Decimal(number), currency


def _worth(policy: Doc, number: Decimal, currency: str) -> Decimal | None:
    """An amount in the base currency, rounded up; None where it is negative or has no rate."""
    rates: Doc = {**(policy.get("rates") or {}), policy["base_currency"]: 1}
    rate = rates.get(currency)
    if number < 0 or rate is None:
        return None
    unit = Decimal(1).scaleb(-_PLACES.get(policy["base_currency"], 2))
    return (number * Decimal(str(rate))).quantize(unit, ROUND_CEILING)


def _written(effect: Effect) -> tuple[Decimal, str] | None:
    try:
        return None if effect.amount is None else _money(effect.amount)
    except InvalidOperation:
        return None


def _amount(policy: Doc, effect: Effect) -> Decimal | None:
    written = _written(effect)
    return None if written is None else _worth(policy, *written)


def _bounded(number: Decimal | None, above: Decimal | None, at_most: Decimal | None) -> Truth:
    if number is None:
        return None
    return (above is None or number > above) and (at_most is None or number <= at_most)


def _currency(_: Doc, value: Any, effect: Effect) -> Truth:
    written = _written(effect)
    return None if written is None else written[1] in _listed(value)


# Windows.


def _span(text: str) -> timedelta:
    return timedelta(**{_UNITS[text[-1]]: int(text[:-1])})


def _tally(spec: Doc, effect: Effect) -> Tally | None:
    told = {(per, _span(within)): tally for (per, within), tally in effect.before.items()}
    return told.get((spec["per"], _span(spec["within"])))


def _count(_: Doc, value: Any, effect: Effect) -> Truth:
    truths: list[Truth] = []
    for spec in cast("list[Doc]", _listed(value)):
        tally = _tally(spec, effect)
        above, at_most = (Decimal(spec[name]) if name in spec else None for name in ("above", "at_most"))
        truths.append(_bounded(None if tally is None else Decimal(tally[0] + 1), above, at_most))
    return _every(truths)


def _sum(policy: Doc, value: Any, effect: Effect) -> Truth:
    truths: list[Truth] = []
    for spec in cast("list[Doc]", _listed(value)):
        above, at_most = (_money(spec[name])[0] if name in spec else None for name in ("above", "at_most"))
        truths.append(_bounded(_total(policy, _tally(spec, effect), effect), above, at_most))
    return _every(truths)


def _total(policy: Doc, tally: Tally | None, effect: Effect) -> Decimal | None:
    if tally is None:
        return None
    earlier = [_worth(policy, Decimal(number), currency) for currency, number in tally[1].items()]
    total = Decimal(0)
    for part in (_amount(policy, effect), *earlier):
        if part is None:
            return None
        total += part
    return total


def _is_reached(policy: Doc, limit: Doc, effect: Effect) -> bool:
    """Whether this effect on top of what is used would come to more than the limit, or that cannot be told."""
    if limit.get("per", "workspace") in effect.nameless:
        return True
    count, used = effect.used.get(limit["id"], (0, "0 USD"))
    if "count" in limit and count + 1 > limit["count"]:
        return True
    if "amount" not in limit:
        return False
    more = _amount(policy, effect) if effect.moves_money else Decimal(0)
    return more is None or _money(used)[0] + more > _money(limit["amount"])[0]


# Time.


def _days(value: str | list[str] | None) -> set[str]:
    if value is None:
        return set(_DAYS)
    if isinstance(value, list):
        return set(value)
    first, _, last = value.partition("-")
    begin, end = _DAYS.index(first), _DAYS.index(last or first)
    return {_DAYS[(begin + step) % 7] for step in range((end - begin) % 7 + 1)}


def _hours(_: Doc, value: Any, effect: Effect) -> Truth:
    if effect.at is None:
        return None
    local, days = effect.at.astimezone(ZoneInfo(value.get("zone", "UTC"))), _days(value.get("days"))
    begin, end = str(value["between"]).split("-")
    clock, today, yesterday = local.time(), _DAYS[local.weekday()], _DAYS[local.weekday() - 1]
    is_begun = clock >= time.fromisoformat(begin)
    is_over = end != "24:00" and clock >= time.fromisoformat(end)
    if begin < end:
        return is_begun and not is_over and today in days
    return (is_begun and today in days) or (not is_over and yesterday in days)


def _outside_hours(policy: Doc, value: Any, effect: Effect) -> Truth:
    inside = _hours(policy, value, effect)
    return None if inside is None else not inside


# All conditions of the page's table.


def _requester_role(_: Doc, value: Any, effect: Effect) -> Truth:
    return value in effect.requester_roles if effect.requester_roles else None


_CONDITIONS: Mapping[str, Callable[[Doc, Any, Effect], Truth]] = {
    "amount_above": lambda policy, value, effect: _bounded(_amount(policy, effect), _money(value)[0], None),
    "amount_at_most": lambda policy, value, effect: _bounded(_amount(policy, effect), None, _money(value)[0]),
    "currency": _currency,
    "count": _count,
    "sum": _sum,
    "first_time_recipient": lambda _, value, effect: _is(value, effect.first_time_recipient),
    "near_limit": lambda _, value, effect: _is(value, effect.near_limit),
    "workflow": lambda _, value, effect: _is_called(value, effect.workflow),
    "connector": lambda _, value, effect: _is_called(value, effect.connector),
    "requester_role": _requester_role,
    "label": lambda _, value, effect: _is_called(value, effect.label),
    "unendorsed": lambda _, value, effect: _is(value, bool(effect.unendorsed)),
    "hours": _hours,
    "outside_hours": _outside_hours,
    "sandbox": lambda _, value, effect: _is(value, effect.sandbox),
}
