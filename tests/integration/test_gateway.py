"""The one door: each effect happens once or somebody is asked, told by what the outside system itself remembers."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest
from pydantic import BaseModel

from actions.action import Call, Catalogue, Effect, action
from actions.approvals import Approvals
from actions.catalogue.payment_refund import Refund
from actions.connector import EffectClass, OutcomeUnknown
from actions.intent import Record
from actions.outcome import Done, Parked
from actions.policy import Verdict
from tests.support.company import BEN, CLEO
from tests.support.doors import approved, gateway_of, revisions, wakes_nobody
from tests.support.ledger import (
    ALLOW_SMALL,
    NOON,
    Outside,
    a_house,
    a_refund,
    rules_of,
)

pytest_plugins = ["tests.support.migrated"]


class Nothing(BaseModel):
    """No result worth keeping."""


class Invoice(BaseModel):
    """What a later release might want to know of a refund."""

    invoice: str


@action("payment.refund", connector="payments", effect=Effect.IRREVERSIBLE, summary="Refund {invoice}", version=2)
async def later_refund(args: Invoice, call: Call) -> Nothing:
    return Nothing()


@action("payment.refund", connector="payments", effect=Effect.IRREVERSIBLE, summary="Refund {order_id}")
async def greedy_refund(args: Refund, call: Call) -> Nothing:
    await call.send()
    await call.send()
    return Nothing()


@action("payment.refund", connector="payments", effect=Effect.IRREVERSIBLE, summary="Refund {order_id}")
async def stubborn_refund(args: Refund, call: Call) -> Nothing:
    with suppress(OutcomeUnknown):
        await call.send()
    await call.send()
    return Nothing()


@pytest.fixture
def house(common_installation):
    return a_house(common_installation)


# -- once ---------------------------------------------------------------------------------------------------------


async def test_what_policy_allows_happens_once_and_its_receipt_is_kept(house):
    caller = await house.caller()
    outcome = await house.refund(caller)
    assert isinstance(outcome, Done)
    assert outcome.result["refund_id"] == house.outside.applied[0].refund_id
    assert await house.states(caller) == ["done"]
    assert (await house.attempts(caller))[0]["receipt"] == outcome.result


async def test_asking_again_gives_the_stored_result_without_a_second_sending(house):
    caller = await house.caller()
    first = await house.refund(caller)
    assert [await house.refund(caller) for _ in range(3)] == [first] * 3
    assert len(house.outside.sent) == 1


@pytest.mark.parametrize("settles", [EffectClass.KEYED, EffectClass.PROBEABLE])
async def test_a_receiver_that_asks_to_wait_is_not_called_before_that_time(house, settles):
    house.outside.settles, house.outside.wait = settles, timedelta(seconds=90)
    house.outside.modes = ["unreachable"]
    caller = await house.caller()
    outcome = await house.refund(caller)
    assert isinstance(outcome, Parked)
    assert (outcome.kind, outcome.text) == ("delivery", "payments asks to wait 90 s; I ask it again then.")
    assert (len(house.outside.sent), house.woken[-1]) == (1, (caller.run_id, NOON + timedelta(seconds=90)))
    assert isinstance(await house.refund(caller), Done)
    assert await house.states(caller) == ["unsent", "done"]


async def test_another_step_and_another_run_are_other_effects(house):
    caller = await house.caller()
    await house.refund(caller)
    await house.refund(caller, step="second")
    await house.refund(await house.caller())
    assert len({each.key for each in house.outside.applied}) == 3


async def test_the_bytes_the_receiver_got_are_those_the_attempt_committed_to(house):
    caller = await house.caller()
    await approved(house, caller)
    await house.refund(caller, "100 USD")
    [attempt], [revision] = await house.attempts(caller), await revisions(house, caller)
    again = house.outside.request(Record.from_json(revision["record"]), revision["receiver_key"])
    assert house.outside.bodies == [attempt["request_sha256"]] == [again.sha256]
    assert Record.from_json(revision["record"]).digest() == revision["digest"]


async def test_every_effect_is_explained_from_wish_to_receipt(house):
    caller = await house.caller()
    await approved(house, caller)
    await house.refund(caller, "100 USD")
    wanted = ["run.started", "approval.asked", "approval.granted", "attempt.started", "effect.done"]
    assert await house.events(caller) == wanted


@pytest.mark.parametrize("settles", [EffectClass.KEYED, EffectClass.PROBEABLE])
async def test_eight_tasks_that_perform_the_same_step_make_one_effect_and_all_learn_of_it(common_installation, settles):
    house = a_house(common_installation, outside=Outside(settles=settles))
    caller = await house.caller()
    outcomes = await asyncio.gather(*(house.refund(caller) for _ in range(8)))
    assert len(house.outside.applied) == 1
    assert all(isinstance(outcome, Done) and outcome == outcomes[0] for outcome in outcomes)
    assert await house.states(caller) == ["done"]
    if settles is EffectClass.PROBEABLE:
        assert len(house.outside.sent) == 1


async def test_eight_tasks_that_wish_for_what_needs_a_person_ask_once(house):
    caller = await house.caller()
    outcomes = await asyncio.gather(*(house.refund(caller, "100 USD") for _ in range(8)))
    assert len({outcome.subject_id for outcome in outcomes}) == 1
    assert await house.approval_states(caller) == ["pending"]


# -- handlers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("declared", "ends"), [(greedy_refund, Done), (stubborn_refund, Parked)])
async def test_a_handler_that_sends_twice_has_sent_once(common_installation, declared, ends):
    """Once-only is the door's business, not the author's."""
    house = a_house(common_installation, outside=Outside(settles=EffectClass.OPAQUE))
    house.outside.modes = ["applied_unknown"] if ends is Parked else []
    gateway = gateway_of(house, {"payment.refund": declared}, rules=rules_of({**ALLOW_SMALL}))
    outcome = await gateway.perform("payment.refund", a_refund(), step="s", caller=await house.caller())
    assert isinstance(outcome, ends)
    assert len(house.outside.sent) == 1


async def test_preview_writes_nothing(house):
    caller = await house.caller()
    assert (
        await house.gateway.preview("payment.refund", a_refund("100 USD"), caller=caller)
    ).verdict is not Verdict.ALLOW
    assert not await house.has_wished(caller)


async def test_a_view_survives_a_release_whose_action_takes_other_arguments(house):
    """Old cards must be drawn from the stored record even where the action has moved on."""

    approval_id = await house.asked(await house.caller())
    later = Approvals(
        house.database,
        Catalogue({"payment.refund": later_refund}),
        lambda: house.rules,
        wake=wakes_nobody,
        metrics=house.metrics,
    )
    view = await later.view(approval_id)
    assert ("order id", "#W1") in view.fields
    assert approval_id in [each.approval_id for each in await later.waiting_for(CLEO)]


async def test_the_requester_of_the_run_is_on_whose_behalf_it_is_recorded(house):
    caller = await house.caller(requester=BEN)
    await house.refund(caller)
    [row] = await revisions(house, caller)
    assert row["record"]["on_behalf_of"] == BEN
