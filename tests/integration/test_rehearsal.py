"""A dry wish at the one door: judged like a live one, written down with its bytes, and never asked or sent."""

import asyncio
import hashlib
import json
from dataclasses import replace

import pytest

from actions.intent import Record
from actions.outcome import Agreed, Declined, Done, Rehearsed
from core.clock import SystemClock
from core.db import DatabaseError
from core.ids import new_run_id
from core.outbox import Conversation
from graphs.prediction import pasts_of
from graphs.rehearsing import promote
from graphs.run import Request
from graphs.store import RunStore
from tests.support.company import RITA
from tests.support.ledger import TEAM, a_house, allow, ask, deny, rules_of
from tests.support.splitting import a_limit
from tests.support.switching import a_switch, press

pytest_plugins = ["tests.support.migrated"]


@pytest.fixture
def house(common_installation):
    return a_house(common_installation)


@pytest.fixture
def own_house(installation_database):
    return a_house(installation_database)


async def dry_caller(house):
    return replace(await house.caller(), dry=True)


async def test_a_dry_wish_is_written_down_with_the_bytes_of_its_record_and_nothing_is_sent(house):
    caller = await dry_caller(house)
    found = await house.refund(caller, "10 USD")
    assert isinstance(found, Rehearsed)
    assert (found.verdict, found.method, found.path) == ("allow", "POST", "/refunds")
    assert "without asking" in found.text
    [revision] = await house.execute(
        "select r.* from actions.revision r join actions.intent using (intent_id) where run_id = %s", caller.run_id
    )
    outbound = house.outside.request(Record.from_json(revision["record"]), revision["receiver_key"])
    assert found.body.encode() == outbound.body
    assert found.request_sha256 == hashlib.sha256(found.body.encode()).hexdigest()
    assert found.digest == revision["digest"]
    assert (await house.intent(caller))["state"] == "rehearsed"
    assert (house.outside.sent, await house.attempts(caller)) == ([], [])
    assert (await house.events(caller))[-1] == "effect.rehearsed"


async def test_what_waits_for_people_names_them_and_asks_nobody(house):
    caller = await dry_caller(house)
    assert await house.consent(caller, "100 USD") == Agreed()
    found = await house.refund(caller, "100 USD")
    assert isinstance(found, Rehearsed)
    assert found.verdict == "require_approval"
    assert "would wait for an approver" in found.text
    assert await house.approval_states(caller) == []
    assert house.outside.sent == []


async def test_the_digest_is_the_live_one_and_the_bytes_differ_by_the_key_alone(house):
    found = await house.refund(await dry_caller(house), "10 USD")
    live = await house.caller()
    assert isinstance(await house.refund(live, "10 USD"), Done)
    assert (
        found.digest
        == (
            await house.execute(
                "select digest from actions.revision join actions.intent using (intent_id) where run_id = %s",
                live.run_id,
            )
        )[0]["digest"]
    )
    assert without_key(found.body) == without_key(house.outside.sent[0].body.decode())


def without_key(body):
    return {name: value for name, value in json.loads(body).items() if name != "key"}


async def test_what_policy_or_the_connector_refuses_is_refused_in_a_dry_run_for_the_same_cause(house):
    house.rules = rules_of(allow(), ask(), deny("1000 USD"))
    for amount, changes in (("2000 USD", {}), ("10 USD", {"payment_method_id": "gift_card"})):
        dry = await house.refund(await dry_caller(house), amount, **changes)
        live = await house.refund(await house.caller(), amount, **changes)
        assert isinstance(dry, Declined)
        assert dry == live
    assert house.outside.sent == []


async def test_asked_again_a_dry_wish_gives_what_was_written_down(house):
    caller = await dry_caller(house)
    first = await house.refund(caller)
    assert [await house.refund(caller) for _ in range(3)] == [first] * 3
    assert (await house.events(caller)).count("effect.rehearsed") == 1


async def test_a_dry_run_takes_nothing_from_a_limit_and_is_no_breach_of_one(own_house):
    house = own_house
    house.rules = rules_of(allow(), ask(), limits=[a_limit(amount="40 USD", at_cap="deny")])
    for _ in range(3):
        assert isinstance(await house.refund(await dry_caller(house), "40 USD"), Rehearsed)
    assert isinstance(await house.refund(await house.caller(), "40 USD"), Done)
    assert isinstance(await house.refund(await dry_caller(house), "40 USD"), Declined)
    assert await house.execute("select 1 from actions.breach") == []
    assert isinstance(await house.refund(await house.caller(), "40 USD"), Declined)
    assert len(await house.execute("select 1 from actions.breach")) == 1


async def test_a_pause_is_told_and_keeps_no_dry_run(own_house):
    await press(own_house, a_switch(own_house), because="wrong prices")
    found = await own_house.refund(await dry_caller(own_house))
    assert isinstance(found, Rehearsed)
    assert "just now it would not begin: paused by Ada: wrong prices" in found.text


@pytest.mark.parametrize("state", ["awaiting", "executing", "in_doubt", "done"])
async def test_the_database_itself_keeps_a_dry_wish_from_being_asked_or_sent(house, state):
    caller = await dry_caller(house)
    await house.refund(caller)
    with pytest.raises(DatabaseError):
        await house.execute(
            "update actions.intent set state = %s, rehearsal = null where run_id = %s", state, caller.run_id
        )


# -- run it for real ----------------------------------------------------------------------------------------------


async def a_dry_run(house, state="done"):
    run_id, store = new_run_id(), RunStore(house.database)
    request = Request(
        workspace=TEAM,
        requester=RITA,
        origin="cli",
        workflow="returns",
        text="#W1 everything",
        delivery_id=f"d-{run_id}",
        dry=True,
    )
    async with house.database.transaction() as conn:
        where = Conversation(TEAM, "C0RETURNS", "17.1")
        await store.create(conn, request, conversation=where, workflow_version=1, run_id=run_id)
    ended = None if state == "ready" else SystemClock().now()
    await house.execute("update graphs.run set state = %s, finished_at = %s where run_id = %s", state, ended, run_id)
    run = await store.get(run_id)
    assert run is not None
    return run


async def promoted(house, run):
    async with house.database.transaction() as conn:
        return await promote(conn, RunStore(house.database), run, delivery_id=f"click-{new_run_id()}")


async def test_a_dry_run_becomes_one_live_run_of_the_same_words_however_often_it_is_pressed(house):
    dry = await a_dry_run(house)
    made = [run_id for run_id in await asyncio.gather(*(promoted(house, dry) for _ in range(8))) if run_id]
    assert len(made) == 1
    live, shown = await RunStore(house.database).get(made[0]), await RunStore(house.database).get(dry.run_id)
    assert live is not None
    assert shown is not None
    assert (live.request.dry, live.request.promotes, shown.promoted_to) == (False, dry.run_id, live.run_id)
    assert (live.request.text, live.request.requester) == (dry.request.text, RITA)
    assert live.conversation == dry.conversation


async def test_what_is_no_dry_run_or_has_not_ended_well_becomes_no_live_run(house):
    dry = await a_dry_run(house)
    live_id = await promoted(house, dry)
    assert live_id is not None
    live = await RunStore(house.database).get(live_id)
    assert await promoted(house, live) is None
    for state in ("ready", "refused", "failed", "stopped"):
        assert await promoted(house, await a_dry_run(house, state)) is None


async def test_how_long_dry_runs_take_predicts_nothing(own_house):
    await a_dry_run(own_house)
    assert await pasts_of(own_house.database, "returns") == []
