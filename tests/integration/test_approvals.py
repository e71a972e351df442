"""Who decides, once: every answer and every refusal, on a real Postgres, with what the audit log says of it."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from actions.approval import ApprovalState
from actions.approvals import _settle
from actions.intent import Origin, TrustLabel
from actions.outcome import Done, Parked
from core.db import Database
from tests.support.clicks import CAMPAIGN, FEW, ask_many, campaign
from tests.support.company import ADA, AMIR, BEN, CLEO, GUS, RITA
from tests.support.doors import REPAY, Expense
from tests.support.ledger import ENDORSED, PEOPLE, a_house, a_refund, a_team, ask, member, rules_of, standing

pytest_plugins = ["tests.support.migrated"]

DORA = "U0DORA"
MORE_PEOPLE = {**PEOPLE, DORA: member("Dora", "approver", tier=2)}
TWO_OF_TIER_TWO = ask(tier=2, quorum=2)


@pytest.fixture
def house(common_installation: Database):
    house = a_house(common_installation)
    house.rules = rules_of(ask(tier=2), team=a_team(people=MORE_PEOPLE))
    return house


async def refusals(house, approval_id):
    return await house.execute(
        "select actor, subject, detail from core.audit where event = 'approval.click_refused'"
        " and subject ->> 'approval_id' = %s order by seq",
        approval_id,
    )


async def state_of(house, approval_id):
    return (await house.approvals.view(approval_id)).state


# -- who ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by", "click", "slack", "word"),
    [
        (RITA, {}, {}, "not_entitled"),
        (GUS, {}, {}, "not_entitled"),
        (AMIR, {}, {}, "not_entitled"),
        (BEN, {}, {}, "not_entitled"),
        (ADA, {}, {}, "not_entitled"),
        ("U0NOBODY", {}, {}, "not_entitled"),
        (CLEO, {}, {"guest": True}, "not_a_member"),
        (CLEO, {}, {"is_bot": True}, "not_a_member"),
        (CLEO, {}, {"deleted": True}, "not_a_member"),
        (CLEO, {}, {"stranger": True}, "not_a_member"),
        (CLEO, {}, {"team_id": "T0OTHER"}, "other_workspace"),
        (CLEO, {"team_id": "T0OTHER"}, {}, "other_workspace"),
        (CLEO, {"team_id": ""}, {}, "other_workspace"),
        (CLEO, {"enterprise_id": "E0OTHER"}, {}, "other_workspace"),
        (CLEO, {}, {"user_id": DORA}, "unverified"),
        (CLEO, {"revision": 2}, {}, "stale_card"),
        (CLEO, {"revision": 0}, {}, "stale_card"),
        (CLEO, {"digest16": "0" * 16}, {}, "stale_card"),
        (CLEO, {"digest16": ""}, {}, "stale_card"),
    ],
)
@pytest.mark.parametrize("verdict", ["approve", "reject"])
async def test_whoever_is_not_entitled_decides_nothing_and_it_is_audited(house, by, click, slack, word, verdict):
    caller = await house.caller()
    approval_id = await house.asked(caller)
    pressed = await house.click_on(approval_id, by=by, verdict=verdict, **click)
    answer = await house.approvals.decide(pressed, standing(by, **slack))
    assert (answer.decided, answer.refusal, answer.state) == (False, word, "pending")
    assert answer.text
    assert await state_of(house, approval_id) == "pending"
    [event] = await refusals(house, approval_id)
    assert event["actor"]["user_id"] == by
    assert event["detail"]["refused"] == word
    assert not [run for run, _ in house.woken if run == caller.run_id]
    assert isinstance(await house.refund(caller, "100 USD"), Parked)
    assert not house.outside.sent


@pytest.mark.parametrize("digits", range(1, 16, 7))
async def test_a_part_of_the_digest_points_at_nothing(house, digits):
    house.rules = rules_of(TWO_OF_TIER_TWO, team=a_team(people=MORE_PEOPLE))
    approval_id = await house.asked(await house.caller())
    click = await house.click_on(approval_id)
    answer = await house.approvals.decide(replace(click, digest16=click.digest16[:digits]), standing(CLEO))
    assert (answer.decided, answer.refusal) == (False, "stale_card")
    assert not (await house.approvals.view(approval_id)).votes


async def test_when_slack_cannot_say_who_it_is_nothing_is_decided(house):
    approval_id = await house.asked(await house.caller())
    answer = await house.approvals.decide(await house.click_on(approval_id), None)
    assert (answer.decided, answer.refusal) == (False, "unverified")
    assert len(await refusals(house, approval_id)) == 1


async def test_an_enterprise_counts_too(house):
    house.rules = rules_of(ask(), team=a_team(people=MORE_PEOPLE, enterprise="E0OURS"))
    approval_id = await house.asked(await house.caller())
    assert (await house.answer(approval_id)).refusal == "other_workspace"
    assert (await house.answer(approval_id, enterprise_id="E0OURS")).decided


@pytest.mark.parametrize("verdict", ["approve", "reject"])
async def test_the_entitled_decide_and_the_run_is_woken(house, verdict):
    caller = await house.caller()
    approval_id = await house.asked(caller)
    answer = await house.answer(approval_id, verdict=verdict, reason="because")
    assert answer.decided
    view = await house.approvals.view(approval_id)
    assert (view.state, view.decided_by, view.reason) == (answer.state, CLEO, "because")
    assert (caller.run_id, None) in house.woken
    assert (await house.events(caller))[-1] == f"approval.{'granted' if verdict == 'approve' else 'rejected'}"


async def test_a_requester_who_is_an_approver_does_not_decide_their_own_wish(house):
    approval_id = await house.asked(await house.caller(requester=CLEO))
    assert (await house.answer(approval_id, by=CLEO)).refusal == "own_request"
    assert (await house.answer(approval_id, by=DORA)).decided


async def test_in_solo_mode_the_one_person_asks_and_decides(house):
    solo = a_team(solo=True, people={ADA: member("Ada", "admin", "approver", tier=3)})
    house.rules = rules_of(ask(), team=solo)
    approval_id = await house.asked(await house.caller(requester=ADA))
    assert (await house.answer(approval_id, by=ADA)).decided


async def test_somebody_whose_role_was_taken_away_since_the_card_was_posted_decides_nothing(house):
    approval_id = await house.asked(await house.caller())
    house.rules = rules_of(ask(tier=2), team=a_team(people={**MORE_PEOPLE, CLEO: member("Cleo", "viewer")}))
    assert (await house.answer(approval_id, by=CLEO)).refusal == "not_entitled"


async def test_an_unknown_approval_is_refused_and_audited(house):
    approval_id = await house.asked(await house.caller())
    click = replace(await house.click_on(approval_id), approval_id="apr_of_another_house")
    answer = await house.approvals.decide(click, standing(CLEO))
    assert (answer.decided, answer.refusal) == (False, "unknown")
    [event] = await refusals(house, "apr_of_another_house")
    assert event["detail"]["refused"] == "unknown"


# -- once ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["approve", "reject"])
@pytest.mark.parametrize("second", ["approve", "reject"])
async def test_a_decision_stands(house, first, second):
    approval_id = await house.asked(await house.caller())
    decided = await house.answer(approval_id, verdict=first)
    late = await house.answer(approval_id, by=DORA, verdict=second)
    assert (late.decided, late.refusal, late.state) == (False, "already_decided", decided.state)
    assert CLEO in late.text


@pytest.mark.parametrize("quorum", [1, 2])
async def test_the_same_delivery_handled_twice_changes_nothing(house, quorum):
    house.rules = rules_of(ask(tier=2, quorum=quorum), team=a_team(people=MORE_PEOPLE))
    approval_id = await house.asked(await house.caller())
    click = await house.click_on(approval_id)
    first = await house.approvals.decide(click, standing(CLEO))
    before = await house.execute("select count(*) from core.audit"), len(house.woken)
    again = await house.approvals.decide(click, standing(CLEO))
    assert (first.decided, again.decided, again.state) == (True, True, first.state)
    assert before == (await house.execute("select count(*) from core.audit"), len(house.woken))
    assert (await house.approvals.view(approval_id)).votes == [(CLEO, "approve")]


async def test_a_quorum_of_two_needs_two_people(house):
    house.rules = rules_of(TWO_OF_TIER_TWO, team=a_team(people=MORE_PEOPLE))
    caller = await house.caller()
    approval_id = await house.asked(caller)
    one = await house.answer(approval_id, by=CLEO)
    assert (one.decided, one.state) == (True, "pending")
    same = await house.answer(approval_id, by=CLEO)
    assert (same.decided, same.refusal) == (False, "already_voted")
    assert isinstance(await house.refund(caller, "100 USD"), Parked)
    two = await house.answer(approval_id, by=DORA)
    assert (two.decided, two.state) == (True, "approved")
    assert isinstance(await house.refund(caller, "100 USD"), Done)


async def test_two_people_who_agree_at_the_same_moment_make_a_quorum_of_two(house):
    house.rules = rules_of(TWO_OF_TIER_TWO, team=a_team(people=MORE_PEOPLE))
    for _ in range(5):
        approval_id = await house.asked(await house.caller())
        answers = await asyncio.gather(*(house.answer(approval_id, by=person) for person in (CLEO, DORA)))
        assert sorted(answer.state for answer in answers) == ["approved", "pending"]
        assert await state_of(house, approval_id) == "approved"


async def test_one_person_pressing_twice_at_the_same_moment_is_one_vote(house):
    house.rules = rules_of(TWO_OF_TIER_TWO, team=a_team(people=MORE_PEOPLE))
    for _ in range(5):
        approval_id = await house.asked(await house.caller())
        answers = await asyncio.gather(*(house.answer(approval_id, by=CLEO) for _ in range(4)))
        assert sorted(answer.refusal for answer in answers) == ["", *["already_voted"] * 3]
        assert await state_of(house, approval_id) == "pending"


async def test_one_rejection_decides_against_a_quorum(house):
    house.rules = rules_of(TWO_OF_TIER_TWO, team=a_team(people=MORE_PEOPLE))
    approval_id = await house.asked(await house.caller())
    await house.answer(approval_id, by=CLEO)
    assert (await house.answer(approval_id, by=DORA, verdict="reject")).state == "rejected"


async def test_the_update_that_ends_an_approval_looks_for_itself(house):
    """The last fence: whatever was checked before it, only what is open, unexpired and shown on the card is ended."""
    approval_id = await house.asked(await house.caller())
    click = await house.click_on(approval_id)

    async def settle(click):
        async with house.database.transaction() as conn:
            return await _settle(conn, click, ApprovalState.APPROVED)

    assert not await settle(replace(click, revision=2))
    assert not await settle(replace(click, digest16="0" * 16))
    await house.pass_time(timedelta(hours=5))
    assert not await settle(click)
    await house.pass_time(timedelta(hours=-5))
    assert await settle(click)
    assert not await settle(click)


@pytest.mark.campaign
async def test_of_many_simultaneous_clicks_on_an_approval_exactly_one_decides(common_installation):
    approvals, clicks = CAMPAIGN if campaign() else FEW
    house = a_house(common_installation)
    asked = await ask_many(house, approvals, clicks)
    decided = await asked.click_all()
    assert [answers.count(True) for answers in decided] == [1] * approvals
    ends = await house.execute(
        "select count(*) as decisions, count(distinct subject ->> 'approval_id') as approvals from core.audit"
        " where event in ('approval.granted', 'approval.rejected') and subject ->> 'approval_id' = any(%s)",
        asked.ids,
    )
    assert ends == [{"decisions": approvals, "approvals": approvals}]
    votes = await house.execute("select count(*) from actions.vote where approval_id = any(%s)", asked.ids)
    assert votes == [{"count": approvals}]


# -- time ---------------------------------------------------------------------------------------------------------


async def test_a_click_after_its_time_decides_nothing_even_before_anybody_swept(house):
    approval_id = await house.asked(await house.caller())
    click = await house.click_on(approval_id)
    await house.pass_time(timedelta(hours=4, seconds=1))
    answer = await house.approvals.decide(click, standing(CLEO))
    assert (answer.decided, answer.refusal) == (False, "expired")
    assert "not a rejection" in answer.text


async def test_what_has_expired_ends_once_wakes_its_run_and_says_expired(house):
    caller = await house.caller()
    approval_id = await house.asked(caller)
    await house.approvals.expire_due()
    assert await state_of(house, approval_id) == "pending"
    await house.pass_time(timedelta(hours=4, seconds=1))
    await asyncio.gather(*(house.approvals.expire_due() for _ in range(4)))
    assert await state_of(house, approval_id) == "expired"
    assert house.woken.count((caller.run_id, None)) == 1
    assert (await house.events(caller)).count("approval.expired") == 1
    late = await house.answer(approval_id)
    assert (late.decided, late.refusal) == (False, "already_decided")
    assert "not a rejection" in late.text


async def test_an_answer_given_in_time_is_not_expired_later(house):
    approval_id = await house.asked(await house.caller())
    await house.answer(approval_id)
    await house.pass_time(timedelta(hours=5))
    await house.approvals.expire_due()
    assert await state_of(house, approval_id) == "approved"


async def test_a_click_while_the_approval_expires_decides_or_comes_late_and_never_both(house):
    for _ in range(5):
        caller = await house.caller()
        approval_id = await house.asked(caller)
        await house.execute(
            "update actions.approval set expires_at = core.now() + interval '2 ms' where approval_id = %s", approval_id
        )
        answer, _ = await asyncio.gather(house.answer(approval_id), house.approvals.expire_due())
        await house.pass_time(timedelta(seconds=1))
        await house.approvals.expire_due()
        view = await house.approvals.view(approval_id)
        assert (view.state == "approved") == answer.decided
        assert bool(view.votes) == answer.decided


async def test_cancelling_a_run_ends_what_it_asked_and_a_click_then_is_answered(house):
    caller = await house.caller()
    approval_id = await house.asked(caller)
    click = await house.click_on(approval_id)
    async with house.database.transaction() as conn:
        await house.gateway.cancel_run(conn, caller.run_id)
    answer = await house.approvals.decide(click, standing(CLEO))
    assert (answer.decided, answer.refusal, answer.state) == (False, "already_decided", "cancelled")
    assert "stopped" in answer.text


# -- cards --------------------------------------------------------------------------------------------------------


async def test_the_card_shows_the_stored_record_and_nothing_else(house):
    caller = await house.caller()
    origins = {**ENDORSED, "order_id": Origin(TrustLabel.EXTERNAL, "Rita named it")}
    view = await house.approvals.view(await house.asked(caller, origins=origins, evidence=["the photo"]))
    [row] = await house.execute(
        "select r.* from actions.revision r join actions.intent using (intent_id) where run_id = %s", caller.run_id
    )
    assert (view.digest, view.summary) == (row["digest"], row["summary"])
    assert dict(view.fields) == {
        "order id": "#W1",
        "payment method id": "card_1",
        "amount": "100.00 USD",
        "reason": "broken",
    }
    assert view.evidence == ["the photo", "Order: Rita named it"]
    assert (view.rule, view.who, view.eligible) == ("large", "an approver of tier 2 or higher", [CLEO, DORA])


async def test_an_answer_owes_every_copy_of_the_card_a_new_rendering(house):
    house.rules = rules_of(ask(tier=2), approvals={"channel": "C0APPROVALS"})
    approval_id = await house.asked(await house.caller())
    await house.execute("update core.outbox set state = 'sent' where state = 'owed'")
    await house.answer(approval_id)
    owed = await house.execute(
        "select channel from core.outbox join core.card using (card_id, channel)"
        " where subject_id = %s and state = 'owed' order by channel",
        approval_id,
    )
    assert [row["channel"] for row in owed] == ["C0APPROVALS", "C0RETURNS"]


async def test_everybody_sees_what_waits_for_them_and_nobody_their_own(house):
    house.rules = rules_of(TWO_OF_TIER_TWO, team=a_team(people=MORE_PEOPLE))
    theirs = await house.asked(await house.caller(requester=CLEO))
    voted = await house.asked(await house.caller())
    waits = await house.asked(await house.caller())
    await house.answer(voted, by=CLEO)

    async def waiting_for(person):
        return {view.approval_id for view in await house.approvals.waiting_for(person)} & {theirs, voted, waits}

    assert await waiting_for(CLEO) == {waits}
    assert await waiting_for(DORA) == {theirs, voted, waits}
    assert await waiting_for(BEN) == set()


async def test_there_is_no_view_of_what_was_never_asked(house):
    assert await house.approvals.view("apr_never") is None


async def test_a_decision_is_part_of_the_transaction_that_handles_its_delivery(house):
    approval_id = await house.asked(await house.caller())
    click = await house.click_on(approval_id)
    with pytest.raises(ZeroDivisionError):
        await decide_and_die(house, click)
    assert await state_of(house, approval_id) == "pending"


async def decide_and_die(house, click):
    async with house.database.transaction() as conn:
        await house.approvals.decide_in(conn, click, standing(CLEO))
        raise ZeroDivisionError


# -- who receives --------------------------------------------------------------------------------------------------


async def test_whoever_would_receive_it_does_not_decide_it(common_installation):
    house = a_house(common_installation, catalogue=REPAY)
    house.rules = rules_of({**ask(tier=2), "action": "expense.repay"}, team=a_team(people=MORE_PEOPLE))
    args = Expense.model_validate({**dict(a_refund("100 USD")), "person": CLEO})
    parked = await house.gateway.perform("expense.repay", args, step="repay", caller=await house.caller())
    answer = await house.answer(parked.subject_id, by=CLEO)
    assert (answer.decided, answer.refusal) == (False, "beneficiary")
    assert "You would receive this" in answer.text
    assert (await house.edit(parked.subject_id, by=CLEO, amount="60 USD")).refusal == "beneficiary"
    assert parked.subject_id not in {view.approval_id for view in await house.approvals.waiting_for(CLEO)}
    to_dora = await house.edit(parked.subject_id, by=DORA, person=DORA)
    assert (to_dora.decided, to_dora.state) == (True, "pending")
    [newest] = [v for v in await house.approvals.waiting_for(CLEO) if v.beneficiary == DORA and v.revision == 2]
    assert (await house.answer(newest.approval_id, by=DORA)).refusal == "beneficiary"
    assert (await house.answer(newest.approval_id, by=CLEO)).decided
