"""A proxy that records what it forwards and honours Idempotency-Key the way Stripe documents it."""

import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web


@dataclass
class KeyedProxy:
    """What it has seen, and how it is to misbehave."""

    upstream: str
    url: str = ""
    received: list[tuple[str, str, str, str]] = field(default_factory=list[tuple[str, str, str, str]])
    """Method, path, key and SHA-256 of every body, as they came."""
    forwarded: int = 0
    honours_keys: bool = True
    fails_after: int = 0
    """So many of the next calls are carried out and answered with a 500."""
    drops_after: int = 0
    """So many of the next calls are carried out and not answered at all."""
    answers: dict[str, tuple[str, int, bytes]] = field(default_factory=dict[str, tuple[str, int, bytes]])
    busy: set[str] = field(default_factory=set[str])

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        key = request.headers.get("Idempotency-Key", "")
        digest = hashlib.sha256(body).hexdigest()
        self.received.append((request.method, request.path, key, digest))
        if request.method != "POST" or not key or not self.honours_keys:
            return await self._settled(request, *await self._forward(request, body))
        if key in self.busy:
            return self._refused(409, "idempotency_key_in_use", "invalid_request_error")
        if key in self.answers:
            before, status, answer = self.answers[key]
            if before != digest:
                return self._refused(400, "", "idempotency_error")
            return web.Response(
                status=status,
                body=answer,
                content_type="application/json",
                headers={"Idempotent-Replayed": "true"},
            )
        self.busy.add(key)
        try:
            status, answer = await self._forward(request, body)
            if self.fails_after:
                self.fails_after -= 1
                status, answer = 500, b'{"error": {"type": "api_error", "message": "something broke"}}'
            # What fails its validation never began, so nothing is kept of it.
            if status != 400:
                self.answers[key] = (digest, status, answer)
        finally:
            self.busy.discard(key)
        return await self._settled(request, status, answer)

    async def _settled(self, request: web.Request, status: int, answer: bytes) -> web.StreamResponse:
        if self.drops_after and request.method == "POST":
            self.drops_after -= 1
            assert request.transport is not None
            request.transport.abort()
        return web.Response(status=status, body=answer, content_type="application/json")

    async def _forward(self, request: web.Request, body: bytes) -> tuple[int, bytes]:
        self.forwarded += request.method == "POST"
        kept = {name: value for name, value in request.headers.items() if name in {"Authorization", "Content-Type"}}
        async with (
            aiohttp.ClientSession() as session,
            session.request(request.method, self.upstream + request.path_qs, data=body, headers=kept) as answer,
        ):
            return answer.status, await answer.read()

    @staticmethod
    def _refused(status: int, code: str, kind: str) -> web.Response:
        return web.json_response({"error": {"type": kind, "code": code, "message": "same key"}}, status=status)


@asynccontextmanager
async def keyed_proxy(upstream: str) -> AsyncGenerator[KeyedProxy]:
    """A proxy in front of `upstream`, on a loopback port of its own."""
    proxy = KeyedProxy(upstream)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", proxy.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    proxy.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield proxy
    finally:
        await runner.cleanup()
