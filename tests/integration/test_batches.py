"""Several approvals on one card: listed whole, each answered by the digest listed, never a high one among them."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from actions.action import Catalogue
from actions.approval import Click
from actions.batches import Batches
from actions.outcome import Done, Parked
from bot.slack.blocks import batch_card
from core.db import Database
from core.ids import new_run_id
from tests.support.cards import faults_of
from tests.support.company import BEN, CLEO, RITA
from tests.support.ledger import TEAM, House, a_house, allow, ask, rules_of, standing

pytest_plugins = ["tests.support.migrated"]

CHANNEL = {"channel": "C0APPROVALS"}
SOON = timedelta(seconds=3)


@pytest.fixture
async def house(common_installation: Database):
    house = a_house(common_installation)
    house.rules = rules_of({**ask("500 USD", tier=2), "id": "huge-ask"}, ask(), allow(), approvals=CHANNEL)
    # What other tests left waiting is not listed here.
    await house.execute("update actions.approval set state = 'cancelled' where state = 'pending'")
    return house


def batches_of(house: House) -> Batches:
    return Batches(house.database, house.approvals, Catalogue.scan(), lambda: house.rules, fits=batch_card.fits)


async def waiting(house: House, *amounts: str, requester: str = RITA):
    """One run for each amount, with its refund waiting."""
    asked = []
    for amount in amounts:
        caller = await house.caller(requester=requester)
        asked.append((caller, await house.asked(caller, amount)))
    await house.pass_time(SOON)
    return asked


async def cards(house: House, kind: str = "batch"):
    """The batches formed so far, newest first, with where their cards stand."""
    return await house.execute(
        "select b.batch_id, b.run_id, array_agg(c.channel order by c.channel) as channels"
        " from actions.batch b join core.card c on c.kind = 'batch' and c.subject_id = b.batch_id"
        " where b.kind = %s group by 1, 2, b.made_at order by b.made_at desc, b.batch_id",
        kind,
    )


async def formed(house: House, batches: Batches, kind: str = "batch"):
    known = {row["batch_id"] for row in await cards(house, kind)}
    await batches.look()
    new = [row for row in await cards(house, kind) if row["batch_id"] not in known]
    return [await batches.view(row["batch_id"]) for row in new]


def press(by: str, **changes: str) -> Click:
    click = Click("", 0, "", "approve", by, TEAM, None, f"click-{new_run_id()}")
    return replace(click, **changes)


async def approve(batches: Batches, batch, by: str = CLEO):
    return await batches.approve(batch.batch_id, press(by), standing(by))


async def test_three_of_a_kind_are_listed_once_in_the_approvals_channel_and_approved_by_one_press(house):
    batches = batches_of(house)
    asked = await waiting(house, "60 USD", "70 USD", "80.50 USD")
    [batch] = await formed(house, batches)
    assert [each.view.approval_id for each in batch.items] == [approval for _, approval in asked]
    assert (await cards(house))[0]["channels"] == ["C0APPROVALS"]
    message = batch_card.batch_card(batch)
    assert faults_of(message) == []
    assert "Approve 3 × “Refund …”, 210.50 USD in all?" in str(message.blocks)
    assert await formed(house, batches) == []

    answered = await approve(batches, batch, BEN)
    assert [each.answer.state for each in answered] == ["approved"] * 3
    assert batch_card.answered_text(answered) == "Approved 3 of 3, 210.50 USD in all."
    for caller, approval_id in asked:
        view = await house.approvals.view(approval_id)
        assert (view.state, view.decided_by, view.votes) == ("approved", BEN, [(BEN, "approve")])
        assert (await house.events(caller)).count("approval.granted") == 1
        assert caller.run_id in {run for run, _ in house.woken}
    for (caller, _), amount in zip(asked, ("60 USD", "70 USD", "80.50 USD"), strict=True):
        assert isinstance(await house.refund(caller, amount), Done)
    assert len(house.outside.applied) == 3


async def test_what_comes_one_after_another_is_waited_for_a_moment_and_two_are_not_listed(house):
    batches = batches_of(house)
    await waiting(house, "60 USD", "70 USD")
    assert await formed(house, batches) == []
    await house.asked(await house.caller(), "80 USD")
    assert await formed(house, batches) == []
    await house.pass_time(SOON)
    [batch] = await formed(house, batches)
    assert len(batch.items) == 3


async def test_skipped_because_changed(house):
    batches = batches_of(house)
    asked = await waiting(house, "60 USD", "70 USD", "80 USD")
    [batch] = await formed(house, batches)
    (changed, approval_id), (_, rejected), _ = asked
    # The run asks for more money than the card listed, and somebody else has said no to another one.
    assert isinstance(await house.refund(changed, "95 USD"), Parked)
    assert (await house.answer(rejected, verdict="reject", reason="not this one")).decided
    answered = await approve(batches, batch)
    assert [each.answer.decided for each in answered] == [False, False, True]
    text = batch_card.answered_text(answered)
    assert text.startswith("Approved 1 of 3, 80.00 USD in all.")
    assert "Skipped 1: Refund 60.00 USD" in text
    assert "has changed since" in text
    assert "already rejected" in text
    newest = await house.approvals.view(await house.newest(changed))
    assert (newest.state, newest.votes, newest.amount and newest.amount.minor) == ("pending", [], 9500)
    assert (await house.approvals.view(approval_id)).state == "superseded"
    card = str(batch_card.batch_card(await batches.view(batch.batch_id)).blocks)
    assert "Skipped: changed since it was listed here" in card
    assert "Rejected* by <@U0CLEO>: not this one" in card


async def test_a_change_and_the_press_at_one_moment_never_approve_what_was_not_listed(house):
    batches = batches_of(house)
    for _ in range(5):
        asked = await waiting(house, "60 USD", "70 USD", "80 USD")
        [batch] = await formed(house, batches)
        changed, _ = asked[1]
        await asyncio.gather(approve(batches, batch), house.refund(changed, "95 USD"))
        newest = await house.approvals.view(await house.newest(changed))
        assert (newest.state, newest.votes) == ("pending", [])
        await house.answer(newest.approval_id, verdict="reject")


async def test_no_batch_holds_what_asks_more_than_one_approver_of_tier_1(house):
    batches = batches_of(house)
    await waiting(house, "600 USD", "700 USD", "800 USD", "900 USD")
    house.rules = rules_of(ask(quorum=2), approvals=CHANNEL)
    await waiting(house, "60 USD", "70 USD", "80 USD")
    house.rules = rules_of(ask(role="admin"), approvals=CHANNEL)
    await waiting(house, "60 USD", "70 USD", "80 USD")
    house.rules = rules_of(approvals=CHANNEL)
    await waiting(house, "60 USD", "70 USD", "80 USD")
    assert await formed(house, batches) == []


async def test_amounts_above_the_setting_are_left_out_and_a_setting_made_later_holds_at_the_press(house):
    batches = batches_of(house)
    house.rules = rules_of(ask(), approvals={**CHANNEL, "batch_up_to": "100 USD"})
    await waiting(house, "100 USD", "100.01 USD", "70 USD", "80 USD")
    [batch] = await formed(house, batches)
    assert sorted(each.view.amount.minor for each in batch.items) == [7000, 8000, 10000]
    house.rules = rules_of(ask(), approvals={**CHANNEL, "batch_up_to": "75 USD"}, version="v2")
    answered = await approve(batches, batch)
    assert [each.answer.refusal for each in answered] == ["alone", "", "alone"]
    assert "not within the 75.00 USD" in batch_card.answered_text(answered)


async def test_ones_own_are_skipped_and_strangers_decide_nothing(house):
    batches = batches_of(house)
    await waiting(house, "60 USD", "70 USD")
    own = await waiting(house, "80 USD", requester=CLEO)
    [batch] = await formed(house, batches)
    answered = await approve(batches, batch, CLEO)
    assert [each.answer.refusal for each in answered] == ["", "", "own_request"]
    assert (await house.approvals.view(own[0][1])).state == "pending"
    assert "approval.click_refused" in await house.events(own[0][0])
    assert {each.answer.refusal for each in await approve(batches, batch, RITA)} == {"already_decided", "not_entitled"}
    assert [each.answer.decided for each in await approve(batches, batch, BEN)] == [False, False, True]


async def test_whoever_has_decided_a_great_deal_reads_the_rest_one_by_one(house):
    batches = batches_of(house)
    house.rules = rules_of(ask(), approvals={**CHANNEL, "most_per_hour": 2})
    await house.execute("update actions.vote set at = at - interval '2 hours'")
    await waiting(house, "60 USD", "70 USD", "80 USD")
    [batch] = await formed(house, batches)
    answered = await approve(batches, batch, BEN)
    assert [each.answer.refusal for each in answered] == ["", "", "worn_out"]
    assert "read each of these on its own card" in batch_card.answered_text(answered)


async def test_a_press_handled_twice_counts_once_and_many_at_once_decide_once(house):
    batches = batches_of(house)
    asked = await waiting(house, "60 USD", "70 USD", "80 USD")
    [batch] = await formed(house, batches)
    same = press(BEN)
    again = [await batches.approve(batch.batch_id, same, standing(BEN)) for _ in range(2)]
    assert [[each.answer.decided for each in answers] for answers in again] == [[True] * 3] * 2
    for caller, approval_id in asked:
        assert (await house.approvals.view(approval_id)).votes == [(BEN, "approve")]
        assert (await house.events(caller)).count("approval.click_refused") == 0

    await waiting(house, "60 USD", "70 USD", "80 USD")
    [other] = await formed(house, batches)
    presses = await asyncio.gather(*(approve(batches, other, who) for who in (BEN, CLEO) * 4))
    decided = [each.view.approval_id for answers in presses for each in answers if each.answer.decided]
    assert sorted(decided) == sorted(each.view.approval_id for each in other.items)


async def test_many_are_split_over_cards_that_fit_and_what_is_too_long_is_asked_alone(house):
    batches = batches_of(house)
    long = await house.caller()
    await house.asked(long, "60 USD", payment_method_id="m" * 190, reason="r" * 490)
    await waiting(house, *[f"{60 + number} USD" for number in range(19)])
    found = await formed(house, batches)
    assert sorted(len(batch.items) for batch in found) == [4, 15]
    listed = {each.view.run_id for batch in found for each in batch.items}
    assert long.run_id not in listed
    for batch in found:
        assert faults_of(batch_card.batch_card(batch)) == []


async def test_the_card_is_owed_a_rendering_whenever_one_of_its_items_changes_and_none_otherwise(house):
    batches = batches_of(house)
    asked = await waiting(house, "60 USD", "70 USD", "80 USD")
    [batch] = await formed(house, batches)

    async def owed() -> bool:
        done = "update core.outbox set state = 'sent' where state = 'owed' and card_id in"
        done += " (select card_id from core.card where subject_id = %s) returning 1"
        return bool(await house.execute(done, batch.batch_id))

    await batches.look()
    await owed()
    await batches.look()
    assert not await owed()
    await house.answer(asked[0][1])
    await batches.look()
    assert await owed()
    for _, approval_id in asked[1:]:
        await house.answer(approval_id, verdict="reject")
    await batches.look()
    assert await owed()
    assert isinstance(await house.refund(asked[0][0], "60 USD"), Done)
    await batches.look()
    assert await owed()
    await batches.look()
    assert not await owed()


async def test_two_looks_at_one_moment_list_each_once(house):
    batches = batches_of(house)
    await waiting(house, "60 USD", "70 USD", "80 USD")
    assert sorted(await asyncio.gather(batches.look(), batches.look(), batches.look())) == [0, 0, 1]


async def test_a_person_is_offered_what_they_could_answer_in_threes(house):
    batches = batches_of(house)
    await waiting(house, "60 USD", "70 USD")
    assert await batches.for_person(BEN) == []
    await waiting(house, "80 USD", "90 USD")
    await waiting(house, "95 USD", requester=BEN)
    assert await batches.for_person(RITA) == []
    [views] = await batches.for_person(BEN)
    async with house.database.transaction() as conn:
        offer = await batches.offer(conn, BEN, views)
    assert len(offer.items) == 4
    assert [each.answer.decided for each in await approve(batches, offer, BEN)] == [True] * 4


# A run's plan


async def test_two_steps_of_one_run_are_one_plan_in_the_conversation_and_the_channel(house):
    batches = batches_of(house)
    caller = await house.caller()
    small = await house.asked(caller, "60 USD", step="first")
    large = await house.asked(caller, "600 USD", step="second")
    await house.pass_time(SOON)
    [plan] = await formed(house, batches, "plan")
    [card] = [row for row in await cards(house, "plan") if row["run_id"] == caller.run_id]
    assert card["channels"] == ["C0APPROVALS", "C0RETURNS"]
    message = batch_card.batch_card(plan)
    assert faults_of(message) == []
    assert "no history yet" in str(message.blocks)

    # Ben may decide the small one and no more: his press covers that one.
    answered = await approve(batches, plan, BEN)
    assert [each.answer.refusal for each in answered] == ["", "not_entitled"]
    assert [(await house.approvals.view(each)).state for each in (small, large)] == ["approved", "pending"]
    assert [each.answer.decided for each in await approve(batches, plan, CLEO)] == [False, True]
    assert isinstance(await house.refund(caller, "600 USD", step="second"), Done)


async def test_what_a_run_asks_later_is_not_covered_and_asks_alone(house):
    batches = batches_of(house)
    caller = await house.caller()
    for step in ("first", "second"):
        await house.asked(caller, "60 USD", step=step)
    await house.pass_time(SOON)
    [plan] = await formed(house, batches, "plan")
    later = await house.asked(caller, "70 USD", step="third")
    assert isinstance(await house.refund(caller, "75 USD", step="first"), Parked)
    await house.pass_time(SOON)
    assert await formed(house, batches, "plan") == []
    assert [each.answer.decided for each in await approve(batches, plan)] == [False, True]
    assert (await house.approvals.view(later)).state == "pending"


async def test_a_plan_too_long_for_one_card_is_split_and_every_step_is_listed_whole_on_one_of_them(house):
    batches = batches_of(house)
    caller = await house.caller()
    for number in range(6):
        await house.asked(caller, f"{60 + number} USD", step=f"step{number}", reason="&" * 490)
    await house.pass_time(SOON)
    plans = await formed(house, batches, "plan")
    assert len(plans) > 1
    assert sorted(each.view.step for plan in plans for each in plan.items) == [f"step{number}" for number in range(6)]
    for plan in plans:
        message = batch_card.batch_card(plan)
        assert faults_of(message) == []
        assert str(message.blocks).count("&" * 490) == len(plan.items)
