"""What must come of a return or an exchange, written from the shop's written policy and docs/shop-additions.md alone.

It reads the shop's files as they are, counts in whole cents, and shares no line with the rulebook. Numbers in comments
are those of the sentences in docs/shop-additions.md.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

Json = Mapping[str, Any]

ALONE, PERSON, BUDGET = "alone", "person", "budget"
WORDS_OF_DAMAGE = ("damaged", "broken", "cracked", "smashed", "shattered", "torn", "defective", "faulty")


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
        """The answer to one request."""
        why = _order_is_wrong(asked)
        if why:
            return Answer(refused=why)
        return self._exchange(asked) if asked.swaps else self._return(asked)

    def _return(self, asked: Asked) -> Answer:
        why = _pieces_are_wrong(asked)
        if why:
            return Answer(refused=why)
        method = self._refund_goes_to(asked)
        if not method:
            return Answer(refused="destination")
        left = _cents_of(asked.order, "payment") - _cents_of(asked.order, "refund")
        worth = sum(_cheapest(asked.order, item, many) for item, many in asked.pieces)
        if left <= 0 or worth <= 0:
            return Answer(refused="nothing left")  # 2
        amount = min(worth, left)  # 1, 2
        damaged = _speaks_of_damage(asked.reason) and asked.pictures == 0  # 12
        repeated = _cents_of(asked.order, "refund") > 0 or self.others_in_return[asked.customer] > 2  # 13
        return Answer(cents=amount, method=method, who=_who(amount, looks=damaged or repeated))

    def _refund_goes_to(self, asked: Asked) -> str:
        mine = self.users[asked.customer]["payment_methods"]
        cards = [name for name, each in mine.items() if each["source"] == "gift_card"]
        paid_with = _paid_with(asked.order)
        wanted = asked.to
        if wanted == "":
            wanted = paid_with[0] if paid_with else ""  # 7
        elif wanted == "gift card":
            paying = [card for card in cards if card in paid_with]
            if not paying and len(cards) != 1:
                return ""  # 7
            wanted = (paying or cards)[0]
        allowed = wanted in mine and (wanted in paid_with or wanted in cards)  # policy; 8
        return wanted if allowed else ""

    def _exchange(self, asked: Asked) -> Answer:
        have = Counter(line["item_id"] for line in asked.order["items"])
        want = Counter(old for old, _ in asked.swaps)
        if any(many > have[item] for item, many in want.items()):
            return Answer(refused="items")
        difference = 0
        used: Counter[str] = Counter()
        for old, new in asked.swaps:
            why, price = self._new_piece(asked.order, old, new)
            if why:
                return Answer(refused=why)
            prices = sorted(_cents(line["price"]) for line in asked.order["items"] if line["item_id"] == old)
            difference += price - prices[used[old]]  # 9
            used[old] += 1
        return self._settled(asked, difference)

    def _new_piece(self, order: Json, old: str, new: str) -> tuple[str, int]:
        product = next(line["product_id"] for line in order["items"] if line["item_id"] == old)
        variants = self.products[product]["variants"]
        if new not in variants:
            return "product", 0
        if new == old:
            return "same item", 0
        return ("", _cents(variants[new]["price"])) if variants[new]["available"] else ("not available", 0)

    def _settled(self, asked: Asked, difference: int) -> Answer:
        mine = self.users[asked.customer]["payment_methods"]
        paid_with = _paid_with(asked.order)
        method = asked.to or (paid_with[0] if paid_with else "")  # 10
        if method not in mine:
            return Answer(refused="method")
        if mine[method]["source"] == "gift_card" and difference > 0:
            balance = mine[method].get("balance")
            if balance is None or _cents(balance) < difference:
                return Answer(refused="balance")  # policy; 10
        return Answer(cents=difference, method=method, who=_who(abs(difference), looks=False))


def _cents(price: float) -> int:
    return int(Decimal(str(price)) * 100)


def _cents_of(order: Json, kind: str) -> int:
    return sum(_cents(each["amount"]) for each in order["payment_history"] if each["transaction_type"] == kind)


def _paid_with(order: Json) -> list[str]:
    """The methods that paid, the one that paid most first."""
    paid: Counter[str] = Counter()
    for each in order["payment_history"]:
        if each["transaction_type"] == "payment":
            paid[each["payment_method_id"]] += _cents(each["amount"])
    return [name for name, _ in paid.most_common()]


def _order_is_wrong(asked: Asked) -> str:
    if asked.order["user_id"] != asked.customer:
        return "not theirs"
    status = asked.order["status"]
    if status in {"return requested", "exchange requested"}:
        return "once"  # 6
    return "" if status == "delivered" else "status"


def _pieces_are_wrong(asked: Asked) -> str:
    have = Counter(line["item_id"] for line in asked.order["items"])
    if not asked.pieces or any(item not in have for item, _ in asked.pieces):
        return "items"  # 4
    named = Counter(item for item, _ in asked.pieces)
    too_many = any(many > have[item] for item, many in asked.pieces)
    return "too often" if too_many or any(times > 1 for times in named.values()) else ""  # 5


def _cheapest(order: Json, item: str, many: int) -> int:
    prices = sorted(_cents(line["price"]) for line in order["items"] if line["item_id"] == item)
    return sum(prices[:many])  # 3


def _speaks_of_damage(reason: str) -> bool:
    words = "".join(letter if letter.isalnum() or letter == "_" else " " for letter in reason.lower()).split()
    return any(word in words for word in WORDS_OF_DAMAGE)


def _who(cents: int, *, looks: bool) -> str:
    if cents > 50_000:
        return BUDGET
    return PERSON if looks or cents > 5_000 else ALONE  # 11
