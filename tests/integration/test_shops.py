"""A shop over REST and a shop in its own Postgres: read, changed once under a key, and honest about every failure."""

import asyncio
import hashlib
import shutil
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from pydantic import SecretStr
from yarl import URL

from actions.connecting import Opening
from actions.connector import Contested, EffectClass, Inconclusive, OutcomeUnknown, Rejected, Unreachable
from actions.connectors.rest_shop import REST_SHOP, RestShopOptions
from actions.connectors.sql_shop import SQL_SHOP, SqlShopOptions
from actions.intent import Record
from actions.products import PRODUCTS
from actions.records import RECORDS, RecordsUnavailable
from bot.local.sandbox.server import SandboxOptions, open_sandbox
from bot.sample.shop import seed_sample
from core.clock import SystemClock
from core.db import connect
from core.money import Money
from tests.support.answering import serving

WINDOW = timedelta(seconds=10)
TOKEN = "canary-shop-token"
CONTRACT = Path(__file__).parents[2] / "docs" / "how-to" / "shop.sql"


def opening(stack, **secrets) -> Opening:
    held = {name: SecretStr(value) for name, value in secrets.items()}
    return Opening("shop", "main", held, stack, SystemClock(), WINDOW)


def a_return(order_id="#W1001", **changes) -> Record:
    args = {
        "order_id": order_id,
        "item_ids": ["1000000100"],
        "payment_method_id": "credit_card_1004",
        "amount": {"minor": 1850, "currency": "USD"},
        "reason": "defective",
    }
    return Record("order.update", 1, "main", {**args, **changes}, "U0RITA")


# -- over REST -------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def behind_a_token(upstream):
    """A door that lets nobody in without the token, and what came through it."""
    seen = []

    async def check(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"error": "unauthorized"}, status=401)
        body = await request.read()
        seen.append((request.method, hashlib.sha256(body).hexdigest()))
        kept = {name: request.headers[name] for name in ("Idempotency-Key", "Content-Type") if name in request.headers}
        url = f"{upstream}{request.raw_path}"
        async with aiohttp.ClientSession() as session:
            target = URL(url, encoded=True)
            async with session.request(request.method, target, data=body, headers=kept) as answer:
                return web.Response(status=answer.status, body=await answer.read(), content_type="application/json")

    async with serving(check) as url:
        yield url, seen


@pytest.fixture(scope="module")
def seeded(tmp_path_factory):
    home = tmp_path_factory.mktemp("seeded")
    seed_sample(home)
    return home


@pytest.fixture
async def rest(seeded, tmp_path):
    home = Path(shutil.copytree(seeded, tmp_path / "home"))
    async with (
        open_sandbox(SandboxOptions(port=0, home=home, clock=SystemClock())) as sandbox,
        behind_a_token(f"{sandbox.url}/shop") as door,
        AsyncExitStack() as stack,
    ):
        yield door[0], door[1], stack


async def test_a_rest_shop_is_read_and_changed_once_by_whoever_shows_the_token(rest):
    url, seen, stack = rest
    opened = await REST_SHOP.open(RestShopOptions(url=url), opening(stack, token=TOKEN))
    shop, records = opened.connector, opened.sources[RECORDS]
    assert (await records.order("#W1001")).status == "delivered"
    outbound = shop.request(a_return(), "key-1")
    assert await shop.find(a_return(), "key-1") is None
    made = await shop.send(outbound, timeout=WINDOW)
    assert await shop.send(outbound, timeout=WINDOW) == made == await shop.find(a_return(), "key-1")
    assert seen[2] == ("POST", outbound.sha256)
    assert (await records.order("#W1001")).in_return is not None
    assert await shop.is_healthy()


async def test_a_wrong_token_is_refused_and_told_as_unhealthy(rest):
    url, seen, stack = rest
    opened = await REST_SHOP.open(RestShopOptions(url=url), opening(stack, token="canary-wrong"))
    with pytest.raises(Rejected) as caught:
        await opened.connector.send(opened.connector.request(a_return(), "key-1"), timeout=WINDOW)
    assert "canary" not in str(caught.value)
    with pytest.raises(RecordsUnavailable):
        await opened.sources[RECORDS].order("#W1001")
    assert not await opened.connector.is_healthy()
    assert seen == []


async def test_what_the_shop_promises_about_keys_is_what_connectors_yml_says(rest):
    url, _, stack = rest
    options = RestShopOptions.model_validate({"url": url, "settles": "probeable", "key_retention": "1d"})
    shop = (await REST_SHOP.open(options, opening(stack, token=TOKEN))).connector
    assert (shop.settles, shop.key_retention) == (EffectClass.PROBEABLE, timedelta(days=1))


# -- in its own Postgres ---------------------------------------------------------------------------------------------

