"""Returns and exchanges by the hundred, put to the rulebook and to the oracle, and what either says."""

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from actions.action import Catalogue
from actions.condition import Considered
from actions.policy import Rules, Verdict, decide
from actions.policy_file import Texts, check_rules
from actions.records import Customer, Order
from actions.rulebook import Destination, RefundOrder, ReturnWish, WishedItem
from actions.swaps import ExchangeOrder, ExchangeWish, NewItem, Swap
from actions.written import Refusal
from core.money import Money
from tests.support.returns_oracle import ALONE, BUDGET, PERSON, Answer, Asked, Oracle

Json = Mapping[str, Any]
SAMPLE = Path(__file__).parents[2] / "bot" / "sample"
SEED = 4

#: What the oracle calls a reason, and the rule that must be named for it.
RULES = {
    "not theirs": "same-customer",
    "once": "one-return-per-order",
    "status": "delivered-only",
    "items": "items-in-order",
    "too often": "same-item-once",
    "too often swapped": "items-in-order",
    "destination": "refund-destination",
    "nothing left": "no-more-than-paid",
    "product": "same-product",
    "same item": "other-variant",
    "not available": "on-sale",
    "method": "difference-method",
    "balance": "gift-card-balance",
    "more than is left": "built-in:no-more-than-paid",
}


@dataclass(frozen=True)
class Case:
    """One request, what kind of thing it tries, and how many other orders its customer has in return."""

    kind: str
    asked: Asked
    others: int = 0


