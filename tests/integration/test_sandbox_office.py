"""Mailbox, outgoing mail, site and exchanges: once per key, found again under it, and read as they arrived."""

import io
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from actions.connector import EffectClass, OutcomeUnknown, Rejected
from actions.connectors.sandbox_office import SandboxMailbox, SandboxMailReader, SandboxOutgoing, SandboxSite
from actions.connectors.shop import ShopConnector, ShopRecords
from actions.intent import Record
from actions.mailbox import MailboxUnavailable
from bot.local.sandbox.server import SandboxOptions, open_sandbox
from bot.sample.shop import seed_sample
from core.clock import SystemClock
from core.money import Money

WINDOW = timedelta(seconds=5)
MAIL = (
    b"From: Ana <ana@example.com>\r\nTo: shop@example.com\r\nSubject: Hi\r\n"
    b"Message-ID: <m1@example.com>\r\n\r\nHello.\r\n"
)
REPLY = {"to": "ana@example.com", "subject": "Re: Hi", "text": "Hello back", "in_reply_to": "<m1@example.com>"}
POST = {"slug": "tea", "title": "Tea", "body": "Boil water.", "tags": ["tea"], "summary": "How"}
# The steel bottle of order W1001 for the blue one, which costs 92 cents more.
EXCHANGE = {
    "order_id": "#W1001",
    "item_ids": ["1000000100"],
    "new_item_ids": ["1000000101"],
    "payment_method_id": "credit_card_1004",
    "difference": {"minor": 92, "currency": "USD"},
    "reason": "other colour",
}


def record(action: str, args: dict[str, object]) -> Record:
    return Record(action=action, action_version=1, account="sandbox", args=args, on_behalf_of="U0RITA")


@pytest.fixture
async def session() -> AsyncGenerator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def url(tmp_path: Path) -> AsyncGenerator[str]:
    seed_sample(tmp_path)
    async with open_sandbox(SandboxOptions(port=0, home=tmp_path, clock=SystemClock())) as sandbox:
        yield sandbox.url


@pytest.fixture
def connectors(session, url):
    made = [
        kind(session, f"{url}/{kind.name}", account="sandbox", sandbox=True)
        for kind in (SandboxMailbox, SandboxOutgoing, SandboxSite, ShopConnector)
    ]
    return {connector.name: connector for connector in made}


async def _deliver(session, url, raw: bytes = MAIL, verified: int = 1) -> str:
    async with session.post(f"{url}/mailbox/messages?verified={verified}", data=io.BytesIO(raw)) as answer:
        return (await answer.json())["message_id"]


async def test_what_arrives_is_read_as_it_arrived_until_it_is_filed(session, url, connectors):
    await _deliver(session, url)
    reader = SandboxMailReader(session, f"{url}/mailbox")
    (mail,) = await reader.unread(10)
    assert (mail.from_address, mail.subject, mail.text) == ("ana@example.com", "Hi", "Hello.")
    assert mail.is_verified
    filing = record("mailbox.file", {"message_id": mail.message_id, "folder": "Done"})
    reply = await connectors["mailbox"].send(connectors["mailbox"].request(filing, "k"), timeout=WINDOW)
    assert reply["was"] == "INBOX"
    assert await reader.unread(10) == []
    assert (await reader.mail(mail.message_id)) == mail
    assert await reader.mail("<other@example.com>") is None


async def test_a_mail_of_twenty_megabytes_is_read_only_in_its_beginning(session, url):
    await _deliver(session, url, MAIL + b"x" * 20_000_000)
    (mail,) = await SandboxMailReader(session, f"{url}/mailbox").unread(10)
    assert mail.size > 20_000_000
    assert len(mail.text) == 20_000
    assert "only the first 1,000,000 were read" in mail.problems[0]


async def test_a_mailbox_that_is_away_says_so(session, url):
    reader = SandboxMailReader(session, f"{url}/mailbox")
    async with session.post(f"{url}/control/mailbox", json={"down": True}):
        pass
    with pytest.raises(MailboxUnavailable, match="mailbox gave no usable answer"):
        await reader.unread(1)


