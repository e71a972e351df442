"""The trusted records that arguments are resolved from, and how it is seen whether a value stands there."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from actions.ground import Ground
from core.money import Money


@dataclass(frozen=True)
class Claim:
    """One argument of a wish, of which somebody says that a trusted record has it."""

    value: Any
    target: Any
    """What the action acts on: the record is looked up by it."""
    args: BaseModel
    ground: Ground


@dataclass(frozen=True)
class TrustedRecord:
    """Where an argument is resolved from; an argument of which no action says so can be endorsed by nothing."""

    name: str
    words: str
    """What it means that a value stands there, to go on “it is”."""
    bears_out: Callable[[Claim], Awaitable[bool]]
    """True when the record has this value now; raises RecordsUnavailable."""


async def _is_an_order(claim: Claim) -> bool:
    return await claim.ground.records.order(str(claim.value)) is not None


async def _is_its_customer(claim: Claim) -> bool:
    order = await claim.ground.records.order(str(claim.target))
    return order is not None and order.customer_id == claim.value


async def _is_a_method_of_its_customer(claim: Claim) -> bool:
    order = await claim.ground.records.order(str(claim.target))
    customer = None if order is None else await claim.ground.records.customer(order.customer_id)
    return customer is not None and claim.value in {each.payment_method_id for each in customer.payment_methods}


async def _is_within_what_was_paid(claim: Claim) -> bool:
    order = await claim.ground.records.order(str(claim.target))
    if order is None or not isinstance(claim.value, Money) or claim.value.currency != order.currency:
        return False
    return claim.value <= order.left


ORDER = TrustedRecord("order", "an order of the shop", _is_an_order)
ORDER_CUSTOMER = TrustedRecord("order.customer", "the order's own customer", _is_its_customer)
CUSTOMER_METHODS = TrustedRecord(
    "customer.payment_methods", "on file for the order's own customer", _is_a_method_of_its_customer
)
ORDER_PAYMENTS = TrustedRecord(
    "order.payments", "no more than what was paid for the order and not given back", _is_within_what_was_paid
)

Resolved = Mapping[str, TrustedRecord]
"""Which argument is resolved from which record."""
