"""What needs a person is asked once, what never runs is told why, and nothing of either is sent."""

from datetime import timedelta

import pytest

from actions.action import Catalogue
from actions.intent import Origin, TrustLabel
from actions.outcome import Agreed, Declined, Done, Parked
from actions.policy import Verdict
from graphs.run import RunStopped
from tests.support.company import ADA, CLEO
from tests.support.doors import approved, gateway_of
from tests.support.ledger import (
    ENDORSED,
    a_house,
    a_refund,
    allow,
    ask,
    deny,
    rules_of,
)

pytest_plugins = ["tests.support.migrated"]

UNTRUSTED = {**ENDORSED, "payment_method_id": Origin(TrustLabel.EXTERNAL)}


@pytest.fixture
def house(common_installation):
    return a_house(common_installation)


# -- asking -------------------------------------------------------------------------------------------------------


async def test_what_needs_a_person_is_asked_once_and_nothing_is_sent(house):
    caller = await house.caller()
    approval_id = await house.asked(caller)
    assert await house.asked(caller) == approval_id
    assert not house.outside.sent
    cards = await house.execute("select channel from core.card where subject_id = %s", approval_id)
    assert cards == [{"channel": "C0RETURNS"}]


async def test_a_policy_with_an_approvals_channel_shows_the_card_there_too(house):
    house.rules = rules_of(ask(), approvals={"channel": "C0APPROVALS"})
    approval_id = await house.asked(await house.caller())
    cards = await house.execute("select channel from core.card where subject_id = %s order by channel", approval_id)
    assert [card["channel"] for card in cards] == ["C0APPROVALS", "C0RETURNS"]


async def test_an_approved_effect_happens_once_under_that_approval(house):
    caller = await house.caller()
    approval_id = await approved(house, caller)
    assert isinstance(await house.refund(caller, "100 USD"), Done)
    assert isinstance(await house.refund(caller, "100 USD"), Done)
    assert [attempt["approval_id"] for attempt in await house.attempts(caller)] == [approval_id]
    assert len(house.outside.sent) == 1


async def test_a_rejection_is_told_with_its_reason_and_who_gave_it(house):
    caller = await house.caller()
    await house.answer(await house.asked(caller), verdict="reject", reason="not broken")
    outcome = await house.refund(caller, "100 USD")
    assert isinstance(outcome, Declined)
    assert outcome.cause == "rejected"
    assert "not broken" in outcome.text
    assert CLEO in outcome.text


async def test_an_expired_approval_is_told_as_expired_and_not_as_a_rejection(house):
    caller = await house.caller()
    await house.asked(caller)
    await house.pass_time(timedelta(hours=5))
    assert await house.approvals.expire_due() >= 1
    waits = await house.refund(caller, "100 USD")
    assert isinstance(waits, Parked)
    assert "nobody decided in time" in waits.text
    await house.pass_time(timedelta(days=7))
    await house.approvals.act_due()
    outcome = await house.refund(caller, "100 USD")
    assert isinstance(outcome, Declined)
    assert outcome.cause == "expired"
    assert "not a rejection" in outcome.text


async def test_a_stopped_run_is_told_that_it_was_cancelled(house):
    caller = await house.caller()
    approval_id = await house.asked(caller)
    async with house.database.transaction() as conn:
        await house.gateway.cancel_run(conn, caller.run_id)
    outcome = await house.refund(caller, "100 USD")
    assert isinstance(outcome, Declined)
    assert outcome.cause == "cancelled"
    assert (await house.answer(approval_id)).refusal == "already_decided"


async def test_stopping_a_run_takes_back_an_approved_wish_that_was_not_begun_and_leaves_what_was_sent(house):
    caller = await house.caller()
    done = await house.refund(caller, step="first")
    await approved(house, caller)
    async with house.database.transaction() as conn:
        await house.gateway.cancel_run(conn, caller.run_id)
    assert isinstance(await house.refund(caller, "100 USD"), Declined)
    assert await house.refund(caller, step="first") == done
    assert len(house.outside.sent) == 1


@pytest.mark.parametrize("answer", ["pending", "approve", "reject"])
async def test_consent_says_how_it_stands_and_never_sends(house, answer):
    caller = await house.caller()
    parked = await house.consent(caller, "100 USD")
    assert isinstance(parked, Parked)
    if answer != "pending":
        await house.answer(parked.subject_id, verdict=answer)
    now = await house.consent(caller, "100 USD")
    assert isinstance(now, {"pending": Parked, "approve": Agreed, "reject": Declined}[answer])
    assert isinstance(await house.consent(await house.caller(), "10 USD"), Agreed)
    assert not house.outside.sent
    assert not await house.states(caller)


