"""Containment against a consumer that somebody else wrote, over HTTP: the otupy library's."""

from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from pydantic import SecretStr

from actions.connector import Rejected
from actions.connectors.openc2 import OpenC2Connector, OpenC2Options
from actions.intent import Record
from core.clock import SystemClock
from tests.support.outside_servers import SERVERS, answering, running
from tests.support.ports import free_port

WINDOW = timedelta(seconds=10)


@pytest_asyncio.fixture
async def url(servers_python):
    port = free_port()
    with running(servers_python, SERVERS / "openc2_on.py", port):
        await answering(port)
        yield f"http://127.0.0.1:{port}"


def hosts(session, url: str, **options: str) -> OpenC2Connector:
    chosen = OpenC2Options.model_validate({"url": url, "tells": True, **options})
    return OpenC2Connector(session, chosen, SecretStr("token"), account="edr", window=WINDOW, clock=SystemClock())


def isolation(**changes) -> Record:
    args = {"host_id": "till-3", "minutes": 60, "case_id": "case_1", "reason": "beacon"}
    return Record("host.isolate", 1, "edr", {**args, **changes}, "U0RITA")


def release(command_id: str) -> Record:
    args = {"host_id": "till-3", "command_id": command_id, "case_id": "case_1"}
    return Record("host.release", 1, "edr", args, "U0RITA")


async def test_a_host_is_contained_found_by_its_command_and_let_back(url, session):
    connector = hosts(session, url, profile="er")
    assert await connector.is_healthy()
    assert await connector.find(isolation(), "key-1") is None
    before = datetime.now(UTC)
    made = await connector.send(connector.request(isolation(), "key-1"), timeout=WINDOW)
    assert (made["host_id"], made["command_id"]) == ("till-3", "key-1")
    assert timedelta(minutes=59) < made["until"] - before < timedelta(minutes=61)
    assert (await connector.find(isolation(), "key-1"))["command_id"] == "key-1"
    back = await connector.send(connector.request(release("key-1"), "key-2"), timeout=WINDOW)
    assert back == {"host_id": "till-3", "command_id": "key-1"}
    with pytest.raises(Rejected):
        await connector.send(connector.request(release("key-1"), "key-3"), timeout=WINDOW)


async def test_a_consumer_that_insists_on_a_profile_refuses_a_command_without_one(url, session):
    connector = hosts(session, url)
    with pytest.raises(Rejected) as caught:
        await connector.send(connector.request(isolation(), "key-1"), timeout=WINDOW)
    assert "Missing profile" in str(caught.value)
    assert not await connector.is_healthy()
