"""The shop and payments connectors against the real sandbox: every failure says whether anything may have happened."""

import asyncio
from datetime import timedelta

import pytest

from actions.connector import Contested, EffectClass, Inconclusive, OutcomeUnknown, Rejected, Unreachable
from actions.connectors.payments import PaymentsConnector
from actions.connectors.shop import ShopConnector
from actions.intent import Record
from tests.support.answering import answering
from tests.support.ports import free_port
from tests.support.sandbox import BOTTLE, CHAIR

pytest_plugins = ["tests.support.sandbox_fixture"]

WINDOW = timedelta(seconds=5)
REFUND = {
    "order_id": CHAIR["order_id"],
    "payment_method_id": CHAIR["payment_method_id"],
    "amount": {"minor": CHAIR["amount_minor"], "currency": "USD"},
    "reason": "broken",
}
RETURN = {
    "order_id": "#W1001",
    "item_ids": BOTTLE["item_ids"],
    "payment_method_id": BOTTLE["payment_method_id"],
    "amount": {"minor": BOTTLE["amount_minor"], "currency": "USD"},
    "reason": "broken",
}


def refund(**changes) -> Record:
    return record("payment.refund", {**REFUND, **changes})


def order_return(**changes) -> Record:
    return record("order.update", {**RETURN, **changes})


def record(action, args) -> Record:
    return Record(action=action, action_version=1, account="sandbox", args=args, on_behalf_of="U0RITA")


@pytest.fixture
def payments(session, url):
    return PaymentsConnector(session, f"{url}/payments", account="sandbox", sandbox=True)


@pytest.fixture
def shop(session, url):
    return ShopConnector(session, f"{url}/shop", account="sandbox", sandbox=True)


def payments_at(session, url, **more) -> PaymentsConnector:
    return PaymentsConnector(session, url, account="sandbox", sandbox=True, **more)


def shop_at(session, url, **more) -> ShopConnector:
    return ShopConnector(session, url, account="sandbox", sandbox=True, **more)


# -- what is sent and what comes back --------------------------------------------------------------------------------


async def test_a_refund_is_made_once_under_its_key_and_found_again(payments, sandbox):
    outbound = payments.request(refund(), "key-1")
    assert await payments.find(refund(), "key-1") is None
    made = await payments.send(outbound, timeout=WINDOW)
    again = await payments.send(outbound, timeout=WINDOW)
    found = await payments.find(refund(), "key-1")
    assert made["sandbox"] is True
    assert made["refund"]["refund_id"] == again["refund"]["refund_id"] == found["refund"]["refund_id"]
    assert (await sandbox.log())["count"] == 1


async def test_the_provider_receives_exactly_the_bytes_that_were_hashed_before(payments, sandbox):
    outbound = payments.request(refund(), "key-1")
    await payments.send(outbound, timeout=WINDOW)
    [row] = (await sandbox.log())["refunds"]
    assert row["received_sha256"] == outbound.sha256
    assert row["key"] == row["metadata"]["countersign_key"] == "key-1"


async def test_the_shop_receives_exactly_the_bytes_that_were_hashed_before(shop, sandbox):
    outbound = shop.request(order_return(), "key-1")
    assert await shop.find(order_return(), "key-1") is None
    made = await shop.send(outbound, timeout=WINDOW)
    assert await shop.send(outbound, timeout=WINDOW) == made
    assert await shop.find(order_return(), "key-1") == made
    assert made["order"]["status"] == "return requested"
    [row] = (await sandbox.get("/shop/log"))[1]["returns"]
    assert (row["received_sha256"], row["key"]) == (outbound.sha256, "key-1")


