"""Programs that outlive whoever started them: run them, find them again by their folder, end them."""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from core.clock import Clock
from core.errors import CountersignError

# What a server inherits, and nothing else: no token of this process may live on in its environment.
PLAIN_ENVIRONMENT: Mapping[str, str] = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}


class ProcessStuck(CountersignError):
    """A process does not end, or does not finish in its time."""


class ProgramUnusable(CountersignError):
    """A program cannot be started at all."""


@dataclass(frozen=True, slots=True)
class ServerUser:
    """The unprivileged user a server runs as when this process is root."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended and what it said."""

    code: int
    output: str
    errors: str


@dataclass(frozen=True, slots=True)
class Program:
    """A program to run to its end: no shell, a plain environment plus `env`, as `user` where one is named."""

    argv: Sequence[str | Path]
    folder: Path
    env: Mapping[str, str]
    user: ServerUser | None = None

    async def finish(self, *, said: str = "", log: int | None = None, seconds: float = 60.0) -> Finished:
        """Run it with `said` on its input, its words returned or appended to `log`.

        Raises ProgramUnusable when it cannot be started, ProcessStuck when it takes longer than `seconds`.
        """
        process = await self._start(asyncio.subprocess.PIPE if log is None else log)
        try:
            output, errors = await asyncio.wait_for(process.communicate(said.encode()), seconds)
        except TimeoutError as error:
            raise ProcessStuck(
                f"{self.argv[0]} did not finish within {seconds:.0f} seconds. "
                "Look for a full disk or an overloaded machine, then start again."
            ) from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return Finished(process.returncode or 0, (output or b"").decode(), (errors or b"").decode())

    async def _start(self, sink: int) -> asyncio.subprocess.Process:
        try:
            return await asyncio.create_subprocess_exec(
                *self.argv,
                cwd=self.folder,
                env={**PLAIN_ENVIRONMENT, **self.env},
                stdin=asyncio.subprocess.PIPE,
                stdout=sink,
                stderr=sink,
                user=self.user.uid if self.user else None,
                group=self.user.gid if self.user else None,
                extra_groups=[] if self.user else None,
            )
        except OSError as error:
            raise ProgramUnusable(
                f"{self.argv[0]} cannot be run{f' as {self.user.name}' if self.user else ''} in {self.folder}: "
                f"{error.strerror or error}. Look at the modes of both paths and of the folders above them."
            ) from error


def works_in(pid: int, folder: Path, program: str) -> bool:
    """The live process `pid` runs a file named `program` and has `folder` as its working directory."""
    try:
        executable = Path(os.readlink(f"/proc/{pid}/exe"))
        place = os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return False
    return place == str(folder) and executable.name.removesuffix(" (deleted)") == program


def working_in(folder: Path, program: str) -> list[int]:
    """Every live process of `program` whose working directory is `folder`."""
    pids = [int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit()]
    return [pid for pid in pids if works_in(pid, folder, program)]


async def end_all(folder: Path, program: str, *, ask: Mapping[int, int], grace: float, clock: Clock) -> None:
    """Send `ask` (pid → signal), wait `grace` seconds, then kill whatever of `program` still works in `folder`.

    Raises ProcessStuck when something survives even that.
    """
    for pid, number in ask.items():
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    if ask and await _emptied(folder, program, grace, clock):
        return
    for pid in working_in(folder, program):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if not await _emptied(folder, program, 5.0, clock):
        raise ProcessStuck(
            f"{program} in {folder} does not end, not even when killed: {working_in(folder, program)}. "
            "It waits for a disk or a debugger; free that, then start again."
        )


async def _emptied(folder: Path, program: str, seconds: float, clock: Clock) -> bool:
    deadline = clock.monotonic() + seconds
    while working_in(folder, program):
        if clock.monotonic() > deadline:
            return False
        await clock.sleep(0.02)
    return True
