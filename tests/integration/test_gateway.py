"""The one door: each effect happens once or somebody is asked, told by what the outside system itself remembers."""

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from actions.action import Call, Catalogue, Effect, action
from actions.admission import ArgumentsChanged
from actions.approvals import Approvals
from actions.attempts import LANDING
from actions.catalogue.payment_refund import Refund
from actions.connector import EffectClass, OutcomeUnknown
from actions.gateway import ASK_AGAIN, TRIES, Gateway
from actions.intent import Origin, Record, TrustLabel
from actions.outcome import Agreed, Declined, Done, Failed, Parked
from actions.policy import Verdict
from core.db import DatabaseError, is_fenced
from graphs.run import RunStopped
from tests.support.company import ADA, BEN, CLEO
from tests.support.ledger import (
    ALLOW_SMALL,
    ENDORSED,
    NOON,
    Died,
    Outside,
    Stalling,
    a_house,
    a_refund,
    a_team,
    allow,
    ask,
    deny,
    rules_of,
    standing,
)

pytest_plugins = ["tests.support.migrated"]

UNTRUSTED = {**ENDORSED, "payment_method_id": Origin(TrustLabel.EXTERNAL)}
EVERY_CLASS = pytest.mark.parametrize("settles", list(EffectClass))


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


async def dies(house, caller, mode, amount="10 USD"):
    """The process ends in the middle of the call; what a new owner of the run then finds."""
    house.outside.modes = [mode]
    with pytest.raises(Died):
        await house.refund(caller, amount)
    return await house.next_owner(caller)


async def approved(house, caller, amount="100 USD", *, by=CLEO):
    approval_id = await house.asked(caller, amount)
    answer = await house.answer(approval_id, by=by)
    assert answer.decided, answer
    return approval_id


async def revisions(house, caller):
    return await house.execute(
        "select r.* from actions.revision r join actions.intent using (intent_id) where run_id = %s order by 2",
        caller.run_id,
    )


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


async def no_wake(*_: Any) -> None:
    """Nobody waits."""


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


# -- revisions ----------------------------------------------------------------------------------------------------


async def test_changed_arguments_make_a_new_revision_and_supersede_the_card(house):
    caller = await house.caller()
    old = await house.asked(caller, "100 USD")
    click = await house.click_on(old)
    new = await house.asked(caller, "120 USD")
    assert await house.approval_states(caller) == ["superseded", "pending"]
    assert (await house.intent(caller))["revision"] == 2
    answer = await house.approvals.decide(click, standing(CLEO))
    assert (answer.decided, answer.refusal) == (False, "already_decided")
    assert "newer card" in answer.text
    assert (await house.answer(new)).decided
    await house.refund(caller, "120 USD")
    assert [each.reply["refund"]["amount_minor"] for each in house.outside.applied] == [12000]


async def test_an_approval_of_the_first_revision_does_not_cover_the_second(house):
    caller = await house.caller()
    await approved(house, caller, "100 USD")
    await house.asked(caller, "120 USD")
    assert await house.approval_states(caller) == ["superseded", "pending"]
    assert not house.outside.sent


async def test_each_revision_has_a_receivers_key_of_its_own_that_never_changes(house):
    caller = await house.caller()
    for amount in ("100 USD", "120 USD", "100 USD"):
        await house.asked(caller, amount)
    rows = await revisions(house, caller)
    assert [row["revision"] for row in rows] == [1, 2]
    assert len({row["receiver_key"] for row in rows}) == 2


async def test_asking_with_an_earlier_revisions_arguments_gives_the_newest_outcome(house):
    caller = await house.caller()
    await house.asked(caller, "100 USD")
    await approved(house, caller, "120 USD")
    done = await house.refund(caller, "120 USD")
    assert isinstance(done, Done)
    assert await house.refund(caller, "100 USD") == done
    assert len(house.outside.applied) == 1


async def test_an_earlier_revisions_arguments_are_not_what_policy_judges(house):
    """Asked with the harmless first version, the door must still judge what it would send."""
    caller = await house.caller()
    house.outside.modes = ["unreachable"] * TRIES
    await house.refund(caller, "10 USD")
    await house.refund(caller, "120 USD")
    await house.answer(await house.asked(caller, "120 USD"))
    house.rules = rules_of(allow(), ask(), deny("110 USD"))
    outcome = await house.refund(caller, "10 USD")
    assert isinstance(outcome, Declined), "120 USD are denied by now, whatever was asked with"
    assert not house.outside.applied


