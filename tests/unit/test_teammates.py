"""In whose name a run acts: what no teammate may do there is denied, and its approvers answer where nobody is named."""

from datetime import timedelta

import pytest

from actions.outcome import Caller
from actions.policy import Decision, Verdict
from actions.rule import ANY_APPROVER
from actions.team import Approvers, Team
from actions.teammates import TEAMMATE, in_its_name
from core.ids import RunId
from core.outbox import Conversation

TEAM = Team.model_validate(
    {
        "workspace": "T0LOCAL",
        "people": {"U0ADA": {"name": "Ada", "roles": ["admin"]}},
        "teammates": [
            {
                "name": "Desk",
                "purpose": "Returns.",
                "workflows": ["returns"],
                "actions": ["payment.*", "message.post"],
                "channels": ["C0RETURNS"],
                "approvers": {"tier": 2},
                "approvals_channel": "C0MONEY",
            },
            {"name": "Elsewhere", "purpose": "Returns.", "workflows": ["returns"], "actions": ["message.post"]},
        ],
    }
)


class Nobody:
    async def fence(self, conn): ...

    async def may_start(self, conn): ...


def caller(workflow="returns", channel="C0RETURNS", **more):
    return Caller(RunId("run_1"), "T0LOCAL", workflow, "U0ADA", Conversation("T0LOCAL", channel), Nobody(), **more)


def decision(verdict=Verdict.ALLOW, approvers=None, channel=None):
    return Decision(verdict, ("some-rule",), ("Because.",), approvers, timedelta(hours=4), channel, "v")


@pytest.mark.parametrize(
    ("who", "action", "denied"),
    [
        (caller(), "payment.refund", ""),
        (caller(), "order.update", "Desk may not ask for order.update"),
        (caller(channel="C0OTHER"), "message.post", ""),
        (caller(channel="C0OTHER"), "payment.refund", "Elsewhere may not ask for payment.refund"),
        (caller(channel="D0RITA"), "payment.refund", ""),
        (caller(workflow="content"), "message.post", "No teammate runs content here"),
        (caller(workflow="undo"), "message.post", ""),
        (caller(is_compensation=True), "order.restore", ""),
    ],
)
def test_the_first_teammate_that_works_there_says_what_may_be_asked_for(who, action, denied):
    made = in_its_name(decision(), TEAM, who, action)
    assert made.verdict is (Verdict.DENY if denied else Verdict.ALLOW)
    assert denied in made.reasons[0]
    assert (TEAMMATE in made.rules) is bool(denied)


def test_where_a_rule_names_nobody_the_teammates_approvers_answer_in_its_channel():
    asked = in_its_name(
        decision(Verdict.REQUIRE_APPROVAL, ANY_APPROVER, "C0APPROVALS"), TEAM, caller(), "payment.refund"
    )
    assert (asked.approvers, asked.approvals_channel) == (Approvers(tier=2), "C0MONEY")


def test_whom_a_rule_names_answers_also_where_it_names_the_usual_ones():
    named = Approvers(tier=1)
    asked = in_its_name(decision(Verdict.REQUIRE_APPROVAL, named, "C0APPROVALS"), TEAM, caller(), "payment.refund")
    assert asked.approvers == named


def test_a_denial_stays_one_and_nothing_is_allowed_by_a_teammate():
    made = in_its_name(decision(Verdict.DENY), TEAM, caller(), "payment.refund")
    assert (made.verdict, made.rules) == (Verdict.DENY, ("some-rule",))