async def test_a_return_is_taken_back_once_under_its_key_and_the_order_stands_as_before(shop, sandbox):
    before = await sandbox.order("#W1001")
    made = await shop.send(shop.request(order_return(), "key-1"), timeout=WINDOW)
    back = Record("order.restore", 1, "sandbox", {"order_id": "#W1001", "return_id": made["return_id"]}, "U1")
    assert await shop.find(back, "key-2") is None
    outbound = shop.request(back, "key-2")
    restored = await shop.send(outbound, timeout=WINDOW)
    assert await shop.send(outbound, timeout=WINDOW) == await shop.find(back, "key-2") == restored
    assert {**await sandbox.order("#W1001"), "version": 0} == {**before, "version": 0}
    [row] = (await sandbox.get("/shop/log"))[1]["restores"]
    assert (row["received_sha256"], row["key"]) == (outbound.sha256, "key-2")


async def test_a_return_that_is_not_the_orders_own_is_not_taken_back(shop):
    await shop.send(shop.request(order_return(), "key-1"), timeout=WINDOW)
    other = Record("order.restore", 1, "sandbox", {"order_id": "#W1001", "return_id": "ret_other"}, "U1")
    with pytest.raises(Rejected, match="no longer in return ret_other") as caught:
        await shop.send(shop.request(other, "key-2"), timeout=WINDOW)
    assert caught.value.code == "not_in_this_return"


async def test_a_healthy_system_says_so_and_one_that_is_down_does_not(payments, shop, sandbox):
    assert await payments.is_healthy()
    assert await shop.is_healthy()
    await sandbox.control("payments", down=True)
    await sandbox.control("shop", down=True)
    assert not await payments.is_healthy()
    assert not await shop.is_healthy()


def test_how_an_attempt_without_a_receipt_is_settled_is_told_when_the_connector_is_made():
    kept = timedelta(days=1)
    made = payments_at(None, "http://x", settles=EffectClass.PROBEABLE, key_retention=kept, window=WINDOW)
    assert (made.settles, made.key_retention, made.window) == (EffectClass.PROBEABLE, kept, WINDOW)
    usual = shop_at(None, "http://x")
    assert (usual.settles, usual.key_retention, usual.window) == (EffectClass.KEYED, None, timedelta(seconds=10))


# -- what the other side refuses -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"order_id": "#W0000"}, "unknown_charge"),
        ({"amount": {"minor": 38901, "currency": "USD"}}, "amount_exceeds_charge"),
        ({"payment_method_id": "gift_card_9"}, "unknown_payment_method"),
        ({"amount": {"minor": 1, "currency": "EUR"}}, "currency_mismatch"),
    ],
)
async def test_a_refund_that_the_provider_declines_is_rejected_with_its_own_word(payments, sandbox, changes, code):
    with pytest.raises(Rejected) as caught:
        await payments.send(payments.request(refund(**changes), "key-1"), timeout=WINDOW)
    assert caught.value.code == code
    assert (await sandbox.log())["count"] == 0


async def test_one_key_for_two_different_refunds_is_no_proof_that_nothing_happened(payments):
    await payments.send(payments.request(refund(), "key-1"), timeout=WINDOW)
    other = payments.request(refund(amount={"minor": 1, "currency": "USD"}), "key-1")
    with pytest.raises(Contested, match="came before with another request"):
        await payments.send(other, timeout=WINDOW)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"order_id": "#W1003"}, "order_not_delivered"),
        ({"order_id": "#W0000"}, "order_not_found"),
        ({"item_ids": ["9999999999"]}, "item_not_in_order"),
    ],
)
async def test_a_return_that_the_shop_declines_is_rejected_with_its_own_word(shop, changes, code):
    with pytest.raises(Rejected) as caught:
        await shop.send(shop.request(order_return(**changes), "key-1"), timeout=WINDOW)
    assert caught.value.code == code


# -- what may or may not have happened -------------------------------------------------------------------------------


async def test_nobody_listening_means_that_nothing_was_sent(session):
    url = f"http://127.0.0.1:{free_port()}"
    for connector, asked in [(payments_at(session, url), refund()), (shop_at(session, url), order_return())]:
        with pytest.raises(Unreachable):
            await connector.send(connector.request(asked, "key-1"), timeout=WINDOW)
        with pytest.raises(Inconclusive):
            await connector.find(asked, "key-1")


