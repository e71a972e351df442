"""Who is told what where an answer does not count, and where today's policy asks for more than the one of then."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from actions.action import Catalogue
from actions.approval import (
    ApprovalState,
    Click,
    Open,
    Standing,
    amount_of,
    answer_to,
    beneficiary_of,
    is_stricter,
    refusal_of,
)
from actions.chain import Circle
from actions.policy import Approvers, Decision, Verdict
from actions.team import Member, Team
from core.money import Money

DIGEST = "0123456789abcdef" * 4
CLICK = Click("apr_1", 1, DIGEST[:16], "approve", "U1", "T1", None, "d1")
PEOPLE = {name: Member(name=name, roles=frozenset({"approver"}), tier=1) for name in ("U1", "U2", "U3")}
TEAM = Team(workspace="T1", people={**PEOPLE, "UADMIN": Member(name="Admin", roles=frozenset({"admin"}))})
OPEN = Open(ApprovalState.PENDING, 1, DIGEST, "UASKED", Approvers(), 2, {}, elapsed=False, decided_by=None)
REFUND = Catalogue.scan().get("payment.refund")
ARGS = {"order_id": "#W1", "payment_method_id": "card_1", "amount": {"minor": 500, "currency": "USD"}, "reason": "r"}


def refused(click: Click = CLICK, **changes: Any) -> str:
    standing = Standing(click.user_id, "T1", is_bot=False, deleted=False, guest=False, stranger=False)
    refusal = refusal_of(click, standing, TEAM, replace(OPEN, **changes))
    return "" if refusal is None else f"{refusal.word}: {refusal.text}"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"requester": "U1"}, "own_request"),
        ({"beneficiary": "U1"}, "beneficiary"),
        ({"authored_by": "U1"}, "own_change"),
        ({"requester": "U1", "beneficiary": "U1", "authored_by": "U1"}, "own_request"),
        ({"requester": "U2", "beneficiary": "U3"}, ""),
        # Who asked and could not have answered anyway is told that first.
        ({"requester": "U1", "approvers": Approvers(tier=3)}, "not_entitled"),
        ({"votes": {"U1": "approve"}}, "already_voted"),
        ({"votes": {"U2": "approve"}}, ""),
    ],
)
def test_whoever_is_involved_or_has_answered_is_told_so(changes: dict[str, Any], word: str) -> None:
    assert refused(**changes).partition(":")[0] == word


def test_who_has_decided_a_great_deal_is_asked_once_more_and_never_hindered_to_reject() -> None:
    tired = Circle(tired=frozenset({"U1"}), budget=5)
    assert "decided 5 or more" in refused(circle=tired)
    assert refused(replace(CLICK, confirmed=True), circle=tired) == ""
    assert refused(replace(CLICK, verdict="reject"), circle=tired) == ""
    assert refused(replace(CLICK, user_id="U2"), circle=tired) == ""


def test_a_person_and_whoever_stands_in_for_them_have_one_answer() -> None:
    assert refused(votes={"U2": "approve"}, stood_in_for={"U2": "U1"}) == (
        "already_voted: <@U1> has one answer, and it was given already."
    )
    assert refused(votes={"U2": "approve"}, stood_in_for={"U2": "U3"}) == ""


# -- stricter than it was -------------------------------------------------------------------------------------------


def decision(verdict: Verdict = Verdict.REQUIRE_APPROVAL, **approvers: Any) -> Decision:
    who = Approvers(**approvers) if verdict is Verdict.REQUIRE_APPROVAL else None
    return Decision(verdict, ("r",), ("because",), who, timedelta(hours=1), None, "v1")


NOBODY = replace(decision(), approvers=None)


@pytest.mark.parametrize(
    ("now", "then", "stricter"),
    [
        (decision(Verdict.DENY), decision(), True),
        (decision(), decision(Verdict.DENY), False),
        (decision(), decision(Verdict.ALLOW), True),
        (decision(Verdict.ALLOW), decision(), False),
        (decision(Verdict.ALLOW), decision(Verdict.ALLOW), False),
        (decision(Verdict.DENY), decision(Verdict.DENY), False),
        (decision(), NOBODY, True),
        (NOBODY, decision(), False),
        (NOBODY, NOBODY, False),
        (decision(), decision(), False),
        (decision(tier=2), decision(tier=1), True),
        (decision(tier=1), decision(tier=2), False),
        (decision(quorum=2), decision(quorum=1), True),
        (decision(quorum=1), decision(quorum=2), False),
        (decision(role="admin"), decision(), True),
        (decision(), decision(role="admin"), True),
        (decision(group="S0FIN"), decision(), True),
        (decision(group="S0FIN"), decision(group="S0OPS"), True),
        (decision(group="S0FIN"), decision(group="S0FIN"), False),
        (decision(), decision(group="S0FIN"), False),
        (decision(people=["U1"]), decision(), True),
        (decision(people=["U1"]), decision(people=["U1", "U2"]), True),
        (decision(people=["U1", "U2"]), decision(people=["U1"]), False),
        (decision(people=["U1"]), decision(people=["U1"]), False),
        (decision(), decision(people=["U1"]), False),
    ],
)
def test_policy_asks_for_more_only_where_somebody_who_could_answer_no_longer_can(
    now: Decision, then: Decision, stricter: bool
) -> None:
    assert is_stricter(now, then) is stricter


# -- what an action says of its arguments ---------------------------------------------------------------------------


def test_the_amount_is_read_as_this_release_knows_it_or_not_at_all() -> None:
    assert REFUND is not None
    assert amount_of(REFUND, ARGS) == Money(500, "USD")
    assert amount_of(REFUND, {"order_id": "#W1"}) is None
    assert amount_of(None, ARGS) is None
    assert amount_of(Catalogue.scan().get("order.update"), {}) is None
    assert amount_of(replace(REFUND, amount=None), ARGS) is None


def test_the_beneficiary_is_the_argument_that_names_a_person() -> None:
    assert REFUND is not None
    gives = replace(REFUND, beneficiary="reason")
    assert beneficiary_of(gives, {"reason": "U1"}) == "U1"
    assert beneficiary_of(gives, {"reason": ""}) is None
    assert beneficiary_of(gives, {}) is None
    assert beneficiary_of(replace(REFUND, beneficiary=None), {"reason": "U1"}) is None
    assert beneficiary_of(None, {"reason": "U1"}) is None


@pytest.mark.parametrize(
    ("state", "paused", "says"),
    [
        (ApprovalState.REJECTED, False, "Rejected."),
        (ApprovalState.APPROVED, False, "It runs now"),
        (ApprovalState.APPROVED, True, "It runs once the pause over it ends"),
        (ApprovalState.PENDING, False, "counts (1 of 2)"),
    ],
)
def test_whoever_answered_is_told_that_it_counted_and_what_follows(
    state: ApprovalState, paused: bool, says: str
) -> None:
    answer = answer_to(state, 1, 2, paused)
    assert answer.decided is True
    assert answer.state is state
    assert says in answer.text
