"""Starts everything on one machine and takes it down again: the local default."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from bot.company import settle_sample_company
from bot.local.embedded import EmbeddedPostgres, EmbeddedServer, EmbeddedValkey, keep_running
from bot.local.home import is_free, make_folder, using
from bot.local.supervisor import Child, Supervisor
from bot.settings import Settings
from core.clock import Clock
from core.errors import SettingsInvalid

_WAIT_SECONDS = 60.0
#: One worker on one machine cannot be cut off from the database by a network: its death is noticed sooner.
_ONE_MACHINE = {"COUNTERSIGN_HEARTBEAT_SECONDS": "2", "COUNTERSIGN_STALLED_SECONDS": "8"}


@dataclass(frozen=True)
class Stores:
    """Where the record and the cache are, and which of them are our own to keep running."""

    database_url: str
    redis_url: str
    servers: Sequence[EmbeddedServer]


async def up(settings: Settings, clock: Clock) -> int:
    """Run everything until Ctrl-C; the exit code says whether a process refused its configuration."""
    home = make_folder(settings.home.resolve())
    require_free_ports(settings)
    if settings.is_local:
        settle_sample_company(settings.company)
    stop = asyncio.Event()
    async with open_stores(settings, clock) as stores:
        supervisor = Supervisor(home, clock=clock)
        keeping = asyncio.create_task(keep_running(stores.servers, stop=stop))
        announcing = asyncio.create_task(_announce(settings, clock))
        try:
            code = await supervisor.run(_children(settings, stores), stop=stop)
        finally:
            stop.set()
            announcing.cancel()
            kept, _ = await asyncio.gather(keeping, announcing, return_exceptions=True)
        if isinstance(kept, BaseException):
            raise kept
        return code


@asynccontextmanager
async def open_stores(settings: Settings, clock: Clock, *, beside: bool = False) -> AsyncGenerator[Stores]:
    """Postgres and Valkey: those configured, else our own, stopped at the end; `beside` spares what ran before."""
    home = settings.home.resolve()
    postgres = None if settings.database_url else EmbeddedPostgres(home, clock=clock)
    valkey = None if settings.redis_url else EmbeddedValkey(home, clock=clock)
    servers = [server for server in (postgres, valkey) if server is not None]
    ours = [server for server in servers if not beside or server.pid is None]
    try:
        yield Stores(
            settings.database_url.get_secret_value() if settings.database_url else await _start(postgres),
            settings.redis_url.get_secret_value() if settings.redis_url else await _start(valkey),
            servers,
        )
    finally:
        for server in reversed(ours):
            await server.stop()


async def _start(server: EmbeddedServer | None) -> str:
    assert server is not None
    return await server.start()


def require_free_ports(settings: Settings) -> None:
    """Raise SettingsInvalid naming the first port that something else uses already."""
    local = {settings.port: "the local workspace", settings.sandbox_port: "the sandbox"} if settings.is_local else {}
    for port, what in {**local, settings.status_port: "/healthz and /metrics"}.items():
        if port and not is_free(port):
            raise SettingsInvalid(
                f"Port {port}, meant for {what}, is in use. Stop what uses it (another `make up`?), or set"
                " COUNTERSIGN_PORT to a free one, such as COUNTERSIGN_PORT=8865."
            )


def running_stores(settings: Settings, clock: Clock) -> AbstractAsyncContextManager[Stores]:
    """As `open_stores`, but servers that run already go on running afterwards: for a look from beside."""
    return open_stores(settings, clock, beside=True)


#: All that this installation ever writes into its home, and so all that a reset may remove.
_OURS = (
    "company",
    "log",
    "sandbox",
    "valkey",
    "postgres",
    "valkey.lock",
    "postgres.lock",
    "workspace.db*",
)
_OF_THE_DATABASE = ("audit", "keys")


async def reset(settings: Settings, clock: Clock) -> None:
    """Forget what the embedded servers, the local workspace and the sandbox have stored; raises when they run."""
    require_free_ports(settings)
    home = settings.home.resolve()
    if not home.exists():
        return
    await EmbeddedValkey(home, clock=clock).forget()
    await EmbeddedPostgres(home, clock=clock).forget()
    # Seals and keys belong to the database: one that is configured elsewhere is not forgotten, so they stay.
    remove_ours(home, keep=_OF_THE_DATABASE if settings.database_url else ())


def remove_ours(home: Path, *, keep: Sequence[str] = ()) -> None:
    """Remove what an installation writes into its home, and the folder if nothing else stands in it."""
    for path in [path for name in (*_OURS, *_OF_THE_DATABASE) if name not in keep for path in home.glob(name)]:
        with using(path):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    if not any(home.iterdir()):
        with using(home):
            home.rmdir()


def _children(settings: Settings, stores: Stores) -> list[Child]:
    env = {**_ONE_MACHINE, **os.environ, "DATABASE_URL": stores.database_url, "REDIS_URL": stores.redis_url}
    names = ["workspace", "sandbox", "serve"] if settings.is_local else ["serve"]
    return [_child(name, env) for name in names]


def _child(name: str, env: Mapping[str, str]) -> Child:
    return Child(name=name, argv=[sys.executable, "-m", "bot.cli", name], env=env)


async def _announce(settings: Settings, clock: Clock) -> None:
    """Say where to go once everything answers."""
    if not await _is_ready(settings, clock):
        print(f"Countersign is not ready after {_WAIT_SECONDS:.0f} s. Look at {settings.home / 'log'}.", flush=True)
    elif settings.is_local:
        print(f"\n  Countersign is ready: http://127.0.0.1:{settings.port}", flush=True)
        print(f"  New here? Type {settings.command} demo there. Ctrl-C stops everything.\n", flush=True)
    else:
        print(f"\n  Countersign is connected to Slack. Try {settings.command} help there.\n", flush=True)


async def _is_ready(settings: Settings, clock: Clock) -> bool:
    if settings.status_port == 0:
        return True
    deadline = clock.monotonic() + _WAIT_SECONDS
    while clock.monotonic() < deadline:
        if await asyncio.to_thread(_answers, f"http://127.0.0.1:{settings.status_port}/healthz"):
            return True
        await clock.sleep(0.1)
    return False


def _answers(url: str) -> bool:
    # The standard library's client: importing a better one would cost a tenth of the whole start.
    try:
        with urlopen(url, timeout=2) as answer:  # noqa: S310 -- our own address on loopback
            return answer.status == 200
    except OSError:
        return False
