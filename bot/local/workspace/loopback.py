"""Only this machine, and only its own page: foreign names and foreign pages are refused."""

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web

_NAMES = ("127.0.0.1", "localhost", "[::1]")
_CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def own_page_only(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Refuse a Host that is not this server (a rebound name) and an Origin that is not its page."""
    hosts = _own_hosts(request)
    if request.headers.get("Host", "").lower() not in hosts:
        raise web.HTTPForbidden(text="This server answers only under 127.0.0.1 or localhost and its own port.")
    origin = request.headers.get("Origin")
    if origin is not None and not _is_own(origin, hosts):
        raise web.HTTPForbidden(text="Another page may not act here. Open this server's own page.")
    if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin") and request.method != "GET":
        raise web.HTTPForbidden(text="Another page may not act here. Open this server's own page.")
    return await handler(request)


async def add_safety_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Keep the page from loading or being loaded by anything else."""
    del request
    response.headers.setdefault("Content-Security-Policy", _CONTENT_POLICY)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "no-referrer")


def _own_hosts(request: web.Request) -> frozenset[str]:
    address = request.transport.get_extra_info("sockname") if request.transport is not None else None
    port = address[1] if address else 0
    return frozenset(f"{name}:{port}" for name in _NAMES)


def _is_own(origin: str, hosts: frozenset[str]) -> bool:
    parts = urlsplit(origin)
    return parts.scheme == "http" and parts.netloc.lower() in hosts
