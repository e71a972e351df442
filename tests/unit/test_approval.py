"""The pure part of deciding: when a vote decides, and when today's policy asks for more."""

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest

from actions.action import Catalogue
from actions.approval import (
    ApprovalState,
    Click,
    Open,
    Standing,
    endorsements_of,
    fields_of,
    is_stricter,
    refusal_of,
    state_after,
)
from actions.policy import Approvers, Decision, Verdict
from actions.team import Member, Team

DIGEST = "0123456789abcdef" * 4
CLICK = Click("apr_1", 1, DIGEST[:16], "approve", "U1", "T1", None, "d1")
STANDING = Standing("U1", "T1", is_bot=False, deleted=False, guest=False, stranger=False)
PEOPLE = {
    "U1": Member(name="One", roles=frozenset({"approver"}), tier=1),
    "U2": Member(name="Two", roles=frozenset({"approver"}), tier=2),
    "UADMIN": Member(name="Admin", roles=frozenset({"admin"})),
}
TEAM = Team(workspace="T1", people=PEOPLE)
OPEN = Open(ApprovalState.PENDING, 1, DIGEST, "UASKED", Approvers(), 1, {}, elapsed=False, decided_by=None)


def asks(verdict=Verdict.REQUIRE_APPROVAL, **approvers):
    who = Approvers(**approvers) if verdict is Verdict.REQUIRE_APPROVAL else None
    return Decision(verdict, ("r",), ("because",), who, timedelta(hours=1), None, "v1")


def test_the_entitled_may_decide():
    assert refusal_of(CLICK, STANDING, TEAM, OPEN) is None


@pytest.mark.parametrize("state", [state for state in ApprovalState if state is not ApprovalState.PENDING])
def test_an_ended_approval_is_refused_in_words_of_its_own(state):
    refusal = refusal_of(CLICK, STANDING, TEAM, replace(OPEN, state=state, decided_by="U2"))
    assert refusal is not None
    assert refusal.word == "already_decided"
    said = {
        ApprovalState.APPROVED: "already approved by <@U2>",
        ApprovalState.REJECTED: "already rejected by <@U2>",
        ApprovalState.EXPIRED: "not a rejection",
        ApprovalState.SUPERSEDED: "newer card",
        ApprovalState.CANCELLED: "stopped",
    }
    assert said[state] in refusal.text


def test_who_it_is_comes_before_what_it_is_about():
    """Whoever is not of this workspace learns nothing of the approval."""
    refusal = refusal_of(replace(CLICK, team_id="T2"), STANDING, TEAM, replace(OPEN, state=ApprovalState.APPROVED))
    assert refusal is not None
    assert refusal.word == "other_workspace"


#: Each is one thing that is not as it must be: what of the click, of Slack's word on the person, of the approval.
WRONG = {
    "clicked elsewhere": ({"team_id": "T2"}, {}, {}),
    "clicked nowhere": ({"team_id": ""}, {}, {}),
    "clicked in another enterprise": ({"enterprise_id": "E1"}, {}, {}),
    "of another workspace": ({}, {"team_id": "T2"}, {}),
    "somebody else": ({}, {"user_id": "U2"}, {}),
    "a bot": ({}, {"is_bot": True}, {}),
    "deactivated": ({}, {"deleted": True}, {}),
    "a guest": ({}, {"guest": True}, {}),
    "a stranger": ({}, {"stranger": True}, {}),
    "an older card": ({"revision": 0}, {}, {}),
    "another digest": ({"digest16": "f" * 16}, {}, {}),
    "part of the digest": ({"digest16": DIGEST[:8]}, {}, {}),
    "no digest": ({"digest16": ""}, {}, {}),
    "too low a tier": ({}, {}, {"approvers": Approvers(tier=2)}),
    "not an admin": ({}, {}, {"approvers": Approvers(role="admin")}),
    "not one of those named": ({}, {}, {"approvers": Approvers(people=["U2"])}),
    "their own wish": ({}, {}, {"requester": "U1"}),
    "answered before": ({}, {}, {"votes": {"U1": "approve"}}),
    "too late": ({}, {}, {"elapsed": True}),
    "decided": ({}, {}, {"state": ApprovalState.APPROVED}),
}


