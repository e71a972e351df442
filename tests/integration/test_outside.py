"""What connectors.yml connects is really opened beside a real Slack, and refused by name beside the local workspace."""

import json

import pytest
from aiohttp import ClientSession

from actions.action import Catalogue
from bot.company import read_company, settle_first_company, settle_sample_company
from bot.connections import Unhealthy, connector_rows, describe_connections
from bot.outside import LiveConnectorRefused, reach_outside
from bot.settings import Settings
from core.clock import SystemClock
from core.db import open_database

CANARY = "canary-4242-sk_live"
CONNECTED = """\
version: 1
connectors:
  - kind: stripe
    account: acct_main
    secrets: {api_key: env:STRIPE_API_KEY}
  - kind: folder
    account: site
    region: the shop's cellar
    options: {root: %s}
  - kind: pages
"""


def settings_in(tmp_path, monkeypatch, *, local=False, **environment) -> Settings:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COUNTERSIGN_HOME", str(tmp_path / "var"))
    if not local:
        monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-1234567890")
        monkeypatch.setenv("SLACK_APP_TOKEN", "xapp-1234567890")
        monkeypatch.setenv("COUNTERSIGN_ADMIN", "U0ADMIN")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    if local:
        settle_sample_company(settings.company)
    else:
        settle_first_company(settings.company, workspace="T0REAL", admin="U0ADMIN")
    (tmp_path / "site").mkdir()
    settings.connections.write_text(CONNECTED % (tmp_path / "site"))
    return settings


async def reached(settings, database_url):
    rules = read_company(settings.company, Catalogue.scan())
    async with (
        open_database(database_url, min_size=1) as database,
        ClientSession() as session,
        reach_outside(settings, database, session, rules, SystemClock()) as outside,
    ):
        return outside


async def test_what_is_configured_is_opened_and_what_lacks_its_secret_is_named(tmp_path, monkeypatch, database_url):
    settings = settings_in(tmp_path, monkeypatch)
    outside = await reached(settings, database_url)
    assert outside.connectors["site"].account == "site"
    assert "payments" not in outside.connectors
    assert outside.missing == {"payments": "env:STRIPE_API_KEY"}
    assert not [each.name for each in outside.connectors.values() if each.sandbox]


async def test_with_its_secret_it_is_there_and_the_secret_is_known_to_the_redactor(tmp_path, monkeypatch, database_url):
    settings = settings_in(tmp_path, monkeypatch, STRIPE_API_KEY=CANARY)
    outside = await reached(settings, database_url)
    assert outside.connectors["payments"].account == "acct_main"
    assert outside.missing == {}
    assert CANARY in settings.secrets()
    assert CANARY not in repr(settings) + repr(outside)


async def test_a_secret_may_stand_in_env_files_and_in_mounted_ones(tmp_path, monkeypatch, database_url):
    (tmp_path / ".env").write_text(f"STRIPE_API_KEY={CANARY}\n")
    settings = settings_in(tmp_path, monkeypatch)
    assert "payments" in (await reached(settings, database_url)).connectors
    (tmp_path / ".env").write_text("")
    (tmp_path / "mounted").mkdir()
    (tmp_path / "mounted" / "stripe").write_text(CANARY)
    monkeypatch.setenv("COUNTERSIGN_SECRETS_DIR", str(tmp_path / "mounted"))
    text = settings.connections.read_text().replace("env:STRIPE_API_KEY", "file:stripe")
    settings.connections.write_text(text)
    assert "payments" in (await reached(Settings(), database_url)).connectors


async def test_beside_the_local_workspace_it_is_refused_by_name(tmp_path, monkeypatch, database_url):
    settings = settings_in(tmp_path, monkeypatch, local=True, STRIPE_API_KEY=CANARY)
    with pytest.raises(LiveConnectorRefused, match="payments, site, pages would reach a real system"):
        await reached(settings, database_url)
    with pytest.raises(LiveConnectorRefused):
        await connector_rows(settings, SystemClock())


async def test_the_listing_says_what_is_configured_and_how_it_is(tmp_path, monkeypatch):
    settings = settings_in(tmp_path, monkeypatch)
    rows = {row["kind"]: row for row in json.loads(json.dumps(await connector_rows(settings, SystemClock())))}
    site, payments, imap = rows["folder"], rows["stripe"], rows["imap"]
    assert (site["configured"], site["secrets"], site["healthy"], site["settles"]) == (True, True, True, "probeable")
    assert (site["connector"], site["region"]) == ("site", "the shop's cellar")
    assert (payments["configured"], payments["secrets"], payments["healthy"]) == (True, False, None)
    assert payments["missing"] == ["STRIPE_API_KEY is not set in the environment or .env. Set it."]
    assert (imap["configured"], imap["needs"], imap["reads"]) == (False, ["password"], ["mailbox"])


async def test_the_doctor_says_what_to_do(tmp_path, monkeypatch):
    settings = settings_in(tmp_path, monkeypatch)
    with pytest.raises(Unhealthy, match="payments: STRIPE_API_KEY is not set"):
        await describe_connections(settings, SystemClock())
    settings.connections.write_text((CONNECTED % (tmp_path / "none")).replace("  - kind: stripe", "  - kind: stripe"))
    monkeypatch.setenv("STRIPE_API_KEY", CANARY)
    settings.connections.write_text(
        "version: 1\nconnectors:\n  - kind: folder\n    account: s\n    options: {root: /no/x}\n"
    )
    with pytest.raises(Unhealthy, match="site does not answer"):
        await describe_connections(settings, SystemClock())
    settings.connections.write_text("version: 1\nconnectors: []\n")
    assert await describe_connections(settings, SystemClock()) == "none configured"
