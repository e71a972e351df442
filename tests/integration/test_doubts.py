"""An effect that only a person can settle: asked once, answered once by somebody entitled, never sent blindly."""

import asyncio
from datetime import timedelta

import pytest

from actions.connector import EffectClass
from actions.doubt import Finding
from actions.doubts import PATIENCE
from actions.gateway import ASK_AGAIN
from actions.outcome import Declined, Done, Parked
from tests.support.company import ADA, AMIR, BEN, CLEO, GUS, RITA
from tests.support.doors import REPAY, Expense
from tests.support.doubts import an_opaque_house, click_on, doubt_of, left_in_doubt, said
from tests.support.ledger import (
    Outside,
    a_house,
    a_refund,
    a_team,
    allow,
    ask,
    member,
    rules_of,
    standing,
)

pytest_plugins = ["tests.support.migrated"]


@pytest.fixture
def house(common_installation):
    found = an_opaque_house(common_installation)
    found.rules = rules_of(allow(), ask(tier=2))
    return found


async def settled(house, doubt_id):
    [row] = await house.execute("select * from actions.doubt where doubt_id = %s", doubt_id)
    return row


async def clicks_refused(house, doubt_id):
    found = await house.execute(
        "select detail from core.audit where event = 'doubt.click_refused' and subject ->> 'doubt_id' = %s", doubt_id
    )
    return [row["detail"]["refused"] for row in found]


# -- asking -------------------------------------------------------------------------------------------------------


async def test_people_are_asked_once_in_the_conversation_and_in_the_approvals_channel(house):
    house.rules = rules_of(ask(), approvals={"channel": "C0APPROVALS"})
    caller = await house.caller()
    doubt_id = await left_in_doubt(house, caller)
    await house.refund(caller, "100 USD")
    assert await doubt_of(house, caller) == doubt_id
    cards = await house.execute("select channel from core.card where subject_id = %s order by channel", doubt_id)
    assert [card["channel"] for card in cards] == ["C0APPROVALS", "C0RETURNS"]
    assert (await house.events(caller)).count("doubt.asked") == 1


async def test_nobody_is_asked_while_the_request_may_still_land(house):
    caller = await house.caller()
    house.outside.modes = ["lost_unknown"]
    asked_at = []

    async def watch(seconds):
        found = await house.execute("select 1 from actions.doubt join actions.intent using (intent_id)"
                                    " where run_id = %s", caller.run_id)  # fmt: skip
        asked_at.append((seconds, bool(found)))

    house.clock.sleep = watch  # type: ignore[method-assign]
    await house.refund(caller)
    assert asked_at
    assert not any(asked for _, asked in asked_at)
    assert await doubt_of(house, caller)


@pytest.mark.parametrize("patient", [True, False])
async def test_a_receiver_that_cannot_say_for_long_has_a_person_asked(common_installation, patient):
    house = a_house(common_installation, outside=Outside(settles=EffectClass.PROBEABLE, finding="inconclusive"))
    caller = await house.caller()
    house.outside.modes = ["applied_unknown"]
    await house.refund(caller)
    await house.pass_time(PATIENCE + timedelta(seconds=-30 if patient else 30))
    await house.refund(caller)
    found = await house.execute(
        "select 1 from actions.doubt join actions.intent using (intent_id) where run_id = %s", caller.run_id
    )
    assert bool(found) is not patient


async def test_the_receivers_own_record_takes_the_question_back(common_installation):
    house = a_house(common_installation, outside=Outside(settles=EffectClass.PROBEABLE, finding="inconclusive"))
    caller = await house.caller()
    house.outside.modes = ["applied_unknown"]
    await house.refund(caller)
    await house.pass_time(PATIENCE * 2)
    await house.refund(caller)
    doubt_id = await doubt_of(house, caller)
    house.outside.finding = "answers"
    assert isinstance(await house.refund(caller), Done)
    assert (await house.doubts.view(doubt_id)).state == "found_out"
    late = await said(house, doubt_id, Finding.ABSENT, by=ADA)
    assert (late.decided, late.refusal) == (False, "already_decided")
    assert "own record" in late.text
    assert len(house.outside.applied) == 1


# -- it happened --------------------------------------------------------------------------------------------------


