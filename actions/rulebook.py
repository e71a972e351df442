"""The business rules: what may be refunded, to where, and how much, from trusted records and nothing else."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from actions.records import Customer, Order, OrderItem, PaymentMethod
from core.money import Money

_IN_RETURN = frozenset({"return requested", "exchange requested"})


class Destination(StrEnum):
    """Where a refund may go."""

    ORIGINAL = "original"
    """The payment method with which the order was paid."""
    GIFT_CARD = "gift_card"
    """A gift card that the same customer already has."""


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

    @property
    def item_ids(self) -> list[str]:
        """The item of each line; one that is returned twice stands here twice."""
        return [line.item_id for line in self.lines]


class Refusal(BaseModel):
    """What the rulebook does not permit: by which rule, what happened, and what to do."""

    model_config = ConfigDict(frozen=True)

    rule: str
    reason: str
    do: str

    def __str__(self) -> str:
        return f"{self.reason} {self.do} (rule {self.rule})"


class WrittenRule(BaseModel):
    """One business rule as people wrote it down."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    because: Annotated[str, Field(min_length=1, max_length=300)]
    source: Literal["policy", "shop"]
    """`policy`: the shop's written policy says so; `shop`: the shop's own addition."""


class StatusRule(WrittenRule):
    """The rule that names the order statuses from which a return may start."""

    statuses: Annotated[list[str], Field(min_length=1)]


class DestinationRule(WrittenRule):
    """The rule that names where refunds may go."""

    allowed: Annotated[list[Destination], Field(min_length=1)]


def _hyphenated(name: str) -> str:
    return name.replace("_", "-")


class ReturnRules(BaseModel):
    """The rules of returns, each under its id; none can be left out."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=_hyphenated, populate_by_name=True)

    same_customer: WrittenRule
    one_return_per_order: WrittenRule
    delivered_only: StatusRule
    items_in_order: WrittenRule
    same_item_once: WrittenRule
    refund_destination: DestinationRule
    no_more_than_paid: WrittenRule

    def refuse(self, rule: str, happened: str, do: str) -> Refusal:
        """The refusal by the rule with this id: what happened, the rule's own reason, and what to do."""
        written: WrittenRule = getattr(self, rule.replace("-", "_"))
        return Refusal(rule=rule, reason=f"{happened} {written.because}", do=do)


