"""The rules of exchanges: which item may be swapped for which, and who owes whom the difference."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from actions.records import Customer, Order, OrderItem, PaymentMethod
from actions.written import (
    Destination,
    OrderRules,
    Refusal,
    WrittenRule,
    card_meant,
    left_of,
    named_in,
    offer_of,
    originals_of,
    refuse_cards,
)
from core.money import Money


class Swap(BaseModel):
    """One item of an order, and the one the customer wants for it."""

    model_config = ConfigDict(frozen=True)

    item_id: str
    new_item_id: str


class ExchangeWish(BaseModel):
    """What is to be swapped, and how the difference is settled; a named payment method goes before a destination."""

    model_config = ConfigDict(frozen=True)

    swaps: list[Swap]
    payment_method_id: str | None = None
    destination: Destination | None = None
    reason: str = ""


class NewItem(BaseModel):
    """One item on sale, as the shop's records have it."""

    model_config = ConfigDict(frozen=True)

    item_id: str
    product_id: str
    name: str
    price: Money
    is_available: bool


class ExchangeOrder(BaseModel):
    """What the rulebook computed: which items for which, who pays what difference how, and by which rules."""

    model_config = ConfigDict(frozen=True)

    item_ids: Annotated[list[str], Field(min_length=1)]
    new_item_ids: list[str]
    difference: Money
    """What the customer pays on top; below zero, what they get back."""
    payment_method_id: str
    rules: list[str]
    reasons: list[str]
    rulebook_version: int


class ExchangeRules(OrderRules):
    """The rules of exchanges; none can be left out."""

    one_exchange_per_order: WrittenRule
    same_product: WrittenRule
    other_variant: WrittenRule
    on_sale: WrittenRule
    difference_method: WrittenRule
    gift_card_balance: WrittenRule


def exchanged(
    rules: ExchangeRules,
    order: Order,
    customer: Customer,
    wish: ExchangeWish,
    *,
    on_sale: list[NewItem],
    version: int,
) -> ExchangeOrder | Refusal:
    """What this exchange comes to, or why there is none; a pure function of the records and the wish."""
    refusal = rules.refuse_order(order, customer, once="one-exchange-per-order") or _refuse_items(rules, order, wish)
    if refusal is not None:
        return refusal
    sale = {each.item_id: each for each in on_sale}
    lines = _lines(order, wish)
    for line, swap in zip(lines, wish.swaps, strict=True):
        refused = _refuse_swap(rules, line, sale.get(swap.new_item_id), swap)
        if refused is not None:
            return refused
    before = sum((line.price for line in lines), Money(0, order.currency))
    after = sum((sale[swap.new_item_id].price for swap in wish.swaps), Money(0, order.currency))
    method = _method(rules, order, customer, wish)
    if isinstance(method, Refusal):
        return method
    unpaid = _refuse_difference(rules, order, method, after - before)
    if unpaid is not None:
        return unpaid
    return ExchangeOrder(
        item_ids=[swap.item_id for swap in wish.swaps],
        new_item_ids=[swap.new_item_id for swap in wish.swaps],
        difference=after - before,
        payment_method_id=method.payment_method_id,
        rules=["same-product", "other-variant", "difference-method"],
        reasons=[
            f"{len(lines)} of the items of {order.order_id} cost {before}, the new ones {after}.",
            f"The difference is settled with {method.label} ({method.payment_method_id})."
            f" {rules.difference_method.because}",
        ],
        rulebook_version=version,
    )


def _refuse_items(rules: ExchangeRules, order: Order, wish: ExchangeWish) -> Refusal | None:
    bought = [line.item_id for line in order.items]
    named = [swap.item_id for swap in wish.swaps]
    if not named:
        return rules.refuse("items-in-order", "No item was named.", f"Name the items of {order.order_id} to swap.")
    for item_id in named:
        if named.count(item_id) > bought.count(item_id):
            happened = (
                f"Order {order.order_id} has {bought.count(item_id)} of item {item_id}, not {named.count(item_id)}."
            )
            return rules.refuse("items-in-order", happened, f"Name items of this order: {offer_of(order)}.")
    return None


def _lines(order: Order, wish: ExchangeWish) -> list[OrderItem]:
    """The line of the order for each swap; of one item bought at several prices the cheapest line goes first."""
    left = sorted(order.items, key=lambda line: (line.price.minor, line.line))
    chosen: list[OrderItem] = []
    for swap in wish.swaps:
        line = next(each for each in left if each.item_id == swap.item_id)
        left.remove(line)
        chosen.append(line)
    return chosen


def _refuse_swap(rules: ExchangeRules, line: OrderItem, new: NewItem | None, swap: Swap) -> Refusal | None:
    if new is None or new.product_id != line.product_id:
        happened = f"{swap.new_item_id} is no variant of {line.name}."
        return rules.refuse("same-product", happened, f"Name another variant of {line.name}.")
    if new.item_id == line.item_id:
        happened = f"{new.item_id} is what the customer has already."
        return rules.refuse("other-variant", happened, f"Name another variant of {line.name}.")
    if not new.is_available:
        happened = f"{new.item_id} ({new.name}) is not available."
        return rules.refuse("on-sale", happened, "Name one that is, or offer a return.")
    return None


def _method(rules: ExchangeRules, order: Order, customer: Customer, wish: ExchangeWish) -> PaymentMethod | Refusal:
    wanted = wish.payment_method_id or next(iter(originals_of(order)), "")
    if wish.payment_method_id is None and wish.destination is Destination.GIFT_CARD:
        card = card_meant(order, customer)
        if card is None:
            names = named_in(customer.payment_methods)
            return refuse_cards(rules, "difference-method", customer, instead=f"Name one of: {names}.")
        wanted = card
    method = next((each for each in customer.payment_methods if each.payment_method_id == wanted), None)
    if method is None:
        happened = f"Customer {customer.customer_id} has no payment method {wanted or 'that paid for this order'}."
        return rules.refuse("difference-method", happened, f"Name one of: {named_in(customer.payment_methods)}.")
    return method


def _refuse_difference(rules: ExchangeRules, order: Order, method: PaymentMethod, difference: Money) -> Refusal | None:
    if method.kind == "gift_card" and difference.minor > 0:
        balance = method.balance
        if balance is None or balance < difference:
            held = "an unknown sum" if balance is None else balance
            happened = f"{method.payment_method_id} holds {held}, and {difference} is due."
            return rules.refuse("gift-card-balance", happened, "Name another payment method of the customer's.")
    back, left = Money(-difference.minor, difference.currency), left_of(order)
    if back.minor > 0 and back > left:
        happened = f"Of what was paid for order {order.order_id}, {left} is left; the exchange would give back {back}."
        do = "Check the order's payments and earlier refunds, or name dearer items."
        return Refusal(rule="built-in:no-more-than-paid", reason=happened, do=do)
    return None
