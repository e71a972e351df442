"""What must come of a return or an exchange, first written by somebody who had read two texts and no line of the rules.

The two are the shop's written policy and docs/shop-additions.md, whose numbers stand in the comments; where they left
room, the page now says which reading holds. It reads the shop's files as they are and shares no line with the rulebook.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

Json = Mapping[str, Any]

ALONE, PERSON, BUDGET = "alone", "person", "budget"
UNDER_WAY = ("return requested", "exchange requested")  # 6
GIFT_CARD = "gift card"  # 7
ALONE_UP_TO, BUDGET_ABOVE = 50_00, 500_00  # 11
OTHERS_IN_RETURN = 2  # 13
DAMAGE = re.compile(  # 12
    r"\b(damaged|broken|cracked|smashed|shattered|torn|defective|faulty)\b", re.IGNORECASE
)


@dataclass(frozen=True)
class Asked:
    """One request, as somebody at the counter would hear it."""

    customer: str
    order: Json
    pieces: tuple[tuple[str, int], ...] = ()
    """Items that come back, each with how many."""
    swaps: tuple[tuple[str, str], ...] = ()
    """Items to be exchanged, each with the one wanted for it."""
    to: str = ""
    """A payment method, `gift card`, or nothing."""
    reason: str = ""
    pictures: int = 0


@dataclass(frozen=True)
class Answer:
    """What must come of it: refused and why, or how much to where and who agrees first."""

    refused: str = ""
    cents: int = 0
    """What goes back; in an exchange what the customer pays on top, below zero what they get back."""
    method: str = ""
    who: str = ""


@dataclass
class Oracle:
    """The shop's counter, with its files open."""

    users: Mapping[str, Json]
    products: Mapping[str, Json]
    others_in_return: Counter[str] = field(default_factory=Counter[str])
    """How many other orders of a customer are in return or exchange."""

    def answer(self, asked: Asked) -> Answer:
        """The answer to one request, whose reasons are looked for in the order that the additions give."""
        wrong = _wrong_order(asked) or _wrong_items(asked)
        if wrong:
            return Answer(refused=wrong)
        return self._exchange(asked) if asked.swaps else self._return(asked)

    def _return(self, asked: Asked) -> Answer:
        payee = self._meant(asked)
        may_take = {*_paid_by(asked.order), *self._gift_cards(asked.customer)}  # 8
        if payee not in self._methods(asked.customer) or payee not in may_take:
            return Answer(refused="destination")
        cents = min(_on_the_order(asked.order, Counter(dict(asked.pieces))), _left(asked.order))  # 1, 2
        if cents <= 0:
            return Answer(refused="nothing left")  # 2
        unseen = DAMAGE.search(asked.reason) is not None and asked.pictures == 0  # 12
        again = _sum(asked.order, "refund") > 0  # 13
        many = self.others_in_return[asked.customer] > OTHERS_IN_RETURN  # 13
        return Answer(cents=cents, method=payee, who=_who(cents, looked_at=unseen or again or many))

    def _exchange(self, asked: Asked) -> Answer:
        new = 0
        for old, wanted in asked.swaps:
            variants = self._product(asked.order, old)["variants"]
            if wanted not in variants:
                return Answer(refused="product")
            if wanted == old:
                return Answer(refused="same item")
            if not variants[wanted]["available"]:
                return Answer(refused="not available")
            new += _cents(variants[wanted]["price"])
        difference = new - _on_the_order(asked.order, Counter(old for old, _ in asked.swaps))  # 9
        return self._settled(asked, difference)

    def _settled(self, asked: Asked, difference: int) -> Answer:
        method, held = self._meant(asked), self._methods(asked.customer)  # 10
        if method not in held:
            return Answer(refused="method")
        if difference > 0 and held[method]["source"] == "gift_card":
            balance = held[method].get("balance")
            if balance is None or _cents(balance) < difference:
                return Answer(refused="balance")  # 10
        if difference < 0 and -difference > _left(asked.order):
            return Answer(refused="more than is left")  # 2
        return Answer(cents=difference, method=method, who=_who(abs(difference), looked_at=False))

    def _meant(self, asked: Asked) -> str:
        """The payment method a request means, or nothing where it has to name one."""
        paid = _paid_by(asked.order)
        if asked.to == "":
            return _most(paid, paid)  # 7, 10
        if asked.to != GIFT_CARD:
            return asked.to
        cards = self._gift_cards(asked.customer)
        return _most(paid, cards) or (cards[0] if len(cards) == 1 else "")  # 7

    def _methods(self, customer: str) -> Mapping[str, Json]:
        return self.users[customer]["payment_methods"]

    def _gift_cards(self, customer: str) -> list[str]:
        return [name for name, method in self._methods(customer).items() if method["source"] == "gift_card"]

    def _product(self, order: Json, item: str) -> Json:
        return self.products[next(line["product_id"] for line in order["items"] if line["item_id"] == item)]


def _wrong_order(asked: Asked) -> str:
    if asked.order["user_id"] != asked.customer:
        return "not theirs"
    if asked.order["status"] in UNDER_WAY:
        return "once"  # 6
    return "" if asked.order["status"] == "delivered" else "status"


def _wrong_items(asked: Asked) -> str:
    bought = Counter(line["item_id"] for line in asked.order["items"])
    named = [item for item, _ in (asked.swaps or asked.pieces)]
    if not named or any(item not in bought for item in named):
        return "items"  # 4
    if asked.swaps:
        return "too often swapped" if any(many > bought[item] for item, many in Counter(named).items()) else ""  # 9
    twice = len(set(named)) < len(named)
    return "too often" if twice or any(many > bought[item] for item, many in asked.pieces) else ""  # 5


def _on_the_order(order: Json, coming_back: Counter[str]) -> int:
    """What the lines that come back cost, the cheapest of each item first."""
    cents = 0
    for item, many in coming_back.items():
        cents += sum(sorted(_cents(line["price"]) for line in order["items"] if line["item_id"] == item)[:many])  # 3
    return cents


def _paid_by(order: Json) -> dict[str, int]:
    """How much each method paid, in the order in which they paid first."""
    paid: dict[str, int] = {}
    for entry in order["payment_history"]:
        if entry["transaction_type"] == "payment":
            method = entry["payment_method_id"]
            paid[method] = paid.get(method, 0) + _cents(entry["amount"])
    return paid


def _most(paid: Mapping[str, int], among: Iterable[str]) -> str:
    paying = [method for method in paid if method in set(among)]
    return max(paying, key=lambda method: paid[method], default="")


def _left(order: Json) -> int:
    return _sum(order, "payment") - _sum(order, "refund")


def _sum(order: Json, kind: str) -> int:
    return sum(_cents(entry["amount"]) for entry in order["payment_history"] if entry["transaction_type"] == kind)


def _cents(amount: float) -> int:
    return int((Decimal(str(amount)) * 100).to_integral_value())


def _who(cents: int, *, looked_at: bool) -> str:
    if cents > BUDGET_ABOVE:
        return BUDGET
    return PERSON if looked_at or cents > ALONE_UP_TO else ALONE
