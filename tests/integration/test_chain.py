"""What happens while nobody answers, on a real Postgres: reminded, escalated, falling back, in business hours."""

import asyncio
from datetime import timedelta

import pytest

from actions.outcome import Done
from tests.support.chaining import DORA, a_chained_house, act, called, chained
from tests.support.company import BEN, CLEO
from tests.support.ledger import a_house

pytest_plugins = ["tests.support.migrated"]


@pytest.fixture
async def house(common_installation):
    return await a_chained_house(common_installation)


async def test_nobody_answers_and_the_chain_goes_to_its_end_one_step_at_a_time(house):
    caller = await house.caller()
    approval_id = await house.asked(caller)
    await act(house)
    assert await called(house, approval_id) == []
    for passed, stage in (("00:31", "reminded"), ("00:30", "escalated"), ("01:00", "fell_back")):
        hours, minutes = map(int, passed.split(":"))
        await house.pass_time(timedelta(hours=hours, minutes=minutes))
        await act(house)
        assert (await house.approvals.view(approval_id)).stage == stage
    assert await called(house, approval_id) == ["reminded", "escalated", "fell_back"]
    assert [event for event in await house.events(caller) if event.startswith("approval.")] == [
        "approval.asked",
        "approval.reminded",
        "approval.escalated",
        "approval.fell_back",
    ]


async def test_the_due_instant_is_stored_and_nothing_is_done_before_it(house):
    approval_id = await house.asked(await house.caller())
    await act(house)
    [row] = await house.execute(
        "select next_at - asked_at as wait from actions.approval where approval_id = %s", approval_id
    )
    assert row["wait"] == timedelta(minutes=30)
    await house.pass_time(timedelta(minutes=29))
    await act(house)
    assert await called(house, approval_id) == []


async def test_many_processes_that_look_at_once_take_each_step_once(house):
    rivals = [a_house(house.database) for _ in range(4)]
    for rival in rivals:
        rival.rules = house.rules
    ids = [await house.asked(await house.caller()) for _ in range(3)]
    await house.pass_time(timedelta(minutes=31))
    for _ in range(3):
        await asyncio.gather(*(rival.approvals.act_due() for rival in rivals))
    for approval_id in ids:
        assert await called(house, approval_id) == ["reminded"]
        rows = await house.execute(
            "select 1 from core.audit where event = 'approval.reminded' and subject ->> 'approval_id' = %s", approval_id
        )
        assert len(rows) == 1


async def escalated(house, caller):
    approval_id = await house.asked(caller)
    await house.pass_time(timedelta(minutes=31))
    await act(house)
    await house.pass_time(timedelta(minutes=30))
    await act(house)
    assert (await house.approvals.view(approval_id)).stage == "escalated"
    return approval_id


async def test_whoever_it_was_escalated_to_changes_it_with_the_same_right_by_which_they_approve_it(house):
    caller = await house.caller()
    answer = await house.edit(await escalated(house, caller), by=CLEO, amount="90 USD")
    assert (answer.decided, answer.state) == (True, "approved"), answer
    assert isinstance(await house.refund(caller, "100 USD"), Done)


async def test_whoever_it_was_escalated_to_is_not_enough_for_a_destination_of_their_own(house):
    caller = await house.caller()
    answer = await house.edit(await escalated(house, caller), by=CLEO, payment_method_id="card_of_cleo")
    assert (answer.decided, answer.state) == (True, "pending"), answer
    again = await house.answer(await house.newest(caller), by=CLEO)
    assert (again.decided, again.refusal) == (False, "not_entitled")


async def test_an_escalation_lets_others_answer_and_those_asked_first_still_may(house):
    first, second = [await house.asked(await house.caller()) for _ in range(2)]
    assert (await house.answer(first, by=CLEO)).refusal == "not_entitled"
    await house.pass_time(timedelta(minutes=61))
    await act(house)
    view = await house.approvals.view(first)
    assert (view.eligible, view.asked_too) == ([BEN, CLEO, DORA], "an approver of tier 2 or higher")
    assert (await house.answer(first, by=CLEO)).decided
    assert (await house.answer(second, by=BEN)).decided


async def test_what_is_answered_is_not_reminded_of(house):
    approval_id = await house.asked(await house.caller())
    await house.answer(approval_id, by=BEN)
    await house.pass_time(timedelta(hours=3))
    await act(house)
    assert await called(house, approval_id) == []


async def test_the_chain_and_the_expiry_are_counted_in_business_hours(house):
    # Whatever the hour is now, the office opens at midnight of the day after tomorrow.
    [row] = await house.execute(
        """
        select extract(isodow from here)::int as today, date_trunc('day', here) + interval '2 days' - here as wait
        from (select core.now() at time zone 'UTC' as here) as clock
        """
    )
    day = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[(row["today"] + 1) % 7]
    house.rules = chained(approvals={"hours": {"days": [day], "from": "00:00", "to": "24:00", "zone": "UTC"}})
    approval_id = await house.asked(await house.caller())
    await house.pass_time(row["wait"])
    await act(house)
    assert await called(house, approval_id) == []
    assert (await house.approvals.view(approval_id)).state == "pending"
    await house.pass_time(timedelta(minutes=35))
    await act(house)
    assert await called(house, approval_id) == ["reminded"]
    await house.pass_time(timedelta(hours=4))
    await act(house)
    assert (await house.approvals.view(approval_id)).state == "expired"
