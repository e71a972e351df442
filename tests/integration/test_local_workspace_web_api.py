"""The Web API of the local workspace answers the ordinary SDK as Slack would."""

from collections.abc import AsyncGenerator, Awaitable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.local.workspace import Workspace
from core.clock import SettableClock
from tests.support.local_workspace import People, bot_on, client_of, opened, sample_options, until

CHANNEL = "C0RETURNS"
SECTION: dict[str, Any] = {"type": "section", "text": {"type": "mrkdwn", "text": "*Refund* 54.04"}}
MODAL: dict[str, Any] = {
    "type": "modal",
    "callback_id": "reject",
    "title": {"type": "plain_text", "text": "Reject"},
    "submit": {"type": "plain_text", "text": "Send"},
    "blocks": [
        {
            "type": "input",
            "block_id": "reason",
            "label": {"type": "plain_text", "text": "Why"},
            "element": {"type": "plain_text_input", "action_id": "text"},
        }
    ],
}


@pytest.fixture
async def place(tmp_path: Path) -> AsyncGenerator[tuple[Workspace, People, AsyncWebClient], None]:
    async with opened(sample_options(tmp_path)) as (workspace, people), client_of(workspace) as client:
        yield workspace, people, client


async def refused(call: Awaitable[Any]) -> dict[str, Any]:
    with pytest.raises(SlackApiError) as caught:
        await call
    answer = caught.value.response
    return {**answer.data, "status": answer.status_code, "headers": answer.headers}


async def test_a_posted_message_comes_back_with_its_metadata_only_when_asked_for(place):
    _, _, client = place
    metadata = {"event_type": "card", "event_payload": {"id": "card_1"}}
    posted = await client.chat_postMessage(channel=CHANNEL, text="hi", blocks=[SECTION], metadata=metadata)
    assert posted["message"]["bot_id"] == "B0BOT"
    plain = await client.conversations_history(channel=CHANNEL)
    full = await client.conversations_history(channel=CHANNEL, include_all_metadata=True)
    assert "metadata" not in plain["messages"][0]
    assert full["messages"][0]["metadata"] == metadata
    assert full["messages"][0]["blocks"][0]["text"] == SECTION["text"]
    assert full["messages"][0]["ts"] == posted["ts"]


async def test_an_update_with_text_alone_takes_the_blocks_away_and_keeps_the_metadata(place):
    _, people, client = place
    metadata = {"event_type": "card", "event_payload": {"id": "card_1"}}
    posted = await client.chat_postMessage(channel=CHANNEL, text="hi", blocks=[SECTION], metadata=metadata)
    await client.chat_update(channel=CHANNEL, ts=posted["ts"], text="done")
    (message,) = await people.messages(CHANNEL)
    assert message["text"] == "done"
    assert "blocks" not in message
    assert message["metadata"] == metadata


async def test_only_the_bots_own_messages_can_be_changed_or_taken_away(place):
    _, people, client = place
    said = await people.act("say", "U0RITA", channel=CHANNEL, text="mine")
    for call, code in (
        (client.chat_update(channel=CHANNEL, ts=said["ts"], text="x"), "cant_update_message"),
        (client.chat_delete(channel=CHANNEL, ts=said["ts"]), "cant_delete_message"),
        (client.chat_update(channel=CHANNEL, ts="1.000000", text="x"), "message_not_found"),
    ):
        assert (await refused(call))["error"] == code
    posted = await client.chat_postMessage(channel=CHANNEL, text="ours")
    await client.chat_delete(channel=CHANNEL, ts=posted["ts"])
    assert [message["text"] for message in await people.messages(CHANNEL)] == ["mine"]


async def test_an_ephemeral_message_is_seen_by_its_person_alone_and_cannot_be_updated(place):
    _, people, client = place
    told = await client.chat_postEphemeral(channel=CHANNEL, user="U0RITA", text="only you")
    (seen,) = await people.messages(CHANNEL, person="U0RITA")
    assert seen["is_ephemeral"]
    assert await people.messages(CHANNEL, person="U0BEN") == []
    assert (await client.conversations_history(channel=CHANNEL))["messages"] == []
    update = client.chat_update(channel=CHANNEL, ts=told["message_ts"], text="x")
    assert (await refused(update))["error"] == "message_not_found"
    stranger = client.chat_postEphemeral(channel="C0APPROVALS", user="U0GUS", text="x")
    assert (await refused(stranger))["error"] == "user_not_in_channel"


