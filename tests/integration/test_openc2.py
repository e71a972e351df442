"""Containment over OpenC2 against a consumer that follows the specification, over HTTP on loopback."""

import hashlib
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from aiohttp import web
from pydantic import SecretStr, ValidationError

from actions.connector import EffectClass, Inconclusive, OutcomeUnknown, Rejected, StillOpen, Unreachable
from actions.connectors.openc2 import OpenC2Connector, OpenC2Options
from actions.intent import Record
from core.clock import SettableClock
from tests.support.answering import serving
from tests.support.ports import free_port

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
WINDOW = timedelta(seconds=5)


class Consumer:
    """Contains devices until a time, keeps commands by their id, and fails as it is told to."""

    def __init__(self):
        self.contained: dict[str, str] = {}
        self.commands: dict[str, str] = {}
        self.received: list[tuple[str, str]] = []
        self.status = 200
        self.tells = True

    async def handle(self, request: web.Request) -> web.Response:
        assert (request.method, request.path) == ("POST", "/.well-known/openc2")
        body = await request.read()
        if request.headers.get("Authorization") != "Bearer canary-token":
            return self.say(401, "who are you", http=401)
        assert request.headers["Content-Type"] == "application/openc2+json;version=1.0"
        asked = json.loads(body)["body"]["openc2"]["request"]
        if asked["action"] == "query":
            return self.query(asked["target"])
        self.received.append((asked["command_id"], hashlib.sha256(body).hexdigest()))
        if self.status != 200:
            return self.say(self.status, "as told", http=self.status if self.status >= 400 else 200)
        self.commands[asked["command_id"]] = asked["action"]
        if asked["action"] == "contain":
            self.contained[asked["target"]["device"]["device_id"]] = asked["command_id"]
        else:
            self.contained = {k: v for k, v in self.contained.items() if v != asked["target"]["command"]}
        return self.say(200, "done", **{"x-countersign": {"until": "2026-11-27T13:00:00Z"}})

    def query(self, target):
        if "features" in target:
            return self.say(200, "", versions=["1.0"])
        if not self.tells:
            return self.say(501, "not implemented")
        known = target["x-countersign:command"] in self.commands
        return self.say(200, "", **{"x-countersign": {"known": known}})

    def say(self, status, text, *, http=200, **results):
        response = {"status": status, "status_text": text, "results": results}
        envelope = {"headers": {}, "body": {"openc2": {"response": response}}}
        return web.json_response(envelope, status=http, content_type="application/openc2+json")


@asynccontextmanager
async def consuming():
    consumer = Consumer()
    async with serving(consumer.handle) as url, aiohttp.ClientSession() as session:
        yield consumer, session, url


def hosts(session, url, *, token="canary-token", tells=True) -> OpenC2Connector:
    options = OpenC2Options(url=url, tells=tells)
    return OpenC2Connector(session, options, SecretStr(token), account="edr", window=WINDOW, clock=SettableClock(NOW))


def isolation(**changes) -> Record:
    args = {"host_id": "till-3", "minutes": 60, "case_id": "case_1", "reason": "beacon"}
    return Record("host.isolate", 1, "edr", {**args, **changes}, "U0RITA")


async def test_a_host_is_contained_by_the_hashed_bytes_and_let_back_by_the_very_command():
    async with consuming() as (consumer, session, url):
        connector = hosts(session, url)
        assert await connector.is_healthy()
        assert await connector.find(isolation(), "key-1") is None
        outbound = connector.request(isolation(), "key-1")
        made = await connector.send(outbound, timeout=WINDOW)
        assert consumer.received == [("key-1", outbound.sha256)]
        assert consumer.contained == {"till-3": "key-1"}
        assert made == {"host_id": "till-3", "command_id": "key-1", "until": NOW + timedelta(hours=1)}
        assert (await connector.find(isolation(), "key-1"))["command_id"] == "key-1"
        args = {"host_id": "till-3", "command_id": "key-1", "case_id": "case_1"}
        release = Record("host.release", 1, "edr", args, "U0RITA")
        back = await connector.send(connector.request(release, "key-2"), timeout=WINDOW)
        assert back == {"host_id": "till-3", "command_id": "key-1"}
        assert consumer.contained == {}


@pytest.mark.parametrize(
    ("status", "error"),
    [(102, StillOpen), (400, Rejected), (403, Rejected), (404, Rejected), (500, OutcomeUnknown), (503, OutcomeUnknown)],
)
async def test_every_failure_says_whether_it_may_have_happened(status, error):
    async with consuming() as (consumer, session, url):
        consumer.status = status
        connector = hosts(session, url)
        with pytest.raises(error) as caught:
            await connector.send(connector.request(isolation(), "key-1"), timeout=WINDOW)
        assert type(caught.value) is error


async def test_an_endpoint_that_does_not_tell_leaves_it_to_a_person():
    async with consuming() as (consumer, session, url):
        consumer.tells = False
        with pytest.raises(Inconclusive):
            await hosts(session, url).find(isolation(), "key-1")
        assert hosts(session, url, tells=False).settles is EffectClass.OPAQUE
        assert hosts(session, url).settles is EffectClass.PROBEABLE


async def test_a_wrong_token_and_a_silent_endpoint_contain_nothing():
    async with consuming() as (consumer, session, url):
        wrong = hosts(session, url, token="canary-wrong")
        with pytest.raises(Rejected) as caught:
            await wrong.send(wrong.request(isolation(), "key"), timeout=WINDOW)
        assert "canary" not in str(caught.value)
        assert not await wrong.is_healthy()
        away = hosts(session, f"http://127.0.0.1:{free_port()}")
        with pytest.raises(Unreachable):
            await away.send(away.request(isolation(), "key"), timeout=WINDOW)
        assert not await away.is_healthy()
        assert consumer.received == []


def test_containment_goes_over_https_only():
    with pytest.raises(ValidationError):
        OpenC2Options(url="http://edr.example")


def test_what_is_no_containment_cannot_be_written():
    connector = hosts(None, "http://127.0.0.1:1")
    for record in (isolation(minutes=0), isolation(x=1), Record("mail.send", 1, "edr", {}, "U1")):
        with pytest.raises(Rejected):
            connector.request(record, "key")
