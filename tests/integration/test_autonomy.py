"""Asking less is suggested from what people decided, granted by an admin, and over with the first trouble."""

from dataclasses import replace
from datetime import timedelta

import pytest

from actions.action import Call, Catalogue, Effect, action
from actions.approval import Click
from actions.catalogue.payment_refund import Refund, Refunded, refund_payment
from actions.grants import Grants
from actions.outcome import Done, Parked
from core.db import Database
from tests.support.company import ADA, BEN, CLEO
from tests.support.ledger import ENDORSED, TEAM, House, a_house, a_refund, allow, ask, rules_of, standing

pytest_plugins = ["tests.support.migrated"]

AUTONOMY = {"after": 5, "over": "7d", "up_to": "100 USD"}
RECHARGES = {"id": "recharge", "because": "It only takes back.", "action": "payment.recharge", "verdict": "allow"}


def reversible() -> Catalogue:
    """Refunds that another action takes back."""

    @action("payment.recharge", connector="payments", effect=Effect.IRREVERSIBLE, summary="Recharge {amount}")
    async def recharge(args: Refund, call: Call) -> Refunded:
        reply = await call.send()
        return Refunded(refund_id=reply["refund"]["refund_id"], amount=args.amount, payment_method_id="card_1")

    @refund_payment.compensation(recharge, within=timedelta(days=1))
    def take_back(args: Refund, done: Refunded) -> Refund:
        return args

    return Catalogue({each.name: each for each in (refund_payment, recharge)}, [take_back])


@pytest.fixture
def house(installation_database: Database) -> House:
    """A gateway whose policy lets people grant autonomy."""
    made = a_house(installation_database)
    made.rules = rules_of(allow("50 USD"), ask("50 USD"), autonomy=AUTONOMY)
    return made


@pytest.fixture
def grants(house: House) -> Grants:
    """The suggestions of that installation."""
    return Grants(house.database, lambda: house.rules)


async def test_plain_approvals_by_two_people_over_a_week_become_one_suggestion(house: House, grants: Grants) -> None:
    await say_yes(house, times=5)
    assert (await grants.look(), await grants.look()) == (1, 0)

    [view] = await grants.open()
    assert (view.state, view.approvals, view.people, str(view.band.up_to)) == ("suggested", 5, 2, "100.00 USD")
    assert isinstance(await house.refund(await house.caller(), "80 USD"), Parked)


async def test_nothing_is_suggested_where_the_policy_does_not_speak_of_it(house: House, grants: Grants) -> None:
    house.rules = rules_of(allow("50 USD"), ask("50 USD"))
    await say_yes(house, times=6)
    assert await grants.look() == 0


async def test_only_an_admin_grants_and_then_the_band_runs_alone_until_its_time_is_over(
    house: House, grants: Grants
) -> None:
    await say_yes(house, times=5)
    await grants.look()
    assert not (await press(grants, "grant", by=CLEO)).decided
    assert (await press(grants, "grant", by=ADA)).decided
    assert isinstance(await house.refund(await house.caller(), "80 USD"), Done)
    assert isinstance(await house.refund(await house.caller(), "100.01 USD"), Parked)

    await house.pass_time(timedelta(days=31))
    assert isinstance(await house.refund(await house.caller(), "80 USD"), Parked)


async def test_one_rejection_takes_it_back_at_once_and_what_was_before_counts_no_more(
    house: House, grants: Grants
) -> None:
    await say_yes(house, times=5)
    await grants.look()
    await press(grants, "grant", by=ADA)
    await house.answer(await house.asked(await house.caller(), "200 USD"), verdict="reject")

    assert isinstance(await house.refund(await house.caller(), "80 USD"), Parked)
    assert await grants.open() == []
    assert await grants.look() == 0
    assert "autonomy.taken_back" in await house.events()


async def test_what_is_taken_back_ends_it_for_the_action_that_had_done_it(
    installation_database: Database,
) -> None:
    house = a_house(installation_database, catalogue=reversible())
    house.rules = rules_of(allow("50 USD"), ask("50 USD"), RECHARGES, autonomy=AUTONOMY)
    grants = Grants(house.database, lambda: house.rules)
    await say_yes(house, times=5)
    await grants.look()
    await press(grants, "grant", by=ADA)
    done = await house.caller()
    assert isinstance(await house.refund(done, "80 USD"), Done)

    undoing = await house.caller()
    taking_back = replace(undoing, compensates=(await house.intent(done))["intent_id"], is_compensation=True)
    args, origins = a_refund("80 USD"), ENDORSED
    for _ in range(2):
        await house.gateway.perform("payment.recharge", args, step="comp", caller=taking_back, origins=origins)
    assert (await house.intent(done))["state"] == "compensated"
    assert await grants.open() == []
    assert (await house.events()).count("autonomy.taken_back") == 1
    assert isinstance(await house.refund(await house.caller(), "80 USD"), Parked)


async def test_an_admin_takes_it_back_and_a_second_press_changes_nothing(house: House, grants: Grants) -> None:
    await say_yes(house, times=5)
    await grants.look()
    [view] = await grants.open()
    await press(grants, "grant", by=ADA)
    assert (await press(grants, "take_back", by=ADA)).decided
    again = await grants.decide("grant", click(view.grant_id, ADA, "again"), standing(ADA))
    assert (again.decided, again.refusal) == (False, "already")
    assert isinstance(await house.refund(await house.caller(), "80 USD"), Parked)


async def say_yes(house: House, *, times: int) -> None:
    for number in range(times):
        approval_id = await house.asked(await house.caller(), "80 USD")
        await house.answer(approval_id, by=(BEN, CLEO)[number % 2])
        await house.pass_time(timedelta(days=2))


async def press(grants: Grants, what: str, *, by: str):
    [view] = await grants.open()
    return await grants.decide(what, click(view.grant_id, by, what), standing(by))


def click(grant_id: str, by: str, number: str) -> Click:
    return Click(grant_id, 0, "", "approve", by, TEAM, None, f"click-{grant_id}-{by}-{number}")
