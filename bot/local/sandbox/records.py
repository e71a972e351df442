"""What the sandbox shop and the sandbox payment provider hold, as plain data: customers, products, orders."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

CURRENCY = "USD"

MethodKind = Literal["credit_card", "paypal", "gift_card"]
PaymentKind = Literal["payment", "refund"]


@dataclass(frozen=True, slots=True)
class PaymentMethod:
    """One way a customer pays and can be paid back."""

    payment_method_id: str
    kind: MethodKind
    label: str
    balance_minor: int | None = None
    """What a gift card holds."""


@dataclass(frozen=True, slots=True)
class Customer:
    """Somebody who buys at the shop, with the payment methods on file."""

    customer_id: str
    name: str
    email: str
    payment_methods: tuple[PaymentMethod, ...]


@dataclass(frozen=True, slots=True)
class Variant:
    """One buyable form of a product; the price is in minor units."""

    item_id: str
    options: Mapping[str, str]
    price_minor: int
    available: bool


@dataclass(frozen=True, slots=True)
class Product:
    """A kind of thing the shop sells."""

    product_id: str
    name: str
    variants: tuple[Variant, ...]


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One thing bought in an order; the same item may stand on two lines."""

    item_id: str
    product_id: str
    name: str
    price_minor: int
    options: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class OrderPayment:
    """Money that was paid for an order or given back for it before we came."""

    kind: PaymentKind
    amount_minor: int
    payment_method_id: str


@dataclass(frozen=True, slots=True)
class Order:
    """What a customer bought, and how it was paid."""

    order_id: str
    customer_id: str
    status: str
    lines: tuple[OrderLine, ...]
    payments: tuple[OrderPayment, ...]


@dataclass(frozen=True, slots=True)
class ReturnRequest:
    """A customer's wish to send something back, waiting for the shop; the items may be told in the text only."""

    request_id: str
    order_id: str
    item_ids: tuple[str, ...]
    reason: str
    payment_method_id: str | None
    received_at: str
    text: str


@dataclass(frozen=True, slots=True)
class ShopRecords:
    """A whole shop, consistent in itself: every order has its customer, every payment its method."""

    customers: tuple[Customer, ...]
    products: tuple[Product, ...]
    orders: tuple[Order, ...]
    return_requests: tuple[ReturnRequest, ...] = ()
