"""Webhooks out against a real server that checks their signature by itself."""

import base64
import hashlib
import hmac
import json
from contextlib import asynccontextmanager
from datetime import timedelta

import aiohttp
import pytest
from aiohttp import web
from pydantic import SecretStr, ValidationError

from actions.action import Catalogue
from actions.connector import Contested, EffectClass, Inconclusive, OutcomeUnknown, Rejected, Unreachable
from actions.connectors.webhooks import WebhookConnector, WebhookOptions
from actions.intent import Record
from core.clock import SystemClock
from core.secrets import SecretMissing
from tests.support.answering import serving
from tests.support.ports import free_port

WINDOW = timedelta(seconds=5)
KEY = b"0123456789abcdef-canary"
SECRET = SecretStr("whsec_" + base64.b64encode(KEY).decode())


@asynccontextmanager
async def taking(answer):
    received = []

    async def take(request: web.Request) -> web.StreamResponse:
        if request.method == "HEAD":
            return web.Response(status=405)
        received.append((request.headers.copy(), await request.read()))
        return await answer(request)

    async with serving(take) as url:
        yield f"{url}/hook", received


def connector(session, url, **more) -> WebhookConnector:
    options = WebhookOptions.model_validate({"endpoints": {"crm": {"url": url, **more}}})
    return WebhookConnector(session, options, {"crm": SECRET}, account="crm", window=WINDOW, clock=SystemClock())


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as session:
        yield session


def notice(**changes) -> Record:
    args = {"endpoint": "crm", "event": "order.returned", "payload": {"order_id": "#W1001", "sum": 18.5, "ä": [None]}}
    return Record("webhook.send", 1, "crm", {**args, **changes}, "U0RITA")


async def took(request):
    return web.Response(status=204)


async def test_the_other_side_receives_the_hashed_bytes_under_a_signature_that_it_can_check(session):
    async with taking(took) as (url, received):
        webhook = connector(session, url)
        outbound = webhook.request(notice(), "key-1")
        reply = await webhook.send(outbound, timeout=WINDOW)
    [(headers, body)] = received
    assert hashlib.sha256(body).hexdigest() == outbound.sha256
    assert json.loads(body) == {"type": "order.returned", "data": notice().args["payload"]}
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["webhook-id"] == "key-1"
    assert abs(int(headers["webhook-timestamp"]) - SystemClock().now().timestamp()) < 60
    assert reply == {"status": 204, "delivery_id": "key-1"}
    assert "signature" not in str(outbound.headers)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, Rejected),
        (404, Rejected),
        (410, Rejected),
        (409, Contested),
        (429, Unreachable),
        (301, OutcomeUnknown),
        (408, OutcomeUnknown),
        (500, OutcomeUnknown),
        (503, OutcomeUnknown),
    ],
)
async def test_every_failure_says_whether_it_may_have_been_taken(session, status, error):
    async def refuse(request):
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    async with taking(refuse) as (url, received):
        webhook = connector(session, url)
        with pytest.raises(error) as caught:
            await webhook.send(webhook.request(notice(), "key-1"), timeout=WINDOW)
    assert type(caught.value) is error
    assert len(received) == 1


async def test_nobody_listening_means_that_nothing_was_sent(session):
    webhook = connector(session, f"http://127.0.0.1:{free_port()}/hook")
    with pytest.raises(Unreachable):
        await webhook.send(webhook.request(notice(), "key-1"), timeout=WINDOW)
    assert not await webhook.is_healthy()


async def test_an_endpoint_that_listens_is_healthy_whatever_it_says(session):
    async with taking(took) as (url, received):
        assert await connector(session, url).is_healthy()
    assert received == []


async def test_it_is_sent_again_only_where_every_endpoint_promised_to_take_an_id_once(session):
    assert connector(session, "https://crm.example/hook").settles is EffectClass.OPAQUE
    assert connector(session, "https://crm.example/hook", deduplicates=True).settles is EffectClass.KEYED
    with pytest.raises(Inconclusive):
        await connector(session, "https://crm.example/hook").find(notice(), "key-1")


@pytest.mark.parametrize(
    "changes",
    [{"endpoint": "https://evil.example"}, {"endpoint": "erp"}, {"event": "x\r\ny"}, {"payload": {"a": "x" * 70_000}}],
)
async def test_what_goes_to_nobody_that_is_configured_cannot_be_written(session, changes):
    with pytest.raises(Rejected):
        connector(session, "https://crm.example/hook").request(notice(**changes), "key")


@pytest.mark.parametrize(
    "url", ["http://crm.example/hook", "https://user:pass@crm.example/", "ftp://crm.example/", "crm.example", ""]
)
def test_an_endpoint_is_an_https_address_without_a_password(url):
    with pytest.raises(ValidationError):
        WebhookOptions.model_validate({"endpoints": {"crm": {"url": url}}})


@pytest.mark.parametrize("secret", ["canary-plain", "whsec_canary!", "whsec_c2hvcnQ=", ""])
async def test_a_secret_of_another_form_is_refused_and_not_repeated(session, secret):
    options = WebhookOptions.model_validate({"endpoints": {"crm": {"url": "https://crm.example/"}}})
    with pytest.raises(SecretMissing) as caught:
        WebhookConnector(session, options, {"crm": SecretStr(secret)}, account="c", window=WINDOW, clock=SystemClock())
    assert "canary" not in f"{caught.value}{caught.value.__cause__}{caught.value.__context__}"


def test_a_notice_is_said_in_one_sentence_and_its_endpoint_is_guarded():
    action = Catalogue.scan().get("webhook.send")
    assert action.summarise(notice().args) == "Tell crm of order.returned"
    assert action.guarded == ("endpoint",)
