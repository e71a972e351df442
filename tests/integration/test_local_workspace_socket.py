"""Socket Mode of the local workspace: what Bolt receives, acknowledges, misses and receives again."""

import asyncio
import re
from typing import Any

import aiohttp
import pytest
from slack_bolt.app.async_app import AsyncApp

from tests.support.local_workspace import bot_on, client_of, opened, sample_options, until

CHANNEL = "C0RETURNS"
CARD: list[dict[str, Any]] = [
    {"type": "section", "text": {"type": "mrkdwn", "text": "Refund 54.04"}},
    {
        "type": "actions",
        "block_id": "decide",
        "elements": [
            {
                "type": "button",
                "action_id": "approve",
                "value": "apr_1",
                "text": {"type": "plain_text", "text": "Approve"},
            },
            {
                "type": "button",
                "action_id": "reject",
                "value": "apr_1",
                "text": {"type": "plain_text", "text": "Reject"},
            },
        ],
    },
]


def modal(title: str, *, element: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "modal",
        "callback_id": "form",
        "title": {"type": "plain_text", "text": title},
        "submit": {"type": "plain_text", "text": "Send"},
        "blocks": [
            {
                "type": "input",
                "block_id": "why",
                "label": {"type": "plain_text", "text": "Why"},
                "element": element or {"type": "plain_text_input", "action_id": "text"},
            }
        ],
    }


