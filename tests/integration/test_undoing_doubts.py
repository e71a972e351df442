"""Nothing is taken back of which nobody knows whether it happened, and no taking back is begun beside one in doubt."""

from datetime import timedelta

import pytest

from actions.connector import EffectClass
from actions.intent import IntentKey
from actions.outcome import Declined, Done, Parked
from graphs.run import RunState
from tests.support.ledger import a_house
from tests.support.taking_back import Yard

pytest_plugins = ["tests.support.migrated"]


@pytest.fixture(params=[EffectClass.KEYED, EffectClass.PROBEABLE])
def yard(request, common_installation):
    """A yard beside a shop of either class."""
    return Yard(common_installation, request.param)


async def test_what_is_in_doubt_is_settled_before_it_is_taken_back(yard):
    yard.shop.loses = 1
    run_id, outcome = await yard.returned()
    assert isinstance(outcome, Parked)
    undo_id = await yard.undo(run_id)
    assert await yard.stands(undo_id) == (RunState.WAITING, ["in_doubt"])
    assert await yard.intents(run_id) == {"order.update": "in_doubt"}
    yard.shop.is_away = False
    await yard.go_on(undo_id)
    assert await yard.stands(undo_id) == (RunState.DONE, ["undone"])
    assert yard.shop.times("order.restore") == 1
    assert await yard.intents(run_id) == {"order.update": "compensated"}


async def test_what_never_reached_the_shop_is_not_taken_back(yard):
    yard.shop.is_away = True
    run_id, _ = await yard.returned()
    undo_id = await yard.undo(run_id)
    assert await yard.stands(undo_id) == (RunState.WAITING, ["in_doubt"])
    yard.shop.is_away = False
    await yard.go_on(undo_id)
    assert await yard.stands(undo_id) == (RunState.DONE, ["skipped"])
    assert yard.shop.applied == []


async def test_a_taking_back_that_was_stopped_in_doubt_is_settled_and_not_begun_beside_it(yard):
    run_id, _ = await yard.returned()
    yard.shop.loses = 1
    first = await yard.undo(run_id)
    assert await yard.stands(first) == (RunState.WAITING, ["in_doubt"])
    await yard.stop(first)
    assert (await yard.stands(first))[0] is RunState.STOPPED
    again = await yard.undo(run_id)
    assert (await yard.stands(again))[0] is RunState.WAITING
    assert await yard.intents(run_id) == {"order.update": "done"}
    yard.shop.is_away = False
    await yard.go_on(again)
    assert await yard.stands(again) == (RunState.DONE, ["undone"])
    assert yard.shop.times("order.restore") == 1
    assert await yard.intents(run_id) == {"order.update": "compensated"}


async def test_what_only_a_person_can_settle_is_asked_about_and_never_taken_back_meanwhile(common_installation):
    yard = Yard(common_installation, EffectClass.OPAQUE)
    yard.shop.loses = 1
    run_id, _ = await yard.returned()
    yard.shop.is_away = False
    undo_id = await yard.undo(run_id)
    for _ in range(2):
        assert await yard.stands(undo_id) == (RunState.WAITING, ["in_doubt"])
        await yard.go_on(undo_id)
    assert yard.shop.times("order.restore") == 0
    assert await yard.doubts_of(run_id) == ["open"]


async def test_what_nothing_here_can_look_up_waits_until_its_connector_is_back(yard):
    yard.shop.loses = 1
    run_id, _ = await yard.returned()
    yard.shop.is_away = False
    shop = yard.connectors.pop("shop")
    undo_id = await yard.undo(run_id)
    assert await yard.stands(undo_id) == (RunState.WAITING, ["in_doubt"])
    yard.connectors["shop"] = shop
    await yard.go_on(undo_id)
    assert await yard.stands(undo_id) == (RunState.DONE, ["undone"])


@pytest.mark.parametrize(("days", "ends"), [(29, "undone"), (31, "by_hand")])
async def test_what_may_be_taken_back_for_a_month_is_for_a_person_afterwards(yard, days, ends):
    run_id, _ = await yard.returned()
    await yard.pass_time(timedelta(days=days))
    undo_id = await yard.undo(run_id)
    state, steps = await yard.stands(undo_id)
    assert steps == [ends]
    assert state is (RunState.DONE if ends == "undone" else RunState.NEEDS_PERSON)
    assert yard.shop.times("order.restore") == (ends == "undone")


async def test_what_was_taken_back_is_not_taken_back_again(yard):
    run_id, _ = await yard.returned()
    assert isinstance(await yard.taken_back_beside(run_id), Done)
    again = await yard.taken_back_beside(run_id)
    assert isinstance(again, Declined)
    assert again.cause == "not_there"
    assert "was taken back before" in again.text
    assert yard.shop.times("order.restore") == 1


async def test_what_was_asked_and_never_begun_never_happened_and_what_is_done_is_told_as_it_ended(common_installation):
    house = a_house(common_installation)
    asked, done = await house.caller(), await house.caller()
    await house.asked(asked)
    never = await house.gateway.settle(IntentKey(asked.run_id, "refund"), asked)
    assert isinstance(never, Declined)
    assert never.cause == "never_happened"
    ended = await house.refund(done)
    assert isinstance(ended, Done)
    assert await house.gateway.settle(IntentKey(done.run_id, "refund"), done) == ended
