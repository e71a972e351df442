"""Says whether this process can do its work (/healthz) and what it has counted (/metrics)."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from aiohttp import web

from core.errors import SettingsInvalid
from core.metrics import Metrics

Check = Callable[[], Awaitable[bool]]
Paused = Callable[[], Awaitable[list[str]]]
"""What is paused, one sentence each: no fault, but what explains why nothing happens."""


@asynccontextmanager
async def open_health(
    port: int,
    checks: Mapping[str, Check],
    metrics: Metrics,
    *,
    paused: Paused,
    warnings: Callable[[], Sequence[str]] = list,
) -> AsyncGenerator[None]:
    """Serve /healthz and /metrics on loopback while the block runs; port 0 serves nothing."""
    if port == 0:
        yield
        return

    async def healthz(request: web.Request) -> web.Response:
        found = {name: await check() for name, check in checks.items()}
        return web.json_response(
            # A warning is no reason to restart anything: the process does its work.
            {
                "ok": all(found.values()),
                "checks": found,
                "paused": await paused(),
                "warnings": list(warnings()),
            },
            status=200 if all(found.values()) else 503,
        )

    async def page(request: web.Request) -> web.Response:
        return web.Response(body=metrics.page(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/metrics", page)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
        except OSError as error:
            raise SettingsInvalid(
                f"Port {port} for /healthz and /metrics is in use. Stop what uses it, or set COUNTERSIGN_HEALTH_PORT."
            ) from error
        yield
    finally:
        await runner.cleanup()
