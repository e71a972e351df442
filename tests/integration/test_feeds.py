"""Feeds that are malformed, and what a STIX pattern says of single values."""

import json
from datetime import UTC, date, datetime

import aiohttp
import pytest
from aiohttp import web

from actions.connectors.feeds import Feeds, FeedsOptions
from actions.connectors.stix import sightings_in, values_of
from actions.intelligence import Indicator, IntelligenceUnavailable
from core.clock import SettableClock

ADDRESS, DOMAIN, HASH, URL = Indicator.ADDRESS, Indicator.DOMAIN, Indicator.HASH, Indicator.URL
NOW = datetime(2026, 11, 27, tzinfo=UTC)
KEV = {
    "vulnerabilities": [
        {
            "cveID": "CVE-2025-48384",
            "vendorProject": "Git",
            "product": "Git",
            "vulnerabilityName": "Git Link Following Vulnerability",
            "dateAdded": "2025-08-25",
            "knownRansomwareCampaignUse": "Known",
        }
    ]
}


@pytest.mark.parametrize(
    ("pattern", "values"),
    [
        ("[ipv4-addr:value = '1.2.3.4']", [(ADDRESS, "1.2.3.4")]),
        ("[ipv4-addr:value='1.2.3.4' OR domain-name:value = 'A.b']", [(ADDRESS, "1.2.3.4"), (DOMAIN, "a.b")]),
        ("[ipv4-addr:value = '1.2.3.4'] OR [url:value = 'http://x/A']", [(ADDRESS, "1.2.3.4"), (URL, "http://x/A")]),
        ("[file:hashes.'SHA-256' = 'ABC']", [(HASH, "abc")]),
        ("[file:hashes.MD5 = 'ABC']", [(HASH, "abc")]),
        ("[ipv6-addr:value = '2001:DB8::0001']", [(ADDRESS, "2001:db8::1")]),
        (r"[url:value = 'http://x/\'y\\z']", [(URL, "http://x/'y\\z")]),
        ("[ipv4-addr:value = '1.2.3.4' AND domain-name:value = 'a.b']", []),
        ("[ipv4-addr:value = '1.2.3.4'] AND [domain-name:value = 'a.b']", []),
        ("[ipv4-addr:value = '1.2.3.4'] FOLLOWEDBY [domain-name:value = 'a.b']", []),
        ("[ipv4-addr:value ISSUBSET '1.2.3.0/24']", []),
        ("[ipv4-addr:value != '1.2.3.4']", []),
        ("[process:name = 'x']", []),
        ("[ipv4-addr:value = '1.2.3.4' OR]", [(ADDRESS, "1.2.3.4")]),
        ("", []),
        ("[", []),
        ("[ipv4-addr:value = '" + "\\" * 5000, []),
    ],
)
def test_a_value_is_known_only_where_it_alone_fulfils_the_pattern(pattern, values):
    assert values_of(pattern) in (values, []) if "OR]" in pattern else values_of(pattern) == values


@pytest.mark.parametrize(
    "found", [None, 3, [], {}, {"type": "indicator"}, {"type": "indicator", "id": 1, "pattern": {}}, "indicator"]
)
def test_what_is_no_indicator_says_nothing(found):
    assert list(sightings_in(found, "f")) == []


async def ask(handle, what):
    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    options = {"taxii": {"f": {"api_root": base, "collection": "c"}}, "kev_url": f"{base}/kev"}
    try:
        async with aiohttp.ClientSession() as session:
            clock = SettableClock(NOW)
            return await what(Feeds(session, FeedsOptions.model_validate(options), {}, clock=clock))
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"<html>", b'{"objects": 3}', b"\xff", b"[" * 100_000, b'{"vulnerabilities": [{}]}']
)
async def test_a_feed_that_says_nonsense_is_unavailable_and_breaks_nothing(body):
    async def handle(request):
        return web.Response(body=body, content_type="application/json")

    with pytest.raises(IntelligenceUnavailable):
        await ask(handle, lambda feeds: feeds.exploited("CVE-2025-48384"))
    if body != b'{"vulnerabilities": [{}]}':
        with pytest.raises(IntelligenceUnavailable):
            await ask(handle, lambda feeds: feeds.about(ADDRESS, "1.2.3.4"))


async def test_a_feed_that_never_ends_is_given_up_on(monkeypatch):
    monkeypatch.setattr("actions.connectors.feeds._MOST_PAGES", 5)

    async def handle(request):
        return web.json_response({"more": True, "next": "again", "objects": []})

    with pytest.raises(IntelligenceUnavailable, match="does not end"):
        await ask(handle, lambda feeds: feeds.about(ADDRESS, "1.2.3.4"))


async def test_the_catalogue_says_what_is_exploited(tmp_path):
    async def handle(request):
        return web.json_response(KEV)

    found = await ask(handle, lambda feeds: feeds.exploited("cve-2025-48384 "))
    assert (found.vendor, found.added_on, found.for_ransom) == ("Git", date(2025, 8, 25), True)
    assert await ask(handle, lambda feeds: feeds.exploited("CVE-1999-0001")) is None
    (tmp_path / "kev.json").write_text(json.dumps(KEV))
    feeds = Feeds(None, FeedsOptions(kev_file=tmp_path / "kev.json"), {}, clock=SettableClock(NOW))
    assert (await feeds.exploited("CVE-2025-48384")) == found
