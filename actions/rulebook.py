"""The business rules: what may be refunded or exchanged, to where, and how much, from trusted records and no more."""

import re
from collections.abc import Iterator
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from actions.containment_rules import ContainmentRules
from actions.looseness import Looser
from actions.price_rules import PriceRules
from actions.records import Customer, Order, OrderItem, PaymentMethod
from actions.swaps import ExchangeOrder, ExchangeRules, ExchangeWish, NewItem, exchanged
from actions.written import (
    Destination,
    Look,
    OrderRules,
    Refusal,
    StatusRule,
    WrittenRule,
    card_meant,
    left_of,
    named_in,
    offer_of,
    originals_of,
    refunded_for,
    refuse_cards,
)
from core.money import Money

__all__ = ["Destination", "Look", "Refusal", "StatusRule", "WrittenRule"]


class WishedItem(BaseModel):
    """One item somebody wants to return, and how many of it."""

    model_config = ConfigDict(frozen=True)

    item_id: str
    count: Annotated[int, Field(ge=1, strict=True)] = 1


class ReturnWish(BaseModel):
    """What is to be returned and where the money should go; a named payment method goes before a destination."""

    model_config = ConfigDict(frozen=True)

    items: list[WishedItem]
    payment_method_id: str | None = None
    destination: Destination | None = None
    reason: str = ""
    words: str = ""
    """All that was said with it: who does not write “because” has a reason too."""
    evidence: list[str] = []
    """What came with the wish and shows the goods, such as the names of pictures."""


class RefundOrder(BaseModel):
    """What the rulebook computed: how much, to where, for which lines, and by which rules."""

    model_config = ConfigDict(frozen=True)

    amount: Money
    payment_method_id: str
    lines: list[OrderItem]
    rules: list[str]
    """The ids of the rules that shaped amount and destination."""
    reasons: list[str]
    """One sentence for each of them, for the card."""
    rulebook_version: int
    looks: list[Look] = []
    """Why a person looks at it first; empty where policy alone says who does."""

    @property
    def item_ids(self) -> list[str]:
        """The item of each line; one that is returned twice stands here twice."""
        return [line.item_id for line in self.lines]


class DestinationRule(WrittenRule):
    """The rule that names where refunds may go."""

    allowed: Annotated[list[Destination], Field(min_length=1), Looser.MORE]


class EvidenceRule(WrittenRule):
    """The rule that names the words by which goods count as damaged; then a picture comes along, or a person looks."""

    words: Annotated[list[Annotated[str, Field(min_length=2)]], Field(min_length=1), Looser.FEWER]


class RepeatRule(WrittenRule):
    """The rule that says from how many other returns of one customer on a person looks."""

    most: Annotated[int, Field(ge=0, strict=True), Looser.HIGHER]


class ReturnRules(OrderRules):
    """The rules of returns; only those that have a person look can be left out."""

    one_return_per_order: WrittenRule
    same_item_once: WrittenRule
    refund_destination: DestinationRule
    no_more_than_paid: WrittenRule
    damaged_evidence: Annotated[EvidenceRule | None, Looser.FEWER] = None
    repeat_refund: Annotated[RepeatRule | None, Looser.FEWER] = None


class Rulebook(BaseModel):
    """The versioned business rules; the version rises with every change."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Annotated[int, Field(ge=1, strict=True), Looser.NEVER]
    returns: Annotated[ReturnRules | None, Looser.MORE] = None
    exchanges: Annotated[ExchangeRules | None, Looser.MORE] = None
    prices: Annotated[PriceRules | None, Looser.ANY] = None
    """Without it no price is proposed, and one that people agree to keeps within no bounds."""
    containment: Annotated[ContainmentRules | None, Looser.MORE] = None
    """Without it no host is proposed for isolation."""

    def refund(self, order: Order, customer: Customer, wish: ReturnWish) -> RefundOrder | Refusal:
        """What to refund for this wish, or why not; a pure function of the records and the wish."""
        rules = self.returns
        if rules is None:
            do = "Write the section returns in rulebook.yml."
            return Refusal(rule="built-in:no-returns", reason="The rulebook says nothing about returns.", do=do)
        refusal = rules.refuse_order(order, customer, once="one-return-per-order") or _refuse_items(rules, order, wish)
        if refusal is not None:
            return refusal
        method = _destination(rules, order, customer, wish)
        if isinstance(method, Refusal):
            return method
        looks = list(_looks(rules, order, customer, wish))
        return self._compute(rules, order, method, wish, looks=looks)

    def exchange(
        self, order: Order, customer: Customer, wish: ExchangeWish, on_sale: list[NewItem]
    ) -> ExchangeOrder | Refusal:
        """What an exchange comes to, or why there is none; `on_sale` has what the shop's records say of new items."""
        if self.exchanges is None:
            do = "Write the section exchanges in rulebook.yml."
            return Refusal(rule="built-in:no-exchanges", reason="The rulebook says nothing about exchanges.", do=do)
        return exchanged(self.exchanges, order, customer, wish, on_sale=on_sale, version=self.version)

    def _compute(
        self, rules: ReturnRules, order: Order, method: PaymentMethod, wish: ReturnWish, *, looks: list[Look]
    ) -> RefundOrder | Refusal:
        lines = _lines(order, wish)
        total = sum((line.price for line in lines), Money(0, order.currency))
        left = left_of(order)
        if left.minor <= 0 or total.minor <= 0:
            happened = f"Of what was paid for order {order.order_id}, {left} is left; the items cost {total}."
            return rules.refuse("no-more-than-paid", happened, "Check the order's payments and earlier refunds.")
        applied = ["items-in-order", "refund-destination"]
        reasons = [
            f"{_counted(lines)} of order {order.order_id}: {total}.",
            f"The money goes to {method.label} ({method.payment_method_id}). {rules.refund_destination.because}",
        ]
        if total > left:
            applied.append("no-more-than-paid")
            reasons.append(f"Of what was paid, {left} is left. {rules.no_more_than_paid.because}")
        return RefundOrder(
            amount=min(total, left),
            payment_method_id=method.payment_method_id,
            lines=lines,
            rules=applied,
            reasons=reasons,
            rulebook_version=self.version,
            looks=looks,
        )


