"""The example company's shop: made up, the same on every machine, in the shape of the files that can be imported.

The orders #W1001 to #W1010 are fixed, and documentation may name them; the others are drawn from a seed.

    #W1001  delivered  Water Bottle 18.50 and Desk Lamp 42.00, by credit card; the customer has a gift card too
    #W1002  delivered  Office Chair 389.00, by PayPal
    #W1003  pending    Backpack 64.90, by gift card
    #W1004  delivered  twice the same Coffee Mug at 12.00, and a Tea Kettle 34.50, by credit card
    #W1005 to #W1010 are the orders that customers have asked to send back (`return_requests`).
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from bot.local.sandbox.records import ReturnRequest, ShopRecords
from bot.local.sandbox.shop_files import shop_records
from bot.local.sandbox.shop_import import seed_shop
from core.clock import Clock

Entry = dict[str, Any]

_SEED = 20260105
_CUSTOMERS = 60
_DRAWN_ORDERS = 140

# Name, price of the first variant in cents, what the variants differ in, and how.
_CATALOGUE: tuple[tuple[str, int, str, tuple[str, ...]], ...] = (
    ("Water Bottle", 1850, "color", ("steel", "blue", "green")),
    ("Desk Lamp", 4200, "color", ("white", "black")),
    ("Office Chair", 38900, "color", ("black", "grey")),
    ("Backpack", 6490, "size", ("20 l", "30 l")),
    ("Coffee Mug", 1200, "color", ("white", "red", "blue")),
    ("Tea Kettle", 3450, "capacity", ("1 l", "1.5 l")),
    ("Notebook Set", 980, "ruling", ("lined", "plain", "dotted")),
    ("Espresso Machine", 34900, "color", ("steel", "red")),
    ("Headphones", 8990, "color", ("black", "white")),
    ("Wool Blanket", 5600, "color", ("grey", "green")),
    ("Phone Stand", 1590, "material", ("wood", "aluminium")),
    ("Running Shoes", 9450, "size", ("40", "42", "44")),
    ("Rain Jacket", 11900, "size", ("S", "M", "L")),
    ("Yoga Mat", 2990, "thickness", ("4 mm", "6 mm")),
    ("Cutting Board", 2450, "material", ("bamboo", "oak")),
    ("Desk Organiser", 2190, "material", ("wood", "steel")),
    ("Bluetooth Speaker", 7490, "color", ("black", "blue")),
    ("Bookshelf", 15900, "height", ("120 cm", "180 cm")),
    ("Monitor Arm", 8290, "mount", ("clamp", "screw")),
    ("Picnic Basket", 4790, "size", ("2 people", "4 people")),
    ("Garden Hose", 3390, "length", ("10 m", "20 m")),
    ("Tool Box", 6790, "size", ("small", "large")),
    ("Bedside Table", 12900, "wood", ("pine", "oak")),
    ("T-Shirt", 1990, "size", ("S", "M", "L")),
)

_FIRST_NAMES = (
    *("Ana", "Bruno", "Clara", "Dario", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jonas"),
    *("Kaya", "Lars", "Mina", "Noor", "Otto", "Petra", "Quinn", "Rosa", "Sami", "Tilda"),
)
_LAST_NAMES = ("Alvarez", "Bianchi", "Costa", "Dubois", "Eriksen", "Fischer", "Garber")
_CITIES = (("Springfield", "IL", "62701"), ("Riverton", "WY", "82501"), ("Fairview", "TX", "75069"))

# How customers can pay, in turn; half of them have no gift card.
_METHODS: tuple[tuple[str, ...], ...] = (
    ("credit_card",),
    ("paypal",),
    ("gift_card",),
    ("credit_card", "gift_card"),
    ("paypal", "gift_card"),
    ("credit_card", "paypal"),
)


@dataclass(frozen=True, slots=True)
class _Fixed:
    order_id: str
    customer: int
    paid_by: str
    status: str
    products: tuple[str, ...]


_FIXED_ORDERS = (
    _Fixed("#W1001", 3, "credit_card", "delivered", ("Water Bottle", "Desk Lamp")),
    _Fixed("#W1002", 1, "paypal", "delivered", ("Office Chair",)),
    _Fixed("#W1003", 2, "gift_card", "pending", ("Backpack",)),
    _Fixed("#W1004", 0, "credit_card", "delivered", ("Coffee Mug", "Coffee Mug", "Tea Kettle")),
    _Fixed("#W1005", 5, "credit_card", "delivered", ("Notebook Set", "Desk Organiser")),
    _Fixed("#W1006", 7, "paypal", "delivered", ("Phone Stand", "T-Shirt", "Yoga Mat")),
    _Fixed("#W1007", 9, "credit_card", "delivered", ("Espresso Machine", "Coffee Mug")),
    _Fixed("#W1008", 11, "paypal", "processed", ("Wool Blanket",)),
    _Fixed("#W1009", 6, "credit_card", "delivered", ("Headphones", "Water Bottle")),
    _Fixed("#W1010", 10, "paypal", "delivered", ("Rain Jacket", "Cutting Board")),
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SampleShop:
    """The shop as the content of users.json, products.json and orders.json, and what customers want to return."""

    users: Mapping[str, Entry]
    products: Mapping[str, Entry]
    orders: Mapping[str, Entry]
    return_requests: tuple[ReturnRequest, ...]


class _Dice:
    """Draws that are the same on every Python: only `random()` itself is promised to be."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 -- a made-up shop keeps no secret

    def below(self, limit: int) -> int:
        return int(self._random.random() * limit)

    def one_of(self, choices: Sequence[T]) -> T:
        return choices[self.below(len(choices))]