class Shop:
    """The shop's files, and the rules in force."""

    def __init__(self, orders: Mapping[str, Json], products: Mapping[str, Json], users: Mapping[str, Json]) -> None:
        self.orders, self.products, self.users = orders, products, users
        self.rules: Rules = check_rules(Texts.of(SAMPLE), actions=Catalogue.scan().names())
        self._dice = random.Random(SEED)

    @property
    def delivered(self) -> list[Json]:
        """The delivered orders, by number."""
        return [self.orders[name] for name in sorted(self.orders) if self.orders[name]["status"] == "delivered"]

    # -- cases -----------------------------------------------------------------------------------------------------

    def honest(self) -> Iterator[Case]:
        """Of every delivered order: all of it, a part of it, to a gift card, and an exchange where one is possible."""
        for order in self.delivered:
            yield Case("whole", self._asked(order, pieces=_all_of(order)))
            item = self._dice.choice(order["items"])["item_id"]
            yield Case("part", self._asked(order, pieces=((item, 1),), reason="it did not fit"))
            yield Case("to gift card", self._asked(order, pieces=((item, 1),), to="gift card"))
            swap = self._swap(order)
            if swap:
                yield Case("exchange", self._asked(order, swaps=(swap,)))

    def violations(self) -> Iterator[Case]:
        """Of every kind of thing that must not happen, or not without a person, one for each of many orders."""
        for order in self.delivered:
            yield from self._wrong_orders(order)
            yield from self._wrong_items(order)
            yield from self._wrong_methods(order)
            yield from self._wrong_exchanges(order)
            yield from self._suspicious(order)
        for order in self.orders.values():
            if order["status"] != "delivered":
                yield Case("not delivered", self._asked(order, pieces=_all_of(order)))

    def _asked(self, order: Json, **more: Any) -> Asked:
        given: Any = {"customer": order["user_id"], "order": order, **more}
        return Asked(**given)

    def _other(self, order: Json) -> Json:
        return self._dice.choice([each for each in self.delivered if each["user_id"] != order["user_id"]])

    def _swap(self, order: Json) -> tuple[str, str] | None:
        line = self._dice.choice(order["items"])
        variants = self.products[line["product_id"]]["variants"].values()
        found = [v["item_id"] for v in variants if v["available"] and v["item_id"] != line["item_id"]]
        return (line["item_id"], self._dice.choice(found)) if found else None

    def _wrong_orders(self, order: Json) -> Iterator[Case]:
        stranger = self._other(order)["user_id"]
        yield Case("another's order", self._asked(order, customer=stranger, pieces=_all_of(order)))
        for status in ("return requested", "exchange requested"):
            twice = {**order, "status": status}
            yield Case("a second return", self._asked(twice, pieces=_all_of(order)))

    def _wrong_items(self, order: Json) -> Iterator[Case]:
        item = order["items"][0]["item_id"]
        foreign = self._other(order)["items"][0]["item_id"]
        yield Case("another's item", self._asked(order, pieces=((item, 1), (foreign, 1))))
        yield Case("nothing named", self._asked(order))
        yield Case("named twice", self._asked(order, pieces=((item, 1), (item, 1))))
        yield Case("more than bought", self._asked(order, pieces=((item, 5),)))

    def _wrong_methods(self, order: Json) -> Iterator[Case]:
        item = ((order["items"][0]["item_id"], 1),)
        foreign = next(iter(self.users[self._other(order)["user_id"]]["payment_methods"]))
        yield Case("another's method", self._asked(order, pieces=item, to=foreign))
        yield Case("invented method", self._asked(order, pieces=item, to="paypal_0000001"))
        for method in self.users[order["user_id"]]["payment_methods"]:
            yield Case("any own method", self._asked(order, pieces=item, to=method))

    def _wrong_exchanges(self, order: Json) -> Iterator[Case]:
        line = self._dice.choice(order["items"])
        old, variants = line["item_id"], self.products[line["product_id"]]["variants"]
        foreign = self._dice.choice([p for p in self.products.values() if p["product_id"] != line["product_id"]])
        gone = [v["item_id"] for v in variants.values() if not v["available"] and v["item_id"] != old]
        swaps = [(old, old), (old, next(iter(foreign["variants"]))), ("0", old), *((old, each) for each in gone[:1])]
        for swap in swaps:
            yield Case("wrong exchange", self._asked(order, swaps=(swap,)))
        good = self._swap(order)
        if good:
            yield Case("exchanged too often", self._asked(order, swaps=(good,) * 4))
            for method in [*self.users[order["user_id"]]["payment_methods"], "credit_card_0000001"]:
                yield Case("difference by any method", self._asked(order, swaps=(good,), to=method))

    def _suspicious(self, order: Json) -> Iterator[Case]:
        item = ((order["items"][0]["item_id"], 1),)
        word = self._dice.choice(["damaged", "Broken!", "it is torn", "faulty.", "undamaged", "breaking news"])
        yield Case("says damaged", self._asked(order, pieces=item, reason=f"it arrived {word} today"))
        yield Case("shows damage", self._asked(order, pieces=item, reason="it is broken", pictures=1))
        yield Case("returns a lot", self._asked(order, pieces=item), others=self._dice.choice([2, 3, 9]))
        share = self._dice.choice([Decimal("0.3"), Decimal("0.9"), Decimal(1)])
        paid = order["payment_history"][0]
        back = {**paid, "transaction_type": "refund", "amount": float(round(Decimal(str(paid["amount"])) * share, 2))}
        had = {**deepcopy(dict(order)), "payment_history": [*order["payment_history"], back]}
        yield Case("refunded before", self._asked(had, pieces=_all_of(order)))

    # -- answers ---------------------------------------------------------------------------------------------------

    def expected(self, case: Case) -> Answer:
        """What the oracle says."""
        others = Counter({case.asked.customer: case.others})
        return Oracle(self.users, self.products, others).answer(case.asked)

    def found(self, case: Case) -> Answer:
        """What rulebook and policy say, in the oracle's words; a refusal by the id of its rule."""
        order = order_of(case.asked.order)
        customer = customer_of(case.asked.customer, self.users[case.asked.customer], case.others)
        ruled = self._swapped(order, customer, case) if case.asked.swaps else self._returned(order, customer, case)
        if isinstance(ruled, Refusal):
            return Answer(refused=ruled.rule)
        if isinstance(ruled, ExchangeOrder):
            who = self._who("order.exchange", ruled.difference, unendorsed=())
            return Answer(cents=ruled.difference.minor, method=ruled.payment_method_id, who=who)
        who = self._who("payment.refund", ruled.amount, unendorsed=("amount",) if ruled.looks else ())
        return Answer(cents=ruled.amount.minor, method=ruled.payment_method_id, who=who)

    def _returned(self, order: Order, customer: Customer, case: Case) -> RefundOrder | Refusal:
        asked = case.asked
        gift = asked.to == "gift card"
        wish = ReturnWish(
            items=[WishedItem(item_id=item, count=count) for item, count in asked.pieces],
            payment_method_id=None if gift or not asked.to else asked.to,
            destination=Destination.GIFT_CARD if gift else None,
            reason=asked.reason,
            evidence=["picture.jpg"] * asked.pictures,
        )
        return self.rules.rulebook.refund(order, customer, wish)

    def _swapped(self, order: Order, customer: Customer, case: Case) -> ExchangeOrder | Refusal:
        swaps = [Swap(item_id=old, new_item_id=new) for old, new in case.asked.swaps]
        gift = case.asked.to == "gift card"
        wish = ExchangeWish(
            swaps=swaps,
            payment_method_id=None if gift or not case.asked.to else case.asked.to,
            destination=Destination.GIFT_CARD if gift else None,
        )
        ids = dict.fromkeys(line.product_id for line in order.items)
        sale = [each for product_id in ids for each in _on_sale(self.products[product_id])]
        return self.rules.rulebook.exchange(order, customer, wish, sale)

    def _who(self, action: str, amount: Money, *, unendorsed: tuple[str, ...]) -> str:
        moved = Money(abs(amount.minor), amount.currency)
        declared = Catalogue.scan().get(action)
        assert declared is not None
        considered = Considered(
            action=action,
            effect=declared.effect,
            connector=declared.connector,
            sandbox=True,
            workflow="returns",
            requester_roles=frozenset({"requester"}),
            amount=moved,
            unendorsed=unendorsed,
        )
        decision = decide(self.rules.policy, considered, "v")
        if decision.verdict is Verdict.ALLOW:
            return ALONE
        return BUDGET if decision.approvers is not None and decision.approvers.tier == 2 else PERSON


