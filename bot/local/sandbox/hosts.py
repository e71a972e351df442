"""The sandbox's hosts as the outside sees them: an inventory, a containment endpoint, a sensor's log and feeds."""

from dataclasses import dataclass

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from bot.local.sandbox.answers import Declined, answer
from bot.local.sandbox.database import Lane
from bot.local.sandbox.faults import leave_unanswered
from bot.local.sandbox.hosts_store import HostsStore, IsolationBody, ReleaseBody
from bot.local.sandbox.received import read_body, receive
from core.clock import Clock

_MOST_LINES = 20_000


class _Addresses(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    addresses: list[str]


class _Lines(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    lines: list[str]


@dataclass(frozen=True, slots=True)
class Hosts:
    """The HTTP interface over the store of hosts."""

    lane: Lane[HostsStore]
    clock: Clock

    def add_to(self, app: web.Application) -> None:
        """Put the routes into `app`."""
        app.router.add_get("/inventory/{name}", self.show_host)
        app.router.add_put("/inventory", self.find_hosts)
        app.router.add_post("/isolations", self.isolate)
        app.router.add_post("/releases", self.release)
        app.router.add_get("/isolations", self.show_isolation)
        app.router.add_get("/releases", self.show_release)
        app.router.add_get("/log", self.show_log)
        app.router.add_get("/sensor", self.read_sensor)
        app.router.add_put("/sensor", self.write_sensor)
        app.router.add_get("/feeds/{name}", self.show_feed)

    async def show_host(self, request: web.Request) -> web.Response:
        """One host by its id or one of its addresses, or 404."""
        name = request.match_info["name"]
        return answer({"host": await self.lane.run(lambda store: store.host(name))})

    async def find_hosts(self, request: web.Request) -> web.Response:
        """Those of the named addresses that are hosts', each with its host."""
        body = await read_body(request, _Addresses)
        return answer({"hosts": await self.lane.run(lambda store: store.hosts_at(body.addresses))})

    async def isolate(self, request: web.Request) -> web.Response:
        """Cut one host off; the same key and body get the same answer."""
        body, received = await receive(request, IsolationBody, self.clock.now())
        made = await self.lane.run(lambda store: store.isolate(body, received))
        if made.unanswered:
            leave_unanswered(request)
        return answer(made.answer)

    async def release(self, request: web.Request) -> web.Response:
        """Let one host back; the same key and body get the same answer."""
        body, received = await receive(request, ReleaseBody, self.clock.now())
        made = await self.lane.run(lambda store: store.release(body, received))
        if made.unanswered:
            leave_unanswered(request)
        return answer(made.answer)

    async def show_isolation(self, request: web.Request) -> web.Response:
        """The isolation made under `key`, as it was answered then, or 404."""
        key = request.query.get("key", "")
        return answer(await self.lane.run(lambda store: store.effects.under("isolation", key)))

    async def show_release(self, request: web.Request) -> web.Response:
        """The release made under `key`, as it was answered then, or 404."""
        key = request.query.get("key", "")
        return answer(await self.lane.run(lambda store: store.effects.under("release", key)))

    async def show_log(self, _request: web.Request) -> web.Response:
        """Every isolation and every release, oldest first, with the hash of the bytes."""
        isolations = await self.lane.run(lambda store: store.effects.all("isolation"))
        releases = await self.lane.run(lambda store: store.effects.all("release"))
        return answer({"isolations": isolations, "releases": releases})

    async def read_sensor(self, request: web.Request) -> web.Response:
        """The lines of the sensor's log after a position."""
        after, limit = _number(request, "after", 10**12), _number(request, "limit", _MOST_LINES)
        return answer({"lines": await self.lane.run(lambda store: store.lines(after, limit))})

    async def write_sensor(self, request: web.Request) -> web.Response:
        """Add lines to the sensor's log, whatever they hold."""
        body = await read_body(request, _Lines)
        await self.lane.run(lambda store: store.write_lines(body.lines))
        return answer({"written": len(body.lines)})

    async def show_feed(self, request: web.Request) -> web.Response:
        """What a feed holds, or 404."""
        name = request.match_info["name"]
        return answer({"feed": await self.lane.run(lambda store: store.feed(name))})


def _number(request: web.Request, name: str, most: int) -> int:
    text = request.query.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and int(text) <= most):
        raise Declined(400, "invalid_request", f"{name} must be a number up to {most}.")
    return int(text)
