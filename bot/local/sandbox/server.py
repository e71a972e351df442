"""The process that hosts the sandbox's outside systems on loopback."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from bot.local.sandbox.answers import Declined, answer_refusals
from bot.local.sandbox.competitors import Competitors, CompetitorsStore
from bot.local.sandbox.database import Lane, SandboxUnusable, open_lane
from bot.local.sandbox.faults import Controlled, Faults
from bot.local.sandbox.hosts import Hosts
from bot.local.sandbox.hosts_store import HostsStore
from bot.local.sandbox.mail import MOST_MAIL, Mailbox, Outgoing
from bot.local.sandbox.mail_store import MailboxStore, OutgoingStore
from bot.local.sandbox.payments import Payments
from bot.local.sandbox.payments_store import PaymentsStore
from bot.local.sandbox.prices import Prices, PricesStore
from bot.local.sandbox.shop import Shop
from bot.local.sandbox.shop_store import ShopStore
from bot.local.sandbox.site import Site
from bot.local.sandbox.site_store import SiteStore
from core.clock import Clock

_LOOPBACK = "127.0.0.1"
_LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
# Long enough for a request at work, too short for one that was told to be slow.
_DRAIN_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """Where the sandbox listens and keeps its files: port 0 takes any free one, `home` is COUNTERSIGN_HOME."""

    port: int
    home: Path
    clock: Clock


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A sandbox that answers."""

    port: int

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://{_LOOPBACK}:{self.port}"


@asynccontextmanager
async def open_sandbox(options: SandboxOptions) -> AsyncGenerator[Sandbox]:
    """The outside systems, answering until the block ends; raises SandboxUnusable (files, port)."""
    async with AsyncExitStack() as stack:
        root = web.Application(middlewares=[answer_refusals, refuse_strangers], client_max_size=MOST_MAIL)
        for system in _SYSTEMS:
            lane = await open_lane(partial(system.open, options.home))
            stack.push_async_callback(lane.close)
            _add(root, system, lane, options.clock)
        runner = web.AppRunner(root, access_log=None, shutdown_timeout=_DRAIN_SECONDS)
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        yield Sandbox(await _listen(runner, options.port))


async def serve(options: SandboxOptions) -> None:
    """Host the outside systems until cancelled; raises SandboxUnusable (files, port)."""
    async with open_sandbox(options):
        await asyncio.Event().wait()


class Interface(Protocol):
    """The routes of one system."""

    def add_to(self, app: web.Application) -> None:
        """Put them into `app`."""
        ...


@dataclass(frozen=True, slots=True)
class System:
    """One outside system: where it answers, what it keeps, and its routes over that."""

    name: str
    open: Callable[[Path], Controlled]
    interface: Callable[[Any, Clock], Interface]


#: What this process plays, each with a database and a log of its own.
_SYSTEMS = (
    System("shop", ShopStore, Shop),
    System("payments", PaymentsStore, Payments),
    System("mailbox", MailboxStore, Mailbox),
    System("mail", OutgoingStore, Outgoing),
    System("site", SiteStore, Site),
    System("hosts", HostsStore, Hosts),
    System("competitors", CompetitorsStore, Competitors),
    System("shop/prices", PricesStore, Prices),
)


def _add(root: web.Application, system: System, lane: Lane[Controlled], clock: Clock) -> None:
    faults = Faults(lane, clock)
    faults.add_to(root, f"/control/{system.name}")
    app = web.Application(middlewares=[faults.middleware(), answer_refusals], client_max_size=MOST_MAIL)
    system.interface(lane, clock).add_to(app)
    root.add_subapp(f"/{system.name}", app)


async def _listen(runner: web.AppRunner, port: int) -> int:
    try:
        await web.TCPSite(runner, _LOOPBACK, port).start()
    except OSError as error:
        raise SandboxUnusable(
            f"The sandbox cannot listen on {_LOOPBACK}:{port}: {error.strerror or error}. "
            "Stop the program that holds this port, or choose another port for the sandbox."
        ) from error
    return int(runner.addresses[0][1])


@web.middleware
async def refuse_strangers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse calls that a foreign web page makes a browser send: another Host, or any Origin."""
    if urlsplit(f"//{request.host}").hostname not in _LOOPBACK_NAMES or "Origin" in request.headers:
        raise Declined(403, "forbidden", "The sandbox answers programs on this machine, not web pages.")
    return await handler(request)
