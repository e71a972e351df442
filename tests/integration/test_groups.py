"""A rule may ask a Slack group: it narrows who may answer, gives no role, and Slack is asked at every click."""

import pytest

from actions.connector import EffectClass
from actions.doubt import Finding
from actions.outcome import Done
from tests.support.chaining import DORA, MORE
from tests.support.company import ADA, AMIR, CLEO, RITA
from tests.support.doubts import left_in_doubt, said
from tests.support.ledger import a_house, a_team, ask, rules_of

pytest_plugins = ["tests.support.migrated"]


class Slack:
    """Who is in a group, and how it was asked."""

    def __init__(self, *people):
        self.people = list(people)
        self.asked_fresh = []

    async def meanwhile(self):
        """What happens while Slack makes up its mind."""

    async def members(self, group, fresh):
        self.asked_fresh.append(fresh)
        await self.meanwhile()
        return self.people if group == "S1" else None


def grouped(database, slack, group="S1"):
    """A house whose large refunds ask a group, as this Slack knows it."""
    house = a_house(database, members=slack.members)
    house.rules = rules_of(ask(group=group), team=a_team(people=MORE, groups={group: "Finance"}))
    return house


async def test_only_members_of_the_group_answer_and_slack_is_asked_at_the_click(common_installation):
    slack = Slack(CLEO)
    house = grouped(common_installation, slack)
    approval_id = await house.asked(await house.caller())
    assert (await house.approvals.view(approval_id)).eligible == [CLEO]
    assert (await house.answer(approval_id, by=DORA)).refusal == "not_entitled"
    slack.people = [DORA]
    assert (await house.answer(approval_id, by=CLEO)).refusal == "not_entitled"
    slack.asked_fresh.clear()
    assert (await house.answer(approval_id, by=DORA)).decided
    assert True in slack.asked_fresh


async def test_being_in_the_group_gives_no_role(common_installation):
    house = grouped(common_installation, Slack(RITA, AMIR, CLEO))
    approval_id = await house.asked(await house.caller(requester=ADA))
    assert (await house.answer(approval_id, by=RITA)).refusal == "not_entitled"


async def test_when_slack_cannot_say_who_is_in_the_group_nobody_decides(common_installation):
    house = grouped(common_installation, Slack(CLEO), group="S2")
    approval_id = await house.asked(await house.caller())
    answer = await house.answer(approval_id, by=CLEO)
    assert (answer.decided, answer.refusal) == (False, "unverified")
    assert "Finance" in answer.text


async def test_a_member_of_the_group_changes_and_approves_and_nobody_else_does(common_installation):
    slack = Slack(CLEO)
    house = grouped(common_installation, slack)
    caller = await house.caller()
    asked = await house.asked(caller)
    assert (await house.edit(asked, by=DORA, amount="90 USD")).refusal == "not_entitled"
    assert (await house.edit(asked, by=CLEO, amount="90 USD")).state == "approved"
    assert isinstance(await house.refund(caller, "100 USD"), Done)


async def test_what_a_group_member_chose_anew_waits_for_another_member_if_there_is_one(common_installation):
    slack = Slack(CLEO)
    house = grouped(common_installation, slack)
    asked = await house.asked(await house.caller())
    assert (await house.edit(asked, by=CLEO, payment_method_id="card_2")).refusal == "nobody_else"
    slack.people = [CLEO, DORA]
    assert (await house.edit(asked, by=CLEO, payment_method_id="card_2")).decided


@pytest.mark.parametrize("press", ["answer", "edit", "ask_back"])
async def test_nobody_waits_for_slack_but_whoever_pressed(common_installation, press):
    slack = Slack(CLEO)
    house = grouped(common_installation, slack)
    asked = await house.asked(await house.caller())
    looked = []

    async def look():
        looked.append(await house.execute("select 1 from actions.intent join actions.approval using (intent_id)"
                                          " where approval_id = %s for update nowait", asked))  # fmt: skip

    slack.meanwhile = look
    if press == "answer":
        await house.answer(asked, by=CLEO)
    elif press == "edit":
        await house.edit(asked, by=CLEO, amount="90 USD")
    else:
        assert (await house.ask_back(asked, "why?", by=CLEO)).decided
    assert looked


@pytest.mark.parametrize("knows", [True, False])
async def test_a_member_of_the_group_says_whether_an_effect_in_doubt_happened_and_nobody_else_does(
    common_installation, knows
):
    slack = Slack(CLEO)
    house = grouped(common_installation, slack)
    house.outside.settles = EffectClass.OPAQUE
    doubt_id = await left_in_doubt(house, await house.caller())
    assert (await house.doubts.view(doubt_id)).eligible == [CLEO]
    assert (await said(house, doubt_id, Finding.ABSENT, by=DORA)).refusal == "not_entitled"
    if not knows:
        slack.people = None
    answer = await said(house, doubt_id, Finding.ABSENT, by=CLEO)
    assert (answer.decided, answer.refusal) == ((True, "") if knows else (False, "unverified"))
