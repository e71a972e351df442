"""Facts in the database: versions over two times, sealed words, one timeline whoever writes at the same time."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from core.ids import new_id
from core.trust import TrustLabel
from memory.fact import Claim, Span
from tests.support.knowing import NOON, OTHER, SHOP, TEAM, Memory

pytest_plugins = ["tests.support.migrated"]


@pytest.fixture
def memory(installation_database, vault) -> Memory:
    return Memory(installation_database, vault)


async def claim(memory: Memory, object_: str, *, day: float, scope=SHOP, **more) -> Claim:
    text = f"The return window is {object_}"
    by = more.pop("by", "U0RITA")
    item = await memory.say(text, by=by, scope=scope)
    assert item is not None
    at = NOON + timedelta(days=day)
    given = {
        "claim_id": new_id("claim", 16),
        "scope_id": await memory.scope_id(scope),
        "subject": "the return window",
        "relation": "is",
        "object": object_,
        "valid_from": at,
        "said_at": at,
        "trust": TrustLabel.MEMBER,
        "span": Span(item, 0, len(text), text),
        "said_by": by,
        "subjects": (by,),
    }
    return Claim(**{**given, **more})


async def record(memory: Memory, *claims: Claim):
    async with memory.database.transaction() as conn:
        return await memory.facts.record(conn, TEAM, claims)


async def test_the_current_value_is_the_newest_and_the_older_keeps_its_interval(memory):
    await record(memory, await claim(memory, "30 days", day=-9), await claim(memory, "45 days", day=-2))
    assert await memory.told("Our return window", "is") == ["45 days"]
    assert await memory.told("return window", "is", at=NOON - timedelta(days=5)) == ["30 days"]
    [older] = await memory.rows("select * from memory.fact where valid_to is not null and retired_at is null")
    [newer] = await memory.rows("select * from memory.fact where valid_to is null and retired_at is null")
    assert older["superseded_by"] == newer["fact_id"]


async def test_what_was_known_then_is_kept_beside_what_held_then(memory):
    await record(memory, await claim(memory, "30 days", day=-9))
    [row] = await memory.rows("select core.now() as now")
    await record(memory, await claim(memory, "45 days", day=-2))
    assert await memory.told("return window", at=NOON, known_at=row["now"]) == ["30 days"]
    assert await memory.told("return window", at=NOON) == ["45 days"]


async def test_a_fact_is_found_as_an_item_that_names_its_sources_and_holds_as_long_as_it_does(memory):
    first, second = await claim(memory, "30 days", day=-9), await claim(memory, "45 days", day=-2)
    await record(memory, first, second)
    items = await memory.rows("select * from memory.item where tier = 'fact' order by valid_from")
    assert [each["valid_to"] for each in items] == [second.valid_from, None]
    sources = await memory.rows("select source_item_id from memory.item_source where item_id = %s", items[1]["item_id"])
    assert [each["source_item_id"] for each in sources] == [second.span.item]


async def test_the_same_said_twice_is_one_fact(memory):
    await record(memory, await claim(memory, "45 days", day=-9), await claim(memory, "the 45 days", day=-2))
    [fact] = await memory.rows("select * from memory.fact where retired_at is null")
    assert len(fact["claims"]) == 2


async def test_the_same_claim_again_changes_nothing(memory):
    said = await claim(memory, "45 days", day=-9)
    assert (await record(memory, said)).claims == 1
    assert (await record(memory, said)).claims == 0
    assert len(await memory.rows("select 1 from memory.fact")) == 1


async def test_a_less_trusted_claim_waits_for_a_person_and_changes_nothing(memory):
    await record(memory, await claim(memory, "30 days", day=-9))
    external = await claim(memory, "365 days", day=-2, trust=TrustLabel.EXTERNAL, by="mail:eve@example.org")
    recorded = await record(memory, external)
    assert [each.claim.object for each in recorded.disputes] == ["365 days"]
    assert await memory.told("return window") == ["30 days"]
    assert [row["state"] for row in await memory.rows("select state from memory.claim order by valid_from")] == [
        "counted",
        "open",
    ]


async def test_no_word_of_a_fact_stands_in_the_database_in_plain(memory):
    await record(memory, await claim(memory, "forty-five tulips", day=-2))
    tables = ("claim", "fact", "item", "episode", "posting")
    dump = str([await memory.rows(f"select * from memory.{table}") for table in tables])
    assert "tulip" not in dump
    assert "window" not in dump


async def test_facts_of_one_scope_are_not_seen_from_another(memory):
    await record(memory, await claim(memory, "45 days", day=-2, scope=OTHER))
    assert await memory.told("return window") == []
    assert await memory.told("return window", scopes=[SHOP, OTHER]) == ["45 days"]


async def test_many_who_write_about_one_thing_at_once_leave_one_timeline(memory):
    said = [await claim(memory, f"{number} days", day=-number) for number in range(1, 9)]
    await asyncio.gather(*(record(memory, each) for each in said))
    live = await memory.rows("select * from memory.fact where retired_at is null order by valid_from")
    assert len(live) == 8
    assert [each["valid_to"] for each in live] == [*(each["valid_from"] for each in live[1:]), None]
    assert await memory.told("return window", at=datetime(2027, 1, 1, tzinfo=UTC)) == ["1 days"]
