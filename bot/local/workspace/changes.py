"""Tells every open page what changed, and keeps the last envelopes for the inspector."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager

from bot.local.workspace.json_value import Json
from core.clock import Clock

_KEPT = 300
_WAITING = 1000


class Changes:
    """A feed of small notices (what to fetch again) and a trail of what went over the wire."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._readers: set[asyncio.Queue[Json | None]] = set()
        self._trail: deque[Json] = deque(maxlen=_KEPT)
        self._number = 0

    def tell(self, kind: str, **about: str | None) -> None:
        """Let every open page know that something of a kind changed."""
        self._publish({"kind": kind, **about})

    def record(self, direction: str, name: str, *, content: object) -> None:
        """Keep one thing that went over the wire (`to the bot` or `from the bot`), and show it."""
        self._number += 1
        entry: Json = {
            "number": self._number,
            "at": self._clock.now().isoformat(timespec="milliseconds"),
            "direction": direction,
            "name": name,
            "content": content,
        }
        self._trail.append(entry)
        self._publish({"kind": "wire", "entry": entry})

    def trail(self) -> list[Json]:
        """What went over the wire lately, oldest first."""
        return list(self._trail)

    def close(self) -> None:
        """End every feed."""
        for reader in self._readers:
            _offer(reader, None)

    async def follow(self, *, heartbeat_seconds: float) -> AsyncIterator[Json | None]:
        """The changes from now on; None each time nothing happened for the heartbeat."""
        with self._reader() as reader:
            while True:
                try:
                    change = await asyncio.wait_for(reader.get(), heartbeat_seconds)
                except TimeoutError:
                    yield None
                    continue
                if change is None:
                    return
                yield change

    @contextmanager
    def _reader(self) -> Generator[asyncio.Queue[Json | None], None, None]:
        reader: asyncio.Queue[Json | None] = asyncio.Queue(_WAITING)
        self._readers.add(reader)
        try:
            yield reader
        finally:
            self._readers.discard(reader)

    def _publish(self, change: Json) -> None:
        for reader in self._readers:
            _offer(reader, change)


def _offer(reader: asyncio.Queue[Json | None], change: Json | None) -> None:
    # A page that does not keep up loses the oldest notice: it reloads what it shows anyway.
    if reader.full():
        reader.get_nowait()
    reader.put_nowait(change)
