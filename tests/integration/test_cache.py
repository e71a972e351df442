"""Redis remembers, and may vanish: then everything is simply not cached."""

from datetime import timedelta

import pytest
import redis

from core.cache import open_cache

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def cache(redis_url):
    async with open_cache(redis_url) as cache:
        yield cache


@pytest.mark.parametrize("value", [{"a": [1, "ü"]}, [], "", 0, False, "text"])
async def test_what_was_put_is_got(cache, value):
    await cache.put("k", value, keep=MINUTE)
    assert await cache.get("k") == value
    assert await cache.get("other") is None


async def test_it_is_kept_for_as_long_as_was_said(cache, redis_url):
    await cache.put("k", 1, keep=MINUTE)
    with redis.Redis.from_url(redis_url) as client:
        assert 50_000 < client.pttl("k") <= 60_000
        client.pexpire("k", 1)
        while client.exists("k"):
            pass
    assert await cache.get("k") is None


async def test_what_was_dropped_is_forgotten(cache):
    await cache.put("k", 1, keep=MINUTE)
    await cache.drop("k")
    assert await cache.get("k") is None


@pytest.mark.parametrize("found", [b"{", b"\xff\xfe", b""])
async def test_what_cannot_be_read_counts_as_not_there(cache, redis_url, found):
    with redis.Redis.from_url(redis_url) as client:
        client.set("k", found)
    assert await cache.get("k") is None


async def test_a_value_of_another_kind_counts_as_not_there(cache, redis_url):
    with redis.Redis.from_url(redis_url) as client:
        client.lpush("k", "x")
    assert await cache.get("k") is None


async def test_it_says_whether_it_answers(cache):
    assert await cache.answers()


async def test_without_redis_nothing_is_remembered_and_nothing_fails():
    async with open_cache("redis://127.0.0.1:1/0") as cache:
        await cache.put("k", 1, keep=MINUTE)
        assert await cache.get("k") is None
        await cache.drop("k")
        assert not await cache.answers()
