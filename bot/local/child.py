"""One supervised process: its own process group, its output kept, its death noticed."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bot.local.home import open_log

_LAUNCHER = Path(__file__).with_name("launcher.py")
_LINE_LIMIT = 65536
# A grandchild that left the group can hold the pipe open for ever.
_DRAIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Child:
    """A process to keep running: a name for its log, the program with its arguments, its whole environment."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]


class ErrorStream:
    """What a child writes to its standard error: copied to its log, and told line by line."""

    def __init__(self, reading: int, log: int, tell: Callable[[str], None]) -> None:
        self._reading = reading
        self._log = log
        self._tell = tell

    async def copy(self) -> None:
        """Copy until the other end is closed, then close both descriptors."""
        stream = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(self._reading, "rb", buffering=0)
        )
        line = b""
        try:
            while chunk := await stream.read(_LINE_LIMIT):
                # A full disk costs the log, not the child.
                with suppress(OSError):
                    os.write(self._log, chunk)
                line = self._pass_on(line + chunk)
            self._pass_on(line + b"\n" if line else b"")
        finally:
            transport.close()
            os.close(self._log)

    def _pass_on(self, said: bytes) -> bytes:
        *lines, rest = said.split(b"\n")
        if len(rest) > _LINE_LIMIT:
            lines, rest = [*lines, rest], b""
        for line in lines:
            self._tell(line.decode(errors="replace"))
        return rest


class RunningChild:
    """A child that was started and has not been collected yet."""

    def __init__(self, process: asyncio.subprocess.Process, errors: ErrorStream) -> None:
        self._process = process
        self._errors = errors
        self._copying = asyncio.create_task(errors.copy())

    async def ended(self) -> int:
        """The exit code, negative for a signal, once the child has ended and its group is gone with it."""
        code = await self._process.wait()
        # What it started itself must not compete with its successor.
        self.kill()
        await asyncio.wait({self._copying}, timeout=_DRAIN_SECONDS)
        self._copying.cancel()
        with suppress(asyncio.CancelledError):
            await self._copying
        return code

    def ask_to_end(self) -> None:
        """Send SIGTERM to the child alone: it knows how to end its own."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL to the child and everything in its group."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)


async def start_child(child: Child, home: Path, tell: Callable[[str], None]) -> RunningChild:
    """Start `child`, its output going to its log under `home`, its errors to `tell` as well, line by line.

    It dies with this process, whatever kills that. Must be called from the main thread. Raises HomeUnwritable.
    """
    log = open_log(home, child.name)
    reading, writing = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), *child.argv),
            env=dict(child.env),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=writing,
            start_new_session=True,
        )
    except BaseException:
        os.close(reading)
        os.close(log)
        raise
    finally:
        os.close(writing)
    return RunningChild(process, ErrorStream(reading, log, lambda line: tell(f"{child.name} | {line}")))
