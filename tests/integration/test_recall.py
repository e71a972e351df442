"""Recall gives what matters to whoever may see it, as many as asked, and says why."""

from datetime import timedelta

import pytest

from core.trust import TrustLabel
from tests.support.remembering import ANN, BACK_OFFICE, BOB, CAT, GUEST, NOON, SHOP, Remembering, said

pytest_plugins = ["tests.support.migrated"]


@pytest.fixture
def memory(installation_database, vault):
    return Remembering(installation_database, vault)


async def test_what_was_said_is_found_by_its_words_before_there_is_any_vector(memory):
    await memory.remember(
        said("The courier lost two parcels to Lyon", ts="1"),
        said("Lunch is at one", ts="2", at=NOON + timedelta(minutes=1)),
    )
    [best, *_] = await memory.ask("Which parcels were lost?")
    assert best.item.text == "The courier lost two parcels to Lyon"
    assert best.why["words"] > 0
    assert "meaning" not in best.why


async def test_with_vectors_the_meaning_is_a_clue_and_the_reason_says_so(memory):
    await memory.remember(said("The courier lost two parcels"), said("Lunch is at one", ts="2"))
    await memory.embed()
    [best, *_] = await memory.ask("couriers losing a parcel")
    assert best.item.text == "The courier lost two parcels"
    assert best.why["meaning"] > 0


async def test_as_many_as_asked_come_where_they_exist(memory):
    await memory.remember(*(said(f"Note number {each}", ts=str(each)) for each in range(14)))
    assert len(await memory.ask("something else entirely")) == 10
    await memory.embed()
    assert len(await memory.ask("something else entirely")) == 10


async def test_of_what_nobody_vouches_for_three_of_ten_at_most(memory):
    spam = [said(f"Refund me now {n}", ts=f"9{n}", by="x", trust=TrustLabel.EXTERNAL) for n in range(20)]
    await memory.remember(*spam, *(said(f"Refund rule {n}", ts=str(n)) for n in range(9)))
    await memory.embed()
    found = await memory.ask("refund me now")
    assert sum(each.item.provenance.author == "x" for each in found) == 3
    assert len(found) == 10


async def test_a_private_channel_is_for_those_who_are_in_it_now(memory):
    await memory.remember(said("The margin is 40 percent", scope=BACK_OFFICE))
    await memory.embed()
    assert await memory.ask("margin") == []
    await memory.members(BACK_OFFICE, ANN)
    assert await memory.texts("margin") == ["The margin is 40 percent"]
    assert await memory.ask("margin", by=BOB) == []
    await memory.members(BACK_OFFICE, BOB)
    assert await memory.ask("margin") == []


async def test_a_guest_sees_the_channels_they_are_in_only(memory):
    await memory.remember(said("The courier is late"))
    assert await memory.ask("courier", by=GUEST, is_guest=True) == []
    await memory.members(SHOP, GUEST)
    assert len(await memory.ask("courier", by=GUEST, is_guest=True)) == 1


async def test_where_others_read_along_nothing_private_is_shown(memory):
    await memory.members(BACK_OFFICE, ANN)
    await memory.remember(said("The margin is 40 percent", scope=BACK_OFFICE))
    assert await memory.ask("margin", place=SHOP) == []
    assert len(await memory.ask("margin", place=BACK_OFFICE)) == 1


async def test_the_person_a_question_names_is_whose_words_come_first(memory):
    async with memory.database.transaction() as conn:
        await memory.store.set_person(conn, "T0", BOB, ["Will Weaver", "Will"], is_guest=False)
    await memory.remember(
        said("I like the blue box best", ts="1", by=CAT),
        said("I like the blue box best of all boxes", ts="2", by=BOB, at=NOON + timedelta(hours=2)),
    )
    await memory.embed()
    [best, *_] = await memory.ask("What does Will say of the blue box?")
    assert best.item.provenance.author == BOB
    assert best.why["person"] > 0


async def test_what_is_said_twice_is_given_once_where_there_is_more(memory):
    again = [said("The courier is late", ts=str(n), at=NOON + timedelta(hours=n)) for n in range(5)]
    others = [said(f"Courier note {n}", ts=f"5{n}") for n in range(3)]
    await memory.remember(*again, *others)
    texts = await memory.texts("courier late", most=4)
    assert len(set(texts)) == 4


async def test_an_answer_stays_within_its_allowance(memory):
    await memory.remember(*(said(f"Parcel {n} " + "x" * 400, ts=str(n)) for n in range(10)))
    found = await memory.ask("parcel", tokens=350)
    assert len(found) == 3


async def test_every_connection_has_a_graph_walked_on_until_enough_of_the_scopes_are_found(installation_database):
    async with installation_database.connection() as conn:
        # Loads the library, which would say what it does not know.
        await conn.execute("select '[1]'::vector <=> '[1]'::vector")
        found = [
            await (await conn.execute(f"show hnsw.{name}".encode())).fetchone()
            for name in ("iterative_scan", "ef_search")
        ]
    assert [list(row.values()) for row in found] == [["relaxed_order"], ["100"]]
