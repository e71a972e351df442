"""What a cap makes of an effect: how much it takes, when it is reached or near, and who is asked then."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from actions.caps import as_asked, known_limits, permitted_by, with_caps
from actions.limits import (
    SLOTS,
    Charge,
    Draw,
    Limit,
    Reached,
    Used,
    check_limits,
    covers,
    draws_of,
    exceeded,
    is_near,
    reason_of,
)
from actions.policy import Decision, Policy, Verdict
from actions.team import Approvers, Team
from core.money import Money

#: One of each kind; Ole is an admin and no approver, so that only Ada is both.
A_TEAM = Team.model_validate(
    {
        "workspace": "T1",
        "people": {
            "U0ADA": {"name": "Ada", "roles": ["admin", "approver"], "tier": 3},
            "U0OLE": {"name": "Ole", "roles": ["admin"]},
            "U1": {"name": "One", "roles": ["approver"], "tier": 2},
            "U2": {"name": "Two", "roles": ["approver"], "tier": 2},
        },
    }
)


def a_limit(**changes: Any) -> Limit:
    plain = {"id": "daily", "because": "Enough.", "action": "payment.refund", "amount": "100 USD", "within": "1d"}
    return Limit.model_validate({**plain, **changes})


def a_charge(**changes: Any) -> Charge:
    plain = {
        "action": "payment.refund",
        "workspace": "T1",
        "workflow": "returns",
        "requester": "U1",
        "recipient": "card_1",
        "customer": "c1",
        "moves_money": True,
        "amount": Money(4000, "USD"),
    }
    return Charge(**{**plain, **changes})


def a_decision(verdict: Verdict = Verdict.ALLOW, **changes: Any) -> Decision:
    plain: dict[str, Any] = {
        "rules": ("small",),
        "reasons": ("Small.",),
        "approvers": None,
        "expires_in": timedelta(hours=4),
        "approvals_channel": None,
        "policy_version": "v1",
    }
    return Decision(verdict=verdict, **{**plain, **changes})


def policy_with(*limits: Limit) -> Policy:
    return Policy(version=1, base_currency="USD", rules=[], limits=list(limits), approvals={"channel": "C0APPROVALS"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pattern", "action", "is_about"),
    [
        ("*", "payment.refund", True),
        ("payment.*", "payment.refund", True),
        ("payment.*", "payments.refund", False),
        ("payment.refund", "payment.refund", True),
        ("payment.refund", "payment.refunds", False),
    ],
)
def test_a_pattern_covers_what_it_names(pattern: str, action: str, is_about: bool) -> None:
    assert covers(pattern, action) is is_about


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"amount": None}, "Add amount, count or both"),
        ({"amount": "0 USD"}, "a cap of nothing"),
        ({"at_cap": "deny", "approvers": {"tier": 1}}, "asks nobody"),
        ({"action": "Payment"}, "is not an action"),
        ({"action": "payment.**"}, "is not an action"),
        ({"count": 0}, "greater than or equal to 1"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        a_limit(**changes)


def test_a_limit_may_cap_a_count_alone_or_money_alone_or_the_smallest_sum() -> None:
    assert a_limit(amount=None, count=1).count == 1
    assert a_limit(amount="0.01 USD").amount == Money(1, "USD")
    assert a_limit(at_cap="deny").approvers is None


def test_who_is_asked_at_a_cap_is_an_admin_unless_somebody_is_named() -> None:
    assert a_limit().asks == Approvers(role="admin")
    assert a_limit(approvers={"tier": 2}).asks == Approvers(tier=2)


def test_a_slot_is_the_part_of_the_window_that_slots_make_whole_and_never_less() -> None:
    assert a_limit(within="1d").slot * SLOTS == 86400
    assert a_limit(within="1m").slot == 3


def test_limits_have_names_of_their_own_and_the_base_currency() -> None:
    check_limits([a_limit(), a_limit(id="weekly"), a_limit(id="count", amount=None, count=3)], "USD")
    with pytest.raises(Exception, match="two limits are called 'daily'"):
        check_limits([a_limit(), a_limit()], "USD")
    with pytest.raises(Exception, match="Write the cap in EUR"):
        check_limits([a_limit()], "EUR")


def test_an_effect_draws_from_each_limit_that_covers_it_in_one_order_for_all() -> None:
    limits = [a_limit(id="b", per="recipient"), a_limit(id="other", action="order.update"), a_limit(id="a")]
    draws, untold = draws_of(limits, a_charge())
    assert [(draw.limit.id, draw.subject, draw.minor) for draw in draws] == [("a", "T1", 4000), ("b", "card_1", 4000)]
    assert untold == []


@pytest.mark.parametrize(
    ("limit", "charge", "words"),
    [
        ({"per": "recipient"}, {"recipient": ""}, "the recipient is not known"),
        ({}, {"amount": None}, "cannot be compared"),
        ({}, {"amount": Money(1, "EUR")}, "cannot be compared"),
        ({}, {"amount": Money(-1, "USD")}, "cannot be compared"),
    ],
)
def test_what_cannot_be_told_counts_as_reached(limit: dict[str, Any], charge: dict[str, Any], words: str) -> None:
    draws, [untold] = draws_of([a_limit(**limit)], a_charge(**charge))
    assert draws == []
    assert words in untold.words


@pytest.mark.parametrize(
    ("limit", "charge"),
    [({}, {"moves_money": False, "amount": None}), ({"amount": None, "count": 2}, {"amount": None}),
     ({}, {"amount": Money(0, "USD")})],
)  # fmt: skip
def test_what_moves_no_money_takes_none(limit: dict[str, Any], charge: dict[str, Any]) -> None:
    [draw], _ = draws_of([a_limit(**limit)], a_charge(**charge))
    assert draw.minor == 0


def test_the_cap_on_money_of_a_draw_is_the_limits_own() -> None:
    assert Draw(a_limit(), "T1", 1).cap_minor == 10_000
    assert Draw(a_limit(amount=None, count=1), "T1", 1).cap_minor is None


@pytest.mark.parametrize(
    ("limit", "minor", "used", "words"),
    [
        ({}, 4000, Used(6000, 1), None),
        ({}, 4001, Used(6000, 1), "60.00 USD of 100.00 USD used, this adds 40.01 USD"),
        ({"amount": None, "count": 2}, 0, Used(0, 1), None),
        ({"amount": None, "count": 2}, 0, Used(0, 2), "2 of 2 used, this adds one"),
        ({"count": 1}, 1, Used(10_000, 1), "100.00 USD of 100.00 USD used, this adds 0.01 USD; 1 of 1 used"),
    ],
)
def test_exactly_the_cap_fits_and_no_more(limit: dict[str, Any], minor: int, used: Used, words: str | None) -> None:
    found = exceeded(Draw(a_limit(**limit), "T1", minor), used)
    assert (found is None) is (words is None)
    assert words is None or (found is not None and words in found.words)


@pytest.mark.parametrize(
    ("limit", "used", "near"),
    [
        ({}, Used(7999, 0), False),
        ({}, Used(8000, 0), True),
        ({"amount": None, "count": 5}, Used(10**9, 3), False),
        ({"amount": None, "count": 5}, Used(0, 4), True),
        ({"count": 5}, Used(0, 4), True),
    ],
)
def test_from_four_fifths_on_a_limit_is_near(limit: dict[str, Any], used: Used, near: bool) -> None:
    assert is_near(Draw(a_limit(**limit), "T1", 1), used) is near


@pytest.mark.parametrize(
    ("within", "words"),
    [("1d", "a day"), ("7d", "7 days"), ("1h", "an hour"), ("2h", "2 hours"), ("36h", "36 hours"), ("1m", "a minute"),
     ("90m", "90 minutes")],
)  # fmt: skip
def test_a_reason_says_the_window_in_words(within: str, words: str) -> None:
    said = reason_of(Reached(a_limit(within=within, per="recipient"), "full"))
    assert said == f"Enough (limit:daily per recipient within {words}: full)."
    assert " per " not in reason_of(Reached(a_limit(), "full"))


# -- what becomes of a decision -------------------------------------------------------------------------------------


def test_a_cap_that_is_not_reached_changes_nothing_and_no_cap_loosens_a_denial() -> None:
    policy, reached = policy_with(a_limit()), [Reached(a_limit(), "full")]
    assert with_caps(a_decision(), [], policy, A_TEAM) == a_decision()
    denied = a_decision(Verdict.DENY)
    assert with_caps(denied, reached, policy, A_TEAM) == denied


def test_a_reached_cap_asks_its_own_people_where_the_effect_would_have_run_alone() -> None:
    asked = with_caps(a_decision(), [Reached(a_limit(), "full")], policy_with(a_limit()), A_TEAM)
    assert asked.verdict is Verdict.REQUIRE_APPROVAL
    assert asked.rules == ("limit:daily",)
    assert asked.reasons[0].startswith("Enough (limit:daily")
    assert asked.reasons[-1] == "Small."
    assert asked.approvers == Approvers(role="admin")
    assert asked.approvals_channel == "C0APPROVALS"


def test_a_cap_that_denies_denies_whatever_others_ask() -> None:
    denying, asking = a_limit(id="hard", at_cap="deny"), a_limit()
    reached = [Reached(asking, "full"), Reached(denying, "full")]
    denied = with_caps(
        a_decision(Verdict.REQUIRE_APPROVAL, approvers=Approvers(tier=1)), reached, policy_with(), A_TEAM
    )
    assert denied.verdict is Verdict.DENY
    assert denied.rules == ("limit:hard",)
    assert (denied.approvers, denied.approvals_channel) == (None, None)


def test_a_cap_beside_a_rule_that_asks_asks_for_what_both_want() -> None:
    decision = a_decision(Verdict.REQUIRE_APPROVAL, approvers=Approvers(tier=2, quorum=2), rules=("large",))
    asked = with_caps(decision, [Reached(a_limit(approvers={"tier": 1, "quorum": 1}), "full")], policy_with(), A_TEAM)
    assert asked.rules == ("limit:daily", "large")
    assert asked.approvers == Approvers(tier=2, quorum=2)
    admin = with_caps(decision, [Reached(a_limit(), "full")], policy_with(), A_TEAM).approvers
    assert admin == Approvers(role="admin", tier=2, people=["U0ADA"], quorum=2)


def test_an_admin_whom_the_rule_would_not_ask_permits_nothing_beyond_a_cap_that_asks_admins() -> None:
    decision = a_decision(Verdict.REQUIRE_APPROVAL, approvers=Approvers(), rules=("large",))
    asked = with_caps(decision, [Reached(a_limit(), "full")], policy_with(), A_TEAM).approvers
    assert asked is not None
    assert A_TEAM.eligible(asked) == ["U0ADA"]


def test_a_cap_that_a_decision_names_already_is_laid_on_once() -> None:
    limit = a_limit(approvers={"tier": 1})
    decision = a_decision(Verdict.REQUIRE_APPROVAL, approvers=Approvers(people=["U0NOBODY"]), rules=("large",))
    once = with_caps(decision, [Reached(limit, "full")], policy_with(), A_TEAM)
    assert once.approvers == Approvers(role="admin")
    assert with_caps(once, [Reached(limit, "known")], policy_with(), A_TEAM) == once
    assert as_asked(once, once, policy_with(limit), A_TEAM) == once


def test_people_named_by_both_are_asked_and_those_of_one_where_only_one_names_any() -> None:
    both = [
        Reached(a_limit(approvers={"people": ["U1", "U2"]}), ""),
        Reached(a_limit(approvers={"people": ["U2"]}), ""),
    ]
    found = with_caps(a_decision(), both, policy_with(), A_TEAM).approvers
    assert found is not None
    assert list(found.people) == ["U2"]
    one = with_caps(
        a_decision(), [both[0], Reached(a_limit(approvers={"tier": 1}), "")], policy_with(), A_TEAM
    ).approvers
    assert one is not None
    assert (list(one.people), one.tier) == (["U1", "U2"], 1)
    other = with_caps(
        a_decision(), [Reached(a_limit(approvers={"tier": 1}), ""), both[1]], policy_with(), A_TEAM
    ).approvers
    assert other is not None
    assert list(other.people) == ["U2"]


def test_a_group_that_is_asked_stays_asked_where_a_cap_is_reached() -> None:
    decision = a_decision(Verdict.REQUIRE_APPROVAL, approvers=Approvers(group="S0MONEY"))
    for capped in ({"tier": 2}, {"tier": 2, "group": "S0MONEY"}):
        found = with_caps(decision, [Reached(a_limit(approvers=capped), "")], policy_with(), A_TEAM).approvers
        assert found == Approvers(tier=2, group="S0MONEY")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"group": "S0MONEY"}, {"group": "S0LAW"}),
        ({"people": ["U1"]}, {"people": ["U2"]}),
        ({"people": ["U1"]}, {"role": "admin"}),
        ({"people": ["U1"]}, {"tier": 3}),
    ],
)
def test_an_admin_is_asked_where_a_cap_and_a_rule_would_ask_nobody_in_common(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    decision = a_decision(Verdict.REQUIRE_APPROVAL, approvers=Approvers.model_validate({**one, "tier": 2}))
    found = with_caps(decision, [Reached(a_limit(approvers=other), "")], policy_with(), A_TEAM).approvers
    assert found is not None
    assert A_TEAM.eligible(found) == ["U0ADA", "U0OLE"]


def test_an_approval_permits_the_limits_it_named_and_no_other() -> None:
    asked = a_decision(rules=("limit:daily", "large", "limit:gone"))
    assert permitted_by(asked) == {"daily", "gone"}
    assert permitted_by(None) == frozenset()
    today = policy_with(a_limit(), a_limit(id="weekly"))
    assert [limit.id for limit in known_limits(today, asked)] == ["daily"]
    assert known_limits(None, asked) == []


def test_todays_decision_is_compared_as_if_the_known_limits_were_reached_today() -> None:
    asked = a_decision(Verdict.REQUIRE_APPROVAL, rules=("limit:daily", "limit:hard"))
    today = policy_with(a_limit(), a_limit(id="hard", at_cap="deny"))
    found = as_asked(a_decision(), asked, today, A_TEAM)
    assert (found.verdict, found.rules) == (Verdict.REQUIRE_APPROVAL, ("limit:daily",))
    assert as_asked(a_decision(), asked, None, A_TEAM) == a_decision()
