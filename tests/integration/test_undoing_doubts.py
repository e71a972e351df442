"""Nothing is taken back of which nobody knows whether it happened, and no taking back is begun beside one in doubt."""

import pytest

from actions.connector import EffectClass
from actions.outcome import Parked
from graphs.run import RunState
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
