"""order.exchange: records that items of a delivered order are swapped for other variants of the same products."""

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from actions.action import Call, Effect, action
from actions.catalogue.order_update import ReturnMade, moved_on, restore_order
from actions.ground import Ground
from actions.trusted import CUSTOMER_METHODS, ORDER, ORDER_CUSTOMER
from core.money import Money

_Id = Annotated[str, Field(min_length=1, max_length=200)]
_Ids = Annotated[list[_Id], Field(min_length=1, max_length=200)]


class Exchange(BaseModel):
    """Which items of an order are swapped for which, and who pays the difference how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    order_id: _Id
    item_ids: _Ids
    new_item_ids: _Ids
    """For each item of `item_ids`, in that order, the one the customer gets for it."""
    payment_method_id: _Id
    difference: Money
    """What the customer pays on top; below zero, what they get back. The shop settles it with that method."""
    reason: Annotated[str, Field(max_length=500)]
    customer_id: _Id | None = None
    """On whose account it is, as the shop's own record says."""

    @model_validator(mode="after")
    def _swaps_each(self) -> "Exchange":
        if len(self.item_ids) != len(self.new_item_ids):
            raise ValueError("each item needs exactly one new item")
        return self


class Exchanged(BaseModel):
    """The shop's proof that the exchange is recorded."""

    model_config = ConfigDict(frozen=True)

    order_id: str
    status: str
    exchange_id: str


@action(
    "order.exchange",
    connector="shop",
    effect=Effect.REVERSIBLE,
    summary="Exchange {item_ids} of order {order_id} for {new_item_ids}; difference {difference}, {payment_method_id}",
    amount="difference",
    target="order_id",
    recipient="payment_method_id",
    customer="customer_id",
    resolved={"order_id": ORDER, "payment_method_id": CUSTOMER_METHODS, "customer_id": ORDER_CUSTOMER},
)
async def exchange_order(args: Exchange, call: Call) -> Exchanged:
    """Record the exchange; the result is how the order stood right after it."""
    reply = await call.send()
    order = reply["order"]
    return Exchanged(order_id=order["order_id"], status=order["status"], exchange_id=reply["exchange_id"])


@exchange_order.precheck
async def still_exchangeable(args: Exchange, ground: Ground) -> str:
    """The order may have moved on between the approval and the sending."""
    return await moved_on(args.order_id, ground, ground.rulebook.exchanges, "exchanged")


@exchange_order.attested
def exchange_found(args: Exchange, reference: str) -> Exchanged:
    """What a person's word gives where the shop left no receipt."""
    return Exchanged(order_id=args.order_id, status="exchange requested", exchange_id=reference)


@exchange_order.compensation(restore_order, within=timedelta(days=30))
def take_back_exchange(args: Exchange, done: Exchanged) -> ReturnMade:
    """The very exchange that was recorded, and no later return or exchange of the same order."""
    return ReturnMade(order_id=args.order_id, return_id=done.exchange_id)


BY_HAND = exchange_order.by_hand(
    "In the shop, set order {order_id} back to how it was: {item_ids} are not exchanged for {new_item_ids} after all,"
    " and the difference of {difference} is settled back."
)
