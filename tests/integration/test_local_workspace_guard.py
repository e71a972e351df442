"""The local workspace answers this machine's own page and scripts only, and forgets nothing when killed."""

import asyncio
import json
import os
import signal
import sys
from datetime import UTC, datetime

import aiohttp
import pytest

from bot.local.workspace import open_workspace
from core.clock import SettableClock
from core.errors import CountersignError, SettingsInvalid
from tests.support.local_workspace import client_of, opened, sample_options

CHANNEL = "C0RETURNS"
SAY = {"as": "U0RITA", "channel": CHANNEL, "text": "x"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1:1"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_a_foreign_page_or_a_rebound_name_is_refused(tmp_path, headers):
    async with opened(sample_options(tmp_path)) as (workspace, people):
        async with aiohttp.ClientSession() as session:
            for address in ("/local/api/say", "/local/api/faults", "/api/chat.postMessage", "/response/x"):
                async with session.post(workspace.url + address, json=SAY, headers=headers) as answer:
                    assert answer.status == 403
        assert await people.messages(CHANNEL) == []


async def test_a_rebound_name_cannot_read_either(tmp_path):
    async with opened(sample_options(tmp_path)) as (workspace, _), aiohttp.ClientSession() as session:
        address = f"{workspace.url}/local/api/messages?channel={CHANNEL}"
        async with session.get(address, headers={"Host": "evil.example"}) as answer:
            assert answer.status == 403


async def test_its_own_page_may_act_and_a_form_may_not(tmp_path):
    async with opened(sample_options(tmp_path)) as (workspace, _), aiohttp.ClientSession() as session:
        address = f"{workspace.url}/local/api/say"
        async with session.post(address, json=SAY, headers={"Origin": workspace.url}) as answer:
            assert (await answer.json())["ok"]
        async with session.post(address, data=json.dumps(SAY), headers={"Content-Type": "text/plain"}) as answer:
            assert (await answer.json())["error"] == "invalid_content_type"


async def test_a_websocket_needs_a_fresh_ticket_and_no_foreign_origin(tmp_path):
    async with opened(sample_options(tmp_path)) as (workspace, _), client_of(workspace) as client:
        url = (await client.apps_connections_open(app_token="xapp-local"))["url"]
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await session.ws_connect(url, headers={"Origin": "https://evil.example"})
            async with session.ws_connect(url) as socket:
                hello = await socket.receive_json()
                assert (hello["type"], hello["num_connections"]) == ("hello", 1)
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await session.ws_connect(url)


async def test_a_taken_port_is_named_with_what_to_do(tmp_path):
    async with opened(sample_options(tmp_path)) as (workspace, _):
        second = sample_options(tmp_path / "second", port=workspace.port)
        with pytest.raises(CountersignError, match=rf"Port {workspace.port} .* COUNTERSIGN_PORT"):
            async with open_workspace(second):
                pass


async def test_two_workspaces_cannot_share_a_database(tmp_path):
    async with opened(sample_options(tmp_path)):
        with pytest.raises(CountersignError, match="Stop the other workspace"):
            async with open_workspace(sample_options(tmp_path)):
                pass


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("app_mentions:read", "app_mentions:reed", "unknown scope app_mentions:reed"),
        ("      - app_mentions:read\n", "", "app_mention needs the scope app_mentions:read"),
        ("- app_home_opened", "- app_home_open", "unknown event app_home_open"),
        ("command: /team", "command: team", "slash_commands/0/command"),
        ("socket_mode_enabled: true", "socket_mode_enabled: false", "Socket Mode only"),
        ("settings:\n", "sittings:\n", "sittings"),
        ("display_information:", "display_information: [", "not YAML"),
    ],
)
async def test_a_manifest_that_slack_would_refuse_is_refused_with_the_reason(tmp_path, old, new, reason):
    manifest = tmp_path / "manifest.yml"
    text = sample_options(tmp_path).manifest.read_text()
    assert old in text
    manifest.write_text(text.replace(old, new, 1))
    with pytest.raises(SettingsInvalid, match=reason):
        async with open_workspace(sample_options(tmp_path, manifest=manifest)):
            pass


