"""Policy against an oracle that knows nothing but the page: the page is enough to tell every verdict."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from actions.caps import with_caps
from actions.condition import Considered
from actions.limits import Charge, Limit, Reached, Used, draws_of, exceeded
from actions.policy import Decision, Policy, decide
from actions.team import Team
from actions.window import Tally
from core.money import Money
from tests.support.clicks import campaign
from tests.support.oracle import Effect, Expected, expect

#: As many generated policies as there is time for.
MANY = settings(
    max_examples=20_000 if campaign() else 300,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
SAMPLE = Path(__file__).parents[2] / "bot" / "sample"

ACTIONS = ["payment.refund", "payment.charge", "payments.refund", "order.update", "message.post"]
PATTERNS = ["*", "payment.*", "order.*", *ACTIONS]
ROLES = ["admin", "approver", "operator", "requester", "auditor", "viewer", "guest"]
PER = ["recipient", "requester", "customer", "workflow", "workspace"]
WITHIN = ["30m", "24h", "1d", "7d"]
LIMITS = ["0 USD", "10 USD", "50 USD", "50.01 USD", "200 USD", "1054 USD"]

TEAM: dict[str, Any] = {
    "workspace": "T0LOCAL",
    "people": {
        "U0ADA": {"name": "Ada", "roles": ["admin", "approver"], "tier": 3},
        "U0OLE": {"name": "Ole", "roles": ["admin"]},
        "U0BEN": {"name": "Ben", "roles": ["approver"], "tier": 1},
        "U0CLEO": {"name": "Cleo", "roles": ["approver", "requester"], "tier": 2},
        "U0RITA": {"name": "Rita", "roles": ["requester"]},
        "U0VERA": {"name": "Vera", "roles": ["viewer", "operator"]},
        "U0AMIR": {"name": "Amir", "roles": ["auditor"]},
        "U0GUS": {"name": "Gus", "roles": ["guest"]},
    },
}
ALONE: dict[str, Any] = {
    "workspace": "T0LOCAL",
    "solo": True,
    "people": {"U0ADA": {"name": "Ada", "roles": ["admin", "approver"], "tier": 3}},
}


def _window(*limits: str, values: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda per, within, limit, value: {"per": per, "within": within, limit: value},
        st.sampled_from(PER),
        st.sampled_from(WITHIN),
        st.sampled_from(limits),
        values,
    )


def _one_or_some(each: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(each, st.lists(each, min_size=1, max_size=2))


_CLOCK = st.builds(lambda hour, minute: f"{hour:02}:{minute:02}", st.integers(0, 23), st.sampled_from([0, 30, 59]))
_HOURS = st.fixed_dictionaries(
    {"between": st.builds(lambda a, b: f"{a}-{b}", _CLOCK, _CLOCK)},
    optional={
        "days": st.sampled_from(["mon-fri", "fri-mon", "sat", ["mon", "wed"], ["sun"]]),
        "zone": st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]),
    },
)
_WHEN = st.fixed_dictionaries(
    {},
    optional={
        "amount_above": st.sampled_from(LIMITS),
        "amount_at_most": st.sampled_from(LIMITS),
        "currency": st.sampled_from([["USD"], ["EUR", "JPY"], "EUR"]),
        "count": _one_or_some(_window("above", "at_most", values=st.integers(1, 4))),
        "sum": _one_or_some(_window("above", "at_most", values=st.sampled_from(LIMITS))),
        "first_time_recipient": st.booleans(),
        "near_limit": st.booleans(),
        "workflow": st.sampled_from(["returns", "inbox"]),
        "connector": st.sampled_from(["payments", "shop"]),
        "requester_role": st.sampled_from(ROLES),
        "label": st.sampled_from(["operator", "member", "external"]),
        "unendorsed": st.booleans(),
        "hours": _HOURS,
        "outside_hours": _HOURS,
        "sandbox": st.booleans(),
    },
)
#: Mostly a condition or two: rules with five hardly ever match.
_FEW = _WHEN.map(lambda when: dict(list(when.items())[:2])) | _WHEN
_APPROVERS = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(["approver", "admin"]),
        "tier": st.integers(1, 3),
        "quorum": st.integers(1, 3),
        "people": st.lists(st.sampled_from(sorted(TEAM["people"])), max_size=3, unique=True),
    },
)


@st.composite
def _rule(draw: st.DrawFn) -> dict[str, Any]:
    rule = {
        "because": "So.",
        "action": draw(st.sampled_from(PATTERNS)),
        "verdict": draw(st.sampled_from(["allow", "allow", "require_approval", "deny"])),
        "when": draw(_FEW),
    }
    if draw(st.integers(0, 3)) == 0:
        rule["effect"] = draw(st.sampled_from(["read", "reversible", "irreversible"]))
    if rule["verdict"] == "require_approval" and draw(st.booleans()):
        rule["approvers"] = draw(_APPROVERS)
    return rule


def _stands(rule: dict[str, Any]) -> bool:
    """The page names what is refused; a rule that is refused judges nothing."""
    try:
        _policy([{"id": "x", **rule}], {})
    except ValidationError:
        return False
    return True


def _policy(rules: list[dict[str, Any]], rates: Mapping[str, Any]) -> Policy:
    return Policy.model_validate({"version": 1, "base_currency": "USD", "rates": rates, "rules": rules})


_MONEY = st.one_of(
    st.builds(
        lambda cents, code: f"{Decimal(cents).scaleb(-2):.2f} {code}",
        # Mostly where a limit is reached, alone or with what was moved before.
        st.one_of(st.sampled_from([0, 1000, 4000, 5000, 5001, 15_000]), st.integers(0, 200_000)),
        st.sampled_from(["USD", "USD", "EUR", "GBP"]),
    ),
    st.builds(lambda whole: f"{whole} JPY", st.integers(0, 20_000)),
)


@st.composite
def _tally(draw: st.DrawFn) -> tuple[int, dict[str, str]]:
    """So many earlier effects, and what they come to; none at all comes to nothing."""
    count = draw(st.integers(0, 4))
    sums = [each.rpartition(" ") for each in draw(st.lists(_MONEY, min_size=1, max_size=2))] if count else []
    return count, {code: amount for amount, _, code in sums}


_AT = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)).map(lambda at: at.replace(tzinfo=UTC, second=0))


@st.composite
def _effect(draw: st.DrawFn, team: Mapping[str, Any]) -> Effect:
    requester = draw(st.sampled_from(["", *team["people"]]))
    person = team["people"].get(requester, {"roles": []})
    return Effect(
        action=draw(st.sampled_from(ACTIONS)),
        registered=True,
        effect=draw(st.sampled_from(["", "read", "reversible", "irreversible"])),
        amount=draw(st.none() | _MONEY),
        connector=draw(st.sampled_from(["", "payments", "shop"])),
        sandbox=draw(st.booleans()),
        workflow=draw(st.sampled_from(["", "returns", "inbox"])),
        requester=requester,
        requester_roles=frozenset(person["roles"]),
        unendorsed=draw(st.sampled_from([(), (), ("amount",)])),
        label=draw(st.sampled_from(["", "operator", "member", "external"])),
        at=draw(st.none() | _AT),
        first_time_recipient=draw(st.sampled_from([None, True, False])),
        near_limit=draw(st.sampled_from([None, True, False])),
        before=draw(st.dictionaries(st.tuples(st.sampled_from(PER), st.sampled_from(["30m", "24h", "7d"])), _tally())),
    )


def considered_of(effect: Effect, policy: Policy) -> Considered:
    """The effect as the gateway would put it, with what the ledger would tell of each window."""
    spans = {"30m": timedelta(minutes=30), "24h": timedelta(hours=24), "7d": timedelta(days=7)}
    told = {(per, spans[within]): tally for (per, within), tally in effect.before.items()}
    windows = {window for rule in policy.rules for window in rule.when.windows(rule.action)}
    return Considered(
        action=effect.action,
        effect=effect.effect,
        connector=effect.connector,
        sandbox=effect.sandbox,
        workflow=effect.workflow,
        requester_roles=effect.requester_roles,
        amount=None if effect.amount is None else Money.parse(effect.amount),
        unendorsed=effect.unendorsed,
        label=effect.label,
        at=effect.at,
        first_time_recipient=effect.first_time_recipient,
        near_limit=effect.near_limit,
        windows={each: _as_tally(*told[each.per, each.within]) for each in windows if (each.per, each.within) in told},
    )


def _as_tally(count: int, sums: Mapping[str, str]) -> Tally:
    return Tally(count, tuple(Money.of(amount, currency) for currency, amount in sums.items()))


def outcome_of(decision: Decision, team: Team, requester: str) -> Expected:
    """What came out, in the words of the oracle; who may answer is told by the rule of the click."""
    asked = decision.approvers
    who = [] if asked is None else [each for each in team.eligible(asked) if team.solo or each != requester]
    # The page names no rule where nothing could be judged.
    rules = () if decision.rules in {("built-in:no-policy",), ("built-in:error",)} else decision.rules
    return Expected(decision.verdict.value, rules, tuple(who), 0 if asked is None else asked.quorum)


@MANY
@given(
    data=st.data(),
    rules=st.lists(_rule().filter(_stands), max_size=5),
    rates=st.sampled_from([{}, {"EUR": 1.08}, {"EUR": "1.08", "JPY": 0.0067}]),
    people=st.sampled_from([TEAM, TEAM, ALONE]),
)
def test_the_page_alone_tells_every_verdict(
    data: st.DataObject, rules: list[dict[str, Any]], rates: dict[str, Any], people: dict[str, Any]
) -> None:
    named = [{"id": f"rule-{place}", **rule} for place, rule in enumerate(rules)]
    effect = data.draw(_effect(people))
    policy = _policy(named, rates)
    raw = {"version": 1, "base_currency": "USD", "rates": rates, "rules": named}
    decision = decide(policy, considered_of(effect, policy), "v")
    assert outcome_of(decision, Team.model_validate(people), effect.requester) == expect(raw, people, effect)


_LIMIT = st.fixed_dictionaries(
    {
        "because": st.just("So."),
        "action": st.sampled_from(PATTERNS),
        "per": st.sampled_from([*PER, "action"]),
        "within": st.sampled_from(["1h", "24h"]),
        "at_cap": st.sampled_from(["ask", "ask", "ask", "deny"]),
    },
    optional={
        "amount": st.sampled_from(["50 USD", "200 USD"]),
        "count": st.integers(1, 3),
        "approvers": _APPROVERS,
    },
)


def _caps(limit: dict[str, Any]) -> bool:
    """The page names what a limit needs; one that is refused caps nothing."""
    try:
        Limit.model_validate({"id": "x", **limit})
    except ValidationError:
        return False
    return True


_USED = st.tuples(st.integers(0, 3), st.sampled_from(["0 USD", "10 USD", "40 USD", "50 USD", "150 USD", "200 USD"]))


@st.composite
def _capped(draw: st.DrawFn, team: Mapping[str, Any], limits: list[dict[str, Any]]) -> Effect:
    """An effect with what is used up of each of these limits, and without the subjects that are not known."""
    effect, moves_money = draw(_effect(team)), draw(st.sampled_from([True, True, False]))
    unknown = set(draw(st.sampled_from([(), (), ("recipient",), ("customer",)])))
    return replace(
        effect,
        amount=effect.amount if moves_money else None,
        moves_money=moves_money,
        nameless=frozenset(unknown | {each for each in ("workflow", "requester") if not getattr(effect, each)}),
        used={limit["id"]: draw(_USED) for limit in limits},
    )


def reached_by(effect: Effect, policy: Policy) -> list[Reached]:
    """The limits that the effect would exceed, or of which that cannot be told, as the ledger would find them."""
    names = ("workspace", "workflow", "requester", "recipient", "customer")
    charge = Charge(
        action=effect.action,
        moves_money=effect.moves_money,
        amount=None if effect.amount is None else policy.exchange.in_base(Money.parse(effect.amount)),
        **{name: "" if name in effect.nameless else name for name in names},
    )
    draws, reached = draws_of(policy.limits, charge)
    for draw in draws:
        count, amount = effect.used[draw.limit.id]
        over = exceeded(draw, Used(Money.parse(amount).minor, count))
        reached += [] if over is None else [over]
    return reached


@MANY
@given(
    data=st.data(),
    rules=st.lists(_rule().filter(_stands), max_size=3),
    limits=st.lists(_LIMIT.filter(_caps), min_size=1, max_size=3),
    people=st.sampled_from([TEAM, TEAM, ALONE]),
)
def test_the_page_alone_tells_what_a_limit_makes_of_it(
    data: st.DataObject, rules: list[dict[str, Any]], limits: list[dict[str, Any]], people: dict[str, Any]
) -> None:
    named, caps = (
        [{"id": f"{kind}-{place}", **each} for place, each in enumerate(some)]
        for kind, some in (("rule", rules), ("cap", limits))
    )
    raw = {"version": 1, "base_currency": "USD", "rates": {"EUR": 1.08}, "rules": named, "limits": caps}
    policy, team = Policy.model_validate(raw), Team.model_validate(people)
    effect = data.draw(_capped(people, caps))
    decision = decide(policy, considered_of(effect, policy), "v")
    found = outcome_of(with_caps(decision, reached_by(effect, policy), policy, team), team, effect.requester)
    told = expect(raw, people, effect)
    # In which order several limits are named, the page leaves open.
    assert replace(found, rules=()) == replace(told, rules=())
    assert sorted(found.rules) == sorted(told.rules)


def test_without_a_policy_nothing_runs_by_the_page_too() -> None:
    effect = _refund("1 USD")
    considered = considered_of(effect, _policy([], {}))
    assert outcome_of(decide(None, considered, ""), Team.model_validate(TEAM), "U0RITA") == expect(None, TEAM, effect)


def _refund(amount: str) -> Effect:
    return Effect(
        action="payment.refund",
        registered=True,
        effect="irreversible",
        amount=amount,
        connector="payments",
        sandbox=True,
        workflow="returns",
        requester="U0RITA",
        requester_roles=frozenset({"requester"}),
        unendorsed=(),
        label="member",
        at=datetime(2026, 5, 4, 12, tzinfo=UTC),
        first_time_recipient=False,
        near_limit=None,
        before={},
    )


@pytest.mark.parametrize("amount", ["0.01 USD", "50 USD", "50.01 USD", "500 USD", "500.01 USD", "1 EUR"])
@pytest.mark.parametrize("requester", ["U0ADA", "U0BEN", "U0CLEO", "U0RITA"])
def test_the_sample_companys_files_mean_to_us_what_the_page_says(amount: str, requester: str) -> None:
    files = [yaml.safe_load((SAMPLE / name).read_text("utf-8")) for name in ("policy.yml", "team.yml")]
    policy, team = Policy.model_validate(files[0]), Team.model_validate(files[1])
    roles = frozenset(files[1]["people"][requester]["roles"])
    effect = replace(_refund(amount), requester=requester, requester_roles=roles)
    decision = decide(policy, considered_of(effect, policy), "v")
    assert outcome_of(decision, team, requester) == expect(files[0], files[1], effect)
