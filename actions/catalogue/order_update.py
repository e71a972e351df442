"""order.update: records in the shop that items of a delivered order come back."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from actions.action import Call, Effect, action
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
)
async def update_order(args: OrderReturn, call: Call) -> OrderUpdated:
    """Record the return; the result is how the order stood right after it."""
    reply = await call.send()
    order = reply["order"]
    return OrderUpdated(order_id=order["order_id"], status=order["status"], return_id=reply["return_id"])
