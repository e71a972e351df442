"""Business rules as people wrote them down, and how one of them refuses or has a person look."""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from actions.looseness import Looser
from actions.records import Customer, Order, PaymentMethod
from core.money import Money

#: The statuses of an order that is in a return or an exchange already.
IN_RETURN = frozenset({"return requested", "exchange requested"})


class Destination(StrEnum):
    """Where a refund may go."""

    ORIGINAL = "original"
    """The payment method with which the order was paid."""
    GIFT_CARD = "gift_card"
    """A gift card that the same customer already has."""


class Refusal(BaseModel):
    """What the rulebook does not permit: by which rule, what happened, and what to do."""

    model_config = ConfigDict(frozen=True)

    rule: str
    reason: str
    do: str

    def __str__(self) -> str:
        return f"{self.reason} {self.do} (rule {self.rule})"


class Look(BaseModel):
    """Why a person looks at this before it happens, whatever its amount: by which rule, and what was found."""

    model_config = ConfigDict(frozen=True)

    rule: str
    reason: str

    def __str__(self) -> str:
        return f"A person looks at this first: {self.reason} (rule {self.rule})"


class WrittenRule(BaseModel):
    """One business rule as people wrote it down."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    because: Annotated[str, Field(min_length=1, max_length=300), Looser.NEVER]
    source: Annotated[Literal["policy", "shop"], Looser.NEVER]
    """`policy`: the shop's written policy says so; `shop`: the shop's own addition."""


class StatusRule(WrittenRule):
    """The rule that names the order statuses from which something may start."""

    statuses: Annotated[list[str], Field(min_length=1), Looser.MORE]


def hyphenated(name: str) -> str:
    """How an id of a rule is written in rulebook.yml."""
    return name.replace("_", "-")


class WrittenRules(BaseModel):
    """The rules of one section, each under its id."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=hyphenated, populate_by_name=True)

    def refuse(self, rule: str, happened: str, do: str) -> Refusal:
        """The refusal by the rule with this id: what happened, the rule's own reason, and what to do."""
        return Refusal(rule=rule, reason=f"{happened} {self._named(rule).because}", do=do)

    def look(self, rule: str, happened: str) -> Look:
        """The rule with this id has a person look: what happened, and the rule's own reason."""
        return Look(rule=rule, reason=f"{happened} {self._named(rule).because}")

    def _named(self: Self, rule: str) -> WrittenRule:
        return getattr(self, rule.replace("-", "_"))


class OrderRules(WrittenRules):
    """What the rules of returns and of exchanges ask of an order alike."""

    same_customer: WrittenRule
    delivered_only: StatusRule
    items_in_order: WrittenRule

    def refuse_order(self, order: Order, customer: Customer, *, once: str) -> Refusal | None:
        """Why nothing may start from this order as it stands; the rule `once` says that one at a time is under way."""
        if order.customer_id != customer.customer_id:
            happened = f"Order {order.order_id} does not belong to customer {customer.customer_id}."
            return self.refuse("same-customer", happened, "Name an order of this customer.")
        if order.in_return is not None or order.status in IN_RETURN:
            happened = f"Order {order.order_id} is “{order.status}” already."
            return self.refuse(once, happened, "Wait until what is under way is settled.")
        if order.status not in self.delivered_only.statuses:
            happened = f"Order {order.order_id} is {order.status}."
            return self.refuse("delivered-only", happened, "Ask again once it has been delivered.")
        return None


def paid_for(order: Order) -> Money:
    """What was paid for the order."""
    return sum((each.amount for each in order.payments if each.kind == "payment"), Money(0, order.currency))


def refunded_for(order: Order) -> Money:
    """What was given back for the order before."""
    return sum((each.amount for each in order.payments if each.kind == "refund"), Money(0, order.currency))


def originals_of(order: Order) -> list[str]:
    """The methods the order was paid with, the one that paid most first."""
    paid: dict[str, int] = {}
    for each in order.payments:
        if each.kind == "payment":
            paid[each.payment_method_id] = paid.get(each.payment_method_id, 0) + each.amount.minor
    return sorted(paid, key=lambda method: -paid[method])


def left_of(order: Order) -> Money:
    """What was paid for the order and not given back before."""
    return paid_for(order) - refunded_for(order)


def card_meant(order: Order, customer: Customer) -> str | None:
    """The gift card that is meant where none is named; None where the customer has to name one."""
    cards = _cards_of(customer)
    paying = [method for method in originals_of(order) if method in cards]
    if paying:
        return paying[0]
    return cards[0] if len(cards) == 1 else None


def refuse_cards(rules: WrittenRules, rule: str, customer: Customer, *, instead: str) -> Refusal:
    """The refusal of a gift card that nobody can tell; `instead` is what to do where there is none."""
    cards = _cards_of(customer)
    if not cards:
        return rules.refuse(rule, f"Customer {customer.customer_id} has no gift card.", instead)
    happened = f"Customer {customer.customer_id} has {len(cards)} gift cards."
    return rules.refuse(rule, happened, f"Name one of them: {', '.join(cards)}.")


def _cards_of(customer: Customer) -> list[str]:
    return [each.payment_method_id for each in customer.payment_methods if each.kind == "gift_card"]


def named_in(methods: list[PaymentMethod]) -> str:
    """These methods as a sentence offers them."""
    return " or ".join(method.payment_method_id for method in methods)


def offer_of(order: Order) -> str:
    """The items of the order as a sentence offers them."""
    unique = {line.item_id: line.name for line in order.items}
    return ", ".join(f"{item_id} ({name})" for item_id, name in unique.items())
