"""An outside payment provider in a process of its own: its log is the oracle of what happened, and how often."""

import asyncio
import random
import signal
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, cast

from aiohttp import ClientSession, web

Json = dict[str, Any]

#: What it may be told to do with a call, besides serving it well.
FAULTS = (
    "apply slowly",
    "answer slowly",
    "apply, no answer",
    "no answer",
    "apply, cut",
    "500",
    "500, apply late",
    "429",
    "refuse",
)
_SLOWLY = 0.6
_FOR_EVER = 60.0


@dataclass
class _Provider:
    """Refunds, kept in the order in which they were made."""

    honours_keys: bool
    delays: float
    late: float
    dice: random.Random
    applied: list[Json] = field(default_factory=list[Json])
    calls: list[Json] = field(default_factory=list[Json])
    looks: list[str] = field(default_factory=list[str])
    plan: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    blind: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """How many look-ups about an order it cannot answer yet."""
    keys: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    later: set[asyncio.Task[Json]] = field(default_factory=set[asyncio.Task[Json]])

    async def refund(self, request: web.Request) -> web.StreamResponse:
        """Do with this call what was planned for its order, else refund."""
        body: Json = await request.json()
        order, key = body["order_id"], body["metadata"]["countersign_key"]
        self.calls.append({"order_id": order, "key": key})
        planned = self.plan[order].pop(0) if self.plan[order] else ""
        match planned:
            case "429":
                headers = {"Retry-After": "1"}
                return web.json_response({"error": "too_many_requests"}, status=429, headers=headers)
            case "refuse":
                return web.json_response({"error": "card_closed"}, status=402)
            case "500":
                return web.json_response({"error": "internal"}, status=500)
            case "500, apply late":
                task = asyncio.create_task(self.apply(body, after=self.late))
                self.later.add(task)
                return web.json_response({"error": "internal"}, status=500)
            case "no answer":
                await asyncio.sleep(_FOR_EVER)
            case _:
                pass
        await asyncio.sleep(self.dice.uniform(0, self.delays))
        made = await self.apply(body, after=_SLOWLY if planned == "apply slowly" else 0)
        if planned == "apply, cut" and request.transport is not None:
            request.transport.abort()
        slowly = {"answer slowly": _SLOWLY, "apply, no answer": _FOR_EVER}
        await asyncio.sleep(slowly.get(planned, self.dice.uniform(0, self.delays)))
        return web.json_response({"refund": made}, status=201)

    async def apply(self, body: Json, *, after: float = 0) -> Json:
        """Refund, unless it honours keys and has refunded under this one; calls under one key wait for each other."""
        key = body["metadata"]["countersign_key"]
        async with self.keys[key]:
            await asyncio.sleep(after)
            known = [made for made in self.applied if made["key"] == key]
            if known and self.honours_keys:
                made = known[0]
            else:
                names = ("order_id", "amount_minor", "currency", "payment_method_id")
                made = {"refund_id": f"re_{len(self.applied) + 1}", "key": key, **{name: body[name] for name in names}}
                self.applied.append(made)
        return {name: value for name, value in made.items() if name != "key"}

    async def find(self, request: web.Request) -> web.Response:
        """Every refund under a key; now and then it cannot say."""
        key = request.query["metadata_key"]
        self.looks.append(key)
        orders = {call["order_id"] for call in self.calls if call["key"] == key}
        if any(self.blind[order] > 0 for order in orders):
            for order in orders:
                self.blind[order] -= 1
            return web.json_response({"error": "unavailable"}, status=503)
        found = [{k: v for k, v in made.items() if k != "key"} for made in self.applied if made["key"] == key]
        return web.json_response({"refunds": found, "complete": True})

    async def show(self, _: web.Request) -> web.Response:
        """All that reached it."""
        return web.json_response({"applied": self.applied, "calls": self.calls, "looks": self.looks})

    async def take_plan(self, request: web.Request) -> web.Response:
        """What to do with the next calls about an order."""
        told: Json = await request.json()
        self.plan[told["order_id"]] = list(told["calls"])
        self.blind[told["order_id"]] = int(told["blind"])
        return web.json_response({})


async def _serve(given: Json) -> None:
    dice = random.Random(given["seed"])
    provider = _Provider(given["honours_keys"], given["delays"], given["late"], dice)
    app = web.Application()
    app.router.add_post("/payments/refunds", provider.refund)
    app.router.add_get("/payments/refunds", provider.find)
    app.router.add_get("/log", provider.show)
    app.router.add_post("/plan", provider.take_plan)
    runner = web.AppRunner(app, handle_signals=False, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", given["port"], reuse_address=True).start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()


def main(given: Json) -> None:
    """Refund until killed."""
    asyncio.run(_serve(given))


@dataclass
class Receiver:
    """The tester's view of it."""

    session: ClientSession
    port: int

    async def log(self) -> Json:
        """Everything that was applied, every call and every look-up."""
        async with self.session.get(self._url("/log")) as response:
            return cast(Json, await response.json())

    async def plan(self, order_id: str, *calls: str, blind: int = 0) -> None:
        """Tell it what to do with the next calls about this order, and how many look-ups it cannot answer."""
        assert set(calls) <= {*FAULTS, ""}, calls
        async with self.session.post(self._url("/plan"), json={"order_id": order_id, "calls": calls, "blind": blind}):
            pass

    async def is_up(self) -> bool:
        """True when it answers."""
        try:
            await self.log()
        except OSError:
            return False
        return True

    def _url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"
