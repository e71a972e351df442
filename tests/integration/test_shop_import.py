"""A shop that is imported is there whole and exact, or not at all, with the place of the mistake named."""

import asyncio
import json
import os
import shutil
import statistics
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest

from bot.local.sandbox.server import SandboxOptions, open_sandbox
from bot.local.sandbox.shop_files import ShopFilesInvalid
from bot.local.sandbox.shop_import import Imported, import_shop
from bot.local.sandbox.shop_store import ShopStore
from bot.sample.shop import sample_shop
from core.clock import SystemClock
from tests.support.sandbox import SandboxClient

WHOLE = Imported(
    customers=60, products=24, orders=150, delivered=61, payment_methods=90, charges=150, earlier_refunds=21
)


def entries():
    shop = sample_shop()
    return {"users.json": shop.users, "products.json": shop.products, "orders.json": shop.orders}


def few_entries():
    files = entries()
    orders = {order_id: files["orders.json"][order_id] for order_id in ("#W1001", "#W1002", "#W1004")}
    users = {order["user_id"]: files["users.json"][order["user_id"]] for order in orders.values()}
    return {**files, "users.json": users, "orders.json": orders}


def write(folder: Path, files) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    home = tmp_path_factory.mktemp("few")
    import_shop(write(tmp_path_factory.mktemp("files"), few_entries()), home)
    return home


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def client(home, session):
    async with open_sandbox(SandboxOptions(0, home, SystemClock())) as sandbox:
        yield SandboxClient(session, sandbox.url)


async def earlier_refunds(client):
    cancelled = (await client.orders("cancelled"))[0]["order_id"]
    return (await client.get(f"/payments/refunds?order_id={quote(cancelled, safe='')}"))[1]["refunds"]


async def test_an_import_is_seen_by_the_running_server(tmp_path, home, client):
    assert await client.orders() == []

    assert import_shop(write(tmp_path / "files", entries()), home) == WHOLE

    assert len(await client.orders()) == 150
    assert (await client.order("#W1002"))["items"][0]["price_minor"] == 38900


async def test_prices_become_exact_minor_units(tmp_path, home, client):
    files = entries()
    prices = [0.29, 1.1, 1.15, 4.35, 8.2, 19.99, 1025.12, 700000.01, 3]
    template = files["orders.json"]["#W1001"]["items"][0]
    files["orders.json"]["#W1001"]["items"] = [{**template, "price": price} for price in prices]

    import_shop(write(tmp_path / "files", files), home)

    shown = await client.order("#W1001")
    exact = [29, 110, 115, 435, 820, 1999, 102512, 70000001, 300]
    assert [item["price_minor"] for item in shown["items"]] == exact


async def test_an_order_that_is_in_return_already_when_it_is_imported_counts_as_one(tmp_path, home, client):
    files = few_entries()
    orders = {**files["orders.json"]}
    orders["#W1004"] = {**orders["#W1004"], "status": "exchange requested"}
    import_shop(write(tmp_path / "files", {**files, "orders.json": orders}), home)
    _, shown = await client.get(f"/shop/customers/{orders['#W1004']['user_id']}")
    assert shown["customer"]["returns_made"] == 1


async def test_importing_again_replaces_the_same_ids_and_leaves_the_others(tmp_path, home, client):
    import_shop(write(tmp_path / "files", entries()), home)
    only = entries()["orders.json"]["#W1003"]
    files = {**entries(), "orders.json": {"#W1003": {**only, "status": "delivered"}}}

    import_shop(write(tmp_path / "second", files), home)

    assert len(await client.orders()) == 150
    changed = await client.order("#W1003")
    assert (changed["status"], changed["version"]) == ("delivered", 2)
    assert len(await earlier_refunds(client)) == 1


async def test_importing_again_forgets_no_refund_and_lets_none_happen_twice(tmp_path, home, client):
    folder = write(tmp_path / "files", entries())
    import_shop(folder, home)
    _, made, _ = await client.refund("key-1")

    import_shop(folder, home)

    _, found = await client.get("/payments/refunds?metadata_key=mark-1")
    assert found["refunds"] == [made["refund"]]
    refused = await client.refund("key-2")
    assert (refused[0], refused[1]["error"]) == (402, "amount_exceeds_charge")
    assert len(await earlier_refunds(client)) == 1


async def test_imports_while_refunds_are_made_lose_neither(tmp_path, home, client):
    folder = write(tmp_path / "files", entries())
    import_shop(folder, home)

    imports = [asyncio.to_thread(import_shop, folder, home) for _ in range(3)]
    refunds = [client.refund(f"key-{number}", amount_minor=1) for number in range(30)]
    answers, *imported = await asyncio.gather(asyncio.gather(*refunds), *imports)

    assert [status for status, _, _ in answers] == [201] * 30
    assert imported == [WHOLE] * 3
    assert (await client.log())["count"] == 30


def test_several_imports_into_a_new_home_at_once_all_succeed(tmp_path, home):
    folder = write(tmp_path / "files", entries())

    with ThreadPoolExecutor(4) as threads:
        imported = list(threads.map(lambda _: import_shop(folder, home), range(4)))

    assert imported == [WHOLE] * 4


