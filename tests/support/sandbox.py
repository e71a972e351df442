"""Speaks to a sandbox as a connector of the outside systems would, and as a test that sets their faults."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import aiohttp

Json = dict[str, Any]
Answer = tuple[int, Json, Mapping[str, str]]

# The whole of order #W1002 of the sample shop.
CHAIR: Json = {
    "order_id": "#W1002",
    "amount_minor": 38900,
    "currency": "USD",
    "payment_method_id": "paypal_1002",
    "metadata": {"countersign_key": "mark-1"},
}
# The bottle of order #W1001.
BOTTLE: Json = {
    "item_ids": ["1000000100"],
    "payment_method_id": "credit_card_1004",
    "amount_minor": 1850,
    "currency": "USD",
    "reason": "defective",
}


class SandboxClient:
    """The sandbox at `url`, asked over plain HTTP."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def get(self, path: str) -> tuple[int, Json]:
        """Status and JSON of a GET."""
        async with self._session.get(self._url + path) as response:
            return response.status, await response.json()

    async def post(
        self, path: str, body: Json | bytes, key: str | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Status, JSON and headers of a POST of `body`, bytes being sent as they are."""
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {"Content-Type": "application/json", **(headers or {})}
        if key is not None:
            named["Idempotency-Key"] = key
        async with self._session.post(self._url + path, data=sent, headers=named) as response:
            return response.status, await response.json(), response.headers

    async def refund(self, key: str | None = None, **changes: Any) -> Answer:
        """Ask the provider to refund CHAIR, with `changes`."""
        return await self.post("/payments/refunds", {**CHAIR, **changes}, key)

    async def give_back(self, order_id: str = "#W1001", key: str | None = None, **changes: Any) -> Answer:
        """Ask the shop to record the return of BOTTLE, with `changes`."""
        return await self.post(f"/shop/orders/{quote(order_id, safe='')}/return", {**BOTTLE, **changes}, key)

    async def order(self, order_id: str) -> Json:
        """The order as the shop shows it."""
        return (await self.get(f"/shop/orders/{quote(order_id, safe='')}"))[1]["order"]

    async def orders(self, status: str = "", *, limit: int = 200) -> list[Json]:
        """All orders in short, page after page."""
        found: list[Json] = []
        after: str | None = ""
        while after is not None:
            query = f"limit={limit}&after={quote(after, safe='')}" + (f"&status={status}" if status else "")
            _, page = await self.get(f"/shop/orders?{query}")
            found += page["orders"]
            after = page["next"]
        return found

    async def control(self, system: str, **changes: Any) -> Json:
        """Set the behaviour of `shop` or `payments`, or only read it."""
        path = f"/control/{system}"
        return (await self.post(path, changes))[1] if changes else (await self.get(path))[1]

    async def log(self) -> Json:
        """The provider's own log."""
        return (await self.get("/payments/log"))[1]
