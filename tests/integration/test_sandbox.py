"""The sandbox's shop and payment provider: once per honoured key, nothing on a refusal, and a log of their own."""

import asyncio
import hashlib
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest

from bot.local.sandbox.database import payments_path
from bot.local.sandbox.server import SandboxOptions, open_sandbox
from bot.sample.shop import seed_sample
from core.clock import SystemClock
from tests.support.sandbox import CHAIR, SandboxClient


def options(home: Path) -> SandboxOptions:
    return SandboxOptions(port=0, home=home, clock=SystemClock())


@pytest.fixture(scope="module")
def seeded(tmp_path_factory):
    home = tmp_path_factory.mktemp("seeded")
    seed_sample(home)
    return home


@pytest.fixture
def home(seeded, tmp_path):
    return Path(shutil.copytree(seeded, tmp_path / "home"))


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def client(home, session):
    async with open_sandbox(options(home)) as sandbox:
        yield SandboxClient(session, sandbox.url)


# Reading the shop


async def test_an_order_is_shown_with_its_lines_and_payments(client):
    status, shown = await client.get("/shop/orders/%23W1004")

    assert status == 200
    assert shown["sandbox"] is True
    order = shown["order"]
    assert order["customer_id"] == "ana_alvarez_1001"
    assert (order["status"], order["currency"], order["return"]) == ("delivered", "USD", None)
    assert [(item["line"], item["name"], item["price_minor"]) for item in order["items"]] == [
        (1, "Coffee Mug", 1200),
        (2, "Coffee Mug", 1200),
        (3, "Tea Kettle", 3450),
    ]
    assert order["items"][0]["options"] == {"color": "white"}
    assert order["payments"] == [{"kind": "payment", "amount_minor": 5850, "payment_method_id": "credit_card_1001"}]


async def test_a_customer_is_shown_with_the_payment_methods_on_file(client):
    _, shown = await client.get("/shop/customers/dario_dubois_1004")
    card = {"payment_method_id": "credit_card_1004", "kind": "credit_card", "label": "Mastercard ending 4004"}
    gift = {"payment_method_id": "gift_card_1004", "kind": "gift_card", "label": "Gift card"}

    assert shown["customer"] == {
        "customer_id": "dario_dubois_1004",
        "name": "Dario Dubois",
        "email": "dario.dubois1004@example.com",
        "payment_methods": [
            {**card, "balance_minor": None, "currency": "USD"},
            {**gift, "balance_minor": 2800, "currency": "USD"},
        ],
        "returns_made": 0,
    }


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/shop/orders/%23W9", "order_not_found"),
        ("/shop/customers/nobody", "customer_not_found"),
        ("/shop/products/none", "product_not_found"),
        ("/shop/returns?key=none", "return_not_found"),
        ("/shop/nothing", "not_found"),
        ("/nothing", "not_found"),
    ],
)
async def test_what_does_not_exist_is_said_to_be_not_found(client, path, code):
    status, shown = await client.get(path)

    assert (status, shown["error"], shown["sandbox"]) == (404, code, True)


@pytest.mark.parametrize(
    "path",
    [
        "/shop/orders?limit=0",
        "/shop/orders?limit=many",
        "/shop/return-requests?state=lost",
        "/shop/returns",
        "/payments/refunds",
    ],
)
async def test_a_question_that_makes_no_sense_is_refused(client, path):
    status, shown = await client.get(path)

    assert (status, shown["error"]) == (400, "invalid_request")


async def test_orders_are_listed_page_by_page_without_gaps(client):
    pages = await client.orders("delivered", limit=25)
    _, first = await client.get("/shop/orders?status=delivered&limit=25")

    assert first["orders"] == pages[:25]
    assert {order["status"] for order in pages} == {"delivered"}
    assert len({order["order_id"] for order in pages}) == len(pages) == 61


async def test_a_product_is_shown_with_its_variants(client):
    _, shown = await client.get("/shop/products/4000000003")

    assert shown["product"]["name"] == "Office Chair"
    assert [variant["price_minor"] for variant in shown["product"]["variants"]] == [38900, 40845]


# Recording returns


async def test_a_recorded_return_changes_the_order_and_closes_its_request(client):
    version = (await client.order("#W1005"))["version"]

    status, made, _ = await client.give_back(
        "#W1005", "key-1", item_ids=["1000000700"], payment_method_id="credit_card_1006", amount_minor=980
    )

    assert (status, made["receiver_key"]) == (200, "key-1")
    order = await client.order("#W1005")
    assert order == made["order"]
    assert (order["status"], order["version"]) == ("return requested", version + 1)
    assert order["return"]["item_ids"] == ["1000000700"]
    assert order["return"]["payment_method_id"] == "credit_card_1006"
    _, waiting = await client.get("/shop/return-requests?state=open")
    assert "#W1005" not in {request["order_id"] for request in waiting["requests"]}
    _, closed = await client.get("/shop/return-requests?state=closed")
    assert [request["request_id"] for request in closed["requests"]] == ["RR-1001"]