def _without(name):
    def change(files):
        del files[name]

    return change


def _set(name, *path_and_value):
    *path, last, value = path_and_value

    def change(files):
        place = files[name]
        for part in path:
            place = place[part]
        place[last] = value

    return change


def _replace(name, text):
    def change(files):
        files[name] = text

    return change


ORDER = ("orders.json", "#W1001")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_without("users.json"), "users.json cannot be read"),
        (_replace("orders.json", "{"), "orders.json is not JSON"),
        (_replace("orders.json", "[" * 100_000), "orders.json is not JSON"),
        (_replace("orders.json", '{"#W1": {}, "#W1": {}}'), "'#W1' stands there twice"),
        (_replace("users.json", '{"\\ud800": {}}'), "users.json is not JSON"),
        (_replace("products.json", "[]"), "products.json must be a JSON object"),
        (_set("orders.json", "#W1001", 7), "orders.json: entry '#W1001', field (all of it)"),
        (_set(*ORDER, "items", 0, "price", "18.50"), "orders.json: entry '#W1001', field items.0.price"),
        (_set(*ORDER, "items", 1, "price", 18.505), "entry '#W1001', field items.1.price: 18.505 has more decimal"),
        (_set(*ORDER, "items", 0, "price", -1), "entry '#W1001', field items.0.price"),
        (_set(*ORDER, "items", 0, "price", float("inf")), "entry '#W1001', field items.0.price"),
        (_set(*ORDER, "items", 0, "price", float("nan")), "entry '#W1001', field items.0.price"),
        (_set(*ORDER, "items", 0, "price", 1e300), "entry '#W1001', field items.0.price"),
        (_set(*ORDER, "items", 0, "price", True), "entry '#W1001', field items.0.price"),
        (_set(*ORDER, "items", 0, "options", {"color": 7}), "entry '#W1001', field items.0.options.color"),
        (_set(*ORDER, "items", []), "entry '#W1001', field items"),
        (_set(*ORDER, "status", "\ud800"), "entry '#W1001', field status"),
        (_set(*ORDER, "order_id", "#W1"), "entry '#W1001', field order_id: '#W1' stands under '#W1001'"),
        (_set(*ORDER, "user_id", "nobody"), "entry '#W1001', field user_id: 'nobody' is not in users.json"),
        (
            _set(*ORDER, "payment_history", 0, "payment_method_id", "paypal_1"),
            "entry '#W1001', field payment_history.0.payment_method_id: 'paypal_1' is no payment method",
        ),
        (
            _set(*ORDER, "payment_history", 0, "transaction_type", "gift"),
            "field payment_history.0.transaction_type",
        ),
        (
            _set("users.json", "ana_alvarez_1001", "payment_methods", "credit_card_1001", "source", "cash"),
            "users.json: entry 'ana_alvarez_1001', field payment_methods.credit_card_1001.source",
        ),
        (
            _set("users.json", "ana_alvarez_1001", "payment_methods", "credit_card_1001", "id", "credit_card_2"),
            "users.json: entry 'ana_alvarez_1001', field payment_methods.credit_card_1001.id",
        ),
        (
            _set("products.json", "4000000001", "variants", "1000000100", "price", None),
            "products.json: entry '4000000001', field variants.1000000100.price",
        ),
    ],
)
def test_a_bad_file_is_refused_by_name_and_nothing_is_changed(tmp_path, few, change, told):
    home = Path(shutil.copytree(few, tmp_path / "home"))
    files = few_entries()
    files["orders.json"]["#W1002"]["status"] = "lost"
    change(files)

    with pytest.raises(ShopFilesInvalid) as refusal:
        import_shop(write(tmp_path / "bad", files), home)

    assert told in str(refusal.value)
    with closing(ShopStore(home)) as shop:
        untouched = shop.order("#W1002")
    assert (untouched["status"], untouched["version"]) == ("delivered", 1)


def test_a_bad_file_is_refused_before_a_home_is_made(tmp_path, home):
    with pytest.raises(ShopFilesInvalid):
        import_shop(tmp_path / "nowhere", home)

    assert not home.exists()


async def test_the_public_shop_is_imported_whole(home, client):
    folder = os.environ.get("COUNTERSIGN_PUBLIC_DATA")
    if not folder:
        pytest.skip("COUNTERSIGN_PUBLIC_DATA is not set: name the folder that holds retail/ to run this test")

    imported = import_shop(Path(folder) / "retail", home)

    assert imported == Imported(
        customers=500, products=50, orders=1000, delivered=373, payment_methods=695, charges=1000, earlier_refunds=102
    )
    delivered = await client.orders("delivered")
    assert statistics.median(order["total_minor"] for order in delivered) == 111_136
    shown = await client.order("#W2611340")
    assert [item["price_minor"] for item in shown["items"]] == [4784, 48881]
    assert sum(payment["amount_minor"] for payment in shown["payments"]) == 53665
