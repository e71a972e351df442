"""The first start on a real Slack: one admin, nothing allowed, nothing pretended, and wrong tokens named."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import ClientSession

import bot.serve
from actions.action import Catalogue
from actions.connectors.outbox_channel import OutboxChannel
from bot.company import read_company, settle_first_company, settle_sample_company
from bot.local.workspace import Workspace
from bot.outside import LiveConnectorRefused, connectors_of
from bot.settings import Settings
from bot.slack.app import SlackOptions, SlackRefused
from core.clock import SystemClock
from core.db import open_database
from tests.support.company import RETURNS
from tests.support.local_workspace import People, opened, sample_options

ADMIN, OTHER = "U0ADA", "U0BEN"


def settings_for(home: Path, database_url: str, redis_url: str, **changes: str | None) -> Settings:
    """The settings of an installation on a real Slack."""
    given = {
        "COUNTERSIGN_HOME": home,
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "SLACK_BOT_TOKEN": "xoxb-local",
        "SLACK_APP_TOKEN": "xapp-local",
        "COUNTERSIGN_ADMIN": ADMIN,
        "COUNTERSIGN_HEALTH_PORT": 0,
        "OPENAI_API_KEY": None,
        "OPENAI_BASE_URL": None,
    }
    return Settings.model_validate({**given, **changes})


@pytest.fixture
async def slack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[tuple[Workspace, People]]:
    """A Slack-shaped workspace that the bot takes for the real one: only the address differs."""
    (tmp_path / "slack").mkdir()
    async with opened(sample_options(tmp_path / "slack", roles={})) as (workspace, people):
        real = bot.serve.slack_options

        def elsewhere(settings: Settings) -> SlackOptions:
            options = real(settings)
            assert (options.base_url, options.local) == (None, False), "it means the real Slack"
            return replace(options, base_url=workspace.api_url)

        monkeypatch.setattr(bot.serve, "slack_options", elsewhere)
        yield workspace, people


@asynccontextmanager
async def serving(settings: Settings) -> AsyncGenerator[None]:
    """All roles, at work while the block runs."""
    task = asyncio.create_task(bot.serve.serve(settings, SystemClock(), bot.serve.ROLES))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def answer(people: People, person: str, text: str, says: str) -> str:
    """What a person is told in answer to a command, once it has `says` in it."""
    latest: list[str] = []
    async with asyncio.timeout(30):
        while True:
            said = await people.act("command", person, channel=RETURNS, command="/team", text=text)
            if said["ok"]:
                break
            await asyncio.sleep(0.1)
    for _ in range(300):
        latest = [each["text"] for each in await people.messages(RETURNS, person=person) if each.get("bot_id")]
        if any(says in each for each in latest):
            return next(each for each in latest if says in each)
        await asyncio.sleep(0.1)
    raise AssertionError(f"told {latest}, and nothing that says {says!r}")


async def test_the_first_start_writes_one_admin_and_allows_nothing(
    tmp_path: Path, database_url: str, redis_url: str, slack: tuple[Workspace, People]
) -> None:
    _, people = slack
    settings = settings_for(tmp_path / "var", database_url, redis_url)
    async with serving(settings):
        assert "*returns*" not in await answer(people, ADMIN, "help", "What you can say")
        await answer(people, ADMIN, "run returns #W1001 water bottle", "There is no workflow")
        await answer(people, ADMIN, "run digest", "No teammate runs digest yet, so nothing was started")
        await answer(people, OTHER, "run returns #W1001 water bottle", "An admin can add you to team.yml")
        await answer(people, OTHER, "status", "An admin can add you to team.yml")

    rules = read_company(settings.company, Catalogue.scan())
    assert rules.team.workspace == "T0LOCAL"
    assert list(rules.team.people) == [ADMIN]
    assert "admin" in rules.team.people[ADMIN].roles
    assert not [rule for rule in rules.policy.rules if rule.verdict == "allow"]
    assert rules.rulebook.returns is None


async def test_the_operators_own_files_are_left_alone(tmp_path: Path) -> None:
    settle_first_company(tmp_path, workspace="T0LOCAL", admin=ADMIN)
    mine = (tmp_path / "team.yml").read_text() + "# mine\n"
    (tmp_path / "team.yml").write_text(mine)
    settle_first_company(tmp_path, workspace="T0OTHER", admin=OTHER)
    assert (tmp_path / "team.yml").read_text() == mine


async def test_beside_a_real_slack_no_sandbox_system_is_registered(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    settings = settings_for(tmp_path / "var", database_url, redis_url)
    settle_first_company(settings.company, workspace="T0LOCAL", admin=ADMIN)
    rules = read_company(settings.company, Catalogue.scan())
    async with open_database(database_url, min_size=1) as database, ClientSession() as session:
        found = connectors_of(settings, database, session, rules)
    assert not [each.name for each in found.values() if each.sandbox]
    assert {"payments", "shop"}.isdisjoint(found)


async def test_beside_the_local_workspace_a_live_connector_is_refused_by_name(
    tmp_path: Path, database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(tmp_path / "var", database_url, redis_url, SLACK_BOT_TOKEN=None, SLACK_APP_TOKEN=None)
    assert settings.is_local
    settle_sample_company(settings.company)
    rules = read_company(settings.company, Catalogue.scan())

    def live(settings: Settings, session: ClientSession) -> list[OutboxChannel]:
        return [OutboxChannel(database, account="real", sandbox=False)]

    monkeypatch.setattr("bot.outside._sandbox", live)
    async with open_database(database_url, min_size=1) as database, ClientSession() as session:
        with pytest.raises(LiveConnectorRefused, match="slack would reach a real system from the local workspace"):
            connectors_of(settings, database, session, rules)


@pytest.mark.parametrize(
    ("wrong", "named", "not_named"),
    [
        ({"SLACK_BOT_TOKEN": "xoxb-wrong"}, "SLACK_BOT_TOKEN is not accepted", "SLACK_APP_TOKEN"),
        ({"SLACK_APP_TOKEN": "xapp-wrong"}, "SLACK_APP_TOKEN is not accepted", "SLACK_BOT_TOKEN"),
    ],
)
async def test_a_wrong_token_is_named_before_anything_is_written(
    tmp_path: Path, slack: tuple[Workspace, People], wrong: dict[str, str], named: str, not_named: str
) -> None:
    settings = settings_for(tmp_path / "var", "postgresql://nobody@127.0.0.1:9/none", "redis://127.0.0.1:9", **wrong)
    with pytest.raises(SlackRefused) as refusal:
        await bot.serve.serve(settings, SystemClock(), bot.serve.ROLES)
    assert named in str(refusal.value)
    assert not_named not in str(refusal.value)
    assert not settings.company.exists()