async def test_an_earlier_revisions_origins_are_not_what_policy_judges(house):
    caller = await house.caller()
    house.rules = rules_of(allow("500 USD"))
    house.outside.modes = ["unreachable"] * (2 * TRIES)
    await house.refund(caller, "10 USD")
    await house.refund(caller, "20 USD")
    house.rules = rules_of(allow("15 USD"), ask("15 USD"))
    assert isinstance(await house.refund(caller, "10 USD"), Parked)
    assert not house.outside.applied


async def test_other_arguments_after_an_attempt_are_an_error(house):
    caller = await house.caller()
    await house.refund(caller, "10 USD")
    with pytest.raises(ArgumentsChanged, match="step of its own"):
        await house.refund(caller, "11 USD")
    assert len(house.outside.sent) == 1


@pytest.mark.parametrize("mode", ["ok", "dies_after"])
async def test_another_release_of_an_action_carries_on_with_what_was_begun(common_installation, mode):
    house = a_house(common_installation, outside=Outside(settles=EffectClass.PROBEABLE))
    caller = await house.caller()
    if mode == "ok":
        await house.refund(caller)
    else:
        caller = await dies(house, caller, mode)
        await house.pass_time(LANDING + house.outside.window)
    newer = replace(Catalogue.scan().get("payment.refund"), version=2)
    gateway = gateway_of(house, {"payment.refund": newer})
    outcome = await gateway.perform("payment.refund", a_refund("10 USD"), step="refund", caller=caller)
    assert isinstance(outcome, Done)
    assert len(house.outside.sent) == 1
    assert (await house.intent(caller))["revision"] == 1


@EVERY_CLASS
@pytest.mark.parametrize("mode", ["applied_contested", "contested"])
async def test_a_receiver_that_sees_a_conflict_is_asked_and_never_sent_to_again(common_installation, settles, mode):
    house = a_house(common_installation, outside=Outside(settles=settles))
    house.outside.modes = [mode]
    outcome = await house.refund(await house.caller())
    wanted = Parked if settles is EffectClass.OPAQUE else Done if mode == "applied_contested" else Failed
    assert isinstance(outcome, wanted)
    assert len(house.outside.sent) == 1


# -- policy at the attempt ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stricter",
    [ask(tier=3), ask(quorum=2), ask(role="admin"), ask(people=[BEN])],
    ids=["tier", "quorum", "role", "people"],
)
async def test_a_policy_that_asks_for_more_at_the_attempt_supersedes_the_approval(house, stricter):
    caller = await house.caller()
    await approved(house, caller)
    house.rules = rules_of(stricter, team=a_team())
    assert isinstance(await house.refund(caller, "100 USD"), Parked)
    assert await house.approval_states(caller) == ["superseded", "pending"]
    assert not house.outside.sent


async def test_a_policy_that_denies_at_the_attempt_stops_what_was_approved(house):
    caller = await house.caller()
    await approved(house, caller)
    house.rules = rules_of(deny("50 USD"))
    outcome = await house.refund(caller, "100 USD")
    assert isinstance(outcome, Declined)
    assert outcome.cause == "denied"
    assert not house.outside.sent


@pytest.mark.parametrize(
    ("asked", "now"),
    [
        (ask(tier=2), [allow("500 USD")]),
        (ask(tier=2), [ask(tier=1)]),
        (ask(people=[CLEO]), [ask()]),
        (ask(people=[CLEO]), [ask(people=[CLEO, BEN])]),
        (ask(), [ask()]),
    ],
    ids=["allow", "tier", "everybody", "one more", "the same"],
)
async def test_a_policy_that_asks_for_less_at_the_attempt_leaves_the_approval_in_force(house, asked, now):
    house.rules = rules_of(asked)
    caller = await house.caller()
    approval_id = await approved(house, caller)
    house.rules = rules_of(*now, version="v2")
    assert isinstance(await house.refund(caller, "100 USD"), Done)
    [attempt] = await house.attempts(caller)
    assert (attempt["approval_id"], attempt["policy_version"]) == (approval_id, "v2")


async def test_the_newest_revisions_approval_counts_even_when_the_clock_went_back(house):
    caller = await house.caller()
    await house.asked(caller, "100 USD")
    await house.pass_time(timedelta(minutes=-10))
    new = await house.asked(caller, "120 USD")
    assert (await house.answer(new)).decided
    assert isinstance(await house.refund(caller, "120 USD"), Done)