def seed_sample(home: Path, *, clock: Clock | None = None) -> bool:
    """Put the sample shop into those of the sandbox's databases that are empty, and say whether any was.

    Raises SandboxUnusable, HomeUnwritable.
    """
    return seed_shop(sample_records(), home, clock=clock)


def sample_records() -> ShopRecords:
    """The sample shop as the sandbox holds it."""
    shop = sample_shop()
    records = shop_records(users=shop.users, products=shop.products, orders=shop.orders)
    return ShopRecords(records.customers, records.products, records.orders, shop.return_requests)


def sample_shop() -> SampleShop:
    """The sample shop; the same every time, on every machine."""
    products = {product["product_id"]: product for product in _products()}
    users = [_user(number) for number in range(_CUSTOMERS)]
    ids = [_user_id(number) for number in range(_CUSTOMERS)]
    orders = [*_fixed_orders(products, users), *_drawn_orders(products, users)]
    by_user = {user_id: [o["order_id"] for o in orders if o["user_id"] == user_id] for user_id in ids}
    return SampleShop(
        users={user_id: {**user, "orders": by_user[user_id]} for user_id, user in zip(ids, users, strict=True)},
        products=products,
        orders={order["order_id"]: order for order in orders},
        return_requests=tuple(_return_requests({order["order_id"]: order for order in orders})),
    )


