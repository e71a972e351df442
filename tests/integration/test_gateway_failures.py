"""However a call ends, or is cut off, the effect happened once, not at all, or somebody is asked."""

from datetime import timedelta

import pytest

from actions.attempts import LANDING
from actions.connector import EffectClass
from actions.gateway import ASK_AGAIN, ASK_AGAIN_AT_LAST, TRIES
from actions.outcome import Done, Failed, Parked
from tests.support.doors import approved, cut_after_commit, dies
from tests.support.ledger import (
    Died,
    Outside,
    Stalling,
    a_house,
)

pytest_plugins = ["tests.support.migrated"]

EVERY_CLASS = pytest.mark.parametrize("settles", list(EffectClass))


@pytest.fixture
def house(common_installation):
    return a_house(common_installation)


# -- failures of the other side -----------------------------------------------------------------------------------


async def test_a_definite_refusal_fails_the_effect_for_good(house):
    caller = await house.caller()
    house.outside.modes = ["rejected"]
    assert await house.refund(caller) == Failed("The card is closed.")
    assert await house.refund(caller) == Failed("The card is closed.")
    assert len(house.outside.sent) == 1


async def test_a_call_that_never_left_is_tried_again_under_the_same_key_and_approval(house):
    caller = await house.caller()
    approval_id = await approved(house, caller)
    house.outside.modes = ["unreachable", "unreachable"]
    assert isinstance(await house.refund(caller, "100 USD"), Done)
    assert await house.states(caller) == ["unsent", "unsent", "done"]
    assert {attempt["approval_id"] for attempt in await house.attempts(caller)} == {approval_id}
    assert len({sent.body for sent in house.outside.sent}) == 1


async def test_a_receiver_that_stays_away_parks_the_run_and_has_it_woken(house):
    caller = await house.caller()
    house.outside.modes = ["unreachable"] * TRIES
    parked = await house.refund(caller)
    assert isinstance(parked, Parked)
    assert parked.kind == "delivery"
    assert [at for run_id, at in house.woken if run_id == caller.run_id] == [house.clock.now() + ASK_AGAIN]
    assert isinstance(await house.refund(caller), Done)


async def test_a_receiver_that_stays_away_for_long_is_asked_less_often(house):
    caller = await house.caller()
    waited = []
    for away in (timedelta(0), timedelta(minutes=20), timedelta(days=2)):
        await house.pass_time(away)
        house.outside.modes = ["unreachable"] * TRIES
        assert isinstance(await house.refund(caller), Parked)
        waited.append(house.woken[-1][1] - house.clock.now())
    assert waited[0] == ASK_AGAIN
    assert timedelta(seconds=120) <= waited[1] < timedelta(seconds=125)
    assert waited[2] == ASK_AGAIN_AT_LAST


async def test_a_call_still_open_is_waited_for_and_its_receipt_ends_it(house):
    caller = await house.caller()
    house.outside.modes = ["open"]
    parked = await house.refund(caller)
    assert isinstance(parked, Parked)
    assert parked.kind == "delivery"
    async with house.database.transaction() as conn:
        await house.gateway.receipt_arrived(conn, house.outside.applied[0].key)
    assert (caller.run_id, None) in house.woken
    assert isinstance(await house.refund(await house.next_owner(caller)), Done)
    assert len(house.outside.applied) == 1


# -- crashes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["dies_before", "dies_after", "lost_unknown", "applied_unknown"])
async def test_with_a_key_whatever_was_cut_off_ends_in_one_effect(house, mode):
    caller = await house.caller()
    if mode.startswith("dies"):
        caller = await dies(house, caller, mode)
    house.outside.modes = [mode] if mode.endswith("unknown") else []
    assert isinstance(await house.refund(caller), Done)
    assert len(house.outside.applied) == 1
    assert await house.states(caller) == ["done"]
    assert len({sent.body for sent in house.outside.sent}) == 1


@pytest.mark.parametrize("mode", ["dies_before", "dies_after", "lost_unknown", "applied_unknown"])
async def test_without_a_key_the_receivers_own_record_decides_whether_to_send_again(common_installation, mode):
    house = a_house(common_installation, outside=Outside(settles=EffectClass.PROBEABLE))
    caller = await house.caller()
    if mode.startswith("dies"):
        caller = await dies(house, caller, mode)
    house.outside.modes = [mode] if mode.endswith("unknown") else []
    assert isinstance(await house.refund(caller), Done)
    assert len(house.outside.applied) == 1
    happened = mode in {"dies_after", "applied_unknown"}
    assert await house.states(caller) == (["done"] if happened else ["unsent", "done"])
    assert len(house.outside.looked_for) == 1


