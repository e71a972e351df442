"""The shop's records, read from the real sandbox: exact money, and unavailable is never the same as absent."""

import pytest

from actions.connectors.shop import ShopRecords
from actions.records import RecordsUnavailable
from core.money import Money
from tests.support.answering import answering
from tests.support.sandbox import BOTTLE

pytest_plugins = ["tests.support.sandbox_fixture"]


@pytest.fixture
def records(session, url):
    return ShopRecords(session, f"{url}/shop")


async def test_an_order_is_read_with_its_money_exact(records):
    order = await records.order("#W1001")
    assert (order.order_id, order.status, order.in_return) == ("#W1001", "delivered", None)
    bottle = next(line for line in order.items if line.item_id == BOTTLE["item_ids"][0])
    assert (bottle.name, bottle.price, bottle.line) == ("Water Bottle", Money(1850, "USD"), 1)
    assert sum(paid.amount.minor for paid in order.payments) == sum(line.price.minor for line in order.items)
    buyer = await records.customer(order.customer_id)
    assert order.payments[0].payment_method_id in [each.payment_method_id for each in buyer.payment_methods]


async def test_an_order_in_return_says_so(records, sandbox):
    await sandbox.give_back(key="key-1")
    order = await records.order("#W1001")
    assert order.status == "return requested"
    assert order.in_return.item_ids == BOTTLE["item_ids"]


@pytest.mark.parametrize("order_id", ["#W0000", "", " ", "..", "../customers", "W1001", "#W1001/return", "%23W1001"])
async def test_an_order_that_does_not_exist_is_none(records, order_id):
    assert await records.order(order_id) is None


async def test_a_customer_who_does_not_exist_is_none(records):
    assert await records.customer("nobody_1") is None


async def test_open_returns_are_read_oldest_first_and_close_with_the_return(records, sandbox):
    waiting = await records.open_returns(50)
    assert len(waiting) >= 4
    assert [each.received_at for each in waiting] == sorted(each.received_at for each in waiting)
    assert await records.open_returns(2) == waiting[:2]
    assert await records.open_returns(0) == []


async def test_records_that_cannot_be_read_are_unavailable_and_not_absent(records, sandbox):
    await sandbox.control("shop", down=True)
    for asked in (records.order("#W1001"), records.customer("x"), records.open_returns(5)):
        with pytest.raises(RecordsUnavailable, match="The shop"):
            await asked


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"{}"),
        (200, b'{"order":{"order_id":"#W1"}}'),
        (200, b'{"order":{"order_id":"#OTHER"}}'),
        (200, b'{"order":[]}'),
        (200, b"<html>"),
        (404, b"<html>"),
        (404, b'{"error":"not_found"}'),
        (500, b"{}"),
    ],
)
async def test_an_answer_that_cannot_be_understood_is_not_an_absent_order(session, status, body):
    async with answering(status, body) as (url, _):
        with pytest.raises(RecordsUnavailable):
            await ShopRecords(session, url).order("#W1")
        with pytest.raises(RecordsUnavailable):
            await ShopRecords(session, url).open_returns(5)


async def test_another_order_than_the_one_asked_for_is_not_taken_for_it(session):
    other = b'{"order":{"order_id":"#W9","customer_id":"c","status":"delivered","currency":"USD","items":[],'
    async with answering(200, other + b'"payments":[],"return":null}}') as (url, _):
        records = ShopRecords(session, url)
        assert (await records.order("#W9")).customer_id == "c"
        with pytest.raises(RecordsUnavailable):
            await records.order("#W1")
