"""Bad input at the door: a clear sentence, an audit event, and nothing executed."""

from collections.abc import Callable
from typing import Any

import pytest

from actions.catalogue.payment_refund import Refund
from actions.gateway import Gateway
from actions.outcome import Declined, Parked
from actions.policy import Verdict
from core.db import DatabaseError
from core.money import Money
from tests.support.ledger import ENDORSED, House, a_house, a_refund

pytest_plugins = ["tests.support.migrated"]


@pytest.fixture
def house(common_installation):
    return a_house(common_installation)


def refund_of(**changes: Any) -> Refund:
    """A refund whose arguments nobody validated."""
    fine = a_refund()
    return Refund.model_construct(**{**{name: getattr(fine, name) for name in Refund.model_fields}, **changes})


BAD: dict[str, tuple[str, Callable[[], Any], str]] = {
    "an unknown action": ("payment.steal", a_refund, "Nobody registered an action called payment.steal"),
    "an amount of zero": ("payment.refund", lambda: refund_of(amount=Money(0, "USD")), "must be above zero"),
    "a negative amount": ("payment.refund", lambda: refund_of(amount=Money(-500, "USD")), "must be above zero"),
    "no currency": ("payment.refund", lambda: refund_of(amount=Money(500, "dollars")), "amount"),
    "an oversized argument": ("payment.refund", lambda: refund_of(reason="x" * 501), "reason"),
    "an empty target": ("payment.refund", lambda: refund_of(order_id=""), "order_id"),
    "another action's arguments": ("order.update", a_refund, "goes through shop, which is not set up"),
    "a character that cannot be stored": ("payment.refund", lambda: refund_of(reason="a\0b"), "NUL"),
}


async def refused_events(house: House, run_id: str) -> list[dict[str, Any]]:
    return await house.execute(
        "select subject, detail from core.audit where event = 'effect.denied' and subject ->> 'run_id' = %s", run_id
    )


@pytest.mark.parametrize("kind", BAD)
async def test_bad_input_is_refused_with_a_sentence_audited_once_and_never_sent(house, kind):
    name, make, says = BAD[kind]
    caller = await house.caller()
    for _ in range(2):
        for ask in (house.gateway.consent, house.gateway.perform):
            refused = await ask(name, make(), step="s", caller=caller, origins=ENDORSED)
            assert isinstance(refused, Declined)
            assert (refused.cause, says in refused.text) == ("denied", True), refused.text
    [event] = await refused_events(house, caller.run_id)
    assert event["subject"] == {"run_id": caller.run_id, "step": "s", "action": name}
    assert not await house.has_wished(caller)
    assert house.outside.sent == []
    decision = await house.gateway.preview(name, make(), caller=caller)
    assert (decision.verdict, says in decision.reasons[0]) == (Verdict.DENY, True)


async def test_a_connector_without_its_secret_registers_nothing_and_the_secret_is_named(house):
    gateway = Gateway(
        house.database,
        house.gateway._wishes.catalogue,
        {},
        lambda: house.rules,
        wake=house.gateway._wake,
        clock=house.clock,
        metrics=house.metrics,
        missing={"payments": "STRIPE_API_KEY"},
    )
    caller = await house.caller()
    refused = await gateway.perform("payment.refund", a_refund(), step="s", caller=caller, origins=ENDORSED)
    assert refused == Declined(
        "denied",
        "payment.refund cannot run here: it goes through payments, whose secret STRIPE_API_KEY is missing."
        " Provide it and start again.",
    )
    assert len(await refused_events(house, caller.run_id)) == 1
    assert not await house.has_wished(caller)


async def test_a_currency_that_nobody_can_convert_never_runs_alone_and_is_named(house):
    caller = await house.caller()
    waits = await house.refund(caller, "5 XTS")
    assert isinstance(waits, Parked)
    view = await house.approvals.view(waits.subject_id)
    assert "XTS" in " ".join(view.reasons)
    assert house.outside.sent == []
    assert (await house.events(caller))[-1] == "approval.asked"


async def test_who_has_lost_the_run_refuses_nothing_in_its_name(house):
    caller = await house.caller()
    await house.next_owner(caller)
    with pytest.raises(DatabaseError, match="newer"):
        await house.gateway.perform("payment.steal", a_refund(), step="s", caller=caller)
    assert await refused_events(house, caller.run_id) == []
