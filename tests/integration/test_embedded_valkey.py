"""The embedded Valkey: private, and there again after any kill."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
import redis
import redis.asyncio

from bot.local.embedded import EmbeddedValkey


async def test_valkey_answers_on_a_private_socket_and_is_adopted(shared_home: Path) -> None:
    server = EmbeddedValkey(shared_home)
    url = await server.start()
    pid = server.pid

    assert url.startswith("unix://")
    async with redis.asyncio.Redis.from_url(url) as client:
        assert await client.set("kept", "yes")
        assert await EmbeddedValkey(shared_home).start() == url
        assert server.pid == pid is not None
        assert await client.get("kept") == b"yes"


async def test_a_killed_valkey_comes_back_over_its_stale_socket(shared_home: Path) -> None:
    server = EmbeddedValkey(shared_home)
    url = await server.start()
    killed = server.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    while server.pid is not None:
        await asyncio.sleep(0.01)
    assert (shared_home / "valkey" / "valkey.sock").is_socket()

    assert await server.start() == url
    async with redis.asyncio.Redis.from_url(url) as client:
        assert await client.ping()


async def test_valkey_under_a_long_path_listens_on_loopback_with_a_password(fresh_home: Path) -> None:
    server = EmbeddedValkey(fresh_home / ("long" * 25))
    url = await server.start()
    try:
        assert url.startswith("redis://:")
        async with redis.asyncio.Redis.from_url(url) as client:
            assert await client.ping()
            assert await EmbeddedValkey(fresh_home / ("long" * 25)).start() == url
        stranger = redis.asyncio.Redis.from_url(f"redis://{url.partition('@')[2]}")
        with pytest.raises(redis.AuthenticationError):
            await stranger.execute_command("PING")
        await stranger.aclose()
    finally:
        await server.forget()
    assert server.pid is None
