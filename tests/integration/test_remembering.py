"""What is said is in the log and can be searched in the transaction that remembers it."""

from datetime import timedelta

import pytest

from memory.episode import EpisodeKind
from tests.support.remembering import NOON, Remembering, said

pytest_plugins = ["tests.support.migrated"]


@pytest.fixture
def memory(installation_database, vault):
    return Remembering(installation_database, vault)


@pytest.fixture
def remember(memory):
    return memory.remember


@pytest.fixture
def rows(memory):
    return memory.rows


async def test_a_message_is_in_the_log_and_in_the_index_once_it_is_committed(remember, rows):
    [item] = await remember(said("The courier lost two parcels"))
    assert item is not None
    assert len(await rows("select 1 from memory.posting where item_id = %s", item)) >= 3
    [scope] = await rows("select items, length, conversations from memory.scope")
    [own] = await rows("select length from memory.item")
    assert (scope["items"], scope["length"], scope["conversations"]) == (1, own["length"], 1)


async def test_the_same_word_twice_is_one_episode(remember, rows):
    first, second = await remember(said("Hello there"), said("Hello there"))
    assert first is not None
    assert second is None
    assert len(await rows("select 1 from memory.episode")) == 1


async def test_an_edit_that_arrives_before_its_message_is_what_counts(remember, memory):
    edit = said("Ten parcels", kind=EpisodeKind.EDITED, event_at=NOON + timedelta(minutes=1))
    item, late = await remember(edit, said("Two parcels"))
    assert late is None
    assert item is not None
    assert await memory.texts("parcels") == ["Ten parcels"]


async def test_what_was_deleted_before_it_arrived_leaves_no_text(remember, rows):
    gone = said("", kind=EpisodeKind.DELETED, event_at=NOON + timedelta(minutes=1))
    assert await remember(gone, said("My password is swordfish")) == [None, None]
    assert await rows("select 1 from memory.item") == []
    assert [row["sealed"] for row in await rows("select sealed from memory.episode")] == [None, None]


async def test_a_deleted_message_leaves_every_table_of_the_index_and_its_text_the_log(remember, rows):
    gone = said("", kind=EpisodeKind.DELETED, event_at=NOON + timedelta(minutes=1))
    await remember(said("My password is swordfish"), gone)
    for table in ("item", "posting", "unembedded"):
        assert await rows(f"select 1 from memory.{table}") == []
    assert [row["sealed"] for row in await rows("select sealed from memory.episode")] == [None, None]
    [scope] = await rows("select items, length from memory.scope")
    assert (scope["items"], scope["length"]) == (0, 0)
