"""Exchanges: where the difference goes, and what it may not come to."""

import pytest

from actions.records import Customer, Order, OrderItem, Payment, PaymentMethod
from actions.rule_file import read
from actions.rulebook import Rulebook
from actions.swaps import ExchangeOrder, ExchangeWish, NewItem, Swap
from actions.written import Destination, Refusal
from core.money import Money
from tests.support.returns_cases import SAMPLE

BOOK = read(SAMPLE / "rulebook.yml", Rulebook).content


def _mug(item_id: str, minor: int) -> NewItem:
    return NewItem(item_id=item_id, product_id="mug", name="Mug", price=Money(minor, "USD"), is_available=True)


SMALL, LESS, SAME, MORE, BIG = SALE = [
    _mug(item_id, minor) for item_id, minor in (("a", 400), ("b", 999), ("c", 1000), ("d", 1001), ("e", 1500))
]
WITH_GIFT_CARD = {"destination": Destination.GIFT_CARD}


def _card(name: str) -> PaymentMethod:
    held = None if name == "gift_unknown" else Money(9000, "USD")
    return PaymentMethod(payment_method_id=name, kind="gift_card", label="Gift card", balance=held)


def _exchange(
    *paid: tuple[str, str, int], cards: tuple[str, ...] = (), new: NewItem = BIG, **more: object
) -> ExchangeOrder | Refusal:
    line = OrderItem(line=1, item_id="mid", name="Mug", price=Money(1000, "USD"), product_id="mug")
    payments = [
        Payment.model_validate({"kind": k, "payment_method_id": m, "amount": Money(c, "USD")}) for k, m, c in paid
    ]
    order = Order(
        order_id="#W1", customer_id="ines", status="delivered", currency="USD", items=[line], payments=payments
    )
    methods = [PaymentMethod(payment_method_id="visa", kind="credit_card", label="Visa"), *map(_card, cards)]
    customer = Customer(customer_id="ines", name="Ines", email="ines@example.com", payment_methods=methods)
    swap = Swap(item_id="mid", new_item_id=new.item_id)
    return BOOK.exchange(order, customer, ExchangeWish.model_validate({"swaps": [swap], **more}), SALE)


PAID = ("payment", "visa", 1000)


@pytest.mark.parametrize(
    ("paid", "cards", "card"),
    [
        ([PAID], ["gift_1"], "gift_1"),
        ([("payment", "gift_2", 1000)], ["gift_1", "gift_2"], "gift_2"),
        ([("payment", "gift_1", 400), ("payment", "gift_2", 600)], ["gift_1", "gift_2"], "gift_2"),
    ],
)
def test_the_words_gift_card_mean_the_same_card_in_an_exchange_as_in_a_return(paid, cards, card):
    found = _exchange(*paid, cards=cards, **WITH_GIFT_CARD)
    assert isinstance(found, ExchangeOrder), found
    assert found.payment_method_id == card


@pytest.mark.parametrize(
    ("cards", "happened", "do"),
    [((), "has no gift card", "Name one of: visa."), (("gift_1", "gift_2"), "has 2 gift cards", "gift_1, gift_2")],
)
def test_a_gift_card_that_nobody_can_tell_has_to_be_named(cards, happened, do):
    refusal = _exchange(PAID, cards=cards, **WITH_GIFT_CARD)
    assert isinstance(refusal, Refusal), refusal
    assert refusal.rule == "difference-method"
    assert happened in refusal.reason
    assert do in refusal.do


def test_a_named_method_goes_before_the_words_gift_card():
    found = _exchange(PAID, cards=("gift_1",), payment_method_id="visa", **WITH_GIFT_CARD)
    assert isinstance(found, ExchangeOrder), found
    assert found.payment_method_id == "visa"


def test_an_exchange_gives_back_no_more_than_was_paid_and_not_refunded_before():
    most = _exchange(PAID, ("refund", "visa", 400), new=SMALL)
    assert isinstance(most, ExchangeOrder), most
    assert most.difference == Money(-600, "USD")
    refusal = _exchange(PAID, ("refund", "visa", 401), new=SMALL)
    assert isinstance(refusal, Refusal), refusal
    assert refusal.rule == "built-in:no-more-than-paid"
    assert "5.99 USD is left; the exchange would give back 6.00 USD" in refusal.reason


def test_an_exchange_for_a_dearer_item_gives_nothing_back_whatever_was_refunded():
    assert isinstance(_exchange(PAID, ("refund", "visa", 1000), new=BIG), ExchangeOrder)


def test_only_a_card_that_is_owed_from_must_be_known_to_hold_it():
    for new in (SAME, SMALL):
        assert isinstance(_exchange(PAID, cards=("gift_unknown",), new=new, **WITH_GIFT_CARD), ExchangeOrder)
    refusal = _exchange(PAID, cards=("gift_unknown",), new=MORE, **WITH_GIFT_CARD)
    assert isinstance(refusal, Refusal), refusal
    assert refusal.rule == "gift-card-balance"
    assert "an unknown sum" in refusal.reason


def test_an_even_exchange_gives_nothing_back_and_a_cent_is_something():
    spent = ("refund", "visa", 1000)
    assert isinstance(_exchange(PAID, spent, new=SAME), ExchangeOrder)
    refusal = _exchange(PAID, spent, new=LESS)
    assert isinstance(refusal, Refusal), refusal
    assert refusal.rule == "built-in:no-more-than-paid"
