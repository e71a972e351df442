"""An installation's processes, forked from one that has read all their code: a start takes a moment, not seconds."""

import asyncio
import ctypes
import json
import os
import selectors
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import cast

import bot.local.supervisor
from bot.local.child import Child, ErrorStream, RunningChild
from bot.local.home import open_log

_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15
_LONGEST = 1 << 18

# What the command line reads only when it is asked for: here once for all.
for _name in ("bot.serve", "bot.stage", "bot.up"):
    import_module(_name)

Mains = Mapping[str, Callable[[], None]]


class _Cast:
    """A process from the mould, as the supervisor treats one that it started itself."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.code: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def wait(self) -> int:
        """Its exit code, once it has ended."""
        return await asyncio.shield(self.code)

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if not self.code.done():
            os.kill(self.pid, number)


class Mould:
    """Takes the place of the supervisor's own way to start a child. Make it before any loop or thread runs."""

    def __init__(self, mains: Mains) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if os.fork() == 0:
            self._socket.close()
            _Form(theirs, mains).run()
        theirs.close()
        self._one_at_a_time = asyncio.Lock()
        self._started: asyncio.Future[_Cast] | None = None
        self._running: dict[int, _Cast] = {}

    def take_over(self) -> None:
        """From now on the supervisor of this process starts its children here."""
        bot.local.supervisor.start_child = self.start_child

    async def start_child(self, child: Child, home: Path, tell: Callable[[str], None]) -> RunningChild:
        """Start `child` as the product's own function of this name does, but for the fresh interpreter."""
        log = open_log(home, child.name)
        reading, writing = os.pipe()
        async with self._one_at_a_time:
            loop = asyncio.get_running_loop()
            loop.add_reader(self._socket, self._hear)
            self._started = loop.create_future()
            asked = json.dumps({"name": child.name, "env": dict(child.env)}).encode()
            socket.send_fds(self._socket, [asked], [log, writing])
            os.close(writing)
            process = await self._started
        errors = ErrorStream(reading, log, lambda line: tell(f"{child.name} | {line}"))
        return RunningChild(cast(asyncio.subprocess.Process, process), errors)

    def _hear(self) -> None:
        what, pid, code = self._socket.recv(100).decode().split()
        if what == "started":
            assert self._started is not None
            self._running[int(pid)] = _Cast(int(pid))
            self._started.set_result(self._running[int(pid)])
        else:
            self._running.pop(int(pid)).code.set_result(int(code))


def _wake_up(_: int, __: object) -> None:
    pass


class _Form:
    """The other side: one thread, no loop; it dies with the supervisor, and what it forked dies with it."""

    def __init__(self, asked: socket.socket, mains: Mains) -> None:
        self._asked = asked
        self._mains = mains
        self._libc = ctypes.CDLL(None)
        self._libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def run(self) -> None:
        """Fork what is asked for and tell of every end, for good."""
        woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGCHLD, _wake_up)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with selectors.DefaultSelector() as selector:
            selector.register(self._asked, selectors.EVENT_READ)
            selector.register(woken, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if woken in ready:
                    os.read(woken, 4096)
                    self._tell_of_ends()
                if self._asked in ready:
                    message, files, _, _ = socket.recv_fds(self._asked, _LONGEST, 2)
                    if not message:
                        os._exit(0)
                    self._fork(json.loads(message), *files)

    def _fork(self, child: dict[str, object], out: int, err: int) -> None:
        pid = os.fork()
        if pid:
            os.close(out)
            os.close(err)
            self._asked.send(f"started {pid} 0".encode())
            return
        code = 70
        try:
            self._become(str(child["name"]), cast(dict[str, str], child["env"]), out, err)
            self._mains[str(child["name"])]()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException:  # noqa: BLE001 -- the outermost edge of a process
            sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        finally:
            with suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _become(self, name: str, env: dict[str, str], out: int, err: int) -> None:
        os.setsid()
        self._libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        self._libc.prctl(_PR_SET_NAME, name.encode())
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._asked.close()
        os.environ.clear()
        os.environ.update(env)
        for source, target in ((os.open(os.devnull, os.O_RDONLY), 0), (out, 1), (err, 2)):
            os.dup2(source, target)
            os.close(source)

    def _tell_of_ends(self) -> None:
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                self._asked.send(f"ended {pid} {os.waitstatus_to_exitcode(status)}".encode())
