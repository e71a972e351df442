"""What policy must say, written from docs/how-to/write-a-policy.md alone, by somebody who had not seen the code."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Any, cast
from zoneinfo import ZoneInfo

ALLOW = "allow"
ASK = "require_approval"
DENY = "deny"
UNNAMED = "built-in:unnamed"
UNTRUSTED = "built-in:untrusted"

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_PERS = frozenset({"recipient", "requester", "customer", "workflow", "workspace"})
_NO_DECIMALS = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"}
)
_THREE_DECIMALS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})
_MONEY = re.compile(r"\s*(-?[0-9]+(?:\.[0-9]+)?)\s+([A-Z]{3})\s*")
_BETWEEN = re.compile(r"\s*([0-9]{1,2}):([0-9]{2})\s*-\s*([0-9]{1,2}):([0-9]{2})\s*")
_SPAN = re.compile(r"\s*([0-9]+)\s*([smhdw])\s*")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True)
class Effect:
    """One effect that somebody wants."""

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
    before: Mapping[tuple[str, str], tuple[int, Mapping[str, str]]]


@dataclass(frozen=True)
class Expected:
    """What the page says must come out for one effect."""

    verdict: str
    rules: tuple[str, ...]
    who: tuple[str, ...]
    quorum: int


def expect(policy: Mapping[str, Any] | None, team: Mapping[str, Any], effect: Effect) -> Expected:
    """Return the verdict, its rules and who may answer, as the page predicts them."""
    nothing = Expected(DENY, (), (), 0)
    if policy is None or not effect.registered:
        return nothing
    try:
        return _judge(policy, team, effect)
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError):
        return nothing  # a policy that cannot be evaluated


def _judge(policy: Mapping[str, Any], team: Mapping[str, Any], effect: Effect) -> Expected:
    rules = policy["rules"]
    if not isinstance(rules, list):
        raise ValueError("rules is not a list")
    typed = [_checked(rule) for rule in cast("list[Mapping[str, Any]]", rules)]
    matching = [rule for rule in typed if _matches(policy, rule, effect)]

    denying = [str(rule["id"]) for rule in matching if rule["verdict"] == DENY]
    if denying:
        return Expected(DENY, tuple(denying), (), 0)

    asking = [rule for rule in matching if rule["verdict"] == ASK]
    ids = [str(rule["id"]) for rule in asking]
    if not matching:
        ids.append(UNNAMED)
    if effect.unendorsed:
        ids.append(UNTRUSTED)
    if ids:
        approvers: Mapping[str, Any] = (asking[0].get("approvers") or {}) if asking else {"role": "admin"}
        who = _who(team, approvers, effect.requester)
        return Expected(ASK, tuple(ids), who, int(approvers.get("quorum", 1)))
    return Expected(ALLOW, tuple(str(rule["id"]) for rule in matching), (), 0)


def _checked(rule: Mapping[str, Any]) -> Mapping[str, Any]:
    if rule["verdict"] not in (ALLOW, ASK, DENY):
        raise ValueError("not a verdict")
    when: Mapping[str, Any] = rule.get("when") or {}
    for name in when:
        if name not in _CONDITIONS:
            raise ValueError("not a condition")
    return rule


# Coverage and matching. A condition is True, False, or None where it cannot be told.


def _matches(policy: Mapping[str, Any], rule: Mapping[str, Any], effect: Effect) -> bool:
    if not _names(str(rule["action"]), effect.action):
        return False
    when: Mapping[str, Any] = rule.get("when") or {}
    truths = [_CONDITIONS[name](policy, value, effect) for name, value in when.items()]
    if rule.get("effect") is not None:
        truths.append(_one_of(rule["effect"], effect.effect))
    truth = _all(truths)
    if truth is None:
        return rule["verdict"] != ALLOW
    return truth


def _names(pattern: str, action: str) -> bool:
    if pattern == "*":
        return True
    if pattern.endswith(".*"):
        return action.startswith(pattern[:-1])
    return pattern == action


def _all(truths: list[bool | None]) -> bool | None:
    if False in truths:
        return False
    return None if None in truths else True


def _listed(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else [value]


def _one_of(wanted: Any, actual: str) -> bool | None:
    """Compare a text that is not known when it is empty."""
    return actual in _listed(wanted) if actual else None


# Money.


def _money(text: str) -> tuple[Decimal, str]:
    found = _MONEY.fullmatch(text)
    if found is None:
        raise ValueError("not an amount")
    return Decimal(found[1]), found[2]


def _in_base(policy: Mapping[str, Any], number: Decimal, currency: str) -> Decimal | None:
    base = str(policy["base_currency"])
    if currency == base:
        return number
    rates: Mapping[str, Any] = policy.get("rates") or {}
    if currency not in rates:
        return None
    digits = 0 if base in _NO_DECIMALS else 3 if base in _THREE_DECIMALS else 2
    worth = number * Decimal(str(rates[currency]))
    return worth.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_CEILING)


def _limit(policy: Mapping[str, Any], value: Any) -> Decimal:
    if isinstance(value, (int, float)):
        return Decimal(str(value))
    limit = _in_base(policy, *_money(str(value)))
    if limit is None:
        raise ValueError("a limit in a currency without a rate")
    return limit


def _amount(policy: Mapping[str, Any], effect: Effect) -> Decimal | None:
    written = _written(effect)
    return None if written is None else _in_base(policy, *written)


def _written(effect: Effect) -> tuple[Decimal, str] | None:
    if effect.amount is None:
        return None
    try:
        return _money(effect.amount)
    except ValueError:
        return None


def _amount_above(policy: Mapping[str, Any], value: Any, effect: Effect) -> bool | None:
    limit = _limit(policy, value)
    amount = _amount(policy, effect)
    return None if amount is None else amount > limit


def _amount_at_most(policy: Mapping[str, Any], value: Any, effect: Effect) -> bool | None:
    above = _amount_above(policy, value, effect)
    return None if above is None else not above


def _currency(_: Mapping[str, Any], value: Any, effect: Effect) -> bool | None:
    written = _written(effect)
    return None if written is None else written[1] in _listed(value)


# Windows.


def _seconds(span: str) -> int:
    found = _SPAN.fullmatch(span)
    if found is None:
        raise ValueError("not a span of time")
    return int(found[1]) * _SECONDS[found[2]]


def _window(value: Mapping[str, Any], effect: Effect) -> tuple[int, Mapping[str, str]] | None:
    per, within = str(value["per"]), str(value["within"])
    if per not in _PERS or not {"above", "at_most"} & set(value):
        raise ValueError("not a window")
    length = _seconds(within)
    if (per, within) in effect.before:
        return effect.before[per, within]
    for (other, span), known in effect.before.items():
        if other == per and _seconds(span) == length:
            return known
    return None


def _within(number: Decimal | None, above: Decimal | None, at_most: Decimal | None) -> bool | None:
    if number is None:
        return None
    return (above is None or number > above) and (at_most is None or number <= at_most)


def _count(_: Mapping[str, Any], value: Any, effect: Effect) -> bool | None:
    truths: list[bool | None] = []
    for window in cast("list[Mapping[str, Any]]", _listed(value)):
        known = _window(window, effect)
        above, at_most = (Decimal(str(window[key])) if key in window else None for key in ("above", "at_most"))
        truths.append(_within(None if known is None else Decimal(known[0] + 1), above, at_most))
    return _all(truths)


def _sum(policy: Mapping[str, Any], value: Any, effect: Effect) -> bool | None:
    truths: list[bool | None] = []
    for window in cast("list[Mapping[str, Any]]", _listed(value)):
        total = _total(policy, _window(window, effect), effect)
        above, at_most = (_limit(policy, window[key]) if key in window else None for key in ("above", "at_most"))
        truths.append(_within(total, above, at_most))
    return _all(truths)


def _total(policy: Mapping[str, Any], known: tuple[int, Mapping[str, str]] | None, effect: Effect) -> Decimal | None:
    total = _amount(policy, effect)
    if known is None or total is None or (known[0] > 0 and not known[1]):
        return None
    for currency, text in known[1].items():
        try:
            part = _in_base(policy, Decimal(text), currency)
        except InvalidOperation:
            return None
        if part is None:
            return None
        total += part
    return total


# Time.


def _days(value: Any) -> frozenset[int]:
    if value is None:
        return frozenset(range(7))
    days: set[int] = set()
    for part in _listed(value):
        first, _, last = str(part).strip().lower().partition("-")
        begin, end = _DAYS.index(first), _DAYS.index(last or first)
        days.update((begin + step) % 7 for step in range((end - begin) % 7 + 1))
    return frozenset(days)


def _hours(_: Mapping[str, Any], value: Any, effect: Effect) -> bool | None:
    found = _BETWEEN.fullmatch(str(value["between"]))
    if found is None:
        raise ValueError("not hours")
    begin, end = int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])
    days, zone = _days(value.get("days")), ZoneInfo(str(value.get("zone") or "UTC"))
    if effect.at is None:
        return None
    at = effect.at if effect.at.tzinfo is not None else effect.at.replace(tzinfo=UTC)
    there = at.astimezone(zone)
    minute, today = there.hour * 60 + there.minute, there.weekday()
    if begin <= end:
        return today in days and begin <= minute < end
    yesterday = (there.date() - timedelta(days=1)).weekday()
    return (today in days and minute >= begin) or (yesterday in days and minute < end)


def _outside_hours(policy: Mapping[str, Any], value: Any, effect: Effect) -> bool | None:
    inside = _hours(policy, value, effect)
    return None if inside is None else not inside


# The plain ones.


def _flag(value: Any, actual: bool | None) -> bool | None:
    if not isinstance(value, bool):
        raise ValueError("neither true nor false")
    return None if actual is None else actual == value


def _requester_role(_: Mapping[str, Any], value: Any, effect: Effect) -> bool | None:
    if not effect.requester and not effect.requester_roles:
        return None
    return any(role in effect.requester_roles for role in _listed(value))


_CONDITIONS: Mapping[str, Callable[[Mapping[str, Any], Any, Effect], bool | None]] = {
    "amount_above": _amount_above,
    "amount_at_most": _amount_at_most,
    "currency": _currency,
    "count": _count,
    "sum": _sum,
    "first_time_recipient": lambda _, value, effect: _flag(value, effect.first_time_recipient),
    "near_limit": lambda _, value, effect: _flag(value, effect.near_limit),
    "workflow": lambda _, value, effect: _one_of(value, effect.workflow),
    "connector": lambda _, value, effect: _one_of(value, effect.connector),
    "requester_role": _requester_role,
    "label": lambda _, value, effect: _one_of(value, effect.label),
    "unendorsed": lambda _, value, effect: _flag(value, bool(effect.unendorsed)),
    "hours": _hours,
    "outside_hours": _outside_hours,
    "sandbox": lambda _, value, effect: _flag(value, effect.sandbox),
}


# Who may answer.


def _who(team: Mapping[str, Any], approvers: Mapping[str, Any], requester: str) -> tuple[str, ...]:
    role, tier = str(approvers.get("role", "approver")), int(approvers.get("tier", 1))
    only: list[str] = list(approvers.get("people") or [])
    people: Mapping[str, Mapping[str, Any]] = team.get("people") or {}
    who: list[str] = []
    for member, person in people.items():
        if role not in (person.get("roles") or []):
            continue
        if role != "admin" and int(person.get("tier") or 0) < tier:
            continue
        if only and member not in only:
            continue
        if member == requester and team.get("solo") is not True:
            continue
        who.append(member)
    return tuple(who)