async def test_an_unknown_host_means_that_nothing_was_sent(session):
    connector = payments_at(session, "http://nowhere.invalid")
    with pytest.raises(Unreachable):
        await connector.send(connector.request(refund(), "key-1"), timeout=WINDOW)


async def test_a_refund_whose_answer_is_lost_is_unknown_and_then_found(payments, sandbox):
    await sandbox.control("payments", apply_then_timeout_next=1)
    with pytest.raises(OutcomeUnknown):
        await payments.send(payments.request(refund(), "key-1"), timeout=WINDOW)
    found = await payments.find(refund(), "key-1")
    assert found["refund"]["amount_minor"] == CHAIR["amount_minor"]
    assert (await sandbox.log())["count"] == 1


async def test_a_return_whose_answer_is_lost_is_unknown_and_then_found(shop, sandbox):
    await sandbox.control("shop", apply_then_timeout_next=1)
    with pytest.raises(OutcomeUnknown):
        await shop.send(shop.request(order_return(), "key-1"), timeout=WINDOW)
    assert (await shop.find(order_return(), "key-1"))["order"]["order_id"] == "#W1001"


async def test_a_slow_answer_is_unknown_once_the_window_is_over(payments, sandbox):
    await sandbox.control("payments", delay_seconds=0.6)
    with pytest.raises(OutcomeUnknown, match=r"within 0.2 s"):
        await payments.send(payments.request(refund(), "key-1"), timeout=timedelta(seconds=0.2))
    await sandbox.control("payments", delay_seconds=0)
    assert await payments.find(refund(), "key-1") is not None


async def test_a_server_error_is_unknown_even_when_nothing_was_applied(payments, shop, sandbox):
    for system, connector, asked in [("payments", payments, refund()), ("shop", shop, order_return())]:
        await sandbox.control(system, fail_next=1)
        with pytest.raises(OutcomeUnknown, match="HTTP 500"):
            await connector.send(connector.request(asked, "key-1"), timeout=WINDOW)
        assert await connector.find(asked, "key-1") is None


async def test_a_system_that_is_down_cannot_say_whether_it_happened(payments, shop, sandbox):
    for system, connector, asked in [("payments", payments, refund()), ("shop", shop, order_return())]:
        await sandbox.control(system, down=True)
        with pytest.raises(Inconclusive):
            await connector.find(asked, "key-1")


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, b"not json", OutcomeUnknown),
        (200, b"[]", OutcomeUnknown),
        (200, b"{}", OutcomeUnknown),
        (201, b'{"refund":{"refund_id":"re_1"}}', OutcomeUnknown),
        (302, b"{}", OutcomeUnknown),
        (408, b"{}", OutcomeUnknown),
        (429, b"{}", Unreachable),
        (500, b"", OutcomeUnknown),
        (503, b'{"error":"down"}', OutcomeUnknown),
        (400, b"not json", Rejected),
        (401, b'{"error":"bad_token"}', Rejected),
        (409, b'{"error":["odd"]}', Contested),
    ],
)
async def test_what_is_not_known_to_have_failed_is_unknown(session, status, body, error):
    async with answering(status, body, headers={"Location": "/elsewhere"}) as (url, seen):
        for connector, asked in [(payments_at(session, url), refund()), (shop_at(session, url), order_return())]:
            with pytest.raises(error):
                await connector.send(connector.request(asked, "key-1"), timeout=WINDOW)
        assert len(seen) == 2


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "0"}, 1),
        ({"Retry-After": "9" * 5000}, 3600),
        ({"Retry-After": "Fri, 27 Nov 2026 12:01:30 GMT", "Date": "Fri, 27 Nov 2026 12:00:00 GMT"}, 90),
        ({"Retry-After": "Fri, 27 Nov 2026 12:01:30 GMT", "Date": "now"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({}, None),
    ],
)
async def test_how_long_the_receiver_asks_us_to_wait_is_read_by_its_own_clock(session, headers, seconds):
    async with answering(429, b"{}", headers=headers) as (url, _):
        connector = payments_at(session, url)
        with pytest.raises(Unreachable) as caught:
            await connector.send(connector.request(refund(), "key-1"), timeout=WINDOW)
    assert caught.value.wait == (None if seconds is None else timedelta(seconds=seconds))


