"""A whole installation as a person has it: started by the real command line, driven over the page's own API."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, TypeVar

import aiohttp

from bot.local.embedded import EmbeddedPostgres, EmbeddedValkey
from core.clock import SystemClock
from tests.support.nursery import Nursery, Process
from tests.support.ports import free_ports

ROOT = Path(__file__).resolve().parents[2]
Json = dict[str, Any]
Found = TypeVar("Found")

ADA, BEN, CLEO, RITA, AMIR, GUS = "U0ADA", "U0BEN", "U0CLEO", "U0RITA", "U0AMIR", "U0GUS"
RETURNS, GENERAL = "C0RETURNS", "C0GENERAL"

#: Nothing here weakens a guard: the local workspace has no rate to respect, and polling is only a second ear.
#: Likeness by letters suffices where meaning is not what a test is about.
BRISK = {
    "COUNTERSIGN_POLL_SECONDS": "0.2",
    "COUNTERSIGN_POST_SECONDS": "0.05",
    "COUNTERSIGN_EMBEDDER": "letters",
}
#: An engine that notices a death within seconds, so that a test of recovery does not take minutes.
QUICK = {
    **BRISK,
    "COUNTERSIGN_HEARTBEAT_SECONDS": "1",
    "COUNTERSIGN_STALLED_SECONDS": "5",
    "COUNTERSIGN_WINDOW_SECONDS": "4",
}


class Running(Protocol):
    """The supervisor of a company, as somebody who started it sees it."""

    @property
    def pid(self) -> int:
        """Its process id."""
        ...

    @property
    def returncode(self) -> int | None:
        """Its exit code, once it has ended."""
        ...

    async def wait(self) -> int:
        """Its exit code, however long that takes."""
        ...

    def send_signal(self, signal: int, /) -> None:
        """Send a signal."""
        ...


Begin = Callable[["Company", Sequence[str]], Awaitable[Running]]


async def begin_afresh(company: "Company", command: Sequence[str]) -> Running:
    """The command in an interpreter of its own."""
    with (company.home / "up.log").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            *command,
            cwd=ROOT,
            env=company.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


class Company:
    """The sample company on free ports, in a home of its own."""

    def __init__(
        self,
        home: Path,
        nursery: Nursery | None = None,
        *,
        env: Mapping[str, str] | None = None,
        begin: "Begin | None" = None,
    ) -> None:
        self.home = home
        self._nursery = nursery
        self._begin = begin or begin_afresh
        self.port = free_ports(3)
        self._env = {**BRISK, **(env or {})}
        self._process: Running | None = None
        self._session: aiohttp.ClientSession | None = None

    @property
    def page(self) -> str:
        """The address that `make up` prints."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def sandbox(self) -> str:
        """Where the sandbox shop and payment provider answer."""
        return f"http://127.0.0.1:{self.port + 1}"

    @property
    def status(self) -> str:
        """Where /healthz and /metrics answer."""
        return f"http://127.0.0.1:{self.port + 2}"

    @property
    def environment(self) -> dict[str, str]:
        """What every process of this company runs with; nothing of the tester's own settings."""
        own = {name: value for name, value in os.environ.items() if not _is_setting(name)}
        return {
            **own,
            "COUNTERSIGN_HOME": str(self.home),
            "COUNTERSIGN_PORT": str(self.port),
            "PYTHONPATH": str(ROOT),
            **self._env,
        }

    # -- its life -------------------------------------------------------------------------------------------------

    async def start(self, *command: str) -> None:
        """Start everything and wait until it is ready; `command` replaces `countersign up`."""
        self.home.mkdir(parents=True, exist_ok=True)
        if self._nursery is not None and not command:
            log = self.home / "up.log"
            self._process = await self._fork(self._nursery, ["up"], log, log)
        else:
            self._process = await self._begin(self, command or (sys.executable, "-m", "bot.cli", "up"))
        await self.until(self.is_ready, "the company is ready", seconds=120)

    async def is_ready(self) -> bool:
        """True when /healthz says so; raises when the process has ended instead."""
        if self._process is not None and self._process.returncode is not None:
            raise AssertionError(f"it ended with {self._process.returncode}: {self.console()}")
        try:
            async with self.http.get(f"{self.status}/healthz") as answer:
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    def console(self) -> str:
        """The end of what it wrote to its console."""
        return (self.home / "up.log").read_text(errors="replace")[-3000:]

    async def stop(self) -> int:
        """Ctrl-C, and the exit code."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGINT)
        return await asyncio.wait_for(self._process.wait(), 30)

    async def kill_everything(self, *, but_postgres: bool = False) -> None:
        """kill -9 of every process of the installation at once, Postgres and Valkey included."""
        doomed = self.pids(but_postgres=but_postgres)
        for pid in doomed:
            _kill(pid)
        if self._process is not None:
            await self._process.wait()
        await self.until(lambda: _all_gone(doomed), "every process is gone", seconds=20)

    def pids(self, *, but_postgres: bool = False) -> list[int]:
        """Every process of the installation: the supervisor first, then what it started, then the stores."""
        roots = [] if self._process is None or self._process.returncode is not None else [self._process.pid]
        clock = SystemClock()
        valkey, postgres = EmbeddedValkey(self.home, clock=clock), EmbeddedPostgres(self.home, clock=clock)
        for server in (valkey,) if but_postgres else (postgres, valkey):
            roots += [server.pid] if server.pid is not None else []
        return [pid for root in roots for pid in (root, *_descendants(root))]

    def pid_of(self, name: str) -> int | None:
        """The process the supervisor runs under `name`: workspace, sandbox or serve."""
        assert self._process is not None
        for pid in _descendants(self._process.pid):
            if name in {_argument(pid), _name(pid)}:
                return pid
        return None

    async def forget(self) -> None:
        """Remove what it left: the embedded stores."""
        clock = SystemClock()
        await EmbeddedValkey(self.home, clock=clock).forget()
        await EmbeddedPostgres(self.home, clock=clock).forget()

    # -- what people do --------------------------------------------------------------------------------------------

    async def command(self, as_: str, text: str, *, channel: str = RETURNS) -> Json:
        """Type `/team …`."""
        return await self.act("command", **{"as": as_}, channel=channel, command="/team", text=text)

    async def say(self, as_: str, text: str, *, channel: str = RETURNS, thread_ts: str | None = None) -> Json:
        """Write a message."""
        more = {"thread_ts": thread_ts} if thread_ts else {}
        return await self.act("say", **{"as": as_}, channel=channel, text=text, **more)

    async def click(self, as_: str, message: Json, action_id: str) -> Json:
        """Press a button of a message."""
        return await self.act("click", **{"as": as_}, channel=message["channel"], ts=message["ts"], action_id=action_id)

    async def act(self, verb: str, **body: Any) -> Json:
        """Any verb of the scripted people's API."""
        async with self.http.post(f"{self.page}/local/api/{verb}", json=body) as answer:
            return await answer.json()

    async def messages(self, *, channel: str = RETURNS, thread: str | None = None, as_: str = BEN) -> list[Json]:
        """What `as_` sees in a channel, or in one of its threads."""
        query = {"channel": channel, "as": as_, **({"thread_ts": thread} if thread else {})}
        async with self.http.get(f"{self.page}/local/api/messages", params=query) as answer:
            found = await answer.json()
        return [{**message, "channel": channel} for message in found["messages"]]

    # -- what stands where ---------------------------------------------------------------------------------------------

    async def run_card(self, *, containing: str, channel: str = RETURNS, state: str = "") -> Json:
        """The run card in `channel` whose text has `containing` and `state`, once it does."""

        async def look() -> Json | None:
            found = [
                message
                for message in await self.messages(channel=channel)
                if containing in message["text"] and state in message["text"] and message.get("bot_id")
            ]
            return found[0] if found else None

        return await self.until(look, f"a run card in {channel} says {containing!r} {state!r}")

    async def approval_card(self, run: Json, *, state: str = "Approval needed") -> Json:
        """The approval card in the run's thread, once it shows `state`."""

        async def look() -> Json | None:
            thread = await self.messages(channel=run["channel"], thread=run["ts"])
            cards = [message for message in thread[1:] if state in message["text"]]
            return cards[0] if cards else None

        return await self.until(look, f"an approval card says {state!r}")

    async def refunds(self) -> list[Json]:
        """The payment provider's own log."""
        async with self.http.get(f"{self.sandbox}/payments/log") as answer:
            return (await answer.json())["refunds"]

    async def control(self, system: str, **settings: Any) -> None:
        """Tell an outside system how to behave."""
        async with self.http.post(f"{self.sandbox}/control/{system}", json=settings) as answer:
            assert answer.status == 200, await answer.text()

    async def cli(self, *arguments: str) -> Any:
        """The JSON of one listing of the command line."""
        code, out, error = await self.countersign(*arguments, "--json")
        assert code == 0, error
        return json.loads(out)

    async def countersign(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, stdout and stderr of one `countersign` command."""
        if self._nursery is not None:
            with TemporaryDirectory() as folder:
                out, error = Path(folder, "out"), Path(folder, "error")
                code = await (await self._fork(self._nursery, arguments, out, error)).wait()
                return code, out.read_text(), error.read_text()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot.cli", *arguments),
            cwd=ROOT,
            env=self.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, error = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), error.decode()

    async def _fork(self, nursery: Nursery, argv: Sequence[str], out: Path, error: Path) -> Process:
        return await nursery.start("command", argv=list(argv), env=self.environment, out=str(out), error=str(error))

    @property
    def http(self) -> aiohttp.ClientSession:
        """The session over which people and outside systems are asked."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15))
        return self._session

    async def close(self) -> None:
        """Close what this object itself holds open."""
        if self._session is not None:
            await self._session.close()

    async def until(self, look: Callable[[], Awaitable[Found | None]], what: str, *, seconds: float = 60) -> Found:
        """What `look` finds once it finds something true; fails after `seconds`, saying `what` was waited for."""
        async with asyncio.timeout(None) as limit:
            limit.reschedule(asyncio.get_running_loop().time() + seconds)
            try:
                while True:
                    found = await look()
                    if found:
                        return found
                    await asyncio.sleep(0.05)
            except asyncio.CancelledError:
                if limit.when() is not None and asyncio.get_running_loop().time() >= (limit.when() or 0):
                    raise AssertionError(f"waited {seconds:.0f} s in vain until {what}; {self.console()}") from None
                raise


@asynccontextmanager
async def open_company(
    home: Path, nursery: Nursery | None = None, *, env: Mapping[str, str] | None = None
) -> AsyncGenerator[Company]:
    """A started company; stopped, whatever happened to it, and forgotten at the end."""
    company = Company(home, nursery, env=env)
    try:
        await company.start()
        yield company
    finally:
        await company.kill_everything()
        await company.forget()
        await company.close()


def _is_setting(name: str) -> bool:
    return name.startswith(("COUNTERSIGN_", "SLACK_", "OPENAI_")) or name in {"DATABASE_URL", "REDIS_URL"}


def _descendants(root: int) -> Sequence[int]:
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            parent = _parent(int(entry.name))
            if parent is not None:
                parents.setdefault(parent, []).append(int(entry.name))
    found: list[int] = []
    left = [root]
    while left:
        children = parents.get(left.pop(), [])
        found += children
        left += children
    return found


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except (OSError, IndexError):
        return None


def _argument(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").rsplit(b"\0", 1)[-1].decode()
    except OSError:
        return ""


def _name(pid: int) -> str:
    """What a process that was forked, and so has its parent's arguments, calls itself."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


async def _all_gone(pids: Sequence[int]) -> bool:
    return all(_is_dead(pid) for pid in pids)


def _is_dead(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True
