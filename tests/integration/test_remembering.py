"""What is said is in the log and can be searched in the transaction that remembers it."""

from datetime import UTC, datetime, timedelta

import pytest

from core.trust import TrustLabel
from memory.episode import Episode, EpisodeKind
from memory.item import Scope, ScopeKind
from memory.store import EVERYWHERE, Store, fence

pytest_plugins = ["tests.support.migrated"]

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SHOP = Scope("T0", ScopeKind.CHANNEL, "C0SHOP")


def said(text, *, ts="1", by="U0ANN", at=NOON, scope=SHOP, **more):
    return Episode(scope, f"slack:{scope.name}:{ts}", by, text, at, TrustLabel.MEMBER, **more)


@pytest.fixture
def store(vault):
    return Store(vault)


@pytest.fixture
def remember(installation_database, store):
    async def remember(*episodes):
        found = []
        for episode in episodes:
            async with installation_database.transaction() as conn:
                found.append(await store.remember(conn, episode))
        return found

    return remember


@pytest.fixture
def rows(installation_database):
    async def rows(query, *args):
        async with installation_database.transaction() as conn:
            await fence(conn, EVERYWHERE)
            return await (await conn.execute(query, args)).fetchall()

    return rows


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


async def test_an_edit_that_arrives_before_its_message_is_what_counts(remember, rows, store, installation_database):
    edit = said("Ten parcels", kind=EpisodeKind.EDITED, event_at=NOON + timedelta(minutes=1))
    item, late = await remember(edit, said("Two parcels"))
    assert late is None
    [row] = await rows("select sealed from memory.episode where kind = 'edited'")
    async with installation_database.transaction() as conn:
        assert await store.text_of(conn, "T0", row["sealed"]) == "Ten parcels"
    assert item is not None


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