@pytest.mark.parametrize(
    ("action", "args", "log", "changed"),
    [
        ("mail.send", REPLY, "/mail/log", {"text": "another"}),
        ("mailbox.file", {"message_id": "<m1@example.com>", "folder": "Done"}, "/mailbox/log", {"folder": "Other"}),
        ("post.publish", POST, "/site/log", {"body": "another"}),
        ("order.exchange", EXCHANGE, "/shop/log", {"reason": "another"}),
    ],
)
async def test_each_effect_is_made_once_under_its_key_and_found_again(
    session, url, connectors, action, args, log, changed
):
    await _deliver(session, url)
    name = {"mail": "mail", "mailbox": "mailbox", "post": "site", "order": "shop"}[action.split(".")[0]]
    connector, asked = connectors[name], record(action, args)
    outbound = connector.request(asked, "key-1")
    assert await connector.find(asked, "key-1") is None
    async with session.post(f"{url}/control/{name}", json={"apply_then_timeout_next": 1}):
        pass
    with pytest.raises(OutcomeUnknown):
        await connector.send(outbound, timeout=WINDOW)
    found = await connector.find(asked, "key-1")
    assert await connector.send(outbound, timeout=WINDOW) == found
    async with session.get(url + log) as answer:
        rows = (await answer.json())[
            {"mail": "mails", "mailbox": "filings", "site": "posts", "shop": "exchanges"}[name]
        ]
    assert [row["received_sha256"] for row in rows] == [outbound.sha256]
    other = connector.request(record(action, {**args, **changed}), "key-1")
    with pytest.raises(OutcomeUnknown, match="came before with another request"):
        await connector.send(other, timeout=WINDOW)


async def test_two_posts_under_one_slug_show_as_two(session, url, connectors):
    site = connectors["site"]
    assert site.settles is EffectClass.KEYED
    one = await site.send(site.request(record("post.publish", POST), "a"), timeout=WINDOW)
    two = await site.send(site.request(record("post.publish", POST), "b"), timeout=WINDOW)
    assert one["url"].endswith("/posts/tea")
    assert two["url"].endswith("/posts/tea-2")
    gone = record("post.retract", {"slug": "tea", "post_id": one["post_id"]})
    await site.send(site.request(gone, "c"), timeout=WINDOW)
    async with session.get(f"{url}/site/posts") as answer:
        assert [post["slug"] for post in (await answer.json())["posts"]] == ["tea-2"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"difference": {"minor": 91, "currency": "USD"}}, "wrong_difference"),
        ({"new_item_ids": ["1000000200"]}, "not_exchangeable"),
        ({"payment_method_id": "paypal_1002"}, "unknown_payment_method"),
        ({"order_id": "#W1003"}, "order_not_delivered"),
        ({"item_ids": ["1"]}, "item_not_in_order"),
    ],
)
async def test_the_shop_refuses_an_exchange_that_its_records_do_not_bear_out(connectors, changes, code):
    shop = connectors["shop"]
    with pytest.raises(Rejected) as refused:
        await shop.send(shop.request(record("order.exchange", {**EXCHANGE, **changes}), "k"), timeout=WINDOW)
    assert refused.value.code == code


async def test_an_exchange_puts_the_order_in_return_and_its_taking_back_restores_it(session, url, connectors):
    shop, records = connectors["shop"], ShopRecords(session, f"{url}/shop")
    made = await shop.send(shop.request(record("order.exchange", EXCHANGE), "k"), timeout=WINDOW)
    order = await records.order("#W1001")
    assert order is not None
    assert order.status == "exchange requested"
    customer = await records.customer(order.customer_id)
    assert customer is not None
    assert customer.returns_made == 1
    assert customer.payment_methods[1].balance == Money(2800, "USD")
    back = record("order.restore", {"order_id": "#W1001", "return_id": made["exchange_id"]})
    await shop.send(shop.request(back, "r"), timeout=WINDOW)
    restored = await records.order("#W1001")
    assert restored is not None
    assert (restored.status, restored.in_return) == ("delivered", None)


async def test_a_product_is_read_with_its_prices_as_they_are_now(session, url):
    product = await ShopRecords(session, f"{url}/shop").product("4000000001")
    assert product is not None
    assert [variant.price.minor for variant in product.variants] == [1850, 1942, 2034]
    assert await ShopRecords(session, f"{url}/shop").product("1") is None