def _counted(lines: list[OrderItem]) -> str:
    names = [line.name for line in lines]
    return ", ".join(f"{names.count(name)} × {name}" for name in dict.fromkeys(names))


def first_rulebook() -> str:
    """The rulebook.yml that a first start on a real workspace writes: no rule, so nothing is refunded."""
    return (
        "# The business rules. Without the section `returns` nothing is refunded, and nothing is exchanged without\n"
        "# the section `exchanges`.\n"
        "version: 1\n"
    )


def _looks(rules: ReturnRules, order: Order, customer: Customer, wish: ReturnWish) -> Iterator[Look]:
    """Why a person looks at this return first, whatever its amount."""
    damaged, repeat = rules.damaged_evidence, rules.repeat_refund
    if damaged is not None and not wish.evidence:
        text = f"{wish.reason}\n{wish.words}"
        said = next((word for word in damaged.words if _says(text, word)), None)
        if said is not None:
            yield rules.look("damaged-evidence", f"The request says “{said}”, and no picture came along.")
    if repeat is None:
        return
    back = refunded_for(order)
    if back.minor > 0:
        yield rules.look("repeat-refund", f"{back} was refunded for {order.order_id} before.")
    if customer.returns_made > repeat.most:
        happened = f"Customer {customer.customer_id} has {customer.returns_made} other orders in return or exchange."
        yield rules.look("repeat-refund", happened)


def _says(text: str, word: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE) is not None


def _refuse_items(rules: ReturnRules, order: Order, wish: ReturnWish) -> Refusal | None:
    bought = [line.item_id for line in order.items]
    named = [item.item_id for item in wish.items]
    if not named:
        return rules.refuse("items-in-order", "No item was named.", f"Name the items of {order.order_id} to return.")
    for item in wish.items:
        if item.item_id not in bought:
            happened = f"Item {item.item_id} is not in order {order.order_id}."
            return rules.refuse("items-in-order", happened, f"Name items of this order: {offer_of(order)}.")
    for item in wish.items:
        if item.count > bought.count(item.item_id):
            happened = f"Order {order.order_id} has {bought.count(item.item_id)} of item {item.item_id}, and "
            happened += f"{item.count} were to be returned."
            return rules.refuse("same-item-once", happened, "Name no more of it than was bought.")
        if named.count(item.item_id) > 1:
            happened = f"Item {item.item_id} of order {order.order_id} was named {named.count(item.item_id)} times."
            do = "Name it once; if several were bought and all come back, write how many."
            return rules.refuse("same-item-once", happened, do)
    return None


def _lines(order: Order, wish: ReturnWish) -> list[OrderItem]:
    # Where one item was bought at several prices, the cheapest line comes back first: never refund more by choice.
    by_price = sorted(order.items, key=lambda line: (line.price.minor, line.line))
    chosen: list[OrderItem] = []
    for item in wish.items:
        chosen += [line for line in by_price if line.item_id == item.item_id][: item.count]
    return sorted(chosen, key=lambda line: line.line)


def _destination(rules: ReturnRules, order: Order, customer: Customer, wish: ReturnWish) -> PaymentMethod | Refusal:
    if wish.payment_method_id is not None:
        wanted = wish.payment_method_id
    elif wish.destination is Destination.GIFT_CARD:
        card = card_meant(order, customer)
        if card is None:
            instead = "Refund to the original payment method."
            return refuse_cards(rules, "refund-destination", customer, instead=instead)
        wanted = card
    else:
        wanted = next(iter(originals_of(order)), "")
    return _permitted(rules, order, customer, wanted)


def _permitted(rules: ReturnRules, order: Order, customer: Customer, wanted: str) -> PaymentMethod | Refusal:
    destinations = _destinations(rules, order, customer)
    for method in destinations:
        if method.payment_method_id == wanted:
            return method
    if any(method.payment_method_id == wanted for method in customer.payment_methods):
        happened = f"{wanted} is not a permitted destination for order {order.order_id}."
    else:
        happened = f"Customer {customer.customer_id} has no payment method {wanted or 'that paid for this order'}."
    names = named_in(destinations)
    do = f"Refund to {names}." if names else "No permitted destination is on file; agree on one with the customer."
    return rules.refuse("refund-destination", happened, do)


def _destinations(rules: ReturnRules, order: Order, customer: Customer) -> list[PaymentMethod]:
    allowed, originals = rules.refund_destination.allowed, originals_of(order)
    return [
        method
        for method in customer.payment_methods
        if (Destination.ORIGINAL in allowed and method.payment_method_id in originals)
        or (Destination.GIFT_CARD in allowed and method.kind == "gift_card")
    ]
