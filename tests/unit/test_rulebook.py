"""The rulebook: every refusal names its rule, and every amount comes from the records."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.records import Customer, Order, OrderInReturn, OrderItem, Payment, PaymentMethod
from actions.rule_file import read
from actions.rulebook import Destination, RefundOrder, Refusal, ReturnWish, Rulebook, WishedItem
from core.money import Money

BOOK = read(Path(__file__).parents[2] / "bot" / "sample" / "rulebook.yml", Rulebook).content


def usd(minor: int) -> Money:
    return Money(minor, "USD")


def item(line: int, item_id: str, minor: int) -> OrderItem:
    return OrderItem(line=line, item_id=item_id, name=f"Item {item_id}", price=usd(minor))


def paid(minor: int, method: str = "card_1", kind: str = "payment") -> Payment:
    return Payment.model_validate({"kind": kind, "amount": usd(minor), "payment_method_id": method})


def order(**changes) -> Order:
    fields = {
        "order_id": "#W1",
        "customer_id": "cus_1",
        "status": "delivered",
        "currency": "USD",
        "items": [item(1, "lamp", 1850), item(2, "chair", 38900), item(3, "mug", 700), item(4, "mug", 700)],
        "payments": [paid(42150)],
    }
    return Order.model_validate(fields | changes)


def customer(*extra: PaymentMethod, **changes) -> Customer:
    methods = [PaymentMethod(payment_method_id="card_1", kind="credit_card", label="Visa 1234"), *extra]
    fields = {"customer_id": "cus_1", "name": "Ines", "email": "ines@example.com", "payment_methods": methods}
    return Customer.model_validate(fields | changes)


GIFT = PaymentMethod(payment_method_id="gift_1", kind="gift_card", label="Gift card")
OTHER_GIFT = PaymentMethod(payment_method_id="gift_2", kind="gift_card", label="Gift card")
PAYPAL = PaymentMethod(payment_method_id="paypal_1", kind="paypal", label="PayPal")


def wish(*items: str | tuple[str, int], **more) -> ReturnWish:
    named = [(each, 1) if isinstance(each, str) else each for each in items or ("lamp",)]
    return ReturnWish(items=[WishedItem(item_id=name, count=count) for name, count in named], **more)


def granted(bought: Order, buyer: Customer, wished: ReturnWish) -> RefundOrder:
    found = BOOK.refund(bought, buyer, wished)
    assert isinstance(found, RefundOrder), found
    return found


def refused(bought: Order, buyer: Customer, wished: ReturnWish) -> Refusal:
    found = BOOK.refund(bought, buyer, wished)
    assert isinstance(found, Refusal), found
    return found


# -- what is refunded ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("items", "minor", "lines"),
    [
        (["lamp"], 1850, [1]),
        (["chair", "lamp"], 40750, [1, 2]),
        (["mug"], 700, [3]),
        ([("mug", 2)], 1400, [3, 4]),
        (["lamp", "chair", ("mug", 2)], 42150, [1, 2, 3, 4]),
    ],
)
def test_the_amount_is_the_sum_of_the_prices_on_the_order(items, minor, lines):
    refund = granted(order(), customer(), wish(*items))
    assert refund.amount == usd(minor)
    assert [line.line for line in refund.lines] == lines
    assert refund.item_ids == [line.item_id for line in refund.lines]
    assert refund.rulebook_version == BOOK.version


def test_of_one_item_bought_at_two_prices_the_cheaper_comes_back_first():
    bought = order(items=[item(1, "mug", 900), item(2, "mug", 700)], payments=[paid(1600)])
    assert granted(bought, customer(), wish("mug")).amount == usd(700)
    assert granted(bought, customer(), wish(("mug", 2))).amount == usd(1600)


@pytest.mark.parametrize(("earlier", "minor"), [(0, 1850), (40299, 1850), (40300, 1850), (40301, 1849), (42149, 1)])
def test_no_more_is_refunded_than_was_paid_and_not_refunded_before(earlier, minor):
    payments = [paid(42150)] + ([paid(earlier, kind="refund")] if earlier else [])
    refund = granted(order(payments=payments), customer(), wish("lamp"))
    assert refund.amount == usd(minor)
    assert ("no-more-than-paid" in refund.rules) is (minor < 1850)


@pytest.mark.parametrize("payments", [[], [paid(1850), paid(1850, kind="refund")], [paid(1), paid(2, kind="refund")]])
def test_an_order_of_which_nothing_is_left_is_refused(payments):
    held = payments or [paid(0)]
    assert refused(order(payments=held), customer(), wish("lamp")).rule == "no-more-than-paid"


def test_the_reasons_are_sentences_with_the_figures():
    refund = granted(order(), customer(), wish("lamp", ("mug", 2)))
    assert refund.reasons == [
        "1 × Item lamp, 2 × Item mug of order #W1: 32.50 USD.",
        "The money goes to Visa 1234 (card_1). "
        "A refund goes to the original payment method or to a gift card the customer already has.",
    ]


@given(
    prices=st.lists(st.integers(1, 100_000), min_size=1, max_size=6),
    earlier=st.integers(0, 300_000),
    paid_minor=st.integers(0, 300_000),
    count=st.integers(1, 6),
)
def test_whatever_is_wished_the_refunds_of_an_order_never_exceed_what_was_paid(prices, earlier, paid_minor, count):
    items = [item(place, "mug", price) for place, price in enumerate(prices, start=1)]
    bought = order(items=items, payments=[paid(paid_minor), paid(earlier, kind="refund")])
    found = BOOK.refund(bought, customer(), wish(("mug", count)))
    if isinstance(found, RefundOrder):
        assert 0 < found.amount.minor <= paid_minor - earlier
        assert found.amount.minor <= sum(prices)


# -- to where --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "destination"),
    [
        ({}, "card_1"),
        ({"destination": Destination.ORIGINAL}, "card_1"),
        ({"payment_method_id": "card_1"}, "card_1"),
        ({"payment_method_id": "gift_1"}, "gift_1"),
        ({"destination": Destination.GIFT_CARD}, "gift_1"),
    ],
)
def test_a_refund_goes_to_the_original_method_or_to_the_customers_gift_card(more, destination):
    assert granted(order(), customer(GIFT, PAYPAL), wish(**more)).payment_method_id == destination


@pytest.mark.parametrize(
    ("methods", "more", "happened", "do"),
    [
        ([PAYPAL], {"payment_method_id": "paypal_1"}, "paypal_1 is not a permitted destination", "Refund to card_1."),
        ([GIFT], {"payment_method_id": "gift_9"}, "has no payment method gift_9", "Refund to card_1 or gift_1."),
        ([PAYPAL], {"destination": Destination.GIFT_CARD}, "has no gift card", "Refund to the original"),
        ([GIFT, OTHER_GIFT], {"destination": Destination.GIFT_CARD}, "has 2 gift cards", "gift_1, gift_2"),
    ],
)
def test_a_refund_goes_nowhere_else(methods, more, happened, do):
    refusal = refused(order(), customer(*methods), wish(**more))
    assert refusal.rule == "refund-destination"
    assert happened in refusal.reason
    assert do in refusal.do


def test_an_original_method_that_is_no_longer_on_file_is_refused():
    refusal = refused(order(payments=[paid(1850, "card_old")]), customer(GIFT), wish())
    assert refusal.rule == "refund-destination"
    assert refusal.do == "Refund to gift_1."


def test_an_order_without_a_payment_has_no_original_method():
    assert refused(order(payments=[]), customer(), wish()).rule == "refund-destination"


def test_when_an_order_was_paid_with_several_methods_the_one_that_paid_most_is_the_original():
    payments = [paid(1000, "card_1"), paid(3000, "paypal_1"), paid(2000, "card_1"), paid(1, "paypal_1")]
    refund = granted(order(payments=payments), customer(PAYPAL), wish())
    assert refund.payment_method_id == "paypal_1"
    named = granted(order(payments=payments), customer(PAYPAL), wish(payment_method_id="card_1"))
    assert named.payment_method_id == "card_1"


def test_the_gift_card_that_paid_is_chosen_among_several():
    bought = order(payments=[paid(42150, "gift_2")])
    asked = wish(destination=Destination.GIFT_CARD)
    assert granted(bought, customer(GIFT, OTHER_GIFT), asked).payment_method_id == "gift_2"


def test_of_several_gift_cards_that_paid_the_one_that_paid_most_is_chosen():
    bought = order(payments=[paid(2150, "gift_1"), paid(40000, "gift_2")])
    asked = wish(destination=Destination.GIFT_CARD)
    assert granted(bought, customer(GIFT, OTHER_GIFT), asked).payment_method_id == "gift_2"


# -- when a person looks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more", [{"reason": "it is torn"}, {"words": "#W1 the lamp, it arrived broken"}, {"words": "FAULTY! #W1 lamp"}]
)
def test_goods_that_are_called_damaged_anywhere_are_looked_at_unless_a_picture_shows_them(more):
    assert [look.rule for look in granted(order(), customer(), wish(**more)).looks] == ["damaged-evidence"]
    assert granted(order(), customer(), wish(**more, evidence=["lamp.jpg"])).looks == []


def test_words_that_only_contain_one_of_damage_have_nobody_look():
    assert granted(order(), customer(), wish(reason="undamaged", words="breaking news of a tornado")).looks == []


# -- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["pending", "processed", "cancelled", "pending (items modifed)", "", "Delivered"])
def test_only_a_delivered_order_can_be_returned(status):
    refusal = refused(order(status=status), customer(), wish())
    assert refusal.rule == "delivered-only"
    assert refusal.do


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "return requested"},
        {"status": "exchange requested"},
        {
            "in_return": OrderInReturn.model_validate(
                {"item_ids": ["lamp"], "payment_method_id": "card_1", "requested_at": "2026-11-22T10:00:00+00:00"}
            )
        },
    ],
)
def test_an_order_that_is_already_coming_back_is_refused(changes):
    assert refused(order(**changes), customer(), wish()).rule == "one-return-per-order"


def test_an_order_of_somebody_else_is_refused():
    assert refused(order(customer_id="cus_2"), customer(), wish()).rule == "same-customer"


@pytest.mark.parametrize(
    ("items", "rule"),
    [
        (["rug"], "items-in-order"),
        (["lamp", "rug"], "items-in-order"),
        (["lamp", "lamp"], "same-item-once"),
        (["mug", "mug"], "same-item-once"),
        ([("lamp", 2)], "same-item-once"),
        ([("mug", 3)], "same-item-once"),
        ([("mug", 2), "mug"], "same-item-once"),
    ],
)
def test_items_must_be_in_the_order_and_come_back_once_or_as_often_as_bought_and_counted(items, rule):
    refusal = refused(order(), customer(), wish(*items))
    assert refusal.rule == rule
    assert refusal.do


def test_a_wish_without_items_is_refused():
    assert refused(order(), customer(), ReturnWish(items=[])).rule == "items-in-order"


def test_an_unknown_item_is_answered_with_what_is_in_the_order():
    refusal = refused(order(), customer(), wish("rug"))
    assert refusal.do == "Name items of this order: lamp (Item lamp), chair (Item chair), mug (Item mug)."


def test_a_refusal_says_what_happened_what_to_do_and_which_rule_says_so():
    assert str(refused(order(status="pending"), customer(), wish())) == (
        "Order #W1 is pending. Only a delivered order can be returned. "
        "Ask again once it has been delivered. (rule delivered-only)"
    )


def test_a_rulebook_without_rules_refunds_nothing():
    found = Rulebook(version=1).refund(order(), customer(), wish())
    assert isinstance(found, Refusal)
    assert found.rule == "built-in:no-returns"


def test_the_shops_own_additions_are_told_apart_from_its_written_policy():
    assert BOOK.returns is not None
    added = [name for name in type(BOOK.returns).model_fields if getattr(BOOK.returns, name).source == "shop"]
    assert added == ["same_item_once", "no_more_than_paid", "damaged_evidence", "repeat_refund"]