SHOP = """
create table orders (id text primary key, status text not null, returned text[], price bigint not null default 3900);
insert into orders values ('#W1001', 'delivered', null), ('#W1002', 'pending', null);
create or replace function countersign.look(what text, query jsonb) returns jsonb stable language sql as $$
  select case what
    when 'order' then (
      select jsonb_build_object('order_id', id, 'customer_id', 'ana', 'status', status, 'currency', 'USD', 'version', 1,
        'items', jsonb_build_array(jsonb_build_object('line', 1, 'item_id', '1000000100', 'name', 'Lamp',
          'price_minor', price)),
        'payments', jsonb_build_array(), 'return', null)
      from orders where id = query ->> 'order_id')
    when 'item' then (
      select jsonb_build_object('item_id', 'lamp', 'name', 'Lamp', 'price', '39.00 USD', 'cost', null, 'version', 3)
      where query ->> 'item_id' = 'lamp')
    when 'open_returns' then '[]'::jsonb end $$;
create or replace function countersign.act(action text, args jsonb) returns jsonb language plpgsql as $$
begin
  if action <> 'order.update' then raise exception 'This shop does not do % yet.', action; end if;
  if args ->> 'reason' = 'slow' then perform pg_sleep(30); end if;
  if args ->> 'reason' = 'broken' then perform 1 / 0; end if;
  update orders set status = 'return requested', returned = array(select jsonb_array_elements_text(args -> 'item_ids'))
    where id = args ->> 'order_id' and status = 'delivered';
  if not found then raise exception 'The order is not delivered.' using errcode = 'SH001'; end if;
  insert into changes values (args ->> 'order_id');
  return jsonb_build_object('order', jsonb_build_object('order_id', args ->> 'order_id', 'status', 'return requested'),
    'return_id', 'ret_1');
end $$;
create table changes (id text);
"""


@pytest.fixture
async def sql(database_url):
    async with connect(database_url) as conn:
        await conn.execute(CONTRACT.read_text().encode())
        await conn.execute(SHOP.encode())
    async with AsyncExitStack() as stack:
        yield await SQL_SHOP.open(SqlShopOptions(), opening(stack, url=database_url))


async def rows(database_url, statement):
    async with connect(database_url) as conn:
        return await (await conn.execute(statement.encode())).fetchall()


async def test_a_sql_shop_is_read_and_changed_once_with_exactly_the_bytes_that_were_hashed(sql, database_url):
    shop, records = sql.connector, sql.sources[RECORDS]
    order = await records.order("#W1001")
    assert (order.status, order.items[0].price) == ("delivered", Money(3900, "USD"))
    assert await records.order("#W9999") is None
    assert await records.open_returns(5) == []
    assert (await sql.sources[PRODUCTS].product("lamp")).price == Money(3900, "USD")
    assert await sql.sources[PRODUCTS].product("none") is None
    outbound = shop.request(a_return(), "key-1")
    assert await shop.find(a_return(), "key-1") is None
    made = await shop.send(outbound, timeout=WINDOW)
    assert await shop.send(outbound, timeout=WINDOW) == made == await shop.find(a_return(), "key-1")
    assert made["order"]["status"] == "return requested"
    [kept] = await rows(database_url, "select * from countersign.effect")
    assert (kept["key"], kept["args_sha256"]) == ("key-1", outbound.sha256)
    assert len(await rows(database_url, "select * from changes")) == 1
    assert await shop.is_healthy()


async def test_ten_at_once_under_one_key_change_it_once(sql, database_url):
    outbound = sql.connector.request(a_return(), "key-1")
    replies = await asyncio.gather(*(sql.connector.send(outbound, timeout=WINDOW) for _ in range(10)))
    assert all(reply == replies[0] for reply in replies)
    assert len(await rows(database_url, "select * from changes")) == 1


@pytest.mark.parametrize(
    ("record", "error"),
    [
        (a_return("#W1002"), Rejected),
        (a_return("#W9999"), Rejected),
        (Record("order.restore", 1, "main", {"order_id": "#W1001", "return_id": "ret_1"}, "U1"), Rejected),
        (a_return(reason="broken"), Unreachable),
        (a_return(reason="slow"), Unreachable),
    ],
)
async def test_what_fails_before_its_transaction_ends_has_changed_nothing(sql, database_url, record, error):
    window = timedelta(seconds=1) if record.args.get("reason") == "slow" else WINDOW
    with pytest.raises(error) as caught:
        await sql.connector.send(sql.connector.request(record, "key-1"), timeout=window)
    assert type(caught.value) is error
    assert await sql.connector.find(record, "key-1") is None
    assert await rows(database_url, "select * from changes") == []


async def test_a_key_that_stands_for_another_change_is_no_proof_that_nothing_happened(sql):
    await sql.connector.send(sql.connector.request(a_return(), "key-1"), timeout=WINDOW)
    with pytest.raises(Contested):
        await sql.connector.send(sql.connector.request(a_return("#W1002"), "key-1"), timeout=WINDOW)


async def test_a_connection_that_goes_as_the_transaction_ends_leaves_it_open(sql, database_url, monkeypatch):
    from actions.connectors import sql_shop_store as store

    really = store.act_once

    async def cut(conn, *args, **more):
        reply = await really(conn, *args, **more)
        async with connect(database_url) as other:
            await other.execute("select pg_terminate_backend(%s)", (conn.info.backend_pid,))
        return reply

    monkeypatch.setattr(store, "act_once", cut)
    with pytest.raises(OutcomeUnknown):
        await sql.connector.send(sql.connector.request(a_return(), "key-1"), timeout=WINDOW)
    assert await sql.connector.find(a_return(), "key-1") is None


async def test_a_database_that_is_away_or_has_not_agreed_says_so(database_url):
    for url in ("postgresql://shop:canary@127.0.0.1:1/shop", "nonsense canary", database_url):
        async with AsyncExitStack() as stack:
            opened = await SQL_SHOP.open(SqlShopOptions(), opening(stack, url=url))
            with pytest.raises(Unreachable) as caught:
                await opened.connector.send(opened.connector.request(a_return(), "key"), timeout=WINDOW)
            assert "canary" not in f"{caught.value}"
            with pytest.raises(Inconclusive):
                await opened.connector.find(a_return(), "key")
            with pytest.raises(RecordsUnavailable):
                await opened.sources[RECORDS].order("#W1001")
            assert not await opened.connector.is_healthy()