def _products() -> Iterator[Entry]:
    for number, (name, cents, option, values) in enumerate(_CATALOGUE, start=1):
        product_id = str(4_000_000_000 + number)
        variants = [
            {
                "item_id": str(1_000_000_000 + 100 * number + place),
                "options": {option: value},
                "available": (number + place) % 7 != 0,
                "price": (cents + place * (cents // 20)) / 100,
            }
            for place, value in enumerate(values)
        ]
        yield {
            "name": name,
            "product_id": product_id,
            "variants": {variant["item_id"]: variant for variant in variants},
        }


def _name(number: int) -> tuple[str, str]:
    return _FIRST_NAMES[number % len(_FIRST_NAMES)], _LAST_NAMES[number % len(_LAST_NAMES)]


def _user_id(number: int) -> str:
    first, last = _name(number)
    return f"{first}_{last}_{1001 + number}".lower()


def _user(number: int) -> Entry:
    first, last = _name(number)
    city, state, postcode = _CITIES[number % len(_CITIES)]
    methods = [_method(kind, number) for kind in _METHODS[number % len(_METHODS)]]
    return {
        "name": {"first_name": first, "last_name": last},
        "address": {
            "address1": f"{10 + number} Sample Street",
            "address2": "",
            "city": city,
            "country": "USA",
            "state": state,
            "zip": postcode,
        },
        "email": f"{first}.{last}{1001 + number}@example.com".lower(),
        "payment_methods": {method["id"]: method for method in methods},
    }


def _method(kind: str, number: int) -> Entry:
    method: Entry = {"source": kind, "id": f"{kind}_{1001 + number}"}
    if kind == "credit_card":
        return {**method, "brand": ("visa", "mastercard")[number % 2], "last_four": str(4001 + number)}
    if kind == "gift_card":
        return {**method, "balance": 25 + number}
    return method


def _fixed_orders(products: Mapping[str, Entry], users: Sequence[Entry]) -> Iterator[Entry]:
    by_name = {product["name"]: product for product in products.values()}
    for fixed in _FIXED_ORDERS:
        items = [_item(by_name[name], 0) for name in fixed.products]
        method_id = f"{fixed.paid_by}_{1001 + fixed.customer}"
        user = users[fixed.customer]
        yield _order(fixed.order_id, _user_id(fixed.customer), user, items, paid=(fixed.status, method_id))


def _drawn_orders(products: Mapping[str, Entry], users: Sequence[Entry]) -> Iterator[Entry]:
    dice, shelf = _Dice(_SEED), list(products.values())
    for number in range(_DRAWN_ORDERS):
        customer = dice.below(len(users))
        items = [_drawn_item(dice, shelf) for _ in range(dice.one_of((1, 1, 2, 2, 3)))]
        if number % 14 == 0:
            items.append(items[0])
        status = dice.one_of(("delivered",) * 9 + ("pending",) * 5 + ("processed",) * 3 + ("cancelled",) * 3)
        method_id = dice.one_of(list(users[customer]["payment_methods"]))
        yield _order(f"#W{2001 + number}", _user_id(customer), users[customer], items, paid=(status, method_id))


def _drawn_item(dice: _Dice, shelf: Sequence[Entry]) -> Entry:
    product = dice.one_of(shelf)
    return _item(product, dice.below(len(product["variants"])))


def _item(product: Entry, place: int) -> Entry:
    variant = list(product["variants"].values())[place]
    return {
        "name": product["name"],
        "product_id": product["product_id"],
        "item_id": variant["item_id"],
        "price": variant["price"],
        "options": variant["options"],
    }


def _order(order_id: str, user_id: str, user: Entry, items: list[Entry], *, paid: tuple[str, str]) -> Entry:
    status, method_id = paid
    total = sum(round(item["price"] * 100) for item in items) / 100
    kinds = ("payment", "refund") if status == "cancelled" else ("payment",)
    sent = [{"tracking_id": [f"9{order_id[2:]:0>11}"], "item_ids": [item["item_id"] for item in items]}]
    return {
        "order_id": order_id,
        "user_id": user_id,
        "address": user["address"],
        "items": items,
        "fulfillments": sent if status in {"delivered", "processed"} else [],
        "status": status,
        "payment_history": [
            {"transaction_type": kind, "amount": total, "payment_method_id": method_id} for kind in kinds
        ],
    }


def _return_requests(orders: Mapping[str, Entry]) -> Iterator[ReturnRequest]:
    said = (
        ("#W1005", 1, "no longer needed", "", "Please take the notebooks back, I ordered the wrong ruling."),
        ("#W1006", 1, "defective", "", "The phone stand arrived cracked."),
        ("#W1007", 1, "no longer needed", "", "The espresso machine is too big for our kitchen. Still boxed."),
        ("#W1008", 1, "no longer needed", "", "I changed my mind about the blanket, please refund me."),
        ("#W1009", 0, "", "", "Hi! The headphones crackle on the left side. Can I send them back? The bottle is fine."),
        ("#W1010", 2, "wrong size", "gift_card", "Both go back. You may put the money on my gift card."),
    )
    for number, (order_id, count, reason, wanted, text) in enumerate(said):
        order = orders[order_id]
        yield ReturnRequest(
            request_id=f"RR-{1001 + number}",
            order_id=order_id,
            item_ids=tuple(item["item_id"] for item in order["items"][:count]),
            reason=reason,
            payment_method_id=f"{wanted}_{order['user_id'].rsplit('_', 1)[-1]}" if wanted else None,
            received_at=f"2026-01-05T08:{10 + 7 * number:02}:00+00:00",
            text=text,
        )
