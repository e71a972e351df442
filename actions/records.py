"""What the shop's own records say: the trusted ground on which rules compute and amounts stand."""

from datetime import datetime
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict

from actions.source import Source
from core.errors import CountersignError
from core.money import Money


class RecordsUnavailable(CountersignError):
    """The shop's records cannot be read now, or say something that cannot be understood."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True)


class OrderItem(_Entry):
    """One line of an order; the same item may stand on several lines."""

    line: int
    item_id: str
    name: str
    price: Money
    product_id: str = ""


class Payment(_Entry):
    """Money paid for an order, or given back for it."""

    kind: Literal["payment", "refund"]
    amount: Money
    payment_method_id: str


class OrderInReturn(_Entry):
    """The return that an order is already in."""

    item_ids: list[str]
    payment_method_id: str
    requested_at: datetime


class Order(_Entry):
    """What a customer bought, what was paid, and how far it has come."""

    order_id: str
    customer_id: str
    status: str
    currency: str
    items: list[OrderItem]
    payments: list[Payment]
    in_return: OrderInReturn | None = None
    version: int = 1


class PaymentMethod(_Entry):
    """One way a customer pays and can be paid back."""

    payment_method_id: str
    kind: Literal["credit_card", "paypal", "gift_card"]
    label: str
    balance: Money | None = None
    """What a gift card still holds; None where the shop does not say."""


class Customer(_Entry):
    """Somebody who buys at the shop."""

    customer_id: str
    name: str
    email: str
    payment_methods: list[PaymentMethod]
    returns_made: int = 0
    """How many of this customer's orders are in a return or an exchange."""


class Variant(_Entry):
    """One buyable form of a product."""

    item_id: str
    options: dict[str, str]
    price: Money
    available: bool


class Product(_Entry):
    """A kind of thing the shop sells."""

    product_id: str
    name: str
    variants: list[Variant]


class ReturnRequest(_Entry):
    """A customer's wish to send something back, as the shop received it; reason and text are the customer's words."""

    request_id: str
    order_id: str
    item_ids: list[str]
    reason: str
    payment_method_id: str | None
    received_at: datetime
    text: str


class Records(Protocol):
    """Reads the shop's records; every method raises RecordsUnavailable when it cannot."""

    async def order(self, order_id: str) -> Order | None:
        """The order as it stands now, or None when the shop has no such order."""
        ...

    async def customer(self, customer_id: str) -> Customer | None:
        """The customer with the payment methods on file, or None."""
        ...

    async def product(self, product_id: str) -> Product | None:
        """The product with its variants as they are sold now, or None."""
        ...

    async def open_returns(self, limit: int) -> list[ReturnRequest]:
        """Up to `limit` return requests that wait for the shop, oldest first."""
        ...


class NoRecords:
    """Stands where no shop is connected: nothing is known of it, and nobody's word is taken for it."""

    async def order(self, order_id: str) -> Order | None:
        """Raises RecordsUnavailable."""
        raise _no_shop()

    async def customer(self, customer_id: str) -> Customer | None:
        """Raises RecordsUnavailable."""
        raise _no_shop()

    async def product(self, product_id: str) -> Product | None:
        """Raises RecordsUnavailable."""
        raise _no_shop()

    async def open_returns(self, limit: int) -> list[ReturnRequest]:
        """Raises RecordsUnavailable."""
        raise _no_shop()


def _no_shop() -> RecordsUnavailable:
    return RecordsUnavailable("No shop is connected here. Add one to connectors.yml and start again.")


RECORDS: Source[Records] = Source("shop")