@pytest.mark.parametrize("wrong", [*itertools.combinations(WRONG, 1), *itertools.combinations(WRONG, 2)], ids=", ".join)
def test_one_thing_that_is_not_as_it_must_be_is_enough_to_refuse(wrong):
    click, standing, approval = CLICK, STANDING, OPEN
    for each in wrong:
        of_click, of_standing, of_approval = WRONG[each]
        click, standing = replace(click, **of_click), replace(standing, **of_standing)
        approval = replace(approval, **of_approval)
    refusal = refusal_of(click, standing, TEAM, approval)
    assert refusal is not None
    assert refusal.text


def test_in_solo_mode_ones_own_wish_is_no_obstacle():
    solo = Team(workspace="T1", solo=True, people={"UADMIN": PEOPLE["UADMIN"]})
    click, standing = replace(CLICK, user_id="UADMIN"), replace(STANDING, user_id="UADMIN")
    approval = replace(OPEN, requester="UADMIN", approvers=Approvers(role="admin"))
    assert refusal_of(click, standing, solo, approval) is None


@pytest.mark.parametrize(
    ("verdict", "approvals", "quorum", "state"),
    [
        ("approve", 1, 1, "approved"),
        ("approve", 1, 2, "pending"),
        ("approve", 2, 2, "approved"),
        ("approve", 3, 2, "approved"),
        ("reject", 0, 1, "rejected"),
        ("reject", 1, 2, "rejected"),
    ],
)
def test_one_rejection_decides_and_approvals_need_the_quorum(verdict, approvals, quorum, state):
    assert state_after(verdict, approvals, quorum) == state


@pytest.mark.parametrize(("now", "then"), list(itertools.product(Verdict, Verdict)))
def test_a_stricter_verdict_is_stricter(now, then):
    if now is not then:
        order = [Verdict.ALLOW, Verdict.REQUIRE_APPROVAL, Verdict.DENY]
        assert is_stricter(asks(now), asks(then)) == (order.index(now) > order.index(then))
    else:
        assert not is_stricter(asks(now), asks(then))


@pytest.mark.parametrize(
    ("now", "then", "stricter"),
    [
        ({"tier": 2}, {"tier": 1}, True),
        ({"tier": 1}, {"tier": 2}, False),
        ({"quorum": 2}, {}, True),
        ({}, {"quorum": 2}, False),
        ({"role": "admin"}, {}, True),
        ({}, {"role": "admin"}, True),
        ({"people": ["U1"]}, {}, True),
        ({}, {"people": ["U1"]}, False),
        ({"people": ["U1"]}, {"people": ["U2"]}, True),
        ({"people": ["U1", "U2"]}, {"people": ["U2"]}, False),
        ({"people": ["U2", "U1"]}, {"people": ["U1", "U2"]}, False),
        ({"people": ["U1"]}, {"people": ["U1", "U2"]}, True),
        ({"tier": 1, "quorum": 2}, {"tier": 2, "quorum": 1}, True),
    ],
)
def test_it_is_stricter_to_ask_for_anybody_the_earlier_answer_may_not_have_come_from(now, then, stricter):
    assert is_stricter(asks(**now), asks(**then)) is stricter


def test_the_same_decision_under_another_version_is_not_stricter():
    assert not is_stricter(replace(asks(), policy_version="v2", reasons=("else",)), asks())


def test_the_card_says_every_argument_in_full():
    args = {"order_id": "#W1", "payment_method_id": "c", "amount": {"minor": 5, "currency": "USD"}, "reason": "x" * 500}
    shown = dict(fields_of(Catalogue.scan().get("payment.refund"), args))
    assert (shown["amount"], shown["reason"]) == ("0.05 USD", "x" * 500)
    assert len(shown) == len(args)


def test_an_argument_this_release_does_not_know_is_shown_as_it_is_stored():
    args = {"order_id": "#W1", "nonsense": [1, 2]}
    assert fields_of(Catalogue.scan().get("payment.refund"), args) == [("order id", "#W1"), ("nonsense", "1, 2")]
    assert fields_of(None, args) == [("order id", "#W1"), ("nonsense", "1, 2")]


def test_only_what_a_record_endorses_is_shown_as_endorsed():
    found = endorsements_of({"order_id": ("external", "Rita named it"), "amount": ("operator", None)})
    assert found == ["Order: Rita named it"]