class Ear:
    """Acknowledges everything and remembers what it heard."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.retries: list[str] = []
        self.clicks: list[dict[str, Any]] = []

    def kinds(self) -> list[str]:
        return [body["event"]["type"] for body in self.events]

    def __call__(self, app: AsyncApp) -> None:
        @app.event(re.compile(".*"))
        async def hear(body, request):
            self.events.append(body)
            self.retries += request.headers.get("x-slack-retry-num", [])

        @app.action(re.compile(".*"))
        async def click(ack, body):
            self.clicks.append(body)
            await ack()

        @app.command("/team")
        async def command(ack):
            await ack("on it")


async def test_a_mention_arrives_as_two_events_of_one_message(tmp_path):
    ear = Ear()
    async with opened(sample_options(tmp_path)) as (workspace, people), bot_on(workspace, ear):
        said = await people.act("say", "U0RITA", channel=CHANNEL, text="@countersign hello #general")
        await until(lambda: len(ear.events) == 2)
    assert sorted(ear.kinds()) == ["app_mention", "message"]
    assert len({body["event_id"] for body in ear.events}) == 2
    assert {body["event"]["ts"] for body in ear.events} == {said["ts"]}
    assert ear.events[0]["event"]["text"] == "<@U0BOT> hello <#C0GENERAL|general>"


async def test_only_subscribed_events_are_sent(tmp_path):
    manifest = tmp_path / "manifest.yml"
    kept = sample_options(tmp_path).manifest.read_text().replace("      - message.channels\n", "")
    manifest.write_text(kept)
    ear = Ear()
    async with opened(sample_options(tmp_path, manifest=manifest)) as (workspace, people), bot_on(workspace, ear):
        await people.act("say", "U0RITA", channel=CHANNEL, text="not for you")
        await people.act("say", "U0RITA", channel=CHANNEL, text="<@U0BOT> for you")
        await until(lambda: ear.events)
        await asyncio.sleep(0.05)
    assert ear.kinds() == ["app_mention"]


async def test_a_direct_line_needs_no_mention(tmp_path):
    ear = Ear()
    async with opened(sample_options(tmp_path)) as (workspace, people), bot_on(workspace, ear):
        await people.act("say", "U0RITA", channel="D0RITA", text="@countersign hello")
        await until(lambda: ear.events)
        await asyncio.sleep(0.05)
    assert [body["event"]["channel_type"] for body in ear.events] == ["im"]


async def test_a_command_answers_with_the_text_of_its_ack(tmp_path):
    async with opened(sample_options(tmp_path)) as (workspace, people), bot_on(workspace, Ear()):
        answer = await people.act("command", "U0RITA", channel=CHANNEL, command="/team", text="ask")
        assert (answer["ok"], answer["text"]) == (True, "on it")
        (seen,) = await people.messages(CHANNEL, person="U0RITA")
        assert (seen["text"], seen["is_ephemeral"]) == ("on it", True)


async def test_an_unknown_command_and_a_command_in_a_thread_are_refused_in_slacks_words(tmp_path):
    async with opened(sample_options(tmp_path)) as (workspace, people), bot_on(workspace, Ear()):
        unknown = await people.act("command", "U0RITA", channel=CHANNEL, command="/tea", text="")
        threaded = await people.act(
            "command", "U0RITA", channel=CHANNEL, command="/team", text="", thread_ts="1.000000"
        )
    assert (unknown["error"], threaded["error"]) == ("unknown_command", "command_in_thread")
    assert threaded["response_metadata"]["messages"] == ["/team is not supported in threads. Sorry!"]


async def test_a_command_that_is_not_acknowledged_is_told_to_the_person_and_never_sent_again(tmp_path):
    heard: list[str] = []

    def deaf(app: AsyncApp) -> None:
        @app.command("/team")
        async def ignore(command):
            heard.append(command["text"])

    options = sample_options(tmp_path, ack_seconds=0.2, retry_seconds=(0.01, 0.01, 0.01))
    async with opened(options) as (workspace, people), bot_on(workspace, deaf):
        answer = await people.act("command", "U0RITA", channel=CHANNEL, command="/team", text="x")
        assert (answer["ok"], answer["error"]) == (False, "operation_timeout")
        await asyncio.sleep(0.2)
        (notice,) = await people.messages(CHANNEL, person="U0RITA")
    assert heard == ["x"]
    assert "/team failed because the app did not respond" in notice["text"]


async def test_a_command_without_a_bot_says_so_at_once(tmp_path):
    async with opened(sample_options(tmp_path)) as (_, people):
        answer = await people.act("command", "U0RITA", channel=CHANNEL, command="/team", text="x")
    assert answer["error"] == "dispatch_failed"


async def test_a_click_carries_the_stored_value_the_message_and_the_person(tmp_path):
    ear = Ear()
    async with (
        opened(sample_options(tmp_path)) as (workspace, people),
        client_of(workspace) as client,
        bot_on(workspace, ear),
    ):
        ts = (await client.chat_postMessage(channel=CHANNEL, text="card", blocks=CARD))["ts"]
        assert (await people.act("click", "U0BEN", channel=CHANNEL, ts=ts, action_id="approve"))["ok"]
    (body,) = ear.clicks
    (action,) = body["actions"]
    assert (action["value"], action["block_id"], body["user"]["id"]) == ("apr_1", "decide", "U0BEN")
    assert (body["container"]["message_ts"], body["message"]["text"]) == (ts, "card")


@pytest.mark.parametrize(
    ("act", "code"),
    [
        ({"action_id": "nothing"}, "element_not_found"),
        ({"action_id": "approve", "value": "apr_2"}, "element_not_found"),
        ({"action_id": "approve", "block_id": "other"}, "element_not_found"),
        ({"action_id": "approve", "ts": "1.000000"}, "message_not_found"),
    ],
)
async def test_a_button_that_is_not_there_cannot_be_pressed(tmp_path, act, code):
    ear = Ear()
    async with (
        opened(sample_options(tmp_path)) as (workspace, people),
        client_of(workspace) as client,
        bot_on(workspace, ear),
    ):
        ts = (await client.chat_postMessage(channel=CHANNEL, text="card", blocks=CARD))["ts"]
        answer = await people.act("click", "U0BEN", **{"channel": CHANNEL, "ts": ts, **act})
    assert (answer["ok"], answer["error"], ear.clicks) == (False, code, [])


async def test_the_outsider_and_the_stranger_cannot_press_at_all(tmp_path):
    ear = Ear()
    async with (
        opened(sample_options(tmp_path)) as (workspace, people),
        client_of(workspace) as client,
        bot_on(workspace, ear),
    ):
        ts = (await client.chat_postMessage(channel="C0APPROVALS", text="card", blocks=CARD))["ts"]
        outsider = await people.act("click", "U0GUS", channel="C0APPROVALS", ts=ts, action_id="approve")
        stranger = await people.act("click", "U0EVE", channel="C0APPROVALS", ts=ts, action_id="approve")
    assert (outsider["error"], stranger["error"], ear.clicks) == ("not_in_channel", "user_not_found", [])


async def test_an_event_whose_ack_is_lost_comes_again_with_the_same_id(tmp_path):
    ear = Ear()
    options = sample_options(tmp_path, ack_seconds=1, retry_seconds=(0.05, 0.05, 0.05))
    async with opened(options) as (workspace, people), bot_on(workspace, ear):
        await people.break_things(drop_acks=1)
        await people.act("say", "U0RITA", channel=CHANNEL, text="once")
        await until(lambda: len(ear.events) == 2)
        await asyncio.sleep(0.3)
    assert len(ear.events) == 2
    assert ear.events[0]["event_id"] == ear.events[1]["event_id"]
    assert ear.retries == ["0", "1"]


async def test_an_event_that_is_never_acknowledged_is_given_up_after_three_tries(tmp_path):
    ear = Ear()
    options = sample_options(tmp_path, ack_seconds=0.1, retry_seconds=(0.01, 0.01, 0.01))
    async with opened(options) as (workspace, people), bot_on(workspace, ear):
        await people.break_things(drop_acks=10)
        await people.act("say", "U0RITA", channel=CHANNEL, text="again and again")
        await until(lambda: len(ear.events) == 4)
        await asyncio.sleep(0.3)
    assert ear.retries == ["0", "1", "2", "3"]


async def test_an_event_waits_for_the_bot_across_a_restart_and_an_acknowledged_one_does_not_return(tmp_path):
    early, late = Ear(), Ear()
    options = sample_options(tmp_path)
    async with opened(options) as (workspace, people):
        async with bot_on(workspace, early):
            await people.act("say", "U0RITA", channel=CHANNEL, text="acknowledged")
            await until(lambda: early.events)
            await asyncio.sleep(0.05)
        await people.act("say", "U0RITA", channel=CHANNEL, text="waiting")
    async with opened(options) as (workspace, people), bot_on(workspace, late):
        await until(lambda: late.events)
        await asyncio.sleep(0.1)
    assert [body["event"]["text"] for body in late.events] == ["waiting"]
    assert late.retries == ["1"]


async def test_a_duplicated_event_arrives_twice_under_one_id(tmp_path):
    ear = Ear()
    async with opened(sample_options(tmp_path)) as (workspace, people), bot_on(workspace, ear):
        assert (await people.break_things(duplicate=1))["faults"]["duplicate"] == 1
        await people.act("say", "U0RITA", channel=CHANNEL, text="twice")
        await until(lambda: len(ear.events) == 2)
        await people.act("say", "U0RITA", channel=CHANNEL, text="once")
        await until(lambda: len(ear.events) == 3)
    ids = [body["event_id"] for body in ear.events]
    assert (ids[0] == ids[1], ids[1] == ids[2]) == (True, False)


async def test_a_reordered_event_is_overtaken(tmp_path):
    ear = Ear()
    async with opened(sample_options(tmp_path)) as (workspace, people), bot_on(workspace, ear):
        await people.break_things(reorder=1)
        for text in ("first", "second"):
            await people.act("say", "U0RITA", channel=CHANNEL, text=text)
        await until(lambda: len(ear.events) == 2)
    assert [body["event"]["text"] for body in ear.events] == ["second", "first"]


async def test_several_connections_share_the_envelopes(tmp_path):
    ear = Ear()
    async with opened(sample_options(tmp_path)) as (workspace, people), bot_on(workspace, ear, connections=2):
        assert (await people.see("wire"))["connections"] == 2
        for number in range(4):
            await people.act("say", "U0RITA", channel=CHANNEL, text=f"{number}")
        await until(lambda: len(ear.events) == 4)
        await asyncio.sleep(0.05)
    assert sorted(body["event"]["text"] for body in ear.events) == ["0", "1", "2", "3"]


async def test_a_disconnected_bot_comes_back_and_misses_nothing(tmp_path):
    ear = Ear()
    async with (
        opened(sample_options(tmp_path, retry_seconds=(0.5, 1.0, 2.0))) as (workspace, people),
        bot_on(workspace, ear),
    ):
        await people.break_things(disconnect=True)
        await people.act("say", "U0RITA", channel=CHANNEL, text="in the gap")
        await until(lambda: ear.events)
    assert ear.events[0]["event"]["text"] == "in the gap"


async def test_a_response_address_replaces_the_card_and_is_used_up_after_five_times(tmp_path):
    ear = Ear()
    async with (
        opened(sample_options(tmp_path)) as (workspace, people),
        client_of(workspace) as client,
        bot_on(workspace, ear),
        aiohttp.ClientSession() as session,
    ):
        ts = (await client.chat_postMessage(channel=CHANNEL, text="card", blocks=CARD))["ts"]
        await people.act("click", "U0BEN", channel=CHANNEL, ts=ts, action_id="approve")
        url = ear.clicks[0]["response_url"]
        codes: list[int] = []
        for payload in ({"text": "only Ben"}, *({"text": "done", "replace_original": True},) * 5):
            async with session.post(url, json=payload) as answer:
                codes.append(answer.status)
        seen = await people.messages(CHANNEL, person="U0BEN")
    assert codes == [200] * 5 + [404]
    assert [(message["text"], message.get("is_ephemeral", False)) for message in seen] == [
        ("done", False),
        ("only Ben", True),
    ]
    assert "blocks" not in seen[0]


async def test_a_modal_shows_the_bots_errors_then_changes_then_closes(tmp_path):
    def prepare(app: AsyncApp) -> None:
        @app.command("/team")
        async def form(ack, client, command):
            await ack()
            await client.views_open(trigger_id=command["trigger_id"], view=modal("First"))

        @app.view("form")
        async def submitted(ack, view):
            match view["state"]["values"]["why"]["text"]["value"]:
                case "bad":
                    await ack(response_action="errors", errors={"why": "Say more."})
                case "next":
                    await ack(response_action="update", view=modal("Second"))
                case "over":
                    await ack(response_action="push", view=modal("Third"))
                case _:
                    await ack(response_action="clear")

    async with opened(sample_options(tmp_path)) as (workspace, people), bot_on(workspace, prepare):
        await people.act("command", "U0RITA", channel=CHANNEL, command="/team", text="x")
        views: list[dict[str, Any]] = []
        while not views:
            views = (await people.see("views", person="U0RITA"))["views"]
        view_id = views[0]["id"]

        async def submit(text: str) -> dict[str, Any]:
            top = (await people.see("views", person="U0RITA"))["views"][-1]["id"]
            return await people.act("submit", "U0RITA", view_id=top, values={"why": {"text": text}})

        assert (await submit(""))["errors"] == {"why": "Please complete this required field."}
        assert (await submit("bad"))["errors"] == {"why": "Say more."}
        second = (await submit("next"))["view"]
        assert (second["id"], second["title"]["text"]) == (view_id, "Second")
        third = (await submit("over"))["view"]
        assert (third["title"]["text"], third["previous_view_id"]) == ("Third", view_id)
        assert len((await people.see("views", person="U0RITA"))["views"]) == 2
        assert (await submit("enough"))["view"] is None
        assert (await people.see("views", person="U0BEN"))["views"] == []


async def test_edits_and_deletions_of_people_are_told_to_the_bot(tmp_path):
    ear = Ear()
    async with opened(sample_options(tmp_path)) as (workspace, people), bot_on(workspace, ear):
        ts = (await people.act("say", "U0RITA", channel=CHANNEL, text="helo"))["ts"]
        await people.act("edit", "U0RITA", channel=CHANNEL, ts=ts, text="hello")
        refused = await people.act("delete", "U0BEN", channel=CHANNEL, ts=ts)
        await people.act("delete", "U0RITA", channel=CHANNEL, ts=ts)
        await until(lambda: len(ear.events) == 3)
    assert refused["error"] == "cant_delete_message"
    subtypes = [body["event"].get("subtype") for body in ear.events]
    assert subtypes == [None, "message_changed", "message_deleted"]
