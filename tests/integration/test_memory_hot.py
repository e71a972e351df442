"""The hot tier may vanish in the middle of everything: the same answers come, from the database."""

import os
import signal

import pytest
import redis

from bot.local.embedded import EmbeddedValkey
from core.cache import open_cache
from memory.embedder import HashedNgrams
from memory.store import EVERYWHERE, fence
from tests.support.remembering import NOON, SHOP, Remembering, said

pytest_plugins = ["tests.support.migrated"]


class Counting(HashedNgrams):
    """Counts the questions it is asked."""

    def __init__(self):
        self.asked = 0

    async def query(self, text):
        self.asked += 1
        return await super().query(text)


@pytest.fixture
async def cache(redis_url):
    async with open_cache(redis_url) as cache:
        yield cache


@pytest.fixture
async def memory(installation_database, vault, cache):
    memory = Remembering(installation_database, vault, cache=cache, embedder=Counting())
    await memory.remember(*(said(f"Parcel {n} was lost in Lyon", ts=str(n)) for n in range(12)))
    await memory.embed()
    return memory


def told(found):
    return [(each.item.text, round(each.score, 6), dict(each.why)) for each in found]


async def test_asked_again_the_same_comes_and_the_question_is_embedded_once(memory):
    first = told(await memory.ask("lost parcels"))
    assert told(await memory.ask("lost parcels")) == first
    assert memory.embedder.asked == 1


async def test_flushed_between_the_same_answer_comes(memory, redis_url):
    first = told(await memory.ask("lost parcels"))
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    assert told(await memory.ask("lost parcels")) == first
    assert memory.embedder.asked == 2


async def test_what_is_said_or_taken_back_meanwhile_counts_at_once(memory):
    await memory.ask("lost parcels in Rome")
    await memory.remember(said("A parcel was lost in Rome too", ts="99"))
    assert "A parcel was lost in Rome too" in await memory.texts("lost parcels in Rome")


async def test_no_text_stands_in_it(memory, redis_url):
    await memory.ask("lost parcels")
    async with memory.database.transaction() as conn:
        await fence(conn, EVERYWHERE)
        turns = await memory.reading.turns(conn, SHOP, f"from {NOON.isoformat()}", most=3)
        assert [turn.text for turn in turns] == [f"Parcel {n} was lost in Lyon" for n in (9, 10, 11)]
    with redis.Redis.from_url(redis_url) as client:
        kept = [client.get(key) for key in client.keys("memory.*")]
    assert len(kept) == 3
    assert not any(word in text.lower() for text in kept for word in (b"parcel", b"lyon", b"lost"))


async def test_killed_in_the_middle_the_same_answers_come(installation_database, vault, fresh_home):
    server = EmbeddedValkey(fresh_home)
    async with open_cache(await server.start()) as cache:
        memory = Remembering(installation_database, vault, cache=cache)
        await memory.remember(*(said(f"Parcel {n} was lost", ts=str(n)) for n in range(3)))
        await memory.embed()
        first = told(await memory.ask("lost parcels"))
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        assert told(await memory.ask("lost parcels")) == first
        await memory.remember(said("One more parcel was lost", ts="9"))
        assert len(await memory.ask("lost parcels")) == 4
