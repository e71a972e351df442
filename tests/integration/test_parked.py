"""What nobody answered in time is parked and can be asked again, and what was given too long ago is asked anew."""

import asyncio
from datetime import timedelta

import pytest

from actions.outcome import Declined, Done, Parked
from actions.reopening import NOT_YOURS, NOTHING, Reopening
from bot.slack.blocks.approval_card import approval_card
from tests.support.chaining import a_chained_house, act, called
from tests.support.company import ADA, AMIR, BEN, CLEO, RITA
from tests.support.ledger import deny, rules_of

pytest_plugins = ["tests.support.migrated"]


@pytest.fixture
async def house(common_installation):
    return await a_chained_house(common_installation)


def reopening(house):
    async def wake(run_id, conn):
        house.woken.append((run_id, None))

    return Reopening(lambda: house.rules, wake=wake)


async def reopen(house, subject, person=RITA):
    async with house.database.transaction() as conn:
        return await reopening(house).reopen(conn, subject, person, delivery_id="d-reopen")


async def expired(house):
    caller = await house.caller()
    approval_id = await house.asked(caller)
    await house.pass_time(timedelta(hours=5))
    await house.approvals.expire_due()
    return caller, approval_id


@pytest.mark.parametrize("by", [RITA, ADA])
async def test_an_expired_approval_parks_its_run_and_is_asked_again_about_the_same_revision(house, by):
    caller, approval_id = await expired(house)
    assert isinstance(await house.refund(caller, "100 USD"), Parked)
    assert await called(house, approval_id) == ["expired"]
    assert "Asked again" in await reopen(house, caller.run_id if by == RITA else approval_id, by)
    waits = await house.refund(caller, "100 USD")
    assert isinstance(waits, Parked)
    assert waits.subject_id != approval_id
    assert await house.approval_states(caller) == ["expired", "pending"]
    old, new = await house.approvals.view(approval_id), await house.approvals.view(waits.subject_id)
    assert (old.revision, old.digest, old.reopened_by) == (new.revision, new.digest, by)
    assert (await house.answer(waits.subject_id, by=BEN)).decided
    assert isinstance(await house.refund(caller, "100 USD"), Done)
    assert len(house.outside.applied) == 1


async def test_asking_again_is_judged_by_the_policy_of_today(house):
    caller, approval_id = await expired(house)
    await reopen(house, approval_id)
    house.rules = rules_of(deny("50 USD"))
    outcome = await house.refund(caller, "100 USD")
    assert isinstance(outcome, Declined)
    assert outcome.cause == "denied"


@pytest.mark.parametrize("by", [BEN, CLEO, AMIR, "U0NOBODY"])
async def test_only_who_asked_an_operator_or_an_admin_has_it_asked_again(house, by):
    caller, approval_id = await expired(house)
    assert await reopen(house, approval_id, by) == NOT_YOURS
    assert (await house.events(caller))[-1] == "approval.reopen_refused"
    waits = await house.refund(caller, "100 USD")
    assert isinstance(waits, Parked)
    assert waits.subject_id == approval_id


async def test_two_who_ask_again_at_once_make_one_new_approval(house):
    caller, approval_id = await expired(house)
    said = await asyncio.gather(*(reopen(house, approval_id, by) for by in (RITA, ADA)))
    assert sorted(text == NOTHING for text in said) == [False, True]
    await house.refund(caller, "100 USD")
    assert await house.approval_states(caller) == ["expired", "pending"]


async def test_what_expired_before_the_run_changed_its_mind_is_not_asked_again_beside_the_newer_question(house):
    caller, approval_id = await expired(house)
    newer = await house.asked(caller, "200 USD")
    assert await reopen(house, caller.run_id) == NOTHING
    assert await reopen(house, approval_id) == NOTHING
    waits = await house.refund(caller, "200 USD")
    assert isinstance(waits, Parked)
    assert waits.subject_id == newer
    assert await house.approval_states(caller) == ["expired", "pending"]


async def test_a_parked_run_ends_by_itself_and_is_told_that_it_expired(house):
    caller, approval_id = await expired(house)
    await house.pass_time(timedelta(days=7))
    house.woken.clear()
    await act(house)
    assert (caller.run_id, None) in house.woken
    outcome = await house.refund(caller, "100 USD")
    assert isinstance(outcome, Declined)
    assert (outcome.cause, "not a rejection" in outcome.text) == ("expired", True)
    assert await reopen(house, approval_id) == NOTHING


async def test_what_is_not_expired_is_not_asked_again(house):
    approval_id = await house.asked(await house.caller())
    assert await reopen(house, approval_id) == NOTHING
    await house.answer(approval_id, by=BEN, verdict="reject")
    assert await reopen(house, approval_id) == NOTHING
    assert await reopen(house, "run_never") == NOTHING


async def test_what_was_approved_too_long_ago_is_asked_again_before_anything_begins(house):
    caller = await house.caller()
    approval_id = await house.asked(caller)
    assert (await house.answer(approval_id, by=BEN)).decided
    await house.pass_time(timedelta(hours=4, seconds=1))
    waits = await house.refund(caller, "100 USD")
    assert isinstance(waits, Parked)
    assert not house.outside.sent
    assert await house.approval_states(caller) == ["expired", "pending"]
    assert (await house.approvals.view(approval_id)).decided_by == BEN
    assert "approval.lapsed" in await house.events(caller)
    assert (await house.answer(waits.subject_id, by=BEN)).decided
    assert isinstance(await house.refund(caller, "100 USD"), Done)


@pytest.mark.parametrize("given", [True, False])
async def test_a_run_that_is_stopped_has_the_card_of_what_was_decided_and_not_sent_say_so(house, given):
    caller = await house.caller()
    approval_id = await house.asked(caller)
    if given:
        await house.answer(approval_id, by=BEN)
    else:
        await house.pass_time(timedelta(hours=5))
        await house.approvals.expire_due()
    await house.execute("update core.outbox set state = 'sent' where state = 'owed'")
    async with house.database.transaction() as conn:
        await house.gateway.cancel_run(conn, caller.run_id)
    owed = await house.execute(
        "select 1 from core.outbox join core.card using (card_id) where subject_id = %s and state = 'owed'", approval_id
    )
    assert len(owed) == 1
    said = approval_card(await house.approvals.view(approval_id))
    assert ("Will not happen" in said.text) is given
    assert "Ask again" not in str(said.blocks)
