"""Who is away is not waited for, who stands in uses one right and no other, and who is worn out is asked twice."""

from dataclasses import replace
from datetime import timedelta

import pytest

from actions.outcome import Done
from tests.support.chaining import DORA, MORE, a_chained_house, about, act, chained, leave
from tests.support.company import AMIR, BEN, CLEO, RITA
from tests.support.ledger import TEAM, a_team, ask, rules_of, standing

pytest_plugins = ["tests.support.migrated"]


@pytest.fixture
async def house(common_installation):
    return await a_chained_house(common_installation)


async def test_when_everybody_who_may_answer_is_away_others_are_asked_at_once(house):
    await leave(house, BEN)
    approval_id = await house.asked(await house.caller())
    await act(house)
    view = await house.approvals.view(approval_id)
    assert view.stage == "escalated"
    assert BEN not in view.told
    assert BEN in view.eligible


async def test_somebody_who_leaves_while_waited_for_sets_the_chain_going(house):
    approval_id = await house.asked(await house.caller())
    await act(house)
    await leave(house, BEN)
    await act(house)
    assert (await house.approvals.view(approval_id)).stage == "escalated"


async def test_a_delegate_answers_in_the_absent_ones_place_and_it_is_recorded_so(house):
    house.rules = rules_of(ask(tier=2, people=[CLEO]), team=a_team(people=MORE))
    caller = await house.caller()
    approval_id = await house.asked(caller)
    assert (await house.answer(approval_id, by=BEN)).refusal == "not_entitled"
    assert await leave(house, CLEO, BEN)
    assert (await house.answer(approval_id, by=BEN)).decided
    assert (await house.approvals.view(approval_id)).stood_in_for == {BEN: CLEO}
    [event] = await house.execute(
        "select actor, detail from core.audit where event = 'approval.granted' and subject ->> 'approval_id' = %s",
        approval_id,
    )
    assert (event["actor"]["user_id"], event["detail"]["in_place_of"]) == (BEN, CLEO)
    assert isinstance(await house.refund(caller, "100 USD"), Done)


async def test_one_right_gives_one_answer_whoever_uses_it(house):
    house.rules = rules_of(ask(tier=2, quorum=2), team=a_team(people=MORE))
    await leave(house, CLEO, BEN)
    for first, second in ((BEN, CLEO), (CLEO, BEN)):
        approval_id = await house.asked(await house.caller())
        assert (await house.answer(approval_id, by=first)).state == "pending"
        assert (await house.answer(approval_id, by=second)).refusal == "already_voted"
        assert (await house.answer(approval_id, by=DORA)).state == "approved"


async def test_a_delegate_never_decides_their_own_wish_nor_for_whom_it_is(house):
    house.rules = rules_of(ask(tier=2, people=[CLEO]), team=a_team(people=MORE))
    await leave(house, CLEO, BEN)
    own = await house.asked(await house.caller(requester=BEN))
    assert not (await house.answer(own, by=BEN)).decided
    theirs = await house.asked(await house.caller(requester=CLEO))
    assert not (await house.answer(theirs, by=BEN)).decided


@pytest.mark.parametrize("ends", ["time", "back", "policy"])
async def test_a_delegation_ends_with_its_time_with_coming_back_and_with_policy(house, ends):
    house.rules = rules_of(ask(tier=2, people=[CLEO]), team=a_team(people=MORE))
    await leave(house, CLEO, BEN, hours=1)
    approval_id = await house.asked(await house.caller())
    if ends == "time":
        await house.pass_time(timedelta(minutes=61))
    elif ends == "back":
        async with house.database.transaction() as conn:
            assert await about(house).come_back(conn, CLEO, delivery_id="d-back")
    else:
        never = {"delegation": False}
        house.rules = rules_of(ask(tier=2, people=[CLEO]), team=a_team(people=MORE), approvals=never)
    assert (await house.answer(approval_id, by=BEN)).refusal == "not_entitled"
    assert (await house.answer(approval_id, by=CLEO)).decided


@pytest.mark.parametrize(("person", "stand_in"), [(RITA, BEN), (CLEO, CLEO), (CLEO, AMIR), (CLEO, "U0NOBODY")])
def test_what_cannot_be_left_to_somebody_is_said(house, person, stand_in):
    assert about(house).problem(person, stand_in)
    assert not about(house).problem(CLEO, BEN)


@pytest.mark.parametrize("hours", [0, -1, 24 * 91])
async def test_an_absence_that_has_ended_or_never_would_is_not_taken(house, hours):
    assert not await leave(house, CLEO, BEN, hours=hours)
    assert not await house.execute("select 1 from actions.absence")


async def test_a_delegate_changes_and_approves_in_the_absent_ones_place_and_that_right_is_used(house):
    house.rules = chained(approvers={"people": [BEN, DORA], "quorum": 2})
    await leave(house, BEN, CLEO)
    caller = await house.caller()
    answer = await house.edit(await house.asked(caller), by=CLEO, amount="90 USD")
    assert (answer.decided, answer.state) == (True, "pending")
    newest = await house.newest(caller)
    assert (await house.approvals.view(newest)).stood_in_for == {CLEO: BEN}
    assert (await house.answer(newest, by=BEN)).refusal == "already_voted"
    assert (await house.answer(newest, by=DORA)).state == "approved"


# -- worn out ------------------------------------------------------------------------------------------------------


async def test_whoever_has_decided_a_great_deal_is_spared_and_asked_twice_and_can_always_reject(house):
    house.rules = rules_of(ask(), team=a_team(people=MORE), approvals={"most_per_hour": 2})
    await house.execute("update actions.vote set at = core.now() - interval '2 hours'")
    for _ in range(2):
        assert (await house.answer(await house.asked(await house.caller()), by=BEN)).decided
    approval_id = await house.asked(await house.caller())
    view = await house.approvals.view(approval_id)
    assert (BEN in view.eligible, BEN in view.told) == (True, False)
    answer = await house.answer(approval_id, by=BEN)
    assert (answer.decided, answer.refusal) == (False, "worn_out")
    assert "2" in answer.text
    assert (await house.answer(await house.asked(await house.caller()), by=BEN, verdict="reject")).decided
    assert (await house.answer(approval_id, by=BEN, confirmed=True)).decided
    other = await house.asked(await house.caller())
    assert (await house.answer(other, by=CLEO)).decided


async def test_a_confirmation_gives_nobody_a_right(house):
    house.rules = rules_of(ask(tier=2), team=a_team(people=MORE), approvals={"most_per_hour": 1})
    approval_id = await house.asked(await house.caller())
    click = await house.click_on(approval_id, by=BEN, confirmed=True, team_id=TEAM)
    assert (await house.approvals.decide(replace(click), standing(BEN))).refusal == "not_entitled"
