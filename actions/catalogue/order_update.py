"""order.update: records in the shop that items of a delivered order come back; order.restore takes that back."""

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from actions.action import Call, Effect, action
from actions.ground import Ground
from actions.trusted import CUSTOMER_METHODS, ORDER, ORDER_PAYMENTS
from actions.written import OrderRules
from core.money import Money

_Id = Annotated[str, Field(min_length=1, max_length=200)]


class OrderReturn(BaseModel):
    """The return of some items of one order, and the refund that goes with it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    order_id: _Id
    item_ids: Annotated[list[_Id], Field(min_length=1, max_length=200)]
    payment_method_id: _Id
    amount: Money
    """What is refunded for it; the shop notes it, no money moves here."""
    reason: Annotated[str, Field(max_length=500)]

    @field_validator("amount")
    @classmethod
    def _is_not_negative(cls, amount: Money) -> Money:
        if amount.minor < 0:
            raise ValueError(f"a return of {amount} is below zero")
        return amount


class OrderUpdated(BaseModel):
    """The shop's proof that the return is recorded."""

    model_config = ConfigDict(frozen=True)

    order_id: str
    status: str
    return_id: str


@action(
    "order.update",
    connector="shop",
    effect=Effect.REVERSIBLE,
    summary="Record the return of {item_ids} from order {order_id}",
    target="order_id",
    resolved={"order_id": ORDER, "payment_method_id": CUSTOMER_METHODS, "amount": ORDER_PAYMENTS},
)
async def update_order(args: OrderReturn, call: Call) -> OrderUpdated:
    """Record the return; the result is how the order stood right after it."""
    reply = await call.send()
    order = reply["order"]
    return OrderUpdated(order_id=order["order_id"], status=order["status"], return_id=reply["return_id"])


@update_order.precheck
async def still_returnable(args: OrderReturn, ground: Ground) -> str:
    """The order may have moved on between the approval and the sending."""
    return await moved_on(args.order_id, ground, ground.rulebook.returns, "returned")


async def moved_on(order_id: str, ground: Ground, rules: OrderRules | None, what: str) -> str:
    """Why the order, as it stands now, cannot be returned or exchanged under these rules; empty where it can."""
    order = await ground.records.order(order_id)
    if order is None:
        return f"The shop has no order {order_id} any more, so nothing was sent."
    if order.in_return is not None:
        return f"{order_id} has been put in return meanwhile, so nothing was sent."
    if rules is None or order.status not in rules.delivered_only.statuses:
        return f"{order_id} is “{order.status}” by now, which cannot be {what}, so nothing was sent."
    return ""


@update_order.preview
async def how_it_will_stand(args: OrderReturn, ground: Ground) -> list[tuple[str, str, str]]:
    """The order's status, and what of it is on its way back."""
    order = await ground.records.order(args.order_id)
    if order is None:
        return [("order", "the shop has none of this number", "")]
    coming = [] if order.in_return is None else order.in_return.item_ids
    names = {line.item_id: line.name for line in order.items}
    before, after = (", ".join(f"{names.get(item, '?')} ({item})" for item in ids) for ids in (coming, args.item_ids))
    return [("status", order.status, "return requested"), ("coming back", before or "nothing", after)]


@update_order.attested
def return_found(args: OrderReturn, reference: str) -> OrderUpdated:
    """What a person's word gives where the shop left no receipt."""
    return OrderUpdated(order_id=args.order_id, status="return requested", return_id=reference)


class ReturnMade(BaseModel):
    """One return that the shop has recorded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    order_id: _Id
    return_id: _Id


class OrderRestored(BaseModel):
    """The shop's proof that the order stands as it did before the return."""

    model_config = ConfigDict(frozen=True)

    order_id: str
    status: str
    restore_id: str


@action(
    "order.restore",
    connector="shop",
    effect=Effect.REVERSIBLE,
    summary="Restore order {order_id} to how it stood before return {return_id}",
    target="order_id",
    resolved={"order_id": ORDER},
)
async def restore_order(args: ReturnMade, call: Call) -> OrderRestored:
    """Take the return back; the shop refuses when the order has moved on since."""
    reply = await call.send()
    order = reply["order"]
    return OrderRestored(order_id=order["order_id"], status=order["status"], restore_id=reply["restore_id"])


@update_order.compensation(restore_order, within=timedelta(days=30))
def take_back_return(args: OrderReturn, done: OrderUpdated) -> ReturnMade:
    """The very return that was recorded, and no later one of the same order."""
    return ReturnMade(order_id=args.order_id, return_id=done.return_id)


BY_HAND = update_order.by_hand(
    "In the shop, set order {order_id} back to how it was before the return: {item_ids} do not come back after all."
)


@restore_order.attested
def restore_found(args: ReturnMade, reference: str) -> OrderRestored:
    """What a person's word gives where the shop left no receipt."""
    return OrderRestored(order_id=args.order_id, status="delivered", restore_id=reference)
