"""The servers a fresh machine brings along, and the watch that starts them again when they die."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from bot.local.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresFailed
from bot.local.embedded_valkey import EmbeddedValkey, EmbeddedValkeyFailed
from core.errors import CountersignError

__all__ = [
    "EmbeddedPostgres",
    "EmbeddedPostgresFailed",
    "EmbeddedServer",
    "EmbeddedValkey",
    "EmbeddedValkeyFailed",
    "ServerMoved",
    "keep_running",
]


class ServerMoved(CountersignError):
    """An embedded server came back under another address than the one its clients hold."""


class EmbeddedServer(Protocol):
    """A server of this installation's own."""

    @property
    def pid(self) -> int | None:
        """The process id of the running server; None when it does not run."""
        ...

    async def start(self) -> str:
        """The URL of the running server, started where it does not run."""
        ...


async def keep_running(servers: Sequence[EmbeddedServer], *, stop: asyncio.Event, every: float = 0.5) -> None:
    """Start each server again within `every` seconds of its death, until `stop` is set.

    Sets `stop` itself when that fails, since nothing works without them, and raises ServerMoved (a server
    came back elsewhere because its port was taken meanwhile) or what `start` raises.
    """
    try:
        urls = [await server.start() for server in servers]
        while not stop.is_set():
            for server, url in zip(servers, urls, strict=True):
                await _revive(server, url)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), every)
    finally:
        stop.set()


async def _revive(server: EmbeddedServer, url: str) -> None:
    if server.pid is None and await server.start() != url:
        raise ServerMoved("An embedded server came back on another port, because its own was taken. Start again.")