@pytest.mark.parametrize("mode", ["dies_before", "dies_after", "lost_unknown", "applied_unknown"])
async def test_where_only_a_person_can_tell_nothing_is_sent_again(common_installation, mode):
    house = a_house(common_installation, outside=Outside(settles=EffectClass.OPAQUE))
    caller = await house.caller()
    if mode.startswith("dies"):
        caller = await dies(house, caller, mode)
    house.outside.modes = [mode] if mode.endswith("unknown") else []
    for _ in range(3):
        parked = await house.refund(caller)
        assert isinstance(parked, Parked)
        assert parked.kind == "in_doubt"
    assert len(house.outside.sent) == 1
    assert (await house.intent(caller))["state"] == "in_doubt"
    assert (await house.events(caller)).count("effect.in_doubt") == 1


@EVERY_CLASS
async def test_a_crash_right_after_the_attempt_was_committed_is_settled_like_any_other(common_installation, settles):
    house = a_house(Stalling(common_installation), outside=Outside(settles=settles))
    caller = await house.caller()
    cut_after_commit(house)
    with pytest.raises(Died):
        await house.refund(caller)
    assert await house.states(caller) == ["executing"]
    outcome = await house.refund(await house.next_owner(caller))
    if settles is EffectClass.OPAQUE:
        assert isinstance(outcome, Parked)
        assert not house.outside.sent
    else:
        assert isinstance(outcome, Done)
        assert len(house.outside.applied) == 1


async def test_an_approved_effect_cut_off_before_it_was_sent_needs_no_second_approval(common_installation):
    house = a_house(common_installation, outside=Outside(settles=EffectClass.PROBEABLE))
    caller = await house.caller()
    approval_id = await approved(house, caller)
    caller = await dies(house, caller, "dies_before", "100 USD")
    assert isinstance(await house.refund(caller, "100 USD"), Done)
    assert [attempt["approval_id"] for attempt in await house.attempts(caller)] == [approval_id] * 2
    assert await house.approval_states(caller) == ["approved"]


async def test_a_request_that_may_still_land_is_waited_for_before_the_receiver_is_asked(common_installation):
    house = a_house(common_installation, outside=Outside(settles=EffectClass.PROBEABLE))
    caller = await dies(house, await house.caller(), "dies_before")
    before = house.clock.now()
    await house.refund(caller)
    assert house.clock.now() - before > house.outside.window / 2 + LANDING


async def test_a_receiver_that_cannot_say_leaves_the_effect_in_doubt_until_it_can(common_installation):
    house = a_house(common_installation, outside=Outside(settles=EffectClass.PROBEABLE, finding="inconclusive"))
    caller = await dies(house, await house.caller(), "dies_after")
    parked = await house.refund(caller)
    assert isinstance(parked, Parked)
    assert parked.kind == "in_doubt"
    assert (caller.run_id, house.clock.now() + ASK_AGAIN) in house.woken
    house.outside.finding = "answers"
    assert isinstance(await house.refund(caller), Done)
    assert len(house.outside.sent) == len(house.outside.applied) == 1
    assert await house.states(caller) == ["done"]


async def test_a_key_older_than_its_retention_is_not_relied_upon(common_installation):
    """The receiver has forgotten the key: sending again would refund twice."""
    outside = Outside(key_retention=timedelta(hours=24), forgets_keys=True)
    house = a_house(common_installation, outside=outside)
    caller = await dies(house, await house.caller(), "dies_after")
    await house.pass_time(timedelta(hours=25))
    assert isinstance(await house.refund(caller), Done)
    assert len(house.outside.sent) == len(house.outside.applied) == 1


async def test_a_refused_repetition_does_not_say_that_the_first_sending_failed(house):
    """Applied, then cut off; by now the receiver refuses everything, our secret was changed, say."""
    caller = await dies(house, await house.caller(), "dies_after")
    house.outside.modes = ["rejected"]
    assert isinstance(await house.refund(caller), Done)
    assert len(house.outside.applied) == 1


async def test_a_refused_repetition_of_what_never_arrived_fails_the_effect(house):
    caller = await dies(house, await house.caller(), "dies_before")
    house.outside.modes = ["rejected"]
    assert isinstance(await house.refund(caller), Failed)
    assert not house.outside.applied


async def test_a_refused_repetition_nobody_can_look_up_stays_in_doubt(house):
    caller = await dies(house, await house.caller(), "dies_after")
    house.outside.modes, house.outside.finding = ["rejected"], "inconclusive"
    parked = await house.refund(caller)
    assert isinstance(parked, Parked)
    assert parked.kind == "in_doubt"


async def test_a_repetition_never_carries_other_bytes_than_the_attempt_committed_to(house):
    """The new release writes the same record otherwise; the receiver's record settles it instead."""
    caller = await dies(house, await house.caller(), "dies_after")
    house.outside.spelling = "refund, second edition"
    assert isinstance(await house.refund(caller), Done)
    assert len(house.outside.sent) == 1


async def test_a_keyed_receiver_that_does_not_answer_the_repetition_is_asked_later(house):
    caller = await dies(house, await house.caller(), "dies_after")
    house.outside.modes = ["unreachable"]
    parked = await house.refund(caller)
    assert isinstance(parked, Parked)
    assert parked.kind == "in_doubt"
    assert isinstance(await house.refund(caller), Done)
    assert len(house.outside.applied) == 1
