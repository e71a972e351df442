"""What an effect will change is shown before anybody agrees, from trusted records, and keeps nobody from deciding."""

import asyncio
from dataclasses import replace

import pytest
from pydantic import BaseModel

from actions.action import Call, Catalogue, Effect, action
from actions.catalogue.payment_refund import Refund
from actions.gateway import Gateway
from actions.ground import Ground
from actions.outcome import Parked, Rehearsed
from actions.preview import AWAY, Preview
from actions.records import RecordsUnavailable
from bot.slack.blocks.approval_card import approval_card
from tests.support.cards import shown
from tests.support.ledger import ENDORSED, a_house, a_refund

pytest_plugins = ["tests.support.migrated"]


class Nothing(BaseModel):
    """No result worth keeping."""


class Shelf:
    """Records that say what the test wants."""

    def __init__(self):
        self.fails = None
        self.asked = 0


@pytest.fixture
def house(common_installation):
    return a_house(common_installation)


@pytest.fixture
def shelf():
    return Shelf()


def gateway_of(house, shelf, *, ground=True):
    """A gateway whose one action can tell what it changes."""

    @action(
        "payment.refund", connector="payments", effect=Effect.IRREVERSIBLE, summary="Refund {order_id}", amount="amount"
    )
    async def telling_refund(args: Refund, call: Call) -> Nothing:
        await call.send()
        return Nothing()

    @telling_refund.preview
    async def look(args: Refund, ground: Ground) -> list[tuple[str, str, str]]:
        shelf.asked += 1
        if shelf.fails == "hangs":
            await asyncio.sleep(60)
        if shelf.fails == "is broken":
            raise AttributeError("an action's own mistake")
        if shelf.fails:
            raise RecordsUnavailable("The shop does not answer.")
        return [("given back", "0.00 USD", str(args.amount))]

    async def wake(*_):
        return None

    return Gateway(
        house.database,
        Catalogue({"payment.refund": telling_refund}),
        {"payments": house.outside},
        lambda: house.rules,
        wake=wake,
        clock=house.clock,
        metrics=house.metrics,
        ground=Ground(shelf, lambda: house.rules.rulebook) if ground else None,
    )


async def refund(gateway, caller, amount="100 USD"):
    return await gateway.perform("payment.refund", a_refund(amount), step="refund", caller=caller, origins=ENDORSED)


CHANGES = Preview((("given back", "0.00 USD", "100.00 USD"),))


async def test_the_card_shows_before_and_after_as_they_stood_when_it_was_asked_and_they_are_read_once(house, shelf):
    gateway, caller = gateway_of(house, shelf), await house.caller()
    for _ in range(3):
        await gateway.consent("payment.refund", a_refund("100 USD"), step="refund", caller=caller, origins=ENDORSED)
    outcome = await refund(gateway, caller)
    assert isinstance(outcome, Parked)
    view = await house.approvals.view(outcome.subject_id)
    assert view.preview == CHANGES
    card = approval_card(view)
    assert "Given back: 0.00 USD → 100.00 USD" in shown(card)
    assert "What changes: Given back 0.00 USD → 100.00 USD" in card.text
    assert shelf.asked == 1


@pytest.mark.parametrize("fails", ["away", "hangs", "is broken", "no ground"])
async def test_records_that_are_away_are_said_on_the_card_and_keep_nobody_from_approving(
    house, shelf, fails, monkeypatch
):
    monkeypatch.setattr("actions.preview._SECONDS", 0.05)
    shelf.fails = fails
    gateway, caller = gateway_of(house, shelf, ground=fails != "no ground"), await house.caller()
    outcome = await refund(gateway, caller)
    assert isinstance(outcome, Parked)
    view = await house.approvals.view(outcome.subject_id)
    assert view.preview == Preview(away=AWAY)
    assert AWAY in shown(approval_card(view))
    assert (await house.answer(outcome.subject_id)).decided


async def test_a_dry_run_has_it_beside_the_payload(house, shelf):
    caller = replace(await house.caller(), dry=True)
    gateway = gateway_of(house, shelf)
    for _ in range(2):
        found = await refund(gateway, caller)
        assert isinstance(found, Rehearsed)
        assert Preview.from_json(found.preview) == CHANGES
    assert shelf.asked == 1