async def test_the_digest_is_checked_again_where_the_attempt_begins(house):
    caller = await house.caller()
    approval_id = await approved(house, caller)
    await house.execute("update actions.approval set digest = repeat('0', 64) where approval_id = %s", approval_id)
    with pytest.raises(Exception, match="other arguments"):
        await house.refund(caller, "100 USD")
    assert not house.outside.sent
    assert not await house.states(caller)


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


def cut_after_commit(house):
    def die():
        house.database.after_commit = lambda: None
        raise Died

    house.database.after_commit = die


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


# -- late processes -----------------------------------------------------------------------------------------------


def wall_clock_jumps(house):
    house.clock.set(house.clock.now() + timedelta(seconds=8))


def process_freezes(house):
    house.clock.advance(timedelta(seconds=8))


def only_monotonic_passes(house):
    at = house.clock.now()
    house.clock.advance(timedelta(seconds=8))
    house.clock.set(at)


@pytest.mark.parametrize("pause", [wall_clock_jumps, process_freezes, only_monotonic_passes])
async def test_a_process_paused_between_committing_and_sending_sends_nothing(common_installation, pause):
    house = a_house(Stalling(common_installation), outside=Outside(settles=EffectClass.PROBEABLE))
    caller = await house.caller()

    def once():
        house.database.after_commit = lambda: None
        pause(house)

    house.database.after_commit = once
    outcome = await house.refund(caller)
    assert await house.states(caller) == ["unsent", "done"]
    assert isinstance(outcome, Done)
    assert len(house.outside.sent) == 1


async def test_a_frozen_owner_that_wakes_after_its_successor_settled_sends_nothing_more(common_installation):
    """SIGSTOP right after the attempt was committed; the successor finds nothing there and sends; then SIGCONT."""
    house = a_house(Freezing(common_installation), outside=Outside(settles=EffectClass.PROBEABLE))
    caller = await house.caller()
    successor = a_house(common_installation, outside=house.outside)
    house.database.is_armed = True
    task = asyncio.create_task(house.refund(caller))
    async with asyncio.timeout(10):
        await house.database.frozen.wait()
    assert isinstance(await successor.refund(await house.next_owner(caller)), Done)
    house.clock.advance(timedelta(seconds=30))
    house.database.thaw.set()
    with pytest.raises(DatabaseError) as error:
        await task
    assert is_fenced(error.value)
    assert len(house.outside.sent) == 1


class Freezing(Stalling):
    """A database after whose next commit the process is stopped until the test lets it go on."""

    def __init__(self, database):
        super().__init__(database)
        self.frozen, self.thaw, self.is_armed = asyncio.Event(), asyncio.Event(), False

    @asynccontextmanager
    async def transaction(self):
        async with super().transaction() as conn:
            yield conn
        if self.is_armed:
            self.is_armed = False
            self.frozen.set()
            await self.thaw.wait()


async def test_an_owner_that_lost_the_run_begins_nothing(house):
    caller = await house.caller()
    await house.next_owner(caller)
    with pytest.raises(DatabaseError) as error:
        await house.refund(caller)
    assert is_fenced(error.value)
    assert not house.outside.sent
    assert not await house.has_wished(caller)


async def test_an_owner_that_lost_the_run_asks_nobody_and_takes_back_nothing(house):
    caller = await house.caller()
    await house.asked(caller)
    await house.next_owner(caller)
    for late in (house.refund(caller, "120 USD"), house.consent(caller, "120 USD")):
        with pytest.raises(DatabaseError) as error:
            await late
        assert is_fenced(error.value)
    assert await house.approval_states(caller) == ["pending"]


@pytest.mark.parametrize("mode", ["ok", "rejected", "unreachable", "lost_unknown"])
async def test_an_owner_that_lost_the_run_during_the_call_writes_nothing_about_it(house, mode):
    caller = await house.caller()
    house.outside.modes = [mode]
    original = house.outside.send

    async def send_while_fenced_off(outbound, *, timeout):
        await house.next_owner(caller)
        return await original(outbound, timeout=timeout)

    house.outside.send = send_while_fenced_off  # type: ignore[method-assign]
    with pytest.raises(DatabaseError) as error:
        await house.refund(caller)
    assert is_fenced(error.value)
    assert await house.states(caller) == ["executing"]
    assert (await house.intent(caller))["state"] == "executing"


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


def gateway_of(house, actions, *, connectors=None, rules=None):
    """Another gateway over the same ledger."""
    return Gateway(
        house.database,
        Catalogue(actions),
        {"payments": house.outside} if connectors is None else connectors,
        lambda: rules or house.rules,
        wake=no_wake,
        clock=house.clock,
        metrics=house.metrics,
    )


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
        wake=no_wake,
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