async def test_it_happened_ends_the_effect_with_a_persons_receipt_and_wakes_the_run(house):
    caller = await house.caller()
    doubt_id = await left_in_doubt(house, caller, mode="applied_unknown")
    answer = await said(house, doubt_id, Finding.HAPPENED, reference=" re_77 in the provider's console ")
    assert answer.decided, answer
    assert (caller.run_id, None) in house.woken
    outcome = await house.refund(caller, "100 USD")
    assert isinstance(outcome, Done)
    assert outcome.result == {
        "refund_id": "re_77 in the provider's console",
        "amount": {"minor": 10000, "currency": "USD"},
        "payment_method_id": "card_1",
    }
    assert "Cleo" in outcome.text
    [attempt] = await house.attempts(caller)
    assert attempt["state"] == "done"
    assert attempt["receipt"]["settled_by"] == CLEO
    assert len(house.outside.sent) == 1
    assert (await house.events(caller))[-1] == "effect.settled"


async def test_it_happened_without_a_reference_is_not_noted(house):
    doubt_id = await left_in_doubt(house, await house.caller())
    answer = await said(house, doubt_id, Finding.HAPPENED)
    assert (answer.decided, answer.refusal) == (False, "no_reference")
    assert (await settled(house, doubt_id))["state"] == "open"


# -- it did not ---------------------------------------------------------------------------------------------------


async def test_it_did_not_lets_a_fresh_attempt_go_under_the_same_approval(house):
    caller = await house.caller()
    doubt_id = await left_in_doubt(house, caller)
    assert (await said(house, doubt_id, Finding.ABSENT)).decided
    assert isinstance(await house.refund(caller, "100 USD"), Done)
    attempts = await house.attempts(caller)
    assert [attempt["state"] for attempt in attempts] == ["unsent", "done"]
    assert len({attempt["approval_id"] for attempt in attempts}) == 1
    assert len(house.outside.applied) == 1


async def test_policy_is_asked_again_before_what_did_not_happen_is_sent_again(house):
    caller = await house.caller()
    doubt_id = await left_in_doubt(house, caller)
    await said(house, doubt_id, Finding.ABSENT)
    house.rules = rules_of(ask(tier=3))
    assert isinstance(await house.refund(caller, "100 USD"), Parked)
    assert len(house.outside.sent) == 1


async def test_a_person_who_is_wrong_about_a_receiver_that_can_be_asked_causes_no_second_effect(common_installation):
    house = a_house(common_installation, outside=Outside(settles=EffectClass.PROBEABLE, finding="inconclusive"))
    caller = await house.caller()
    house.outside.modes = ["applied_unknown"]
    await house.refund(caller)
    await house.pass_time(PATIENCE * 2)
    await house.refund(caller)
    assert (await said(house, await doubt_of(house, caller), Finding.ABSENT, by=ADA)).decided
    house.outside.finding = "answers"
    assert isinstance(await house.refund(caller), Done)
    assert len(house.outside.sent) == len(house.outside.applied) == 1


async def test_what_did_not_happen_in_a_run_that_has_ended_is_not_sent_again(house):
    caller = await house.caller()
    doubt_id = await left_in_doubt(house, caller)
    await house.execute(
        "update graphs.run set state = 'stopped', finished_at = core.now() where run_id = %s", caller.run_id
    )
    answer = await said(house, doubt_id, Finding.ABSENT)
    assert answer.decided
    assert "ended" in answer.text
    assert (await house.intent(caller))["state"] == "cancelled"
    assert isinstance(await house.refund(caller, "100 USD"), Declined)


# -- investigate --------------------------------------------------------------------------------------------------


async def test_investigate_says_who_looks_and_settles_nothing(house):
    caller = await house.caller()
    doubt_id = await left_in_doubt(house, caller)
    assert (await said(house, doubt_id, Finding.LOOKING)).decided
    view = await house.doubts.view(doubt_id)
    assert (view.state, view.looking_by) == ("open", CLEO)
    assert (await house.events(caller))[-1] == "doubt.investigated"
    assert (await said(house, doubt_id, Finding.HAPPENED, reference="re_1")).decided
    late = await said(house, doubt_id, Finding.LOOKING)
    assert (late.decided, late.refusal) == (False, "already_decided")