async def test_return_requests_wait_in_the_order_in_which_they_came(client):
    _, waiting = await client.get("/shop/return-requests")

    assert [request["request_id"] for request in waiting["requests"]] == [f"RR-{1000 + n}" for n in range(1, 7)]
    assert waiting["requests"][5]["payment_method_id"] == "gift_card_1011"
    assert waiting["requests"][5]["item_ids"] == ["1000001300", "1000001500"]


async def test_a_return_repeated_under_an_honoured_key_gets_the_same_answer(client):
    first = await client.give_back(key="key-1")
    again = await client.give_back(key="key-1")
    _, found = await client.get("/shop/returns?key=key-1")

    assert first[:2] == again[:2]
    assert found == first[1]
    assert (await client.get("/shop/log"))[1]["count"] == 1


async def test_a_return_under_a_used_key_with_another_body_is_a_mismatch(client):
    await client.give_back(key="key-1")

    for other in (await client.give_back(key="key-1", amount_minor=1), await client.give_back("#W1004", "key-1")):
        assert (other[0], other[1]["error"]) == (409, "idempotency_mismatch")


async def test_a_shop_that_ignores_keys_does_not_know_its_own_answer_again(client):
    await client.control("shop", honour_keys=False)
    await client.give_back(key="key-1")

    status, refusal, _ = await client.give_back(key="key-1")

    assert (status, refusal["error"]) == (422, "order_not_delivered")
    assert (await client.get("/shop/returns?key=key-1"))[0] == 200


@pytest.mark.parametrize(
    ("order_id", "changes", "status", "code"),
    [
        ("#W9", {}, 404, "order_not_found"),
        ("#W1003", {}, 422, "order_not_delivered"),
        ("#W1001", {"item_ids": ["1000009900"]}, 422, "item_not_in_order"),
        ("#W1001", {"item_ids": ["1000000100", "1000000100"]}, 422, "item_not_in_order"),
        ("#W1001", {"payment_method_id": "paypal_1002"}, 422, "unknown_payment_method"),
        ("#W1001", {"currency": "EUR"}, 422, "currency_mismatch"),
        ("#W1001", {"item_ids": []}, 400, "invalid_request"),
        ("#W1001", {"amount_minor": 18.5}, 400, "invalid_request"),
        ("#W1001", {"surprise": 1}, 400, "invalid_request"),
    ],
)
async def test_a_return_that_the_shop_cannot_accept_changes_nothing(client, order_id, changes, status, code):
    refused = await client.give_back(order_id, "key-1", **changes)

    assert (refused[0], refused[1]["error"]) == (status, code)
    log = (await client.get("/shop/log"))[1]
    assert log == {"sandbox": True, "returns": [], "count": 0, "restores": [], "exchanges": []}
    assert (await client.give_back(key="key-1"))[0] == 200


async def test_both_of_two_equal_items_may_go_back(client):
    status, _, _ = await client.give_back(
        "#W1004", item_ids=["1000000500", "1000000500"], payment_method_id="credit_card_1001", amount_minor=2400
    )

    assert status == 200


# Refunds


async def test_a_refund_is_answered_and_found_by_its_mark_and_its_order(client):
    status, made, _ = await client.refund("key-1")

    assert status == 201
    refund = made["refund"]
    assert {name: refund[name] for name in CHAIR} == CHAIR
    for query in ("metadata_key=mark-1", "order_id=%23W1002"):
        _, found = await client.get(f"/payments/refunds?{query}")
        assert found == {"sandbox": True, "refunds": [refund], "complete": True}
    assert (await client.get("/payments/refunds?metadata_key=mark-2"))[1]["refunds"] == []


