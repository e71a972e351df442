"""A rule is only called idle where no effect can show otherwise, and whatever nothing can meet is found."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actions.condition import Conditions, Considered
from actions.contradiction import contradictions, implies
from actions.exchange import Exchange
from actions.rule import Rule
from actions.window import Tally, Window
from core.money import Money

USD = Exchange("USD")
DAY, WEEK = timedelta(days=1), timedelta(days=7)

_SMALL = st.sampled_from((None, 1, 2, 3))


def _one_limit(window: dict[str, Any], shown: Any) -> st.SearchStrategy[dict[str, Any]]:
    limits = st.tuples(st.sampled_from(("above", "at_most")), st.integers(1, 3))
    return limits.map(lambda limit: {**window, limit[0]: shown(limit[1])})


def _windows(shown: Any) -> st.SearchStrategy[list[dict[str, Any]]]:
    places = st.sampled_from(({"per": "customer", "within": "1d"}, {"per": "customer", "within": "7d"}))
    return st.lists(places.flatmap(lambda window: _one_limit(window, shown)), max_size=2)


def _as_usd(minor: int | None) -> str | None:
    return None if minor is None else f"0.0{minor} USD"


@st.composite
def conditions(draw: st.DrawFn) -> Conditions:
    """Conditions that a few amounts, counts and names tell apart."""
    low, high = draw(_SMALL), draw(_SMALL)
    if low is not None and high is not None and low >= high:
        high = None
    return Conditions.model_validate(
        {
            "amount_above": _as_usd(low),
            "amount_at_most": _as_usd(high),
            "currency": draw(st.sampled_from((None, ["USD"], ["USD", "EUR"], ["EUR"]))),
            "workflow": draw(st.sampled_from((None, "a", "b"))),
            "sandbox": draw(st.sampled_from((None, True, False))),
            "count": draw(_windows(lambda limit: limit)),
            "sum": draw(_windows(_as_usd)),
        }
    )


EFFECTS = [
    Considered(
        action="payment.refund",
        effect="irreversible",
        connector="payments",
        sandbox=sandbox,
        workflow=workflow,
        requester_roles=frozenset(),
        amount=amount,
        unendorsed=(),
        windows={
            Window("payment.refund", "customer", span): Tally(count, (Money(count, "USD"),))
            for span, count in ((DAY, today), (WEEK, this_week))
        },
    )
    for sandbox in (True, False)
    for workflow in ("a", "b")
    for amount in (*(Money(minor, "USD") for minor in range(5)), Money(2, "EUR"))
    for today in range(4)
    for this_week in range(4)
]


def holds(wanted: Conditions, effect: Considered) -> bool:
    return all(check(effect, USD).holds is True for check in wanted.checks("payment.refund"))


def _count(**limit: int) -> dict[str, Any]:
    return {"count": {"per": "customer", "within": "1d", **limit}}


def _sum(**limit: str) -> dict[str, Any]:
    return {"sum": {"per": "customer", "within": "1d", **limit}}


@pytest.mark.parametrize(
    ("narrow", "wide", "implied"),
    [
        ({"amount_above": "5 USD"}, {"amount_above": "4 USD"}, True),
        ({"amount_above": "5 USD"}, {"amount_above": "5 USD"}, True),
        ({"amount_above": "5 USD"}, {"amount_above": "6 USD"}, False),
        ({}, {"amount_above": "6 USD"}, False),
        ({"amount_at_most": "5 USD"}, {"amount_at_most": "6 USD"}, True),
        ({"amount_at_most": "5 USD"}, {"amount_at_most": "5 USD"}, True),
        ({"amount_at_most": "5 USD"}, {"amount_at_most": "4 USD"}, False),
        ({}, {"amount_at_most": "4 USD"}, False),
        ({"currency": "USD"}, {"currency": ["EUR", "USD"]}, True),
        ({"currency": ["EUR", "USD"]}, {"currency": "USD"}, False),
        ({}, {"currency": "USD"}, False),
        ({"label": "member"}, {"label": "member"}, True),
        ({"label": "member"}, {"label": "external"}, False),
        ({}, {"hours": {"between": "09:00-10:00"}}, False),
        (_count(above=3), _count(above=2), True),
        (_count(above=3), _count(above=3), True),
        (_count(above=2), _count(above=3), False),
        (_count(at_most=2), _count(at_most=3), True),
        (_count(at_most=3), _count(at_most=3), True),
        (_count(at_most=3), _count(at_most=2), False),
        (_count(above=3), _count(at_most=5), False),
        (_count(at_most=3), _count(above=2), False),
        ({}, _count(above=2), False),
        (_count(above=3), {"count": {"per": "customer", "within": "7d", "above": 2}}, False),
        (_count(above=3), {"count": {"per": "recipient", "within": "1d", "above": 2}}, False),
        (_sum(above="3 USD"), _sum(above="2 USD"), True),
        (_sum(above="2 USD"), _sum(above="3 USD"), False),
        (_sum(at_most="2 USD"), _sum(at_most="3 USD"), True),
        (_sum(above="3 USD"), _count(above=2), False),
    ],
)
def test_tighter_conditions_imply_wider_ones(narrow: dict[str, Any], wide: dict[str, Any], implied: bool) -> None:
    assert implies(Conditions.model_validate(narrow), Conditions.model_validate(wide)) is implied


def test_windows_over_other_actions_imply_nothing() -> None:
    for counted in (_count(above=3), _sum(above="3 USD")):
        made = Conditions.model_validate(counted)
        assert implies(made, made)
        assert not implies(made, made, same=False)
        assert implies(made, Conditions(), same=False)


# -- whole rules ------------------------------------------------------------------------------------------------------


def rule(verdict: str, when: dict[str, Any] | None = None, **more: Any) -> Rule:
    plain = {"id": "mine", "because": "B.", "action": "payment.refund", "verdict": verdict, "when": when or {}}
    return Rule.model_validate({**plain, **more})


def found(*rules: Rule) -> list[tuple[int, str]]:
    return [(each.position, each.reason) for each in contradictions(rules, USD)]


@pytest.mark.parametrize(
    ("other", "mine"),
    [
        # As strict, or stricter, and for as much.
        (rule("deny", id="other"), rule("allow")),
        (rule("deny", id="other"), rule("require_approval")),
        (rule("require_approval", id="other"), rule("allow")),
        (rule("deny", id="other", action="payment.*"), rule("allow")),
        (rule("deny", id="other", action="*"), rule("allow", action="payment.*")),
        (rule("deny", id="other", action="payment.*"), rule("allow", action="payment.*")),
        (rule("deny", {"amount_above": "5 USD"}, id="other"), rule("allow", {"amount_above": "6 USD"})),
        (rule("deny", id="other", effect="irreversible"), rule("allow", effect="irreversible")),
    ],
)
def test_a_rule_that_a_stricter_one_always_overrules_is_idle_wherever_it_stands(other: Rule, mine: Rule) -> None:
    for order, position in (((other, mine), 1), ((mine, other), 0)):
        [(where, reason)] = found(*order)
        assert where == position
        assert f"'other' says {other.verdict}" in reason


@pytest.mark.parametrize(
    ("other", "mine"),
    [
        (rule("allow", id="other"), rule("deny", {"amount_above": "5 USD"})),
        (rule("deny", {"amount_above": "6 USD"}, id="other"), rule("allow", {"amount_above": "5 USD"})),
        (rule("deny", id="other", action="payment.refund"), rule("allow", action="payment.*")),
        (rule("deny", id="other", action="order.*"), rule("allow")),
        (rule("deny", id="other", effect="reversible"), rule("allow", effect="irreversible")),
        (rule("deny", id="other", effect="reversible"), rule("allow")),
        (rule("allow", id="other"), rule("allow", {"amount_above": "5 USD"})),
        (rule("deny", id="other"), rule("deny", {"amount_above": "5 USD"})),
        (rule("require_approval", id="other"), rule("require_approval", {"amount_above": "5 USD"})),
        (rule("deny", _count(above=1), id="other", action="payment.*"), rule("allow", _count(above=1))),
    ],
)
def test_a_rule_that_still_decides_something_is_left_alone(other: Rule, mine: Rule) -> None:
    assert found(other, mine) == []


def test_of_two_rules_that_ask_the_first_names_the_approvers_so_the_second_is_idle_where_it_asks_others() -> None:
    wide = rule("require_approval", id="other", approvers={"tier": 1})
    narrow = rule("require_approval", {"amount_above": "5 USD"}, approvers={"tier": 2})
    [(where, reason)] = found(wide, narrow)
    assert where == 1
    assert "Put this one first" in reason
    assert found(narrow, wide) == []
    later = rule("require_approval", {"amount_above": "5 USD"}, approvers={"tier": 1}, expires_in="1h")
    assert [where for where, _ in found(wide, later)] == [1]


@pytest.mark.parametrize(
    ("when", "reason"),
    [
        ({"label": "member", "unendorsed": True}, "never from a member"),
        ({"label": "operator", "unendorsed": True}, "never from a operator"),
        ({"hours": {"between": "09:00-10:00"}, "outside_hours": {"between": "09:00-10:00"}}, "inside and outside"),
        ({"currency": ["EUR"], "amount_above": "5 USD"}, "EUR has no rate"),
        (_count(above=3) | {"count": [_count(above=3)["count"], _count(at_most=3)["count"]]}, "above 3 and at most 3"),
        ({"sum": [_sum(above="3 USD")["sum"], _sum(at_most="2 USD")["sum"]]}, "above 3.00 USD and at most 2.00 USD"),
    ],
)
def test_conditions_that_nothing_meets_are_found(when: dict[str, Any], reason: str) -> None:
    [(where, said)] = found(rule("deny", when))
    assert where == 0
    assert reason in said


@pytest.mark.parametrize(
    "when",
    [
        {"label": "external", "unendorsed": True},
        {"label": "member", "unendorsed": False},
        {"label": "member"},
        {"hours": {"between": "09:00-10:00"}, "outside_hours": {"between": "09:00-11:00"}},
        {"currency": ["EUR"]},
        {"currency": ["USD"], "amount_above": "5 USD"},
        {"count": [_count(above=2)["count"], _count(at_most=3)["count"]]},
        {"count": [_count(above=3)["count"], {"per": "customer", "within": "7d", "at_most": 3}]},
        {"count": [_count(above=3)["count"], {"per": "recipient", "within": "1d", "at_most": 3}]},
    ],
)
def test_conditions_that_something_meets_are_left_alone(when: dict[str, Any]) -> None:
    assert found(rule("deny", when)) == []


# -- against every effect ---------------------------------------------------------------------------------------------


@settings(max_examples=200, derandomize=True, deadline=None, database=None)
@given(conditions(), conditions())
def test_what_is_implied_holds_for_every_effect_for_which_the_narrower_holds(
    narrow: Conditions, wide: Conditions
) -> None:
    if implies(narrow, wide):
        assert [effect for effect in EFFECTS if holds(narrow, effect) and not holds(wide, effect)] == []
    assert implies(narrow, narrow)
    assert implies(narrow, Conditions())
