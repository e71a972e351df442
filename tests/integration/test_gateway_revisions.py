"""What ran is what was approved: other arguments, or stricter rules, ask again before anything begins."""

from dataclasses import replace
from datetime import timedelta

import pytest

from actions.action import Catalogue
from actions.admission import ArgumentsChanged
from actions.attempts import LANDING
from actions.connector import EffectClass
from actions.gateway import TRIES
from actions.outcome import Declined, Done, Failed, Parked
from tests.support.company import BEN, CLEO
from tests.support.doors import approved, dies, gateway_of, revisions
from tests.support.ledger import (
    PEOPLE,
    Outside,
    a_house,
    a_refund,
    a_team,
    allow,
    ask,
    deny,
    member,
    rules_of,
    standing,
)

pytest_plugins = ["tests.support.migrated"]

EVERY_CLASS = pytest.mark.parametrize("settles", list(EffectClass))


@pytest.fixture
def house(common_installation):
    return a_house(common_installation)


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


MORE = {**PEOPLE, "U0DORA": member("Dora", "approver", tier=2), "U0EVE": member("Eve", "approver", tier=2)}
GONE = {user: person for user, person in MORE.items() if user != CLEO}


@pytest.mark.parametrize("cleo", [None, member("Cleo", "approver", tier=1), member("Cleo", "requester")])
async def test_an_approval_by_somebody_who_could_not_give_it_any_more_is_asked_again(house, cleo):
    house.rules = rules_of(ask(tier=2), team=a_team(people=MORE))
    caller = await house.caller()
    await approved(house, caller)
    house.rules = rules_of(ask(tier=2), team=a_team(people=GONE if cleo is None else {**MORE, CLEO: cleo}))
    assert isinstance(await house.refund(caller, "100 USD"), Parked)
    assert await house.approval_states(caller) == ["superseded", "pending"]
    assert not house.outside.sent
    assert (await house.answer(await house.newest(caller), by="U0DORA")).decided
    assert isinstance(await house.refund(caller, "100 USD"), Done)


async def test_what_runs_alone_by_now_needs_nobody_who_once_approved_it(house):
    house.rules = rules_of(ask(tier=2), team=a_team(people=MORE))
    caller = await house.caller()
    await approved(house, caller)
    house.rules = rules_of(allow("500 USD"), team=a_team(people=GONE))
    assert isinstance(await house.refund(caller, "100 USD"), Done)


async def test_a_vote_of_somebody_who_has_left_since_is_not_counted(house):
    house.rules = rules_of(ask(tier=2, quorum=2), team=a_team(people=MORE))
    approval_id = await house.asked(await house.caller())
    assert (await house.answer(approval_id, by=CLEO)).state == "pending"
    house.rules = rules_of(ask(tier=2, quorum=2), team=a_team(people=GONE))
    answer = await house.answer(approval_id, by="U0DORA")
    assert (answer.state, "1 of 2" in answer.text) == ("pending", True)
    assert (await house.answer(approval_id, by="U0EVE")).state == "approved"


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