async def test_what_was_answered_ok_is_there_after_kill_9(tmp_path):
    options = sample_options(tmp_path)
    arguments = (str(tmp_path), str(options.manifest), str(options.company))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _SERVER, *arguments, stdout=asyncio.subprocess.PIPE, cwd=options.company.parents[2]
    )
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().strip()
    async with aiohttp.ClientSession() as session:
        said = await _post(session, f"{url}/local/api/say", SAY)
        bearer = {"Authorization": "Bearer xoxb-local"}
        reply = {"channel": CHANNEL, "thread_ts": said["ts"], "text": "reply"}
        posted = await _post(session, f"{url}/api/chat.postMessage", reply, bearer)
        whisper = {"channel": CHANNEL, "user": "U0RITA", "text": "only you"}
        await _post(session, f"{url}/api/chat.postEphemeral", whisper, bearer)
        os.kill(process.pid, signal.SIGKILL)
    await process.wait()
    # A machine whose clock went back must not write into the past.
    clock = SettableClock(datetime(2020, 1, 1, tzinfo=UTC))
    async with opened(sample_options(tmp_path, clock=clock)) as (_, people):
        top = await people.messages(CHANNEL, person="U0RITA")
        thread = await people.messages(CHANNEL, thread_ts=said["ts"])
        again = await people.act("say", "U0RITA", channel=CHANNEL, text="later")
    assert [message["text"] for message in top] == ["x", "only you"]
    assert [message["ts"] for message in thread] == [said["ts"], posted["ts"]]
    assert again["ts"] > posted["ts"]


async def test_the_page_hears_of_changes_and_of_the_wire(tmp_path):
    async with (
        opened(sample_options(tmp_path)) as (workspace, people),
        aiohttp.ClientSession() as session,
        session.get(f"{workspace.url}/local/api/changes") as feed,
    ):
        await feed.content.readuntil(b"\n\n")
        await people.act("say", "U0RITA", channel=CHANNEL, text="x")
        frame = await asyncio.wait_for(feed.content.readuntil(b"\n\n"), 2)
    change = json.loads(frame.removeprefix(b"data: "))
    assert (change["kind"], change["channel"]) == ("messages", CHANNEL)


async def test_the_page_comes_whole_from_this_server(tmp_path):
    async with opened(sample_options(tmp_path)) as (workspace, _), aiohttp.ClientSession() as session:
        async with session.get(workspace.url) as answer:
            page = await answer.text()
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "http://" not in page
        assert "https://" not in page
        async with session.get(f"{workspace.url}/page/page.js") as answer:
            assert (answer.status, answer.content_type) == (200, "text/javascript")
        async with session.get(f"{workspace.url}/page/..%2Fserver.py") as answer:
            assert answer.status == 404


async def test_people_come_with_the_roles_they_were_given(tmp_path):
    async with opened(sample_options(tmp_path)) as (_, people):
        listed = {person["id"]: person for person in (await people.see("people"))["people"]}
    assert (listed["U0RITA"]["roles"], listed["U0GUS"]["is_restricted"]) == (["requester"], True)


async def _post(session: aiohttp.ClientSession, address: str, body: object, headers: dict[str, str] | None = None):
    async with session.post(address, json=body, headers=headers) as answer:
        told = await answer.json()
    assert told["ok"], told
    return told


_SERVER = """
import asyncio, sys
from pathlib import Path
from bot.local.workspace import WorkspaceOptions, open_workspace

async def main() -> None:
    folder, manifest, company = (Path(given) for given in sys.argv[1:])
    options = WorkspaceOptions(
        port=0, database=folder / "workspace.sqlite3", manifest=manifest, company=company
    )
    async with open_workspace(options) as workspace:
        print(workspace.url, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
