"""Threat intelligence from a real TAXII 2.1 server, and from a catalogue of exploited vulnerabilities."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr, ValidationError

from actions.connectors.feeds import Feeds, FeedsOptions
from actions.intelligence import Indicator, IntelligenceUnavailable
from core.clock import SettableClock
from tests.support.outside_servers import SERVERS, answering, running
from tests.support.ports import free_port

COLLECTION = "365fed99-08fa-fdcd-a1b3-fb247eb41d01"
NOW = datetime(2026, 11, 27, tzinfo=UTC)
AT = "2024-01-01T00:00:00.000Z"


def indicator(number: int, pattern: str, **more):
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--{number:08d}-0000-4000-8000-000000000000",
        "created": AT,
        "modified": AT,
        "name": f"campaign {number}",
        "pattern": pattern,
        "pattern_type": "stix",
        "valid_from": AT,
        **more,
    }


OBJECTS = [
    indicator(1, "[ipv4-addr:value = '203.0.113.7']", confidence=90),
    indicator(2, "[domain-name:value = 'Evil.Example']"),
    indicator(3, "[ipv4-addr:value = '203.0.113.8']", revoked=True),
    {
        "type": "malware",
        "spec_version": "2.1",
        "id": "malware--00000000-0000-4000-8000-000000000000",
        "created": AT,
        "modified": AT,
        "name": "x",
        "is_family": False,
    },
    *(indicator(100 + each, f"[ipv4-addr:value = '198.51.100.{each}']") for each in range(250)),
]


@pytest.fixture(scope="module")
def taxii(servers_python, tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("taxii"), free_port()
    manifest = [
        {
            "id": each["id"],
            "date_added": f"2024-01-01T00:00:{number % 60:02d}.{number:06d}Z",
            "version": AT,
            "media_type": "application/stix+json;version=2.1",
        }
        for number, each in enumerate(OBJECTS)
    ]
    collection = {
        "id": COLLECTION,
        "title": "c",
        "can_read": True,
        "can_write": False,
        "media_types": ["application/stix+json;version=2.1"],
        "objects": OBJECTS,
        "manifest": manifest,
    }
    root = {
        "information": {
            "title": "r",
            "versions": ["application/taxii+json;version=2.1"],
            "max_content_length": 9765625,
        },
        "status": [],
        "collections": [collection],
    }
    (folder / "data.json").write_text(json.dumps({"/discovery": {"title": "t"}, "trustgroup1": root}))
    backend = {
        "module": "medallion.backends.memory_backend",
        "module_class": "MemoryBackend",
        "filename": str(folder / "data.json"),
    }
    config = {"backend": backend, "users": {"reader": "canary-password"}, "taxii": {"max_page_size": 100}}
    (folder / "config.json").write_text(json.dumps(config))
    with running(servers_python, SERVERS / "taxii_on.py", port, folder / "config.json"):
        yield port


@pytest.fixture
async def options(taxii):
    await answering(taxii)
    return {
        "taxii": {
            "ours": {"api_root": f"http://127.0.0.1:{taxii}/trustgroup1/", "collection": COLLECTION, "user": "reader"}
        }
    }


def feeds(session, options, *, password="canary-password", clock=None) -> Feeds:
    secrets = {"ours": SecretStr(password)}
    return Feeds(session, FeedsOptions.model_validate(options), secrets, clock=clock or SettableClock(NOW))


async def test_what_a_feed_has_seen_is_found_over_all_its_pages(session, options):
    ours = feeds(session, options)
    [seen] = await ours.about(Indicator.ADDRESS, "203.0.113.7")
    assert (seen.feed, seen.says, seen.confidence) == ("ours", "campaign 1", 90)
    assert seen.valid_from == datetime(2024, 1, 1, tzinfo=UTC)
    assert [each.says for each in await ours.about(Indicator.DOMAIN, "evil.example.")] == ["campaign 2"]
    assert [each.says for each in await ours.about(Indicator.ADDRESS, "198.51.100.249")] == ["campaign 349"]
    assert await ours.about(Indicator.ADDRESS, "203.0.113.8") == []
    assert await ours.about(Indicator.ADDRESS, "192.0.2.1") == []
    assert await ours.is_healthy()


async def test_a_wrong_password_is_told_without_repeating_it(session, options):
    wrong = feeds(session, options, password="canary-wrong")
    with pytest.raises(IntelligenceUnavailable, match="HTTP 401") as caught:
        await wrong.about(Indicator.ADDRESS, "203.0.113.7")
    assert "canary" not in str(caught.value)
    assert not await wrong.is_healthy()


async def test_a_feed_that_goes_down_is_believed_for_a_day_and_not_longer(session, options):
    clock = SettableClock(NOW)
    ours = feeds(session, options, clock=clock)
    await ours.about(Indicator.ADDRESS, "203.0.113.7")
    gone = FeedsOptions.model_validate(
        {"taxii": {"ours": {"api_root": f"http://127.0.0.1:{free_port()}/", "collection": COLLECTION}}}
    )
    ours._options = gone
    clock.advance(timedelta(hours=2))
    assert len(await ours.about(Indicator.ADDRESS, "203.0.113.7")) == 1
    clock.advance(timedelta(hours=23))
    with pytest.raises(IntelligenceUnavailable, match="does not answer"):
        await ours.about(Indicator.ADDRESS, "203.0.113.7")


def test_a_feed_is_an_https_address():
    for wrong in ({}, {"kev_url": "http://feeds.example/kev"}, {"kev_url": "https://u:p@feeds.example/"}):
        with pytest.raises(ValidationError):
            FeedsOptions.model_validate(wrong)
