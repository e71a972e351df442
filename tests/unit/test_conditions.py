"""What each condition of a rule finds at its very edge, and that what cannot be told is neither true nor false."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from actions.condition import Conditions, Considered
from actions.exchange import Exchange
from actions.window import Counted, Hours, Summed, Tally, Window
from core.money import Money

USD = Exchange("USD")
MONDAY = datetime(2026, 5, 4, tzinfo=UTC)
WEEK = timedelta(days=7)


def considered(**changes: Any) -> Considered:
    plain: dict[str, Any] = {
        "action": "payment.refund",
        "effect": "irreversible",
        "connector": "payments",
        "sandbox": False,
        "workflow": "returns",
        "requester_roles": frozenset({"requester"}),
        "amount": Money(5000, "USD"),
        "unendorsed": (),
    }
    return Considered(**{**plain, **changes})


def found(conditions: dict[str, Any], **changes: Any) -> list[tuple[bool | None, str]]:
    made = Conditions.model_validate(conditions)
    findings = [check(considered(**changes), USD) for check in made.checks("payment.refund")]
    return [(each.holds, each.words) for each in findings]


# -- money ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("minor", "above", "at_most"), [(4999, False, True), (5000, False, True), (5001, True, False)])
def test_an_amount_is_above_a_limit_from_one_cent_more_on(minor: int, above: bool, at_most: bool) -> None:
    amount = Money(minor, "USD")
    assert [holds for holds, _ in found({"amount_above": "50 USD"}, amount=amount)] == [above]
    assert [holds for holds, _ in found({"amount_at_most": "50 USD"}, amount=amount)] == [at_most]


def test_amounts_that_cannot_be_compared_are_neither_above_nor_below() -> None:
    for amount in (None, Money(-1, "USD"), Money(1, "EUR")):
        for limit in ("amount_above", "amount_at_most"):
            [(holds, words)] = found({limit: "50 USD"}, amount=amount)
            assert holds is None
            assert "cannot be" in words
    assert found({"amount_at_most": "50 USD"}, amount=Money(0, "USD"))[0][0] is True


def test_limits_that_no_amount_can_meet_are_refused() -> None:
    for low in ("50 USD", "51 USD"):
        with pytest.raises(ValidationError, match="no amount is above"):
            Conditions.model_validate({"amount_above": low, "amount_at_most": "50 USD"})
    assert Conditions.model_validate({"amount_above": "49.99 USD", "amount_at_most": "50 USD"}).amount_above
    assert Conditions.model_validate({"amount_above": "50 USD", "amount_at_most": "40 EUR"}).amount_above


def test_a_currency_is_one_of_those_named() -> None:
    assert found({"currency": "USD"}) == [(True, "the currency is USD")]
    assert found({"currency": ["EUR", "CHF"]}) == [(False, "the currency is USD")]
    assert found({"currency": "USD"}, amount=None) == [(None, "the currency is not known")]


def test_every_amount_written_is_told_with_its_place() -> None:
    conditions = Conditions.model_validate(
        {
            "amount_above": "1 USD",
            "amount_at_most": "2 USD",
            "sum": [
                {"per": "customer", "within": "7d", "above": "3 USD"},
                {"per": "workflow", "within": "1d", "at_most": "4 USD"},
            ],
        }
    )
    assert [(place, limit.minor) for place, limit in conditions.limits] == [
        (("amount_at_most",), 200),
        (("amount_above",), 100),
        (("sum", 0, "above"), 300),
        (("sum", 1, "at_most"), 400),
    ]


# -- where it comes from --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "holding", "failing", "unknown"),
    [
        ({"workflow": "returns"}, {"workflow": "returns"}, {"workflow": "triage"}, {"workflow": ""}),
        ({"connector": "payments"}, {"connector": "payments"}, {"connector": "shop"}, {"connector": ""}),
        ({"label": "member"}, {"label": "member"}, {"label": "external"}, {"label": ""}),
        (
            {"requester_role": "admin"},
            {"requester_roles": frozenset({"admin", "approver"})},
            {"requester_roles": frozenset({"requester"})},
            {"requester_roles": frozenset()},
        ),
        (
            {"first_time_recipient": True},
            {"first_time_recipient": True},
            {"first_time_recipient": False},
            {"first_time_recipient": None},
        ),
        ({"near_limit": False}, {"near_limit": False}, {"near_limit": True}, {"near_limit": None}),
    ],
)
def test_a_condition_holds_fails_or_cannot_be_told(
    condition: dict[str, Any], holding: dict[str, Any], failing: dict[str, Any], unknown: dict[str, Any]
) -> None:
    for changes, expected in ((holding, True), (failing, False), (unknown, None)):
        [(holds, words)] = found(condition, **changes)
        assert holds is expected
        assert ("not known" in words) is (expected is None)


def test_what_is_endorsed_and_what_only_pretends_is_always_known() -> None:
    outside = ("amount",)
    assert found({"unendorsed": True}, unendorsed=outside) == [(True, "a value comes from outside and is not endorsed")]
    assert found({"unendorsed": False}, unendorsed=outside)[0][0] is False
    assert found({"unendorsed": False}) == [(True, "all is endorsed")]
    assert found({"unendorsed": True})[0][0] is False
    assert found({"sandbox": True}, sandbox=True) == [(True, "the connector only pretends")]
    assert found({"sandbox": True}) == [(False, "the connector is a real one")]
    assert found({"sandbox": False})[0][0] is True


# -- windows --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "exceeds"), [(0, False), (1, False), (2, True)])
def test_the_effect_that_is_judged_counts_as_one(before: int, exceeds: bool) -> None:
    above = Counted.model_validate({"per": "recipient", "within": "24h", "above": 2})
    at_most = Counted.model_validate({"per": "recipient", "within": "24h", "at_most": 2})
    finding = above.finding(Tally(before))
    assert finding.holds is exceeds
    word = "above" if exceeds else "at most"
    assert finding.words == f"this is number {before + 1} for this recipient within 1d, {word} 2"
    assert at_most.finding(Tally(before)).holds is not exceeds
    assert above.finding(None).holds is None


def test_a_count_above_nothing_holds_for_the_first() -> None:
    assert Counted.model_validate({"per": "recipient", "within": "24h", "above": 0}).finding(Tally(0)).holds is True


@pytest.mark.parametrize(("minor", "exceeds"), [(4000, False), (4001, True)])
def test_the_amount_that_is_judged_is_added_to_the_sum(minor: int, exceeds: bool) -> None:
    tally = Tally(2, (Money(3000, "USD"), Money(3000, "USD")))
    above = Summed.model_validate({"per": "customer", "within": "7d", "above": "100 USD"})
    at_most = Summed.model_validate({"per": "customer", "within": "7d", "at_most": "100 USD"})
    finding = above.finding(tally, Money(minor, "USD"), USD)
    assert finding.holds is exceeds
    assert "for this customer within 7d is" in finding.words
    assert at_most.finding(tally, Money(minor, "USD"), USD).holds is not exceeds


def test_a_sum_that_cannot_be_told_says_why() -> None:
    summed = Summed.model_validate({"per": "customer", "within": "90m", "above": "100 USD"})
    assert summed.finding(None, Money(1, "USD"), USD).words == (
        "how much was moved for this customer within 90m is not known"
    )
    for amount in (None, Money(-1, "USD")):
        assert summed.finding(Tally(0), amount, USD).holds is None
    assert summed.finding(Tally(1, (Money(1, "EUR"),)), Money(1, "USD"), USD).words.startswith("EUR cannot be added")
    assert summed.finding(Tally(0), Money(0, "USD"), USD).holds is False
    elsewhere = Summed.model_validate({"per": "customer", "within": "2h", "above": "1 EUR"})
    assert elsewhere.finding(Tally(0), Money(1, "USD"), USD).holds is None


@pytest.mark.parametrize("limits", [{}, {"above": 1, "at_most": 2}])
def test_a_window_has_one_limit(limits: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="a window needs one limit"):
        Counted.model_validate({"per": "recipient", "within": "24h", **limits})


def test_conditions_look_at_the_windows_they_name() -> None:
    conditions = Conditions.model_validate(
        {
            "count": {"per": "recipient", "within": "1d", "above": 1},
            "sum": {"per": "customer", "within": "7d", "above": "1 USD"},
        }
    )
    day, week = conditions.windows("payment.*")
    assert (day, week) == (
        Window("payment.*", "recipient", timedelta(days=1)),
        Window("payment.*", "customer", WEEK),
    )
    windows = {Window("payment.refund", "recipient", timedelta(days=1)): Tally(1)}
    checks = conditions.checks("payment.refund")
    assert [check(considered(windows=windows), USD).holds for check in checks] == [True, None]


def test_what_was_considered_comes_back_from_storage() -> None:
    full = considered(
        at=MONDAY,
        label="member",
        near_limit=True,
        first_time_recipient=False,
        unendorsed=("amount",),
        windows={Window("*", "workspace", WEEK): Tally(3, (Money(5, "USD"), Money(7, "EUR")))},
    )
    assert Considered.from_json(full.to_json()) == full
    bare = considered(amount=None)
    assert Considered.from_json(bare.to_json()) == bare


# -- hours ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hours", "at", "inside"),
    [
        ({"between": "09:00-18:00"}, "2026-05-04T08:59", False),
        ({"between": "09:00-18:00"}, "2026-05-04T09:00", True),
        ({"between": "09:00-18:00"}, "2026-05-04T17:59", True),
        ({"between": "09:00-18:00"}, "2026-05-04T18:00", False),
        ({"between": "09:30-24:00"}, "2026-05-04T23:59", True),
        ({"between": "09:00-18:00", "days": "mon-fri"}, "2026-05-03T12:00", False),
        ({"between": "09:00-18:00", "days": "fri-mon"}, "2026-05-03T12:00", True),
        ({"between": "09:00-18:00", "days": "fri-mon"}, "2026-05-05T12:00", False),
        ({"between": "09:00-18:00", "days": "fri-mon"}, "2026-05-04T12:00", True),
        ({"between": "09:00-18:00", "days": "wed"}, "2026-05-06T12:00", True),
        ({"between": "09:00-18:00", "days": ["tue", "wed"]}, "2026-05-04T12:00", False),
        # What passes midnight belongs to its first day.
        ({"between": "22:00-06:00", "days": "mon"}, "2026-05-04T22:00", True),
        ({"between": "22:00-06:00", "days": "mon"}, "2026-05-05T05:59", True),
        ({"between": "22:00-06:00", "days": "mon"}, "2026-05-05T06:00", False),
        ({"between": "22:00-06:00", "days": "mon"}, "2026-05-04T05:00", False),
        ({"between": "22:00-06:00", "days": "mon"}, "2026-05-05T22:00", False),
        ({"between": "22:00-06:00", "days": "mon"}, "2026-05-04T21:59", False),
        ({"between": "22:00-06:00", "days": "sun"}, "2026-05-04T01:00", True),
        ({"between": "09:30-18:45"}, "2026-05-04T09:29", False),
        ({"between": "09:30-18:45"}, "2026-05-04T09:30", True),
        ({"between": "09:30-18:45"}, "2026-05-04T18:44", True),
        ({"between": "09:30-18:45"}, "2026-05-04T18:45", False),
        ({"between": "22:15-06:45", "days": "mon"}, "2026-05-04T22:14", False),
        ({"between": "22:15-06:45", "days": "mon"}, "2026-05-05T06:44", True),
        ({"between": "22:15-06:45", "days": "mon"}, "2026-05-05T06:45", False),
        ({"between": "09:00-18:00", "days": "wed"}, "2026-05-07T12:00", False),
        ({"between": "09:00-18:00", "zone": "Europe/Berlin"}, "2026-05-04T07:00", True),
        ({"between": "09:00-18:00", "zone": "Europe/Berlin"}, "2026-05-04T16:00", False),
    ],
)
def test_hours_begin_with_their_first_minute_and_end_before_their_last(
    hours: dict[str, Any], at: str, inside: bool
) -> None:
    moment = datetime.fromisoformat(f"{at}+00:00")
    assert Hours.model_validate(hours).holds(moment) is inside
    assert [holds for holds, _ in found({"hours": hours}, at=moment)] == [inside]
    assert [holds for holds, _ in found({"outside_hours": hours}, at=moment)] == [not inside]


def test_hours_say_what_time_it_is_where_they_are_meant() -> None:
    hours = {"between": "09:00-18:00", "zone": "Europe/Berlin"}
    assert found({"hours": hours}, at=MONDAY)[0][1] == "it is mon 02:00 in Europe/Berlin"
    assert found({"hours": hours}, at=None) == [(None, "the time is not known")]


@pytest.mark.parametrize(
    "hours",
    [
        {"between": "09:00-09:00"},
        {"between": "10:30-10:30"},
        {"between": "09:00-18:00", "days": "xyz-mon"},
        {"between": "24:00-25:00"},
        {"between": "09:60-18:00"},
        {"between": "09:00-18:60"},
        {"between": "09:00-24:01"},
        {"between": "9-18"},
        {"between": 9},
        {"between": "09:00-18:00", "days": "mon-xyz"},
        {"between": "09:00-18:00", "days": "mond"},
        {"between": "09:00-18:00", "days": ["someday"]},
        {"between": "09:00-18:00", "days": 1},
        {"between": "09:00-18:00", "zone": "Europe/Atlantis"},
        {"between": "09:00-18:00", "zone": "../../etc"},
    ],
)
def test_hours_that_are_none_are_refused(hours: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Hours.model_validate(hours)


def test_the_smallest_and_the_largest_span_of_hours() -> None:
    for between in ("00:00-24:00", "23:59-24:00", "00:00-00:01", "00:59-01:59"):
        assert Hours.model_validate({"between": between}).between == between