async def test_a_thread_has_its_parent_first_and_a_place_for_every_page(place):
    _, people, client = place
    root = (await people.act("say", "U0RITA", channel=CHANNEL, text="root"))["ts"]
    for number in range(5):
        await client.chat_postMessage(channel=CHANNEL, thread_ts=root, text=f"reply {number}")
    texts: list[str] = []
    cursor = ""
    while True:
        page = await client.conversations_replies(channel=CHANNEL, ts=root, limit=2, cursor=cursor)
        texts += [message["text"] for message in page["messages"]]
        if not page["has_more"]:
            break
        cursor = page["response_metadata"]["next_cursor"]
    assert texts == ["root", *(f"reply {number}" for number in range(5))]
    top = (await client.conversations_history(channel=CHANNEL))["messages"]
    assert [(message["text"], message["reply_count"]) for message in top] == [("root", 5)]


async def test_history_can_be_asked_for_from_a_moment_on(place):
    _, _, client = place
    first = await client.chat_postMessage(channel=CHANNEL, text="one")
    await client.chat_postMessage(channel=CHANNEL, text="two")
    later = await client.conversations_history(channel=CHANNEL, oldest=first["ts"])
    both = await client.conversations_history(channel=CHANNEL, oldest=first["ts"], inclusive=True)
    assert [message["text"] for message in later["messages"]] == ["two"]
    assert [message["text"] for message in both["messages"]] == ["two", "one"]


async def test_a_reply_to_nothing_and_a_post_to_nowhere_are_refused(place):
    _, _, client = place
    orphan = client.chat_postMessage(channel=CHANNEL, thread_ts="1.000000", text="x")
    assert (await refused(orphan))["error"] == "thread_not_found"
    assert (await refused(client.chat_postMessage(channel="C0NOWHERE", text="x")))["error"] == "channel_not_found"
    assert (await refused(client.api_call("chat.postMessage", json={"channel": CHANNEL})))["error"] == "no_text"
    assert (await refused(client.chat_postMessage(channel=CHANNEL, text="x" * 40_001)))["error"] == "msg_too_long"


async def test_blocks_that_slack_would_refuse_are_refused_with_the_reason_and_nothing_is_posted(place):
    _, people, client = place
    long = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}
    answer = await refused(client.chat_postMessage(channel=CHANNEL, text="x", blocks=[long]))
    assert answer["error"] == "invalid_blocks"
    assert answer["response_metadata"]["messages"] == [
        "[ERROR] must be less than 3001 characters [json-pointer:/blocks/0/text/text]"
    ]
    markdown = [{"type": "markdown", "text": "x" * 7000}] * 2
    answer = await refused(client.chat_postMessage(channel=CHANNEL, text="x", blocks=markdown))
    assert answer["error"] == "msg_blocks_too_long"
    assert await people.messages(CHANNEL) == []


async def test_a_wrong_token_a_missing_scope_and_an_unknown_method_are_told_apart(place):
    workspace, _, client = place
    async with client_of(workspace, token="xoxb-123-real") as stranger:
        assert (await refused(stranger.auth_test()))["error"] == "invalid_auth"
    async with aiohttp.ClientSession() as session, session.get(f"{workspace.api_url}auth.test") as answer:
        assert (await answer.json())["error"] == "not_authed"
    answer = await refused(client.reactions_add(channel=CHANNEL, timestamp="1.1", name="eyes"))
    assert (answer["error"], answer["needed"]) == ("missing_scope", "reactions:write")
    assert (await refused(client.api_call("chat.teleport")))["error"] == "unknown_method"
    assert (await refused(client.apps_connections_open(app_token="xapp-1-real")))["error"] == "invalid_auth"


async def test_auth_test_tells_the_scopes_of_the_manifest(place):
    _, _, client = place
    answer = await client.auth_test()
    assert (answer["user_id"], answer["team_id"], answer["bot_id"]) == ("U0BOT", "T0LOCAL", "B0BOT")
    assert "chat:write" in answer.headers["x-oauth-scopes"].split(",")


async def test_people_channels_and_groups_can_be_looked_up(place):
    _, _, client = place
    rita = (await client.users_info(user="U0RITA"))["user"]
    assert (rita["tz"], rita["is_restricted"]) == ("Europe/Copenhagen", False)
    assert (await client.users_info(user="U0GUS"))["user"]["is_restricted"]
    assert (await refused(client.users_info(user="U0NOBODY")))["error"] == "user_not_found"
    assert (await client.usergroups_users_list(usergroup="S0SHOP"))["users"] == ["U0BEN", "U0CLEO", "U0RITA"]
    line = (await client.conversations_open(users="U0RITA"))["channel"]["id"]
    await client.chat_postMessage(channel="U0RITA", text="to you alone")
    assert (await client.conversations_history(channel=line))["messages"][0]["text"] == "to you alone"
    first = await client.conversations_list(limit=2)
    cursor = first["response_metadata"]["next_cursor"]
    rest = await client.conversations_list(limit=2, cursor=cursor)
    names = [channel["name"] for page in (first, rest) for channel in page["channels"]]
    assert names == ["general", "returns", "approvals", "inbox"]


