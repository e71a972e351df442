"""payment.refund: gives money back to a customer, to a payment method of their own."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from actions.action import Call, Effect, action
from actions.trusted import CUSTOMER_METHODS, ORDER, ORDER_CUSTOMER, ORDER_PAYMENTS
from core.money import Money

_Id = Annotated[str, Field(min_length=1, max_length=200)]


class Refund(BaseModel):
    """One refund for one order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    order_id: _Id
    payment_method_id: _Id
    amount: Money
    reason: Annotated[str, Field(max_length=500)]
    customer_id: _Id | None = None
    """On whose account it is, as the shop's own record says."""

    @field_validator("amount")
    @classmethod
    def _moves_money(cls, amount: Money) -> Money:
        if amount.minor <= 0:
            raise ValueError(f"a refund of {amount} gives nothing back; it must be above zero")
        return amount


class Refunded(BaseModel):
    """The payment provider's proof of a refund."""

    model_config = ConfigDict(frozen=True)

    refund_id: str
    amount: Money
    payment_method_id: str


@action(
    "payment.refund",
    connector="payments",
    effect=Effect.IRREVERSIBLE,
    summary="Refund {amount} for order {order_id} to {payment_method_id}",
    amount="amount",
    target="order_id",
    recipient="payment_method_id",
    customer="customer_id",
    resolved={
        "order_id": ORDER,
        "amount": ORDER_PAYMENTS,
        "payment_method_id": CUSTOMER_METHODS,
        "customer_id": ORDER_CUSTOMER,
    },
)
async def refund_payment(args: Refund, call: Call) -> Refunded:
    """Refund through the payment provider; the result is what the provider says it did."""
    made = (await call.send())["refund"]
    return Refunded(
        refund_id=made["refund_id"],
        amount=Money(made["amount_minor"], made["currency"]),
        payment_method_id=made["payment_method_id"],
    )


@refund_payment.attested
def refund_found(args: Refund, reference: str) -> Refunded:
    """What a person's word gives where the provider left no receipt."""
    return Refunded(refund_id=reference, amount=args.amount, payment_method_id=args.payment_method_id)


# No compensation: money that is back with a customer comes again only if they pay, which is theirs to decide.
BY_HAND = refund_payment.by_hand(
    "Ask the customer of order {order_id} to pay {amount} again: the refund to {payment_method_id} is with them and "
    "cannot be recalled."
)
