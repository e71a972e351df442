"""What an action reads again right before it is sent: a state that has gone sends nothing, whatever was approved."""

import pytest
from pydantic import BaseModel

from actions.action import Call, Catalogue, Effect, action
from actions.catalogue.payment_refund import Refund
from actions.connector import EffectClass
from actions.gateway import Gateway
from actions.ground import Ground
from actions.outcome import Declined, Done, Parked
from actions.records import RecordsUnavailable
from tests.support.ledger import ENDORSED, Outside, a_house, a_refund

pytest_plugins = ["tests.support.migrated"]


class Nothing(BaseModel):
    """No result worth keeping."""


class Shelf:
    """Records that say what the test wants."""

    def __init__(self):
        self.says = ""
        self.asked = 0


def gateway_of(house, shelf, *, ground=True):
    """A gateway whose one action looks at the shelf first."""

    @action(
        "payment.refund", connector="payments", effect=Effect.IRREVERSIBLE, summary="Refund {order_id}", amount="amount"
    )
    async def careful_refund(args: Refund, call: Call) -> Nothing:
        await call.send()
        return Nothing()

    @careful_refund.precheck
    async def look(args: Refund, ground: Ground) -> str:
        shelf.asked += 1
        if shelf.says == "away":
            raise RecordsUnavailable("The shop does not answer.")
        return shelf.says

    async def wake(*_):
        return None

    return Gateway(
        house.database,
        Catalogue({"payment.refund": careful_refund}),
        {"payments": house.outside},
        lambda: house.rules,
        wake=wake,
        clock=house.clock,
        metrics=house.metrics,
        ground=Ground(shelf, lambda: house.rules.rulebook) if ground else None,
    )


async def refund(gateway, caller, amount="10 USD"):
    return await gateway.perform("payment.refund", a_refund(amount), step="refund", caller=caller, origins=ENDORSED)


async def test_a_state_that_has_gone_declines_for_good_with_its_sentence_and_sends_nothing(common_installation):
    house, shelf = a_house(common_installation), Shelf()
    gateway, caller = gateway_of(house, shelf), await house.caller()
    shelf.says = "The order has been put in return meanwhile."
    outcome = await refund(gateway, caller)
    assert outcome == Declined("precheck", "The order has been put in return meanwhile.")
    shelf.says = ""
    assert await refund(gateway, caller) == outcome
    assert not house.outside.sent
    assert await house.states(caller) == ["unsent"]
    assert (await house.events(caller))[-1] == "precheck.failed"


async def test_it_is_read_after_the_approval_and_not_when_people_are_asked(common_installation):
    house, shelf = a_house(common_installation), Shelf()
    gateway, caller = gateway_of(house, shelf), await house.caller()
    parked = await refund(gateway, caller, "100 USD")
    assert isinstance(parked, Parked)
    assert shelf.asked == 0
    await house.answer(parked.subject_id)
    shelf.says = "Gone."
    assert isinstance(await refund(gateway, caller, "100 USD"), Declined)
    assert not house.outside.sent


@pytest.mark.parametrize("ground", [True, False])
async def test_records_that_cannot_be_read_send_nothing_and_are_tried_again(common_installation, ground):
    house, shelf = a_house(common_installation), Shelf()
    caller, shelf.says = await house.caller(), "away"
    assert isinstance(await refund(gateway_of(house, shelf, ground=ground), caller), Parked)
    assert not house.outside.sent
    shelf.says = ""
    assert isinstance(await refund(gateway_of(house, shelf), caller), Done)
    assert len(house.outside.applied) == 1


async def test_what_our_own_late_first_sending_has_changed_is_found_and_not_declined(common_installation):
    house = a_house(common_installation, outside=Outside(settles=EffectClass.PROBEABLE))
    shelf, caller = Shelf(), await house.caller()
    house.outside.modes = ["lost_unknown"]
    original = house.outside.find

    async def not_there_yet(record, receiver_key):
        found = await original(record, receiver_key)
        house.outside._apply(house.outside.sent[0])
        shelf.says, house.outside.find = "The order has been put in return meanwhile.", original
        return found

    house.outside.find = not_there_yet
    assert isinstance(await refund(gateway_of(house, shelf), caller), Done)
    assert len(house.outside.sent) == len(house.outside.applied) == 1
