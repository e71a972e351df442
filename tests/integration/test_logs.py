"""Logs end after a while; what is worth knowing of them for longer is counted before they go."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.keeping import make_keeping
from graphs.digest_store import figures_of
from memory.recalls import Recalls
from tests.support.remembering import ANN, TEAM, Remembering, said

pytest_plugins = ["tests.support.migrated"]

OLD = "core.now() - interval '100 days'"


async def cleared() -> bool:
    return True


@pytest.fixture
def memory(installation_database, vault) -> Remembering:
    return Remembering(installation_database, vault)


@pytest.fixture
def keeping(memory):
    return replace(make_keeping(memory.database, memory.vault, clear_caches=cleared), logs_kept=timedelta(days=90))


async def test_recalls_go_after_their_time_and_that_they_were_of_use_stays_with_the_item(memory, keeping):
    await memory.remember(said("The courier lost two parcels"), said("The kettle leaks", ts="2"))
    recalls = Recalls(memory.database, memory.metrics)
    cited = (await memory.recall.recall(memory.asked("parcels"))).recall_id
    praised = (await memory.recall.recall(memory.asked("parcels"))).recall_id
    await memory.recall.recall(memory.asked("parcels"))
    [parcels, _] = await memory.rows("select item_id from memory.item order by item_id")
    await recalls.cited(cited, [parcels["item_id"]])
    async with memory.database.transaction() as conn:
        assert await recalls.judge(conn, praised, ANN, useful=True)
    await memory.rows(
        f"update memory.recall_log set at = {OLD} where recall_id = any(%s) returning 1", [cited, praised]
    )
    await memory.rows(
        "insert into memory.distil_round (at, looked, claims, junk, echoes, own, unsupported, model_calls)"
        f" values ({OLD}, 1, 1, 0, 0, 0, 0, 0) returning 1"
    )
    assert await keeping.to_prune() == {"recalls": 2, "rounds": 1, "model calls": 0}
    await keeping.prune()
    assert await keeping.to_prune() == {"recalls": 0, "rounds": 0, "model calls": 0}
    assert len(await memory.rows("select 1 from memory.recall_log")) == 1
    assert [row["uses"] for row in await memory.rows("select uses from memory.item order by item_id")] == [2, 1]


async def test_a_used_item_keeps_its_worth_when_the_log_is_gone(memory, keeping):
    await memory.remember(said("Working on the parcels"))
    [row] = await memory.rows(
        "update memory.item set kind = 'task', due_at = core.now(), said_at = core.now() - interval '2 years', uses = 1"
        " returning item_id"
    )
    assert (await keeping.upkeep.look()).moves == {}
    await memory.rows(
        "update memory.item set uses = 0, due_at = core.now() where item_id = %s returning 1", row["item_id"]
    )
    assert (await keeping.upkeep.look(dry=True)).moves != {}


async def test_what_models_cost_is_still_told_when_their_calls_are_not_listed_any_more(memory, keeping):
    for number, (state, at, run) in enumerate([("ok", OLD, None), ("ok", "core.now()", None), ("ok", OLD, "run_on")]):
        if run:
            await memory.rows(
                "insert into graphs.run (run_id, delivery_id, workspace, requester, workflow, workflow_version,"
                " request, conversation, state) values (%s, 'd', %s, 'U', 'ask', 1, '{}', '{}', 'waiting') returning 1",
                *(run, TEAM),
            )
        await memory.rows(
            "insert into graphs.model_call (call_id, workspace, run_id, workflow, requester, purpose, skill, model,"
            " asked, outcome, tokens_in, tokens_out, micro, reserved_micro, reserved_tokens, draws, started_at,"
            f" lost_after) values (%s, %s, %s, 'ask', 'U', 'p', 's', 'm', '', %s, 10, 5, 100, 0, 0, '[]', {at},"
            " core.now()) returning 1",
            *(f"call_{number}", TEAM, run, state),
        )

    async def spent():
        async with memory.database.connection() as conn:
            return (await figures_of(conn, TEAM, since=timedelta(days=365))).spent

    assert await spent() == {"ask": (300, 45)}
    await keeping.prune()
    assert [row["call_id"] for row in await memory.rows("select call_id from graphs.model_call order by 1")] == [
        "call_1",
        "call_2",
    ], "of a run that goes on, and of a call of today, nothing goes"
    assert await spent() == {"ask": (300, 45)}
