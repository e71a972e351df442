"""Starts everything on one machine and takes it down again: the local default."""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import ClientError, ClientSession, ClientTimeout

from actions.rule_file import read
from actions.team import Member, Team
from bot.company import MANIFEST, SAMPLE, settle_sample_company
from bot.local.embedded import EmbeddedPostgres, EmbeddedServer, EmbeddedValkey, keep_running
from bot.local.home import is_free, make_folder, using
from bot.local.sandbox.server import SandboxOptions, open_sandbox
from bot.local.supervisor import Child, Supervisor
from bot.local.workspace.server import WorkspaceOptions, open_workspace
from bot.sample.shop import seed_sample
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
async def open_stores(settings: Settings, clock: Clock) -> AsyncGenerator[Stores]:
    """Postgres and Valkey: those configured, else our own, stopped again at the end."""
    home = settings.home.resolve()
    postgres = None if settings.database_url else EmbeddedPostgres(home, clock=clock)
    valkey = None if settings.redis_url else EmbeddedValkey(home, clock=clock)
    try:
        yield Stores(
            settings.database_url.get_secret_value() if settings.database_url else await _start(postgres),
            settings.redis_url.get_secret_value() if settings.redis_url else await _start(valkey),
            [server for server in (postgres, valkey) if server is not None],
        )
    finally:
        for server in (valkey, postgres):
            if server is not None:
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


@asynccontextmanager
async def running_stores(settings: Settings, clock: Clock) -> AsyncGenerator[Stores]:
    """As `open_stores`, but servers that run already go on running afterwards: for a look from beside."""
    home = settings.home.resolve()
    postgres = EmbeddedPostgres(home, clock=clock)
    if settings.database_url or postgres.pid is None:
        async with open_stores(settings, clock) as stores:
            yield stores
        return
    yield Stores(await postgres.start(), "", [])


async def reset(settings: Settings, clock: Clock) -> None:
    """Forget what the embedded servers, the local workspace and the sandbox have stored; raises when they run."""
    require_free_ports(settings)
    home = settings.home.resolve()
    if not home.exists():
        return
    await EmbeddedValkey(home, clock=clock).forget()
    await EmbeddedPostgres(home, clock=clock).forget()
    with using(home):
        shutil.rmtree(home)


async def serve_workspace(settings: Settings, clock: Clock) -> None:
    """Run the local workspace until told to stop."""
    team = read(settings.company / "team.yml", Team).content
    options = WorkspaceOptions(
        port=settings.port,
        database=settings.home.resolve() / "workspace.db",
        manifest=MANIFEST,
        company=SAMPLE / "workspace.yml",
        roles={user_id: _roles_in_words(member) for user_id, member in team.people.items()},
        clock=clock,
    )
    async with open_workspace(options):
        await _until_told()


def _roles_in_words(member: Member) -> list[str]:
    tier = f" (tier {member.tier})" if member.tier else ""
    return [f"{role}{tier if role == 'approver' else ''}" for role in sorted(member.roles)]


async def serve_sandbox(settings: Settings, clock: Clock) -> None:
    """Run the sandbox shop and payment provider until told to stop, with the sample shop where they have none."""
    home = settings.home.resolve()
    await asyncio.to_thread(seed_sample, home, clock=clock)
    async with open_sandbox(SandboxOptions(port=settings.sandbox_port, home=home, clock=clock)):
        await _until_told()


async def _until_told() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()


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
        print(f"\n  Countersign is ready: http://127.0.0.1:{settings.port}\n  Ctrl-C stops everything.\n", flush=True)
    else:
        print(f"\n  Countersign is connected to Slack. Try {settings.command} help there.\n", flush=True)


async def _is_ready(settings: Settings, clock: Clock) -> bool:
    if settings.status_port == 0:
        return True
    deadline = clock.monotonic() + _WAIT_SECONDS
    async with ClientSession(timeout=ClientTimeout(total=2)) as session:
        while clock.monotonic() < deadline:
            try:
                async with session.get(f"http://127.0.0.1:{settings.status_port}/healthz") as answer:
                    if answer.status == 200:
                        return True
            except (ClientError, TimeoutError):
                pass
            await clock.sleep(0.1)
    return False
