"""What Slack delivers is kept before it is acknowledged, and who may not come in is told why."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from slack_bolt.async_app import AsyncBoltRequest

from bot.local.workspace import Workspace
from bot.slack.app import Identity, SlackRefused, build_app, open_slack, register_all
from bot.slack.blocks import approval_card
from bot.slack.blocks.approval_card import APPROVE, DETAILS, REASON_BLOCK, REASON_INPUT, REJECT
from bot.store import Deliveries
from core.db import Database, open_database
from core.metrics import Metrics
from tests.support.cards import DIGEST, approval_view, texts
from tests.support.local_workspace import People, client_of, until
from tests.support.slack_side import (
    NoKeeper,
    company,
    no_approval,
    options_for,
    rows,
    slack_on,
    until_rows,
)

pytest_plugins = ["tests.support.migrated"]

VALUE = f"apr_0123456789abcdefghjkmnpqrs.1.{DIGEST[:16]}"
KEPT = "select * from bot.delivery order by place"


@dataclass
class Office:
    """A database, a workspace and its people."""

    database: Database
    workspace: Workspace
    people: People


@pytest.fixture
async def office(installation_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    async with (
        open_database(installation_url) as database,
        company(tmp_path, retry_seconds=(0.2, 0.2)) as (workspace, people),
    ):
        yield Office(database, workspace, people)


async def test_a_command_is_kept_before_it_is_acknowledged(office: Office) -> None:
    async with slack_on(office.workspace, Deliveries(office.database)) as slack:
        assert await slack.is_connected()
        said = await office.people.act("command", "U0RITA", channel="C0RETURNS", command="/team", text="status &amp;")
        assert said["ok"], said
        [kept] = await rows(office.database, KEPT)
    assert kept["kind"] == "command"
    assert kept["payload"]["user_id"] == "U0RITA"
    assert kept["payload"]["channel"] == "C0RETURNS"


async def test_a_mention_and_a_direct_message_are_kept_and_other_talk_is_not(office: Office) -> None:
    async with slack_on(office.workspace, Deliveries(office.database)) as slack:
        direct = (await slack.client.conversations_open(users="U0RITA"))["channel"]["id"]
        await office.people.act("say", "U0RITA", channel="C0GENERAL", text="lunch?")
        await office.people.act("say", "U0RITA", channel="C0GENERAL", text="<@U0BOT> status")
        await office.people.act("say", "U0RITA", channel=direct, text="approvals")
        await until_rows(office.database, "select from bot.delivery having count(*) = 2")
        await asyncio.sleep(0.3)
        kept = await rows(office.database, KEPT)
    assert sorted(row["payload"]["text"] for row in kept) == ["approvals", "status"]


async def test_an_event_that_slack_sends_twice_is_kept_once(office: Office) -> None:
    metrics = Metrics()
    repeated = metrics.deliveries.labels("event", "repeated")
    async with slack_on(office.workspace, Deliveries(office.database), metrics=metrics):
        await office.people.break_things(duplicate=4)
        await office.people.act("say", "U0RITA", channel="C0GENERAL", text="<@U0BOT> status")
        await until(lambda: repeated._value.get() >= 1)
    assert len(await rows(office.database, KEPT)) == 1


async def test_a_command_that_cannot_be_kept_is_not_acknowledged(tmp_path: Path) -> None:
    async with company(tmp_path / "hasty", ack_seconds=0.5) as (workspace, people), slack_on(workspace, NoKeeper()):
        said = await people.act("command", "U0RITA", channel="C0RETURNS", command="/team", text="status")
    assert (said["ok"], said["error"]) == (False, "operation_timeout")


async def test_an_event_that_cannot_be_kept_is_sent_again_by_slack(office: Office, tmp_path: Path) -> None:
    class Flaky(Deliveries):
        failures = 1

        async def commit(self, delivery: Any) -> bool:
            if self.failures:
                self.failures -= 1
                raise ConnectionError("the database is away")
            return await super().commit(delivery)

    async with (
        company(tmp_path / "hasty", retry_seconds=(0.2, 0.2, 0.2), ack_seconds=0.5) as (workspace, people),
        slack_on(workspace, Flaky(office.database)),
    ):
        await people.act("say", "U0RITA", channel="C0GENERAL", text="<@U0BOT> status")
        await until_rows(office.database, KEPT)


@pytest.mark.parametrize(
    ("wrong", "named", "not_named"),
    [
        ({"bot_token": "xoxb-wrong"}, "SLACK_BOT_TOKEN", "SLACK_APP_TOKEN"),
        ({"app_token": "xapp-wrong"}, "SLACK_APP_TOKEN", "SLACK_BOT_TOKEN"),
        ({"base_url": "http://127.0.0.1:9/api/"}, "does not answer", "TOKEN"),
    ],
)
async def test_a_wrong_token_is_named_at_the_start(
    office: Office, wrong: dict[str, str], named: str, not_named: str
) -> None:
    options = options_for(office.workspace, **wrong)
    with pytest.raises(SlackRefused) as refused:
        async with open_slack(options, NoKeeper(), no_approval, Metrics()):
            pass
    assert named in str(refused.value)
    assert not_named not in str(refused.value)
    assert "wrong" not in str(refused.value)


async def test_no_proxy_stands_before_the_local_workspace(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    async with slack_on(office.workspace, Deliveries(office.database)) as slack:
        said = await office.people.act("command", "U0RITA", channel="C0RETURNS", command="/team", text="status")
        assert said["ok"]
        assert await slack.is_connected()


async def _card(office: Office, slack: Any, **changes: Any) -> str:
    message = approval_card.approval_card(approval_view(**changes))
    said = await slack.client.chat_postMessage(channel="C0RETURNS", text=message.text, blocks=message.blocks)
    return str(said["ts"])


async def test_approve_is_kept_with_exactly_what_the_button_pointed_at(office: Office) -> None:
    async with slack_on(office.workspace, Deliveries(office.database)) as slack:
        ts = await _card(office, slack)
        said = await office.people.act("click", "U0CLEO", action_id=APPROVE, channel="C0RETURNS", ts=ts)
        assert said["ok"], said
        [kept] = await rows(office.database, KEPT)
    assert kept["payload"]["press"] == APPROVE
    assert kept["payload"]["value"] == VALUE
    assert kept["payload"]["user_id"] == "U0CLEO"


async def test_a_rejection_asks_for_its_reason_before_it_is_kept(office: Office) -> None:
    async with slack_on(office.workspace, Deliveries(office.database)) as slack:
        ts = await _card(office, slack)
        await office.people.act("click", "U0CLEO", action_id=REJECT, channel="C0RETURNS", ts=ts)
        view = await _opened(office, "Reject")
        assert await rows(office.database, KEPT) == []
        values = {REASON_BLOCK: {REASON_INPUT: {"type": "plain_text_input", "value": "Ask first"}}}
        said = await office.people.act("submit", "U0CLEO", view_id=view["id"], values=values)
        assert said["ok"], said
        [kept] = await rows(office.database, KEPT)
    assert kept["kind"] == "view"
    assert kept["payload"]["text"] == "Ask first"
    assert kept["payload"]["value"] == VALUE
    assert kept["payload"]["channel"] == "C0RETURNS"


async def _opened(office: Office, title: str, said: str = "") -> dict[str, Any]:
    async with asyncio.timeout(5):
        while True:
            views = (await office.people.see("views", person="U0CLEO"))["views"]
            for view in views:
                if view["title"]["text"] == title and said in "".join(texts(view["blocks"])):
                    return view
            await asyncio.sleep(0.02)


async def test_details_show_the_whole_record_and_can_be_approved_there(office: Office) -> None:
    view = approval_view(fields=[("body", "long text " * 2000)])

    async def load(approval_id: str) -> Any:
        return view if approval_id == view.approval_id else None

    async with slack_on(office.workspace, Deliveries(office.database), load_approval=load) as slack:
        ts = await _card(office, slack, fields=view.fields)
        await office.people.act("click", "U0CLEO", action_id=DETAILS, channel="C0RETURNS", ts=ts)
        modal = await _opened(office, "Details", "long text " * 100)
        said = await office.people.act("submit", "U0CLEO", view_id=modal["id"], values={})
        assert said["ok"], said
        [kept] = await rows(office.database, KEPT)
    assert kept["payload"]["press"] == APPROVE
    assert kept["payload"]["value"] == VALUE


async def test_every_event_the_manifest_subscribes_to_is_acknowledged(office: Office) -> None:
    identity = Identity("T0LOCAL", None, "B0BOT", "U0BOT", "countersign")
    async with client_of(office.workspace) as client:
        app = build_app(client, identity, Deliveries(office.database), Metrics())
        register_all(app, client, "/team", no_approval)
        for kind in ("app_home_opened", "message", "something_new"):
            body = {
                "type": "event_callback",
                "event_id": f"Ev{kind}",
                "team_id": "T0LOCAL",
                "event": {"type": kind, "user": "U0RITA", "channel": "C0GENERAL", "ts": "1.1", "subtype": "x"},
            }
            answer = await app.async_dispatch(AsyncBoltRequest(body=body, mode="socket_mode"))
            assert answer.status == 200, kind
