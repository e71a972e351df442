"""Requests in which several things are out of the ordinary at once, on orders tangled on purpose."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.returns_cases import Case, Shop
from tests.support.returns_oracle import Asked

Json = Mapping[str, Any]
Line = dict[str, Any]

SEED = 8
#: Prices and differences at which somebody else begins to be asked, and the cents beside them.
EDGES = (5000, 5001, 50000, 50001)
STATUSES = ("pending", "processed", "cancelled", "pending (items modifed)", "return requested", "exchange requested")
REASONS = (
    *("", "it did not fit", "DEFECTIVE", "one was cracked, sadly", "it is not torn", "smashed-up", "faulty?"),
    *("undamaged", "a tornado", "breaking", "damage", "shattered_glass", "It arrived broken."),
)
#: A method that paid once and is on nobody's account any more.
GONE = "paypal_0000000"


@dataclass(frozen=True)
class _Wish:
    """What is asked of one order, before the order is bent to it."""

    lines: list[Line]
    swaps: tuple[tuple[str, str], ...] = ()
    pieces: tuple[tuple[str, int], ...] = ()


class Tangles:
    """A shop whose customers hold other cards than they did, and requests about its bent orders."""

    def __init__(self, shop: Shop) -> None:
        self._dice = random.Random(SEED)
        users = {name: {**user, "payment_methods": self._methods(user)} for name, user in shop.users.items()}
        self.shop = Shop(shop.orders, shop.products, users)

    def cases(self, times: int) -> Iterator[Case]:
        """So many requests for each delivered order."""
        for order in self.shop.delivered:
            for _ in range(times):
                yield self._case(order)

    def _methods(self, user: Json) -> dict[str, Any]:
        methods = {name: dict(each) for name, each in user["payment_methods"].items()}
        for number in range(self._dice.choice([0, 0, 1, 2, 3])):
            name = f"gift_card_900{number}"
            methods[name] = {"source": "gift_card", "id": name, "balance": self._dice.choice([0, 25, 400, 10000])}
        for each in methods.values():
            if self._often(0.1):
                each.pop("balance", None)
        shuffled = self._dice.sample(list(methods), len(methods))
        return {name: methods[name] for name in shuffled}

    def _often(self, share: float) -> bool:
        return self._dice.random() < share

    # -- one request -----------------------------------------------------------------------------------------------

    def _case(self, order: Json) -> Case:
        lines = self._lines(order)
        wish = self._exchange(lines, order) if self._often(0.5) else self._return(lines)
        changed = {**order, "items": wish.lines, "payment_history": self._payments(order, wish.lines)}
        if self._often(0.12):
            changed["status"] = self._dice.choice(STATUSES)
        stranger = self._dice.choice(list(self.shop.users))
        asked = Asked(
            customer=stranger if self._often(0.06) else order["user_id"],
            order=changed,
            pieces=wish.pieces,
            swaps=wish.swaps,
            to=self._to(order),
            reason=self._dice.choice(REASONS),
            pictures=self._dice.choice([0, 0, 1]),
        )
        return Case("tangled", asked, others=self._dice.choice([0, 0, 0, 1, 2, 3]))

    def _lines(self, order: Json) -> list[Line]:
        lines = [dict(line) for line in order["items"]]
        if self._often(0.4):
            twin = self._dice.choice(lines)
            for _ in range(self._dice.choice([1, 2])):
                lines.append({**twin, "price": round(twin["price"] + self._dice.choice([0, 0, 3.37, -5.0]), 2)})
        if self._often(0.4):
            self._dice.choice(lines)["price"] = self._dice.choice([1, 4999, *EDGES, 49999]) / 100
        self._dice.shuffle(lines)
        return lines

    def _return(self, lines: list[Line]) -> _Wish:
        bought = [line["item_id"] for line in lines]
        ids = list(dict.fromkeys(bought))
        chosen = self._dice.sample(ids, self._dice.randint(1, min(3, len(ids))))
        pieces = [(item, self._dice.randint(1, bought.count(item))) for item in chosen]
        if self._often(0.08):
            pieces[0] = (pieces[0][0], bought.count(pieces[0][0]) + 1)
        if self._often(0.08):
            pieces.append((pieces[0][0], 1))
        if self._often(0.08):
            pieces.insert(self._dice.randint(0, 1), ("0", 1))
        return _Wish(lines, pieces=() if self._often(0.03) else tuple(pieces))

    def _exchange(self, lines: list[Line], order: Json) -> _Wish:
        chosen = self._dice.sample(lines, self._dice.randint(1, min(3, len(lines))))
        swaps = [(line["item_id"], self._wanted(line)) for line in chosen]
        if len(swaps) == 1 and self._often(0.5):
            chosen[0]["price"] = self._bent(chosen[0], swaps[0][1], order)
        if self._often(0.06):
            swaps *= 3
        if self._often(0.06):
            swaps.insert(self._dice.randint(0, 1), ("0", swaps[0][1]))
        return _Wish(lines, swaps=tuple(swaps))

    def _wanted(self, line: Line) -> str:
        variants = list(self.shop.products[line["product_id"]]["variants"].values())
        other = self._dice.choice(list(self.shop.products.values()))
        on_sale = [each["item_id"] for each in variants if each["available"] and each["item_id"] != line["item_id"]]
        if on_sale and self._often(0.8):
            return self._dice.choice(on_sale)
        return self._dice.choice([line["item_id"], "0", next(iter(other["variants"])), variants[0]["item_id"]])

    def _bent(self, line: Line, wanted: str, order: Json) -> float:
        """A price on the order by which the difference falls on an edge, or on what a gift card holds."""
        variant = self.shop.products[line["product_id"]]["variants"].get(wanted)
        if variant is None:
            return line["price"]
        methods = self.shop.users[order["user_id"]]["payment_methods"].values()
        balances = [each["balance"] * 100 for each in methods if "balance" in each]
        edge = self._dice.choice([0, *EDGES, *(-each for each in EDGES), *balances, *(each + 1 for each in balances)])
        return max(round(variant["price"] * 100) - edge, 1) / 100

    # -- money -----------------------------------------------------------------------------------------------------

    def _payments(self, order: Json, lines: list[Line]) -> list[Json]:
        total = sum(round(line["price"] * 100) for line in lines)
        methods = list(self.shop.users[order["user_id"]]["payment_methods"])
        payers = self._dice.sample(methods, self._dice.randint(1, min(3, len(methods))))
        if self._often(0.1):
            payers[0] = GONE
        shares = [self._dice.choice([total // len(payers), total // 7]) for _ in payers[1:]]
        paid = [_entry("payment", cents, to) for cents, to in zip([total - sum(shares), *shares], payers, strict=True)]
        self._dice.shuffle(paid)
        if self._often(0.3):
            back = self._dice.choice([1, total // 2, total - 1, total])
            paid.append(_entry("refund", back, payers[0]))
        return [] if self._often(0.02) else paid

    def _to(self, order: Json) -> str:
        mine = list(self.shop.users[order["user_id"]]["payment_methods"])
        foreign = next(iter(self.shop.users[self._dice.choice(list(self.shop.users))]["payment_methods"]))
        paid_with = order["payment_history"][0]["payment_method_id"]
        return self._dice.choice(["", "", "", "gift card", "gift card", *mine, paid_with, foreign, GONE])


def _entry(kind: str, cents: int, method: str) -> Json:
    return {"transaction_type": kind, "amount": cents / 100, "payment_method_id": method}