def agrees(expected: Answer, found: Answer) -> bool:
    """True when both say the same: the same refusal by its rule, or the same cents to the same method and person."""
    if not expected.refused:
        return expected == found
    also = {"one-exchange-per-order"} if expected.refused == "once" else set[str]()
    return found.refused in {RULES[expected.refused], *also}


def order_of(order: Json) -> Order:
    """The order as the records port gives it."""
    lines = [
        {**line, "line": place, "price": _usd(line["price"])} for place, line in enumerate(order["items"], start=1)
    ]
    payments = [
        {**each, "kind": each["transaction_type"], "amount": _usd(each["amount"])} for each in order["payment_history"]
    ]
    return Order.model_validate(
        {**order, "customer_id": order["user_id"], "currency": "USD", "items": lines, "payments": payments}
    )


def customer_of(customer_id: str, user: Json, others: int) -> Customer:
    """The customer as the records port gives them."""
    methods = [
        {
            "payment_method_id": each["id"],
            "kind": each["source"],
            "label": each["source"],
            "balance": _usd(each["balance"]) if "balance" in each else None,
        }
        for each in user["payment_methods"].values()
    ]
    name = f"{user['name']['first_name']} {user['name']['last_name']}"
    made = {"customer_id": customer_id, "name": name, "email": user["email"], "payment_methods": methods}
    return Customer.model_validate({**made, "returns_made": others})


def _on_sale(product: Json) -> Iterator[NewItem]:
    for variant in product["variants"].values():
        yield NewItem(
            item_id=variant["item_id"],
            product_id=product["product_id"],
            name=product["name"],
            price=_usd(variant["price"]),
            is_available=variant["available"],
        )


def _usd(price: float) -> Money:
    return Money.of(str(price), "USD")


def _all_of(order: Json) -> tuple[tuple[str, int], ...]:
    return tuple(Counter(line["item_id"] for line in order["items"]).items())
