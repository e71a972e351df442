"""Keeps named processes running until it is told to stop; none of them outlives it."""

import asyncio
import signal
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from bot.local.child import Child, RunningChild, start_child
from bot.local.home import log_path
from core.clock import Clock

__all__ = ["FENCED", "REFUSED", "Backoff", "Child", "Supervisor"]

# EX_TEMPFAIL and EX_CONFIG of sysexits.h.
FENCED = 75
REFUSED = 78

_FIRST_DELAY = 0.2
_LONGEST_DELAY = 5.0
_HEALTHY_SECONDS = 30.0
_STOP_SECONDS = 10.0


class Backoff:
    """How long one child waits before it runs again: 0.2 s doubling to 5 s, from the start after 30 s of life."""

    def __init__(self) -> None:
        self._deaths = 0

    def after(self, code: int, lived: float) -> float:
        """Seconds to wait after an end with `code` after `lived` seconds; none for a child that fenced itself."""
        if lived >= _HEALTHY_SECONDS:
            self._deaths = 0
        if code == FENCED and lived >= 1.0:
            return 0.0
        self._deaths += 1
        # A child that does nothing but fence itself would otherwise take a processor for itself.
        if code == FENCED and self._deaths <= 5:
            return 0.0
        return min(_FIRST_DELAY * 2 ** min(self._deaths - 1, 10), _LONGEST_DELAY)


class Supervisor:
    """Starts children and starts them again when they die, each in a process group of its own."""

    def __init__(self, home: Path, *, clock: Clock, console: TextIO | None = None) -> None:
        self._home = home.resolve()
        self._clock = clock
        self._console = console or sys.stderr
        self._at_once = asyncio.Event()

    async def run(self, children: Sequence[Child], *, stop: asyncio.Event) -> int:
        """Keep `children` running until `stop` is set, SIGINT or SIGTERM comes, or one refuses its configuration.

        Then all get SIGTERM and, after 10 seconds or at a second signal, SIGKILL. Returns 0, or 78 when a
        child refused; its last words are on the console. From the main thread only. Raises HomeUnwritable.
        """
        self._at_once.clear()
        with self._signals(stop):
            keeping = [asyncio.create_task(self._keep(child, stop)) for child in children]
            waiting = asyncio.create_task(stop.wait())
            try:
                await asyncio.wait({waiting, *keeping}, return_when=asyncio.FIRST_EXCEPTION)
            finally:
                stop.set()
                await asyncio.wait({waiting, *keeping})
        return max((task.result() for task in keeping), default=0)

    @contextmanager
    def _signals(self, stop: asyncio.Event) -> Generator[None]:
        def told() -> None:
            (self._at_once if stop.is_set() else stop).set()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, told)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    async def _keep(self, child: Child, stop: asyncio.Event) -> int:
        backoff = Backoff()
        while not stop.is_set():
            started = self._clock.monotonic()
            running = await start_child(child, self._home, self._tell)
            code = await self._watch(running, stop)
            if code == REFUSED:
                # Why, it has said itself: its errors are passed on line by line.
                self._tell(f"{child.name} refused its configuration, so everything is stopped.")
                stop.set()
                return REFUSED
            if stop.is_set():
                break
            delay = backoff.after(code, self._clock.monotonic() - started)
            self._tell(
                f"{child.name} {_how(code)} and runs again in {delay:.1f} s. "
                f"Its log is {log_path(self._home, child.name)}."
            )
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), delay)
        return 0

    async def _watch(self, running: RunningChild, stop: asyncio.Event) -> int:
        ended = asyncio.create_task(running.ended())
        try:
            await _either(ended, stop, None)
            if not ended.done():
                running.ask_to_end()
                await _either(ended, self._at_once, _STOP_SECONDS)
        finally:
            if not ended.done():
                running.kill()
        return await ended

    def _tell(self, line: str) -> None:
        # A console that is gone must not take the children with it; their logs have it all.
        with suppress(OSError, ValueError):
            self._console.write(f"{line}\n")
            self._console.flush()


async def _either(ended: asyncio.Task[int], event: asyncio.Event, seconds: float | None) -> None:
    """Return when the task is done, the event is set, or the time is over."""
    waiting = asyncio.create_task(event.wait())
    await asyncio.wait({ended, waiting}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting


def _how(code: int) -> str:
    if code < 0:
        return f"was killed by signal {-code}"
    return "fenced itself" if code == FENCED else f"ended with {code}"