class Rulebook(BaseModel):
    """The versioned business rules; the version rises with every change."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Annotated[int, Field(ge=1, strict=True)]
    returns: ReturnRules | None = None

    def refund(self, order: Order, customer: Customer, wish: ReturnWish) -> RefundOrder | Refusal:
        """What to refund for this wish, or why not; a pure function of the records and the wish."""
        rules = self.returns
        if rules is None:
            do = "Write the section returns in rulebook.yml."
            return Refusal(rule="built-in:no-returns", reason="The rulebook says nothing about returns.", do=do)
        refusal = _refuse_order(rules, order, customer) or _refuse_items(rules, order, wish)
        if refusal is not None:
            return refusal
        method = _destination(rules, order, customer, wish)
        return method if isinstance(method, Refusal) else self._compute(rules, order, method, wish)

    def _compute(
        self, rules: ReturnRules, order: Order, method: PaymentMethod, wish: ReturnWish
    ) -> RefundOrder | Refusal:
        lines = _lines(order, wish)
        total = sum((line.price for line in lines), Money(0, order.currency))
        left = order.left
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
        )


def _counted(lines: list[OrderItem]) -> str:
    names = [line.name for line in lines]
    return ", ".join(f"{names.count(name)} × {name}" for name in dict.fromkeys(names))


def first_rulebook() -> str:
    """The rulebook.yml that a first start on a real workspace writes: no rule, so nothing is refunded."""
    return "# The business rules. Without the section `returns` nothing is refunded.\nversion: 1\n"


def _refuse_order(rules: ReturnRules, order: Order, customer: Customer) -> Refusal | None:
    if order.customer_id != customer.customer_id:
        happened = f"Order {order.order_id} does not belong to customer {customer.customer_id}."
        return rules.refuse("same-customer", happened, "Name an order of this customer.")
    if order.in_return is not None or order.status in _IN_RETURN:
        happened = f"Order {order.order_id} is already {order.status}."
        return rules.refuse("one-return-per-order", happened, "Wait until the return under way is settled.")
    if order.status not in rules.delivered_only.statuses:
        happened = f"Order {order.order_id} is {order.status}."
        return rules.refuse("delivered-only", happened, "Ask again once it has been delivered.")
    return None


def _refuse_items(rules: ReturnRules, order: Order, wish: ReturnWish) -> Refusal | None:
    bought = [line.item_id for line in order.items]
    named = [item.item_id for item in wish.items]
    if not named:
        return rules.refuse("items-in-order", "No item was named.", f"Name the items of {order.order_id} to return.")
    for item in wish.items:
        if item.item_id not in bought:
            happened = f"Item {item.item_id} is not in order {order.order_id}."
            return rules.refuse("items-in-order", happened, f"Name items of this order: {_offer(order)}.")
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


def _offer(order: Order) -> str:
    unique = {line.item_id: line.name for line in order.items}
    return ", ".join(f"{item_id} ({name})" for item_id, name in unique.items())


def _lines(order: Order, wish: ReturnWish) -> list[OrderItem]:
    # Where one item was bought at several prices, the cheapest line comes back first: never refund more by choice.
    by_price = sorted(order.items, key=lambda line: (line.price.minor, line.line))
    chosen: list[OrderItem] = []
    for item in wish.items:
        chosen += [line for line in by_price if line.item_id == item.item_id][: item.count]
    return sorted(chosen, key=lambda line: line.line)


def _originals(order: Order) -> list[str]:
    """The methods the order was paid with, the one that paid most first."""
    paid: dict[str, int] = {}
    for each in order.payments:
        if each.kind == "payment":
            paid[each.payment_method_id] = paid.get(each.payment_method_id, 0) + each.amount.minor
    return sorted(paid, key=lambda method: -paid[method])


def _destination(rules: ReturnRules, order: Order, customer: Customer, wish: ReturnWish) -> PaymentMethod | Refusal:
    if wish.payment_method_id is not None:
        wanted = wish.payment_method_id
    elif wish.destination is Destination.GIFT_CARD:
        cards = [each.payment_method_id for each in customer.payment_methods if each.kind == "gift_card"]
        if len(cards) != 1 and not set(cards) & set(_originals(order)):
            return _refuse_cards(rules, customer, cards)
        wanted = next((card for card in cards if card in _originals(order)), cards[0])
    else:
        wanted = next(iter(_originals(order)), "")
    return _permitted(rules, order, customer, wanted)


def _refuse_cards(rules: ReturnRules, customer: Customer, cards: list[str]) -> Refusal:
    if not cards:
        happened = f"Customer {customer.customer_id} has no gift card."
        return rules.refuse("refund-destination", happened, "Refund to the original payment method.")
    happened = f"Customer {customer.customer_id} has {len(cards)} gift cards."
    return rules.refuse("refund-destination", happened, f"Name one of them: {', '.join(cards)}.")


def _permitted(rules: ReturnRules, order: Order, customer: Customer, wanted: str) -> PaymentMethod | Refusal:
    destinations = _destinations(rules, order, customer)
    for method in destinations:
        if method.payment_method_id == wanted:
            return method
    if any(method.payment_method_id == wanted for method in customer.payment_methods):
        happened = f"{wanted} is not a permitted destination for order {order.order_id}."
    else:
        happened = f"Customer {customer.customer_id} has no payment method {wanted or 'that paid for this order'}."
    names = " or ".join(method.payment_method_id for method in destinations)
    do = f"Refund to {names}." if names else "No permitted destination is on file; agree on one with the customer."
    return rules.refuse("refund-destination", happened, do)


def _destinations(rules: ReturnRules, order: Order, customer: Customer) -> list[PaymentMethod]:
    allowed, originals = rules.refund_destination.allowed, _originals(order)
    return [
        method
        for method in customer.payment_methods
        if (Destination.ORIGINAL in allowed and method.payment_method_id in originals)
        or (Destination.GIFT_CARD in allowed and method.kind == "gift_card")
    ]