# -- who ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("finding", list(Finding))
@pytest.mark.parametrize(
    ("by", "slack", "word"),
    [
        (RITA, {}, "not_entitled"),
        (BEN, {}, "not_entitled"),
        (AMIR, {}, "not_entitled"),
        (GUS, {}, "not_entitled"),
        (GUS, {"guest": True}, "not_a_member"),
        (CLEO, {"deleted": True}, "not_a_member"),
        ("U0STRANGER", {"stranger": True}, "not_a_member"),
    ],
)
async def test_whoever_could_not_approve_it_settles_nothing_and_it_is_audited(house, by, slack, word, finding):
    caller = await house.caller()
    doubt_id = await left_in_doubt(house, caller)
    answer = await said(house, doubt_id, finding, by=by, reference="re_1", **slack)
    assert (answer.decided, answer.refusal) == (False, word)
    assert answer.text
    row = await settled(house, doubt_id)
    assert (row["state"], row["looking_by"]) == ("open", None)
    assert await clicks_refused(house, doubt_id) == [word]
    assert await house.states(caller) == ["in_doubt"]


async def test_an_approver_who_asked_for_it_does_not_settle_it(house):
    dora = {**a_team().people, "U0DORA": member("Dora", "approver", tier=3)}
    house.rules = rules_of(ask(tier=2), team=a_team(people=dora))
    caller = await house.caller(requester="U0DORA")
    doubt_id = await left_in_doubt(house, caller)
    assert (await said(house, doubt_id, Finding.ABSENT, by="U0DORA")).refusal == "own_request"
    assert (await said(house, doubt_id, Finding.ABSENT)).decided


async def test_whoever_would_receive_it_or_chose_where_it_goes_does_not_settle_it(common_installation):
    dora, eve = member("Dora", "approver", tier=3), member("Eve", "approver", tier=2)
    people = {**a_team().people, "U0DORA": dora, "U0EVE": eve}
    house = a_house(common_installation, outside=Outside(settles=EffectClass.OPAQUE), catalogue=REPAY)
    house.rules = rules_of({**ask(tier=2), "action": "expense.repay"}, team=a_team(people=people))
    caller = await house.caller()

    async def repay(person):
        args = Expense.model_validate({**dict(a_refund("100 USD")), "person": person})
        return await house.gateway.perform("expense.repay", args, step="repay", caller=caller)

    parked = await repay(BEN)
    assert (await house.edit(parked.subject_id, by="U0DORA", person=CLEO)).decided
    assert (await house.answer(await house.newest(caller), by="U0EVE")).state == "approved"
    house.outside.modes = ["lost_unknown"]
    await repay(BEN)
    doubt_id = await doubt_of(house, caller)
    assert (await house.doubts.view(doubt_id)).eligible == ["U0EVE"]
    assert (await said(house, doubt_id, Finding.ABSENT, by=CLEO)).refusal == "beneficiary"
    assert (await said(house, doubt_id, Finding.ABSENT, by="U0DORA")).refusal == "own_change"
    assert (await said(house, doubt_id, Finding.ABSENT, by="U0EVE")).decided


async def test_in_solo_mode_the_one_person_settles_it(house):
    solo = a_team(solo=True, people={ADA: member("Ada", "admin", "approver", tier=3)})
    house.rules = rules_of(allow(), team=solo)
    caller = await house.caller(requester=ADA)
    house.outside.modes = ["lost_unknown"]
    await house.refund(caller)
    assert (await said(house, await doubt_of(house, caller), Finding.ABSENT, by=ADA)).decided


async def test_policy_of_this_moment_says_who_may_settle(house):
    doubt_id = await left_in_doubt(house, await house.caller())
    house.rules = rules_of(ask(role="admin"))
    assert (await said(house, doubt_id, Finding.ABSENT)).refusal == "not_entitled"
    assert (await said(house, doubt_id, Finding.ABSENT, by=ADA)).decided


async def test_what_ran_alone_is_settled_by_an_admin(house):
    caller = await house.caller()
    house.outside.modes = ["lost_unknown"]
    await house.refund(caller)
    doubt_id = await doubt_of(house, caller)
    assert (await said(house, doubt_id, Finding.ABSENT)).refusal == "not_entitled"
    assert (await said(house, doubt_id, Finding.ABSENT, by=ADA)).decided


