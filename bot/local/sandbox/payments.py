"""The sandbox payment provider as the outside sees it: refunds, the look-up of refunds, and its log."""

from dataclasses import dataclass

from aiohttp import web

from bot.local.sandbox.answers import Declined, answer
from bot.local.sandbox.database import Lane
from bot.local.sandbox.faults import leave_unanswered
from bot.local.sandbox.payments_store import PaymentsStore
from bot.local.sandbox.received import RefundBody, receive
from core.clock import Clock


@dataclass(frozen=True, slots=True)
class Payments:
    """The provider's HTTP interface over its store."""

    lane: Lane[PaymentsStore]
    clock: Clock

    def add_to(self, app: web.Application) -> None:
        """Put the provider's routes into `app`."""
        app.router.add_post("/refunds", self.make_refund)
        app.router.add_get("/refunds", self.list_refunds)
        app.router.add_get("/log", self.show_log)

    async def make_refund(self, request: web.Request) -> web.Response:
        """Refund (201), or repeat the answer of an honoured key (200 and `Idempotent-Replayed: true`)."""
        body, received = await receive(request, RefundBody, self.clock.now())
        made = await self.lane.run(lambda store: store.refund(body, received))
        if made.unanswered:
            leave_unanswered(request)
        if made.replayed:
            return answer({"refund": made.refund}, headers={"Idempotent-Replayed": "true"})
        return answer({"refund": made.refund}, status=201)

    async def list_refunds(self, request: web.Request) -> web.Response:
        """All refunds with `metadata_key`, or all of `order_id`; the list is always complete."""
        metadata_key, order_id = request.query.get("metadata_key"), request.query.get("order_id")
        if metadata_key and not order_id:
            refunds = await self.lane.run(lambda store: store.refunds_marked(metadata_key))
        elif order_id and not metadata_key:
            refunds = await self.lane.run(lambda store: store.refunds_of(order_id))
        else:
            raise Declined(400, "invalid_request", "Name either metadata_key or order_id.")
        return answer({"refunds": refunds, "complete": True})

    async def show_log(self, _request: web.Request) -> web.Response:
        """Every refund that was applied on request, oldest first, with their count and sum in minor units."""
        refunds = await self.lane.run(lambda store: store.log())
        total = sum(refund["amount_minor"] for refund in refunds)
        return answer({"refunds": refunds, "count": len(refunds), "sum_minor": total})
