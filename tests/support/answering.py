"""An outside system that a test makes up: one handler for everything, or the same answer to everything."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from aiohttp import web


@asynccontextmanager
async def serving(handle: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncGenerator[str]:
    """The address on loopback where this handler answers every call."""
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def answering(
    status: int = 200, body: bytes = b"{}", *, headers: Mapping[str, str] | None = None
) -> AsyncGenerator[tuple[str, list[str]]]:
    """Its address and, growing, the method and path of every call it got."""
    seen: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append(f"{request.method} {request.rel_url}")
        return web.Response(status=status, body=body, content_type="application/json", headers=headers)

    async with serving(handle) as url:
        yield url, seen