async def test_a_run_that_waits_for_an_approval_may_go_on_only_when_it_is_decided(house):
    approval_id = await house.asked(await house.caller())
    assert not await house.gateway.is_settled("approval", approval_id)
    await house.answer(approval_id, verdict="reject")
    assert await house.gateway.is_settled("approval", approval_id)
    assert not await house.gateway.is_settled("approval", "apr_never_asked")


# -- what never runs ----------------------------------------------------------------------------------------------


async def test_what_policy_denies_is_declined_for_good_and_audited(house):
    house.rules = rules_of(allow("500 USD"), deny("200 USD"))
    caller = await house.caller()
    outcome = await house.refund(caller, "300 USD")
    assert isinstance(outcome, Declined)
    assert outcome.cause == "denied"
    assert "Huge" in outcome.text
    house.rules = rules_of(allow("500 USD"))
    assert await house.refund(caller, "300 USD") == outcome
    assert not house.outside.sent
    assert (await house.events(caller))[-1] == "effect.denied"


async def test_an_action_that_nobody_registered_is_declined_and_says_so(house):
    caller = await house.caller()
    outcome = await house.gateway.perform("payment.steal", a_refund(), step="s", caller=caller)
    assert isinstance(outcome, Declined)
    assert "payment.steal" in outcome.text
    assert isinstance(await house.gateway.consent("payment.steal", a_refund(), step="s", caller=caller), Declined)
    decision = await house.gateway.preview("payment.steal", a_refund(), caller=caller)
    assert decision.verdict is Verdict.DENY
    assert "payment.steal" in decision.reasons[0]


async def test_an_action_whose_connector_is_missing_is_declined_and_says_so(house):
    caller = await house.caller()
    gateway = gateway_of(house, {"payment.refund": Catalogue.scan().get("payment.refund")}, connectors={})
    outcome = await gateway.perform("payment.refund", a_refund(), step="s", caller=caller)
    assert isinstance(outcome, Declined)
    assert "payments" in outcome.text
    assert not gateway.only_pretends(["payment.refund"])


async def test_no_policy_rule_at_all_waits_for_an_admin(house):
    house.rules = rules_of()
    approval_id = await house.asked(await house.caller(), "1 USD")
    assert (await house.answer(approval_id, by=CLEO)).refusal == "not_entitled"
    assert (await house.answer(approval_id, by=ADA)).decided


async def test_a_small_refund_to_a_destination_that_untrusted_text_chose_waits(house):
    caller = await house.caller()
    approval_id = await house.asked(caller, "1 USD", origins=UNTRUSTED)
    view = await house.approvals.view(approval_id)
    assert view.rule == "built-in:untrusted"


@pytest.mark.parametrize("missing", ["order_id", "amount", "payment_method_id"])
async def test_a_guarded_argument_of_unknown_origin_waits(house, missing):
    known = {name: origin for name, origin in ENDORSED.items() if name != missing}
    assert isinstance(await house.refund(await house.caller(), "1 USD", origins=known), Parked)


async def test_an_endorsed_destination_runs_alone_and_an_approval_shows_the_endorsement(house):
    endorsed = {**ENDORSED, "payment_method_id": Origin(TrustLabel.EXTERNAL, endorsed_by="on order #W1")}
    caller = await house.caller()
    assert isinstance(await house.refund(caller, "1 USD", origins=endorsed), Done)
    view = await house.approvals.view(await house.asked(await house.caller(), "100 USD", origins=endorsed))
    assert "Payment method: on order #W1" in view.evidence


async def test_a_record_the_other_side_cannot_express_is_declined_before_anything_is_sent(house):
    caller = await house.caller()
    outcome = await house.refund(caller, payment_method_id="gift_card")
    assert isinstance(outcome, Declined)
    assert outcome.cause == "denied"
    assert not house.outside.sent


async def test_a_run_told_to_stop_begins_nothing_new_and_leaves_no_trace(house):
    caller = await house.caller()
    await house.execute("update graphs.run set stop_requested = true where run_id = %s", caller.run_id)
    with pytest.raises(RunStopped):
        await house.refund(caller)
    assert not house.outside.sent
    assert not await house.has_wished(caller)
