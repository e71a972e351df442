"""Edit & approve: an approver's changes are one new revision, judged anew, agreed to by whoever it takes."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from actions.outcome import Declined, Done, Parked
from core.db import Database
from tests.support.company import ADA, BEN, CLEO, GUS, RITA
from tests.support.ledger import PEOPLE, a_house, a_team, allow, ask, deny, member, rules_of, standing

pytest_plugins = ["tests.support.migrated"]

DORA = "U0DORA"
MORE_PEOPLE = {**PEOPLE, DORA: member("Dora", "approver", tier=2)}


@pytest.fixture
def house(common_installation: Database):
    house = a_house(common_installation)
    house.rules = rules_of(
        deny("5000 USD"), {**ask("500 USD", tier=2), "id": "huge-ask"}, ask(), allow(), team=a_team(people=MORE_PEOPLE)
    )
    return house


def sent(house):

    return [json.loads(each.body)["refund"] for each in house.outside.applied]


async def test_a_lowered_amount_is_approved_by_whoever_lowered_it_and_that_is_what_is_sent(house):
    caller = await house.caller()
    asked = await house.asked(caller, "100 USD")
    answer = await house.edit(asked, by=BEN, amount="80.00 USD")
    assert (answer.decided, answer.state) == (True, "approved")
    assert "amount 100.00 USD → 80.00 USD" in answer.text
    newest = await house.newest(caller)
    view = await house.approvals.view(newest)
    assert (view.revision, view.edited_by, view.decided_by, view.votes) == (2, BEN, BEN, [(BEN, "approve")])
    assert view.changes == [("amount", "100.00 USD", "80.00 USD")]
    done = await house.refund(caller, "100 USD")
    assert isinstance(done, Done)
    assert done.changed == "amount 100.00 USD → 80.00 USD"
    assert "approved with changes (amount 100.00 USD → 80.00 USD)" in done.text
    assert sent(house) == [{"amount_minor": 8000, "currency": "USD", "payment_method_id": "card_1"}]
    assert (await house.refund(caller, "80 USD")).result == done.result
    assert len(house.outside.applied) == 1
    assert (await house.approvals.view(asked)).state == "superseded"
    events = await house.events(caller)
    assert events.count("approval.edited") == events.count("approval.granted") == 1


async def test_what_policy_would_let_run_alone_is_approved_as_well(house):
    caller = await house.caller()
    answer = await house.edit(await house.asked(caller), amount="20 USD")
    assert answer.state == "approved"
    assert isinstance(await house.refund(caller, "100 USD"), Done)
    assert sent(house)[0]["amount_minor"] == 2000


async def test_the_card_itself_becomes_the_approved_one_in_every_place(house):
    house.rules = replace(
        house.rules,
        policy=house.rules.policy.model_copy(
            update={"approvals": house.rules.policy.approvals.model_copy(update={"channel": "C0APPROVALS"})}
        ),
    )
    caller = await house.caller()
    asked = await house.asked(caller)
    before = await house.execute("select card_id, channel from core.card where subject_id = %s order by channel", asked)
    await house.edit(asked, amount="90 USD")
    after = await house.execute(
        "select card_id, channel from core.card where subject_id = %s order by channel", await house.newest(caller)
    )
    assert before == after
    assert [row["channel"] for row in after] == ["C0APPROVALS", "C0RETURNS"]


@pytest.mark.parametrize("typed", [{"amount": "120 USD"}, {"payment_method_id": "card_2"}, {"order_id": "#W2"}])
async def test_who_chooses_where_it_goes_or_more_of_it_is_not_enough_alone(house, typed):
    caller = await house.caller()
    answer = await house.edit(await house.asked(caller, "100 USD"), by=CLEO, **typed)
    assert (answer.decided, answer.state) == (True, "pending")
    assert "somebody else must agree" in answer.text
    newest = await house.newest(caller)
    assert (await house.approvals.view(newest)).votes == []
    assert isinstance(await house.refund(caller, "100 USD"), Parked)
    assert (await house.answer(newest, by=CLEO)).refusal == "own_change"
    assert (await house.edit(newest, by=CLEO, reason="other")).refusal == "own_change"
    assert not [view for view in await house.approvals.waiting_for(CLEO) if view.approval_id == newest]
    assert (await house.answer(newest, by=DORA)).state == "approved"
    assert isinstance(await house.refund(caller, "100 USD"), Done)


async def test_where_there_is_nobody_else_such_a_change_is_refused(house):
    house.rules = rules_of(ask(), team=a_team(people={ADA: member("Ada", "admin"), BEN: PEOPLE[BEN]}))
    caller = await house.caller()
    asked = await house.asked(caller)
    answer = await house.edit(asked, by=BEN, payment_method_id="card_of_ben")
    assert (answer.decided, answer.refusal) == (False, "nobody_else")
    assert (await house.approvals.view(asked)).state == "pending"
    assert (await house.edit(asked, by=BEN, amount="60 USD")).state == "approved"


async def test_in_solo_mode_the_one_person_changes_what_they_like(house):
    solo = a_team(solo=True, people={ADA: member("Ada", "admin", "approver", tier=3)})
    house.rules = rules_of(ask(), team=solo)
    asked = await house.asked(await house.caller(requester=ADA))
    assert (await house.edit(asked, by=ADA, amount="200 USD")).state == "approved"


async def test_a_higher_tier_is_asked_anew_and_a_quorum_counts_the_editor_once(house):
    caller = await house.caller()
    asked = await house.asked(caller, "300 USD")
    raised = await house.edit(asked, by=BEN, amount="600 USD")
    assert raised.state == "pending"
    newest = await house.newest(caller)
    assert "tier 2" in (await house.approvals.view(newest)).who
    assert (await house.answer(newest, by=BEN)).refusal == "not_entitled"
    assert (await house.answer(newest, by=CLEO)).state == "approved"

    house.rules = rules_of(ask(quorum=2), team=a_team(people=MORE_PEOPLE))
    second = await house.caller()
    one = await house.edit(await house.asked(second), by=BEN, amount="70 USD")
    assert (one.state, "1 of 2" in one.text) == ("pending", True)
    newest = await house.newest(second)
    assert (await house.answer(newest, by=BEN)).refusal == "already_voted"
    assert (await house.answer(newest, by=CLEO)).state == "approved"


async def test_what_policy_denies_is_refused_with_its_rule_and_nothing_changes(house):
    caller = await house.caller()
    asked = await house.asked(caller)
    answer = await house.edit(asked, amount="6000 USD")
    assert (answer.decided, answer.refusal) == (False, "denied")
    assert "rule huge" in answer.text
    assert (await house.approvals.view(asked)).state == "pending"
    assert "approval.edit_refused" in await house.events(caller)


async def test_what_the_other_side_cannot_express_is_refused(house):
    asked = await house.asked(await house.caller())
    answer = await house.edit(asked, payment_method_id="gift_card")
    assert (answer.refusal, "knows no gift cards" in answer.text) == ("invalid", True)
    assert (await house.approvals.view(asked)).state == "pending"


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ({"amount": "0 USD"}, "above zero"),
        ({"amount": "-5 USD"}, "above zero"),
        ({"amount": "lots"}, "not money"),
        ({"amount": ""}, "not money"),
        ({"amount": "12.345 USD"}, "decimal places"),
        ({"order_id": " "}, "at least 1 character"),
        ({"reason": "x" * 501}, "at most 500 characters"),
        ({"reason": "a\0b"}, "NUL"),
        ({}, "Nothing is changed"),
        ({"amount": "100 USD"}, "Nothing is changed"),
        ({"no_such_argument": "1"}, "Nothing is changed"),
    ],
)
async def test_what_does_not_fit_the_action_changes_nothing_and_is_said_and_audited(house, typed, says):
    caller = await house.caller()
    asked = await house.asked(caller, "100 USD")
    answer = await house.edit(asked, **typed)
    assert (answer.decided, answer.refusal) == (False, "invalid")
    assert says in answer.text
    assert (await house.approvals.view(asked)).state == "pending"
    assert (await house.events(caller))[-1] == "approval.edit_refused"


async def test_while_the_form_is_open_each_wrong_input_has_its_own_sentence(house):
    caller = await house.caller()
    click = await house.click_on(await house.asked(caller))
    said = await house.edits.problems(click, {"amount": "many", "order_id": ""})
    assert set(said) == {"amount"}
    said = await house.edits.problems(click, {"amount": "0 USD", "order_id": "", "reason": "x"})
    assert set(said) == {"amount", "order_id"}
    assert all(text.endswith(".") and "Value error" not in text for text in said.values())
    assert (await house.events(caller)).count("approval.edit_refused") == 2
    assert await house.edits.problems(click, {"amount": "90 USD"}) == {}


@pytest.mark.parametrize(
    ("by", "word"), [(RITA, "not_entitled"), (GUS, "not_entitled"), (ADA, "not_entitled"), ("U0X", "not_entitled")]
)
async def test_whoever_is_not_entitled_changes_nothing_and_it_is_audited(house, by, word):
    caller = await house.caller()
    asked = await house.asked(caller)
    answer = await house.edit(asked, by=by, amount="1 USD")
    assert (answer.decided, answer.refusal) == (False, word)
    assert (await house.events(caller))[-1] == "approval.click_refused"
    assert (await house.edits.form(asked, by)).who_cannot


async def test_the_requester_changes_nothing_even_as_an_approver(house):
    asked = await house.asked(await house.caller(requester=CLEO))
    assert (await house.edit(asked, by=CLEO, amount="1 USD")).refusal == "own_request"
    assert "your own" in (await house.edits.form(asked, CLEO)).who_cannot


async def test_a_decided_an_expired_and_an_older_card_are_not_changed(house):
    decided = await house.asked(await house.caller())
    click = await house.click_on(decided)
    await house.answer(decided)
    assert (await house.edits.decide(click, standing(CLEO), {"amount": "1 USD"})).refusal == "already_decided"
    assert (await house.edits.form(decided, CLEO)).who_cannot
    late = await house.asked(await house.caller())
    await house.pass_time(timedelta(hours=5))
    assert (await house.edit(late, amount="1 USD")).refusal == "expired"
    await house.pass_time(timedelta(hours=-5))
    stale = replace(await house.click_on(late), digest16="0" * 16)
    assert (await house.edits.decide(stale, standing(CLEO), {"amount": "1 USD"})).refusal == "stale_card"
    unknown = replace(click, approval_id="apr_of_nobody")
    assert (await house.edits.decide(unknown, standing(CLEO), {"amount": "1 USD"})).refusal == "unknown"
    assert (await house.edits.decide(click, None, {"amount": "1 USD"})).refusal == "unverified"
    assert await house.edits.form("apr_of_nobody", CLEO) is None


async def test_the_same_delivery_handled_twice_changes_once(house):
    caller = await house.caller()
    click = await house.click_on(await house.asked(caller))
    first = await house.edits.decide(click, standing(CLEO), {"amount": "90 USD"})
    again = await house.edits.decide(click, standing(CLEO), {"amount": "90 USD"})
    assert (first.decided, again.decided) == (True, True)
    assert (await house.events(caller)).count("approval.edited") == 1


async def test_edits_approvals_and_rejections_at_one_moment_make_one_decision(house):
    for _ in range(6):
        caller = await house.caller()
        asked = await house.asked(caller)
        click = await house.click_on(asked)
        presses = [
            house.edits.decide(replace(click, delivery_id=f"{asked}.1"), standing(CLEO), {"amount": "90 USD"}),
            house.edits.decide(
                replace(click, user_id=DORA, delivery_id=f"{asked}.2"), standing(DORA), {"amount": "80 USD"}
            ),
            house.approvals.decide(replace(click, user_id=BEN, delivery_id=f"{asked}.3"), standing(BEN)),
            house.approvals.decide(
                replace(click, user_id=DORA, verdict="reject", delivery_id=f"{asked}.4"), standing(DORA)
            ),
        ]
        answers = await asyncio.gather(*presses)
        assert [answer.decided for answer in answers].count(True) == 1
        outcome = await house.refund(caller)
        assert isinstance(outcome, Done | Declined) or outcome
        events = await house.events(caller)
        assert events.count("approval.granted") + events.count("approval.rejected") == 1


async def test_policy_that_became_stricter_after_an_edit_asks_again(house):
    caller = await house.caller()
    await house.edit(await house.asked(caller, "300 USD"), by=BEN, amount="200 USD")
    house.rules = rules_of(ask("100 USD", tier=2), team=a_team(people=MORE_PEOPLE), version="v2")
    parked = await house.refund(caller, "300 USD")
    assert isinstance(parked, Parked)
    assert (await house.answer(parked.subject_id, by=CLEO)).state == "approved"
    assert isinstance(await house.refund(caller, "300 USD"), Done)
    assert sent(house)[0]["amount_minor"] == 20000
