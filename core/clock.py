"""The one place where Python learns what time it is."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time, and waits."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back and that no person can set."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` have passed on this clock."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        return datetime.now(UTC)  # noqa: TID251 -- the one home of the wall clock

    def monotonic(self) -> float:
        """Seconds since an arbitrary point, unaffected by wall-clock changes."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Sleep without blocking the event loop."""
        await asyncio.sleep(seconds)


class SettableClock:
    """A clock that stands still until it is moved: for tests."""

    def __init__(self, at: datetime) -> None:
        self._now = at
        self._monotonic = 0.0

    def now(self) -> datetime:
        """The instant this clock was last set or moved to."""
        return self._now

    def monotonic(self) -> float:
        """Seconds this clock has been moved forward by."""
        return self._monotonic

    def set(self, at: datetime) -> None:
        """Move the wall clock to `at`, as an operator might; the monotonic clock does not move."""
        self._now = at

    def advance(self, by: timedelta) -> None:
        """Let `by` pass on both clocks."""
        self._now += by
        self._monotonic += by.total_seconds()

    async def sleep(self, seconds: float) -> None:
        """Advance at once by `seconds`, letting other tasks run."""
        self.advance(timedelta(seconds=seconds))
        await asyncio.sleep(0)
