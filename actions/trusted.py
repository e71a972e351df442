"""The trusted records that arguments are resolved from, and how it is seen whether a value stands there."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from actions.assets import ASSETS
from actions.ground import Ground
from actions.mailbox import MAILBOX
from actions.price_rules import outside_band
from actions.products import PRODUCTS
from actions.written import left_of
from core.money import Money


@dataclass(frozen=True)
class Claim:
    """One argument of a wish, of which somebody says that a trusted record has it."""

    value: Any
    target: Any
    """What the action acts on: the record is looked up by it."""
    args: BaseModel
    ground: Ground


@dataclass(frozen=True)
class TrustedRecord:
    """Where an argument is resolved from; an argument of which no action says so can be endorsed by nothing."""

    name: str
    words: str
    """What it means that a value stands there, to go on “it is”."""
    bears_out: Callable[[Claim], Awaitable[bool]]
    """True when the record has this value now; raises RecordsUnavailable."""


async def _is_an_order(claim: Claim) -> bool:
    return await claim.ground.records.order(str(claim.value)) is not None


async def _is_its_customer(claim: Claim) -> bool:
    order = await claim.ground.records.order(str(claim.target))
    return order is not None and order.customer_id == claim.value


async def _is_a_method_of_its_customer(claim: Claim) -> bool:
    order = await claim.ground.records.order(str(claim.target))
    customer = None if order is None else await claim.ground.records.customer(order.customer_id)
    return customer is not None and claim.value in {each.payment_method_id for each in customer.payment_methods}


async def _is_within_what_was_paid(claim: Claim) -> bool:
    order = await claim.ground.records.order(str(claim.target))
    if order is None or not isinstance(claim.value, Money) or claim.value.currency != order.currency:
        return False
    return claim.value <= left_of(order)


async def _is_a_host_of_ours(claim: Claim) -> bool:
    sources = claim.ground.sources
    host = await sources.get(ASSETS).host(str(claim.value)) if sources.has(ASSETS) else None
    return host is not None and host.host_id == claim.value


async def _is_a_mail_of_ours(claim: Claim) -> bool:
    sources = claim.ground.sources
    return sources.has(MAILBOX) and await sources.get(MAILBOX).mail(str(claim.value)) is not None


async def _is_whom_it_answers(claim: Claim) -> bool:
    sources, answered = claim.ground.sources, getattr(claim.args, "in_reply_to", None)
    mail = await sources.get(MAILBOX).mail(answered) if answered and sources.has(MAILBOX) else None
    return mail is not None and mail.is_verified and mail.from_address == claim.value


async def _is_on_sale(claim: Claim) -> bool:
    sources = claim.ground.sources
    return sources.has(PRODUCTS) and await sources.get(PRODUCTS).product(str(claim.value)) is not None


async def _is_within_the_price_rules(claim: Claim) -> bool:
    sources, rules = claim.ground.sources, claim.ground.rulebook.prices
    product = await sources.get(PRODUCTS).product(str(claim.target)) if sources.has(PRODUCTS) else None
    if product is None or rules is None or not isinstance(claim.value, Money):
        return False
    return not outside_band(rules, product, claim.value)


ORDER = TrustedRecord("order", "an order of the shop", _is_an_order)
ORDER_CUSTOMER = TrustedRecord("order.customer", "the order's own customer", _is_its_customer)
CUSTOMER_METHODS = TrustedRecord(
    "customer.payment_methods", "on file for the order's own customer", _is_a_method_of_its_customer
)
ORDER_PAYMENTS = TrustedRecord(
    "order.payments", "within what was paid for the order and not given back", _is_within_what_was_paid
)
PRODUCT = TrustedRecord("products.item", "an item that the shop sells", _is_on_sale)
PRICE_RULES = TrustedRecord(
    "rulebook.prices", "within what the rulebook permits for this item", _is_within_the_price_rules
)
HOST = TrustedRecord("assets.host", "a host of our inventory", _is_a_host_of_ours)
MAIL = TrustedRecord("mailbox.mail", "a mail of our mailbox", _is_a_mail_of_ours)
MAIL_SENDER = TrustedRecord("mailbox.sender", "the verified sender of the mail that is answered", _is_whom_it_answers)

Resolved = Mapping[str, TrustedRecord]
"""Which argument is resolved from which record."""