async def test_an_honoured_key_refunds_once_and_says_that_the_answer_is_a_repeat(client):
    _, first, fresh = await client.refund("key-1")
    status, again, repeated = await client.refund("key-1")

    assert (status, again) == (200, first)
    assert repeated["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in fresh
    assert (await client.log())["count"] == 1


async def test_an_honoured_key_with_another_body_is_refused(client):
    await client.refund("key-1", amount_minor=100)

    status, refusal, _ = await client.refund("key-1", amount_minor=101)

    assert (status, refusal["error"]) == (409, "idempotency_mismatch")
    assert (await client.log())["sum_minor"] == 100


async def test_sixteen_simultaneous_posts_with_one_honoured_key_make_one_refund(client):
    answers = await asyncio.gather(*(client.refund("key-1") for _ in range(16)))

    assert sorted(status for status, _, _ in answers) == [200] * 15 + [201]
    assert len({made["refund"]["refund_id"] for _, made, _ in answers}) == 1
    assert (await client.log())["count"] == 1


async def test_a_provider_that_ignores_keys_refunds_every_time_even_the_whole_order(client):
    await client.control("payments", honour_keys=False)

    answers = [await client.refund("key-1") for _ in range(3)]

    assert [status for status, _, _ in answers] == [201] * 3
    log = await client.log()
    assert (log["count"], log["sum_minor"]) == (3, 3 * 38900)
    assert len((await client.get("/payments/refunds?metadata_key=mark-1"))[1]["refunds"]) == 3


async def test_a_provider_that_honours_keys_gives_back_no_more_than_was_paid(client):
    assert (await client.refund("key-1", amount_minor=38000))[0] == 201

    status, refusal, _ = await client.refund("key-2", amount_minor=901)

    assert (status, refusal["error"]) == (402, "amount_exceeds_charge")
    assert (await client.refund("key-2", amount_minor=900))[0] == 201


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"order_id": "#W9"}, 422, "unknown_charge"),
        ({"amount_minor": 38901}, 402, "amount_exceeds_charge"),
        ({"payment_method_id": "paypal_1005"}, 422, "unknown_payment_method"),
        ({"currency": "EUR"}, 422, "currency_mismatch"),
        ({"amount_minor": 0}, 400, "invalid_request"),
        ({"amount_minor": 10**30}, 400, "invalid_request"),
        ({"amount_minor": True}, 400, "invalid_request"),
        ({"order_id": "\ud800"}, 400, "invalid_request"),
    ],
)
@pytest.mark.parametrize("honour_keys", [True, False])
async def test_a_refund_that_the_provider_cannot_make_leaves_no_trace(client, changes, status, code, honour_keys):
    await client.control("payments", honour_keys=honour_keys)

    refused = await client.refund("key-1", **changes)

    assert (refused[0], refused[1]["error"], refused[1]["sandbox"]) == (status, code, True)
    assert await client.log() == {"sandbox": True, "refunds": [], "count": 0, "sum_minor": 0}
    assert (await client.refund("key-1"))[0] == 201


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
async def test_a_body_that_is_no_refund_is_refused(client, body):
    status, refusal, _ = await client.post("/payments/refunds", body)

    assert (status, refusal["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("key", ["", "k" * 256, "schlüssel"])
async def test_a_key_that_is_no_key_is_refused(client, key):
    status, refusal, _ = await client.refund(key)

    assert (status, refusal["error"]) == (400, "invalid_request")


async def test_an_earlier_refund_counts_against_the_charge_and_stays_out_of_the_log(client):
    _, page = await client.get("/shop/orders?status=cancelled&limit=1")
    order = await client.order(page["orders"][0]["order_id"])
    back = order["payments"][1]

    _, known = await client.get(f"/payments/refunds?order_id={quote(order['order_id'], safe='')}")
    refused = await client.refund(
        order_id=order["order_id"], payment_method_id=back["payment_method_id"], amount_minor=1
    )

    assert [refund["amount_minor"] for refund in known["refunds"]] == [back["amount_minor"]]
    assert (refused[0], refused[1]["error"]) == (402, "amount_exceeds_charge")
    assert (await client.log())["count"] == 0


async def test_the_log_has_each_refund_with_its_key_the_hash_of_its_bytes_and_the_sum(client):
    small = json.dumps({**CHAIR, "amount_minor": 5}, indent=3).encode()
    large = json.dumps({**CHAIR, "amount_minor": 70}).encode()
    await client.post("/payments/refunds", small, "key-1")
    await client.post("/payments/refunds", large)

    log = await client.log()

    assert (log["count"], log["sum_minor"]) == (2, 75)
    assert [(row["amount_minor"], row["key"], row["received_sha256"]) for row in log["refunds"]] == [
        (5, "key-1", hashlib.sha256(small).hexdigest()),
        (70, None, hashlib.sha256(large).hexdigest()),
    ]


@pytest.mark.parametrize("change", ["UPDATE refund_log SET amount_minor = 1", "DELETE FROM refund_log"])
async def test_the_log_cannot_be_changed_afterwards(client, home, change):
    await client.refund("key-1")
    refused = pytest.raises(sqlite3.IntegrityError, match="append-only")
    with closing(sqlite3.connect(payments_path(home))) as connection, refused:
        connection.execute(change)
