"""The sample shop is the same everywhere and has what the tutorial, the sweep and the limits need."""

import dataclasses
import hashlib
import json
import statistics

from bot.demo_guide import GUIDE
from bot.sample.mail import sample_mail
from bot.sample.shop import sample_records, sample_shop


def test_the_sample_shop_is_the_same_every_time():
    text = json.dumps(dataclasses.asdict(sample_shop()), sort_keys=True)

    assert json.dumps(dataclasses.asdict(sample_shop()), sort_keys=True) == text
    # Documentation names its orders: whoever changes the shop on purpose changes this line and reads the docs again.
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "12b967a569089155"


def test_it_has_the_promised_size_and_every_status():
    records = sample_records()

    assert (len(records.products), len(records.customers), len(records.orders)) == (24, 60, 150)
    assert {order.status for order in records.orders} == {"pending", "processed", "delivered", "cancelled"}


def test_the_median_delivered_order_is_near_120():
    totals = [
        sum(line.price_minor for line in order.lines)
        for order in sample_records().orders
        if order.status == "delivered"
    ]

    assert 11_000 <= statistics.median(totals) <= 13_000


def test_customers_pay_in_all_three_ways_and_some_have_no_gift_card():
    kinds = [{method.kind for method in customer.payment_methods} for customer in sample_records().customers]

    assert set().union(*kinds) == {"credit_card", "paypal", "gift_card"}
    assert any("gift_card" not in owned for owned in kinds)


def test_every_order_was_paid_in_full_and_cancelled_ones_were_refunded():
    for order in sample_records().orders:
        total = sum(line.price_minor for line in order.lines)
        expected = ["payment", "refund"] if order.status == "cancelled" else ["payment"]
        assert [payment.kind for payment in order.payments] == expected
        assert {payment.amount_minor for payment in order.payments} == {total}


def test_the_orders_that_the_tutorial_names_are_what_it_says():
    orders = {order.order_id: order for order in sample_records().orders}
    told = {
        order_id: (order.status, [(line.name, line.price_minor) for line in order.lines])
        for order_id, order in orders.items()
        if order_id in {"#W1001", "#W1002", "#W1003", "#W1004"}
    }

    assert told == {
        "#W1001": ("delivered", [("Water Bottle", 1850), ("Desk Lamp", 4200)]),
        "#W1002": ("delivered", [("Office Chair", 38900)]),
        "#W1003": ("pending", [("Backpack", 6490)]),
        "#W1004": ("delivered", [("Coffee Mug", 1200), ("Coffee Mug", 1200), ("Tea Kettle", 3450)]),
    }
    assert orders["#W1004"].lines[0].item_id == orders["#W1004"].lines[1].item_id
    assert len({orders[order_id].customer_id for order_id in told}) == 4
    paid_by = {orders[order_id].payments[0].payment_method_id.rsplit("_", 1)[0] for order_id in told}
    assert paid_by == {"credit_card", "paypal", "gift_card"}


def test_the_return_requests_are_of_every_sort_and_none_is_of_a_tutorial_order():
    records = sample_records()
    orders = {order.order_id: order for order in records.orders}
    requests = {request.order_id: request for request in records.return_requests}

    assert sorted(requests) == ["#W1005", "#W1006", "#W1007", "#W1008", "#W1009", "#W1010"]
    assert orders["#W1007"].lines[0].price_minor > 30_000
    assert orders["#W1008"].status == "processed"
    assert requests["#W1009"].item_ids == ()
    assert "headphones" in requests["#W1009"].text
    for request in records.return_requests:
        assert set(request.item_ids) <= {line.item_id for line in orders[request.order_id].lines}
    wanted = requests["#W1010"].payment_method_id
    customers = {customer.customer_id: customer for customer in records.customers}
    theirs = customers[orders["#W1010"].customer_id].payment_methods
    assert wanted in {method.payment_method_id for method in theirs if method.kind == "gift_card"}


def test_every_walk_of_the_demo_finds_a_small_and_a_larger_order_that_no_mail_speaks_of():
    # The broken mails at the end are shown to people and never acted on.
    orders, mail = sample_shop().orders, b" ".join(each.raw for each in sample_mail()[:15])
    small, larger = GUIDE[:2]
    asked = [(words, words in larger.words) for words in (*small.words, *larger.words)]
    for words, is_large in asked:
        order_id, _, rest = words.partition(" ")
        (item,) = [each for each in orders[order_id]["items"] if rest.startswith(f"{each['name'].lower()} because")]
        assert orders[order_id]["status"] == "delivered"
        assert (item["price"] > 50) is is_large
        assert order_id.encode() not in mail
    assert len({words.partition(" ")[0] for words, _ in asked}) == len(asked)
