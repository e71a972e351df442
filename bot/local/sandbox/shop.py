"""The sandbox shop as the outside sees it: orders, customers, products, and the recording of returns."""

from dataclasses import dataclass

from aiohttp import web

from bot.local.sandbox.answers import Declined, answer
from bot.local.sandbox.database import Lane
from bot.local.sandbox.faults import leave_unanswered
from bot.local.sandbox.received import ExchangeBody, RestoreBody, ReturnBody, receive
from bot.local.sandbox.shop_store import ShopStore
from core.clock import Clock

_MOST_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Shop:
    """The shop's HTTP interface over its store."""

    lane: Lane[ShopStore]
    clock: Clock

    def add_to(self, app: web.Application) -> None:
        """Put the shop's routes into `app`."""
        app.router.add_get("/orders", self.list_orders)
        app.router.add_get("/orders/{order_id}", self.show_order)
        app.router.add_post("/orders/{order_id}/return", self.record_return)
        app.router.add_post("/orders/{order_id}/exchange", self.record_exchange)
        app.router.add_post("/orders/{order_id}/restore", self.restore_order)
        app.router.add_get("/customers/{customer_id}", self.show_customer)
        app.router.add_get("/products/{product_id}", self.show_product)
        app.router.add_get("/return-requests", self.list_return_requests)
        app.router.add_get("/returns", self.show_return)
        app.router.add_get("/exchanges", self.show_exchange)
        app.router.add_get("/restores", self.show_restore)
        app.router.add_get("/log", self.show_log)

    async def list_orders(self, request: web.Request) -> web.Response:
        """Orders in short, by id; `next` is the `after` of the next page, or null at the end."""
        status, after = request.query.get("status"), request.query.get("after", "")
        limit = _limit(request)
        found = await self.lane.run(lambda store: store.orders(status, after, limit + 1))
        page = found[:limit]
        following = page[-1]["order_id"] if len(found) > limit else None
        return answer({"orders": page, "next": following})

    async def show_order(self, request: web.Request) -> web.Response:
        """One order as it stands, or 404."""
        order_id = request.match_info["order_id"]
        return answer({"order": await self.lane.run(lambda store: store.order(order_id))})

    async def show_customer(self, request: web.Request) -> web.Response:
        """One customer with the payment methods on file, or 404."""
        customer_id = request.match_info["customer_id"]
        return answer({"customer": await self.lane.run(lambda store: store.customer(customer_id))})

    async def show_product(self, request: web.Request) -> web.Response:
        """One product with its variants, or 404."""
        product_id = request.match_info["product_id"]
        return answer({"product": await self.lane.run(lambda store: store.product(product_id))})

    async def list_return_requests(self, request: web.Request) -> web.Response:
        """Customers' return requests that are open, or closed with `state=closed`."""
        state = request.query.get("state", "open")
        if state not in {"open", "closed"}:
            raise Declined(400, "invalid_request", "state must be open or closed.")
        return answer({"requests": await self.lane.run(lambda store: store.return_requests(state))})

    async def record_return(self, request: web.Request) -> web.Response:
        """Set a delivered order to "return requested"; the same key and body get the same answer."""
        body, received = await receive(request, ReturnBody, self.clock.now())
        order_id = request.match_info["order_id"]
        made = await self.lane.run(lambda store: store.record_return(order_id, body, received))
        if made.unanswered:
            leave_unanswered(request)
        return answer(made.answer)

    async def show_return(self, request: web.Request) -> web.Response:
        """The return made under `key`, as it was answered then, or 404."""
        key = request.query.get("key")
        if not key:
            raise Declined(400, "invalid_request", "Name the key: /shop/returns?key=….")
        return answer(await self.lane.run(lambda store: store.return_under(key)))

    async def record_exchange(self, request: web.Request) -> web.Response:
        """Set a delivered order to "exchange requested"; the same key and body get the same answer."""
        body, received = await receive(request, ExchangeBody, self.clock.now())
        order_id = request.match_info["order_id"]
        made = await self.lane.run(lambda store: store.exchanges.record(order_id, body, received))
        if made.unanswered:
            leave_unanswered(request)
        return answer(made.answer)

    async def show_exchange(self, request: web.Request) -> web.Response:
        """The exchange made under `key`, as it was answered then, or 404."""
        key = request.query.get("key", "")
        return answer(await self.lane.run(lambda store: store.exchanges.under(key)))

    async def restore_order(self, request: web.Request) -> web.Response:
        """Take back the return an order is in, as if it had not been asked; same key and body, same answer."""
        body, received = await receive(request, RestoreBody, self.clock.now())
        order_id = request.match_info["order_id"]
        made = await self.lane.run(lambda store: store.restore(order_id, body, received))
        if made.unanswered:
            leave_unanswered(request)
        return answer(made.answer)

    async def show_restore(self, request: web.Request) -> web.Response:
        """The restoring done under `key`, as it was answered then, or 404."""
        key = request.query.get("key")
        if not key:
            raise Declined(400, "invalid_request", "Name the key: /shop/restores?key=….")
        return answer(await self.lane.run(lambda store: store.restore_under(key)))

    async def show_log(self, _request: web.Request) -> web.Response:
        """Every return and exchange that was applied and what was taken back, oldest first, with hashes."""
        returns = await self.lane.run(lambda store: store.log())
        restores = await self.lane.run(lambda store: store.restores())
        exchanges = await self.lane.run(lambda store: store.exchanges.all())
        logs = {"returns": returns, "restores": restores, "exchanges": exchanges}
        return answer({**logs, "count": len(returns)})


def _limit(request: web.Request) -> int:
    text = request.query.get("limit", "50")
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _MOST_AT_ONCE):
        raise Declined(400, "invalid_request", f"limit must be a number from 1 to {_MOST_AT_ONCE}.")
    return int(text)