async def test_the_next_calls_are_rate_limited_when_the_fault_says_so(place):
    _, people, client = place
    await people.break_things(rate_limit={"chat.postMessage": 1}, retry_after=7)
    answer = await refused(client.chat_postMessage(channel=CHANNEL, text="x"))
    assert (answer["status"], answer["error"], answer["headers"]["Retry-After"]) == (429, "ratelimited", "7")
    await client.chat_postMessage(channel=CHANNEL, text="x")
    assert len(await people.messages(CHANNEL)) == 1


async def test_an_answer_can_be_lost_after_the_call_was_applied(place):
    workspace, people, _ = place
    await people.break_things(lose_answer={"chat.postMessage": 1})
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            async with session.post(
                f"{workspace.api_url}chat.postMessage",
                json={"channel": CHANNEL, "text": "once"},
                headers={"Authorization": "Bearer xoxb-local"},
            ):
                pass
    assert [message["text"] for message in await people.messages(CHANNEL)] == ["once"]


async def test_forms_with_nested_json_are_read_like_json(place):
    workspace, people, _ = place
    form = {"channel": CHANNEL, "text": "x", "blocks": '[{"type":"divider"}]', "token": "xoxb-local"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{workspace.api_url}chat.postMessage", data=form) as answer,
    ):
        assert (await answer.json())["ok"]
    (message,) = await people.messages(CHANNEL)
    assert message["blocks"][0]["type"] == "divider"


async def test_a_trigger_opens_one_modal_within_three_seconds(tmp_path):
    clock = SettableClock(datetime(2026, 11, 22, 9, 0, tzinfo=UTC))
    triggers: list[str] = []

    def prepare(app):
        @app.command("/team")
        async def keep(ack, command):
            triggers.append(command["trigger_id"])
            await ack()

    async with (
        opened(sample_options(tmp_path, clock=clock)) as (workspace, people),
        client_of(workspace) as client,
        bot_on(workspace, prepare),
    ):
        for _ in range(2):
            await people.act("command", "U0RITA", channel=CHANNEL, command="/team", text="x")
        await until(lambda: len(triggers) == 2)
        view = (await client.views_open(trigger_id=triggers[0], view=MODAL))["view"]
        again = await refused(client.views_open(trigger_id=triggers[0], view=MODAL))
        clock.advance(timedelta(seconds=3.1))
        late = await refused(client.views_open(trigger_id=triggers[1], view=MODAL))
        made_up = await refused(client.views_open(trigger_id="1.2.x", view=MODAL))
        assert [again["error"], late["error"], made_up["error"]] == [
            "exchanged_trigger_id",
            "expired_trigger_id",
            "invalid_trigger_id",
        ]
        fresh = (await client.views_update(view_id=view["id"], hash=view["hash"], view=MODAL))["view"]
        assert (fresh["id"], fresh["hash"] != view["hash"]) == (view["id"], True)
        stale = client.views_update(view_id=view["id"], hash=view["hash"], view=MODAL)
        assert (await refused(stale))["error"] == "hash_conflict"


async def test_a_home_is_published_for_one_person_and_guarded_by_its_hash(place):
    _, people, client = place
    home: dict[str, Any] = {"type": "home", "blocks": [SECTION]}
    first = (await client.views_publish(user_id="U0BEN", view=home))["view"]
    await client.views_publish(user_id="U0BEN", view=home, hash=first["hash"])
    stale = client.views_publish(user_id="U0BEN", view=home, hash=first["hash"])
    assert (await refused(stale))["error"] == "hash_conflict"
    assert (await people.see("home", person="U0BEN"))["view"]["id"] == first["id"]
    assert (await people.see("home", person="U0RITA"))["view"] is None


async def test_a_permalink_leads_to_the_page(place):
    workspace, _, client = place
    posted = await client.chat_postMessage(channel=CHANNEL, text="x")
    link = (await client.chat_getPermalink(channel=CHANNEL, message_ts=posted["ts"]))["permalink"]
    assert link.startswith(workspace.url)
    async with aiohttp.ClientSession() as session, session.get(link) as answer:
        assert "Local workspace — not Slack" in await answer.text()
