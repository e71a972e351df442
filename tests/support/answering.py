"""An outside system that gives the same answer to everything, for answers no sandbox gives."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

from aiohttp import web


@asynccontextmanager
async def answering(
    status: int = 200, body: bytes = b"{}", *, headers: Mapping[str, str] | None = None
) -> AsyncGenerator[tuple[str, list[str]]]:
    """Its address and, growing, the method and path of every call it got."""
    seen: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append(f"{request.method} {request.rel_url}")
        return web.Response(status=status, body=body, content_type="application/json", headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", seen
    finally:
        await runner.cleanup()
