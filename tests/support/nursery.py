"""Processes that start in a moment and may be killed at any: forked from one that has read all our code already."""

import asyncio
import ctypes
import importlib
import json
import os
import selectors
import signal
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from actions import connecting

ROOT = Path(__file__).parents[2]

#: What can be started, and the module whose `main` it runs.
KINDS = {
    "worker": "tests.support.worker",
    "hand": "tests.support.hand",
    "receiver": "tests.support.receiver",
    "company": "tests.support.halting",
    "command": "tests.support.command",
}

_PR_SET_PDEATHSIG = 1


def _nothing(_: "Process") -> None:
    pass


@dataclass
class Process:
    """One of ours, from its start to whatever end."""

    pid: int
    ended: asyncio.Future[int]
    """Its exit code, as subprocess gives it: a kill is -9."""
    on_stopped: Callable[["Process"], None] = field(default=_nothing)

    @property
    def is_alive(self) -> bool:
        """True until its end is known."""
        return not self.ended.done()

    def signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.is_alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    @property
    def returncode(self) -> int | None:
        """Its exit code, once it has ended."""
        return None if self.is_alive else self.ended.result()

    async def wait(self) -> int:
        """Its exit code, however long that takes."""
        return await asyncio.shield(self.ended)

    def send_signal(self, number: int) -> None:
        """Send a signal, as subprocess calls it."""
        self.signal(number)

    async def kill(self) -> None:
        """kill -9, and wait for its end."""
        self.signal(signal.SIGKILL)
        await self.ended


class Nursery:
    """The tester's side: asks for processes and hears of their ends."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._asked: asyncio.Queue[asyncio.Future[int]] = asyncio.Queue()
        self._born: dict[int, Process] = {}

    async def start(self, kind: str, /, **given: Any) -> Process:
        """A process of this kind, given these plain values."""
        assert self._process.stdin is not None
        loop = asyncio.get_running_loop()
        pid: asyncio.Future[int] = loop.create_future()
        self._asked.put_nowait(pid)
        self._process.stdin.write(json.dumps({"kind": kind, **given}).encode() + b"\n")
        return self._born[await pid]

    async def listen(self) -> None:
        """Take in what is told of the processes, until nothing more can be."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            what, pid, code = line.split()
            match what:
                case b"started":
                    process = Process(int(pid), asyncio.get_running_loop().create_future())
                    self._born[process.pid] = process
                    self._asked.get_nowait().set_result(process.pid)
                case b"stopped":
                    process = self._born[int(pid)]
                    process.on_stopped(process)
                case _:
                    self._born[int(pid)].ended.set_result(int(code))
        while not self._asked.empty():
            self._asked.get_nowait().set_exception(ConnectionError("the nursery has ended"))


@asynccontextmanager
async def open_nursery(home: Path) -> AsyncGenerator[Nursery]:
    """A nursery whose processes all end with the block; what they print stands in `home`."""
    argv = [sys.executable, "-m", "tests.support.nursery", str(home)]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("COUNTERSIGN_", "SLACK_"))}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, cwd=ROOT, stdin=pipe, stdout=pipe, env=env)
    nursery = Nursery(process)
    listening = asyncio.create_task(nursery.listen())
    try:
        yield nursery
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await listening


class _Parent:
    """The other side: one thread, no loop, nothing open that a fork must not share."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._mains = {kind: importlib.import_module(module).main for kind, module in KINDS.items()}
        # What an installation reads only when it opens: here once for all.
        connecting.Kinds.scan()
        self._libc = ctypes.CDLL(None)
        self._count = 0

    def run(self) -> None:
        """Start what is asked for and tell of every end, until nobody asks any more."""
        woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGCHLD, _wake_up)
        asked = b""
        with selectors.DefaultSelector() as selector:
            selector.register(0, selectors.EVENT_READ)
            selector.register(woken, selectors.EVENT_READ)
            while True:
                ready = {key.fd for key, _ in selector.select()}
                if woken in ready:
                    os.read(woken, 4096)
                    self._tell_of_children()
                if 0 in ready:
                    found = os.read(0, 65536)
                    if not found:
                        return
                    *lines, asked = (asked + found).split(b"\n")
                    for line in lines:
                        self._start(json.loads(line))

    def _start(self, given: dict[str, Any]) -> None:
        self._count += 1
        kind = given.pop("kind")
        pid = os.fork()
        if pid:
            _say("started", pid, 0)
            return
        code = 70
        try:
            self._become_child(kind)
            code = self._mains[kind](given) or 0
        except BaseException:  # noqa: BLE001 -- the outermost edge of a process
            sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _become_child(self, kind: str) -> None:
        self._libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        nowhere = os.open(os.devnull, os.O_RDONLY)
        log = os.open(self._home / f"{kind}-{self._count}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for source, target in ((nowhere, 0), (log, 1), (log, 2)):
            os.dup2(source, target)

    def _tell_of_children(self) -> None:
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
                if not pid:
                    return
                if os.WIFSTOPPED(status):
                    _say("stopped", pid, 0)
                else:
                    _say("ended", pid, os.waitstatus_to_exitcode(status))


def _wake_up(_: int, __: object) -> None:
    pass


def _say(what: str, pid: int, code: int) -> None:
    os.write(1, f"{what} {pid} {code}\n".encode())


if __name__ == "__main__":
    _Parent(Path(sys.argv[1])).run()
