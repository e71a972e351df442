"""A shop as files or generated entries describe it, checked in full before anything is done with it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, NoReturn, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bot.local.sandbox.records import (
    CURRENCY,
    Customer,
    MethodKind,
    Order,
    OrderLine,
    OrderPayment,
    PaymentKind,
    PaymentMethod,
    Product,
    ShopRecords,
    Variant,
)
from core.errors import CountersignError
from core.money import Money, MoneyInvalid

Entries = Mapping[str, Any]

_USERS, _PRODUCTS, _ORDERS = "users.json", "products.json", "orders.json"

_Text = Annotated[str, Field(min_length=1)]
_Price = Annotated[float, Field(ge=0, le=1_000_000_000)]


class ShopFilesInvalid(CountersignError):
    """Files that should describe a shop do not; nothing was imported."""


class _Shape(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class _ItemEntry(_Shape):
    name: _Text
    product_id: _Text
    item_id: _Text
    price: _Price
    options: dict[str, str]


class _PaymentEntry(_Shape):
    transaction_type: PaymentKind
    amount: _Price
    payment_method_id: _Text


class _OrderEntry(_Shape):
    order_id: _Text
    user_id: _Text
    status: _Text
    items: Annotated[list[_ItemEntry], Field(min_length=1)]
    payment_history: list[_PaymentEntry]


class _NameEntry(_Shape):
    first_name: str
    last_name: str


class _MethodEntry(_Shape):
    id: _Text
    source: MethodKind
    brand: str | None = None
    last_four: str | None = None
    balance: _Price | None = None


class _UserEntry(_Shape):
    name: _NameEntry
    email: _Text
    payment_methods: dict[str, _MethodEntry]


class _VariantEntry(_Shape):
    item_id: _Text
    options: dict[str, str]
    available: bool
    price: _Price


class _ProductEntry(_Shape):
    product_id: _Text
    name: _Text
    variants: dict[str, _VariantEntry]


Entry = TypeVar("Entry", bound=_Shape)


@dataclass(frozen=True, slots=True)
class _Place(Generic[Entry]):
    """One entry with the file and the key it stands under, so that a complaint can name all three."""

    file: str
    key: str
    entry: Entry

    def refuse(self, field: str, problem: str) -> NoReturn:
        """Raise ShopFilesInvalid about one field of this entry."""
        raise ShopFilesInvalid(
            f"{self.file}: entry {self.key!r}, field {field}: {problem}. Correct the file and import it again."
        )

    def minor(self, price: float, field: str) -> int:
        """The price in minor units, exactly; raises ShopFilesInvalid where it would need rounding."""
        try:
            return Money.of(str(price), CURRENCY).minor
        except MoneyInvalid:
            self.refuse(field, f"{price} has more decimal places than {CURRENCY} knows")

    def must_be(self, field: str, value: str, expected: str) -> None:
        """Raise ShopFilesInvalid unless the id in the entry is the one it is listed under."""
        if value != expected:
            self.refuse(field, f"{value!r} stands under {expected!r}")


def read_shop(folder: Path) -> ShopRecords:
    """The shop described by users.json, products.json and orders.json in `folder`; raises ShopFilesInvalid."""
    return shop_records(
        users=_read(folder / _USERS), products=_read(folder / _PRODUCTS), orders=_read(folder / _ORDERS)
    )


def shop_records(*, users: Entries, products: Entries, orders: Entries) -> ShopRecords:
    """The shop that these entries describe; raises ShopFilesInvalid naming file, entry and field."""
    customers = {place.key: _customer(place) for place in _entries(_USERS, users, _UserEntry)}
    return ShopRecords(
        customers=tuple(customers.values()),
        products=tuple(_product(place) for place in _entries(_PRODUCTS, products, _ProductEntry)),
        orders=tuple(_order(place, customers) for place in _entries(_ORDERS, orders, _OrderEntry)),
    )


def _read(path: Path) -> Entries:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ShopFilesInvalid(
            f"{path} cannot be read: {error.strerror or error}. "
            f"Name a folder that holds {_USERS}, {_PRODUCTS} and {_ORDERS}."
        ) from error
    except UnicodeDecodeError as error:
        raise ShopFilesInvalid(f"{path} is not UTF-8 text: {error}. Save it as UTF-8.") from error
    try:
        entries: object = json.loads(text, object_pairs_hook=_once_each)
    except (ValueError, RecursionError) as error:
        raise ShopFilesInvalid(f"{path} is not JSON: {error}. Correct the file and import it again.") from error
    if not isinstance(entries, dict):
        raise ShopFilesInvalid(f"{path} must be a JSON object of entries by id. Correct the file.")
    return cast("Entries", entries)


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name!r} stands there twice")
        # JSON can spell half a character, which no database stores; encoding it raises a ValueError here.
        name.encode()
        found[name] = value
    return found


def _entries(file: str, entries: Entries, shape: type[Entry]) -> Iterator[_Place[Entry]]:
    for key, raw in entries.items():
        try:
            entry = shape.model_validate(raw)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(str(part) for part in first["loc"]) or "(all of it)"
            raise ShopFilesInvalid(
                f"{file}: entry {key!r}, field {field}: {first['msg']}. Correct the file and import it again."
            ) from error
        yield _Place(file, key, entry)


def _customer(place: _Place[_UserEntry]) -> Customer:
    user = place.entry
    for method_id, method in user.payment_methods.items():
        place.must_be(f"payment_methods.{method_id}.id", method.id, method_id)
    return Customer(
        customer_id=place.key,
        name=f"{user.name.first_name} {user.name.last_name}".strip(),
        email=user.email,
        payment_methods=tuple(_method(place, method) for method in user.payment_methods.values()),
    )


def _method(place: _Place[_UserEntry], method: _MethodEntry) -> PaymentMethod:
    balance = method.balance
    minor = None if balance is None else place.minor(balance, f"payment_methods.{method.id}.balance")
    return PaymentMethod(method.id, method.source, _label(method), minor)


def _label(method: _MethodEntry) -> str:
    if method.source == "paypal":
        return "PayPal"
    if method.source == "gift_card":
        return "Gift card"
    brand = (method.brand or "credit card").capitalize()
    return f"{brand} ending {method.last_four}" if method.last_four else brand


def _product(place: _Place[_ProductEntry]) -> Product:
    product = place.entry
    place.must_be("product_id", product.product_id, place.key)
    for item_id, variant in product.variants.items():
        place.must_be(f"variants.{item_id}.item_id", variant.item_id, item_id)
    return Product(
        product_id=product.product_id,
        name=product.name,
        variants=tuple(
            Variant(
                item_id=variant.item_id,
                options=variant.options,
                price_minor=place.minor(variant.price, f"variants.{variant.item_id}.price"),
                available=variant.available,
            )
            for variant in product.variants.values()
        ),
    )


def _order(place: _Place[_OrderEntry], customers: Mapping[str, Customer]) -> Order:
    order = place.entry
    place.must_be("order_id", order.order_id, place.key)
    customer = customers.get(order.user_id)
    if customer is None:
        place.refuse("user_id", f"{order.user_id!r} is not in {_USERS}")
    return Order(
        order_id=order.order_id,
        customer_id=order.user_id,
        status=order.status,
        lines=tuple(
            OrderLine(
                item_id=item.item_id,
                product_id=item.product_id,
                name=item.name,
                price_minor=place.minor(item.price, f"items.{number}.price"),
                options=item.options,
            )
            for number, item in enumerate(order.items)
        ),
        payments=tuple(_payments(place, customer)),
    )


def _payments(place: _Place[_OrderEntry], customer: Customer) -> Iterator[OrderPayment]:
    theirs = {method.payment_method_id for method in customer.payment_methods}
    for number, payment in enumerate(place.entry.payment_history):
        field = f"payment_history.{number}"
        if payment.payment_method_id not in theirs:
            problem = f"{payment.payment_method_id!r} is no payment method of {customer.customer_id}"
            place.refuse(f"{field}.payment_method_id", problem)
        yield OrderPayment(
            kind=payment.transaction_type,
            amount_minor=place.minor(payment.amount, f"{field}.amount"),
            payment_method_id=payment.payment_method_id,
        )