async def test_an_answer_about_another_refund_is_no_receipt(session):
    other = b'{"refund":{"refund_id":"re_1","order_id":"#W1002","amount_minor":1,"currency":"USD",'
    async with answering(201, other + b'"payment_method_id":"paypal_1002"}}') as (url, _):
        connector = payments_at(session, url)
        with pytest.raises(OutcomeUnknown, match="re_1"):
            await connector.send(connector.request(refund(), "key-1"), timeout=WINDOW)


async def test_an_answer_about_another_order_is_no_receipt(session):
    other = b'{"order":{"order_id":"#W9","status":"return requested"},"return_id":"ret_1"}'
    async with answering(200, other) as (url, _):
        connector = shop_at(session, url)
        with pytest.raises(OutcomeUnknown, match="ret_1"):
            await connector.send(connector.request(order_return(), "key-1"), timeout=WINDOW)
        with pytest.raises(Inconclusive, match="ret_1"):
            await connector.find(order_return(), "key-1")


# -- what a look-up proves -------------------------------------------------------------------------------------------


async def test_keys_that_are_ignored_make_two_refunds_and_the_look_up_names_the_first(payments, sandbox):
    await sandbox.control("payments", honour_keys=False)
    outbound = payments.request(refund(), "key-1")
    first = await payments.send(outbound, timeout=WINDOW)
    await payments.send(outbound, timeout=WINDOW)
    assert (await sandbox.log())["count"] == 2
    found = await payments.find(refund(), "key-1")
    assert found["refund"]["refund_id"] == first["refund"]["refund_id"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"refunds":[],"complete":false}',
        b'{"refunds":[]}',
        b"{}",
        b"[]",
        b'{"refunds":[{"refund_id":"re_1","order_id":"#W9","amount_minor":38900,"currency":"USD",'
        b'"payment_method_id":"paypal_1002"}],"complete":true}',
    ],
)
async def test_a_look_up_without_a_definite_answer_is_inconclusive(session, body):
    async with answering(200, body) as (url, _):
        with pytest.raises(Inconclusive):
            await payments_at(session, url).find(refund(), "key-1")


async def test_a_refund_that_was_found_is_found_though_the_list_is_not_complete(session):
    body = (
        b'{"refunds":[{"refund_id":"re_1","order_id":"#W1002","amount_minor":38900,"currency":"USD",'
        b'"payment_method_id":"paypal_1002"}],"complete":false}'
    )
    async with answering(200, body) as (url, _):
        found = await payments_at(session, url).find(refund(), "key-1")
    assert found["refund"]["refund_id"] == "re_1"


@pytest.mark.parametrize("body", [b'{"error":"not_found"}', b'{"error":"order_not_found"}', b"", b"<html>"])
async def test_a_404_that_is_not_about_the_key_is_inconclusive(session, body):
    async with answering(404, body) as (url, _):
        for connector, asked in [(payments_at(session, url), refund()), (shop_at(session, url), order_return())]:
            with pytest.raises(Inconclusive):
                await connector.find(asked, "key-1")


async def test_sixteen_senders_of_one_key_make_one_refund(payments, sandbox):
    outbound = payments.request(refund(), "key-1")
    made = await asyncio.gather(*[payments.send(outbound, timeout=WINDOW) for _ in range(16)])
    assert len({each["refund"]["refund_id"] for each in made}) == 1
    assert (await sandbox.log())["count"] == 1
