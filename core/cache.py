"""The home of Redis: things that can be rebuilt. When it is away, everything is simply not cached (P8)."""

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

log = logging.getLogger(__name__)


class Cache:
    """Remembers JSON values for a while; never the record, never an error."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def get(self, key: str) -> Any | None:
        """The value stored under `key`, or None when there is none or Redis is away."""
        try:
            found = await self._redis.get(key)
        except (RedisError, OSError) as error:
            log.warning("cache is away: %s", error)
            return None
        try:
            return None if found is None else json.loads(found)
        except ValueError:
            log.warning("what stands under %s in the cache is not ours", key)
            return None

    async def put(self, key: str, value: Any, *, keep: timedelta) -> None:
        """Remember `value` under `key` for `keep`, if Redis is there."""
        try:
            await self._redis.set(key, json.dumps(value), px=int(keep.total_seconds() * 1000))
        except (RedisError, OSError) as error:
            log.warning("cache is away: %s", error)

    async def drop(self, key: str) -> None:
        """Forget what is stored under `key`, if Redis is there."""
        try:
            await self._redis.delete(key)
        except (RedisError, OSError) as error:
            log.warning("cache is away: %s", error)

    async def clear(self, prefix: str) -> bool:
        """Forget everything under keys that begin so; False when Redis is away and may still hold some."""
        try:
            found: AsyncIterator[bytes] = self._redis.scan_iter(match=f"{prefix}*", count=1000)  # pyright: ignore
            async for key in found:
                await self._redis.delete(key)
        except (RedisError, OSError) as error:
            log.warning("cache is away: %s", error)
            return False
        return True

    async def answers(self) -> bool:
        """True when Redis answers now."""
        try:
            return bool(await self._redis.ping())
        except (RedisError, OSError):
            return False


@asynccontextmanager
async def open_cache(url: str) -> AsyncGenerator[Cache]:
    """A cache over the Redis or Valkey at `url`; opening does not wait for it to answer."""
    redis = Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1)
    try:
        yield Cache(redis)
    finally:
        await redis.aclose()
