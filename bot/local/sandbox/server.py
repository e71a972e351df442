"""The process that hosts the sandbox's outside systems on loopback."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from bot.local.sandbox.answers import Declined, answer_refusals
from bot.local.sandbox.database import Lane, SandboxUnusable, open_lane
from bot.local.sandbox.faults import Faults
from bot.local.sandbox.payments import Payments
from bot.local.sandbox.payments_store import PaymentsStore
from bot.local.sandbox.shop import Shop
from bot.local.sandbox.shop_store import ShopStore
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
        shop = await open_lane(lambda: ShopStore(options.home))
        stack.push_async_callback(shop.close)
        payments = await open_lane(lambda: PaymentsStore(options.home))
        stack.push_async_callback(payments.close)
        runner = web.AppRunner(
            _application(shop, payments, options.clock), access_log=None, shutdown_timeout=_DRAIN_SECONDS
        )
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        yield Sandbox(await _listen(runner, options.port))


async def serve(options: SandboxOptions) -> None:
    """Host the outside systems until cancelled; raises SandboxUnusable (files, port)."""
    async with open_sandbox(options):
        await asyncio.Event().wait()


def _application(shop: Lane[ShopStore], payments: Lane[PaymentsStore], clock: Clock) -> web.Application:
    root = web.Application(middlewares=[answer_refusals, refuse_strangers])
    shop_faults, payments_faults = Faults(shop, clock), Faults(payments, clock)
    shop_faults.add_to(root, "/control/shop")
    payments_faults.add_to(root, "/control/payments")
    shop_app = web.Application(middlewares=[shop_faults.middleware(), answer_refusals])
    Shop(shop, clock).add_to(shop_app)
    root.add_subapp("/shop", shop_app)
    payments_app = web.Application(middlewares=[payments_faults.middleware(), answer_refusals])
    Payments(payments, clock).add_to(payments_app)
    root.add_subapp("/payments", payments_app)
    return root


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