async def test_when_slack_cannot_say_who_it_is_nothing_is_settled(house):
    doubt_id = await left_in_doubt(house, await house.caller())
    answer = await house.doubts.settle(Finding.ABSENT, await click_on(house, doubt_id), None)
    assert (answer.decided, answer.refusal) == (False, "unverified")


async def test_a_question_nobody_asked_is_refused_and_audited(house):
    doubt_id = await left_in_doubt(house, await house.caller())
    click = await click_on(house, doubt_id)
    object.__setattr__(click, "approval_id", "dbt_of_another_house")
    answer = await house.doubts.settle(Finding.ABSENT, click, standing(CLEO))
    assert (answer.decided, answer.refusal) == (False, "unknown")
    assert await clicks_refused(house, "dbt_of_another_house") == ["unknown"]


# -- once ---------------------------------------------------------------------------------------------------------


async def test_of_many_simultaneous_answers_exactly_one_settles(house):
    for _ in range(5):
        caller = await house.caller()
        doubt_id = await left_in_doubt(house, caller)
        findings = [Finding.HAPPENED, Finding.ABSENT] * 4
        clicks = [await click_on(house, doubt_id, text="re_1") for _ in findings]
        answers = await asyncio.gather(
            *(house.doubts.settle(*pair, standing(CLEO)) for pair in zip(findings, clicks, strict=True))
        )
        assert [answer.decided for answer in answers].count(True) == 1
        assert (await house.events(caller)).count("effect.settled") == 1


@pytest.mark.parametrize("finding", [Finding.HAPPENED, Finding.ABSENT])
async def test_the_same_delivery_handled_twice_changes_nothing(house, finding):
    caller = await house.caller()
    doubt_id = await left_in_doubt(house, caller)
    click = await click_on(house, doubt_id, text="re_1")
    first = await house.doubts.settle(finding, click, standing(CLEO))
    before = await house.events(caller)
    again = await house.doubts.settle(finding, click, standing(CLEO))
    assert (first.decided, again.decided) == (True, True)
    assert await house.events(caller) == before


async def test_an_answer_owes_every_copy_of_the_card_a_new_rendering(house):
    house.rules = rules_of(ask(), approvals={"channel": "C0APPROVALS"})
    doubt_id = await left_in_doubt(house, await house.caller())
    await house.execute("update core.outbox set state = 'sent' where state = 'owed'")
    await said(house, doubt_id, Finding.ABSENT)
    owed = await house.execute(
        "select channel from core.outbox join core.card using (card_id, channel)"
        " where subject_id = %s and state = 'owed' order by channel",
        doubt_id,
    )
    assert [row["channel"] for row in owed] == ["C0APPROVALS", "C0RETURNS"]


async def test_everybody_sees_the_doubts_they_could_settle(house):
    doubt_id = await left_in_doubt(house, await house.caller())

    async def waits_for(person):
        return doubt_id in [view.doubt_id for view in await house.doubts.waiting_for(person)]

    assert [person for person in (ADA, BEN, CLEO, RITA, GUS) if await waits_for(person)] == [CLEO]
    await said(house, doubt_id, Finding.ABSENT)
    assert not await waits_for(CLEO)


# -- deliveries that stay open ------------------------------------------------------------------------------------


async def test_a_call_still_open_is_looked_at_again_even_if_no_receipt_is_ever_announced(common_installation):
    house = a_house(common_installation)
    caller = await house.caller()
    house.outside.modes = ["open"]
    assert isinstance(await house.refund(caller), Parked)
    assert (caller.run_id, house.clock.now() + ASK_AGAIN) in house.woken


# -- what was set aside -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("finding", "ends"), [(Finding.HAPPENED, "kept"), (Finding.ABSENT, "released")])
async def test_what_was_set_aside_for_it_is_kept_or_given_back_with_the_answer(house, finding, ends):
    caller = await house.caller()
    doubt_id = await left_in_doubt(house, caller)
    [attempt] = await house.attempts(caller)
    await house.execute(
        "insert into actions.reservation (attempt_id, workspace, limit_id, subject, slot, minor, exceeds)"
        " values (%s, 'T0LOCAL', 'daily', '', 0, 10000, false)",
        attempt["attempt_id"],
    )
    await said(house, doubt_id, finding, reference="re_1")
    [held] = await house.execute("select state from actions.reservation where attempt_id = %s", attempt["attempt_id"])
    assert held["state"] == ends
