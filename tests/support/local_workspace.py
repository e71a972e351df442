"""Drives a local workspace: as its people over the page's own endpoints, and as a bot with the real SDK."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.local.workspace import Workspace, WorkspaceOptions, open_workspace

_ROOT = Path(__file__).parents[2]
ROLES = {
    "U0ADA": ["admin"],
    "U0BEN": ["approver"],
    "U0CLEO": ["approver"],
    "U0RITA": ["requester"],
    "U0AMIR": ["auditor"],
}


def sample_options(folder: Path, **changes: Any) -> WorkspaceOptions:
    """The sample company on any free port, remembering in `folder`, with some options changed."""
    options = WorkspaceOptions(
        port=0,
        database=folder / "workspace.sqlite3",
        manifest=Path(__file__).with_name("manifest.yml"),
        company=_ROOT / "bot" / "sample" / "workspace.yml",
        roles=ROLES,
    )
    return replace(options, **changes)


class People:
    """What people do and see, over the endpoints of the page."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def act(self, verb: str, person: str, **body: Any) -> dict[str, Any]:
        """POST /local/api/<verb> as a person."""
        address = f"{self._url}/local/api/{verb}"
        async with self._session.post(address, json={"as": person, **body}) as answer:
            return await answer.json()

    async def see(self, what: str, **query: str) -> dict[str, Any]:
        """GET /local/api/<what>; `person` says as whom."""
        if "person" in query:
            query["as"] = query.pop("person")
        async with self._session.get(f"{self._url}/local/api/{what}", params=query) as answer:
            return await answer.json()

    async def messages(self, channel: str, **query: str) -> list[dict[str, Any]]:
        """The messages of a channel, oldest first."""
        return list((await self.see("messages", channel=channel, **query))["messages"])

    async def break_things(self, **faults: Any) -> dict[str, Any]:
        """Put faults in force."""
        async with self._session.post(f"{self._url}/local/api/faults", json=faults) as answer:
            return await answer.json()


@asynccontextmanager
async def opened(options: WorkspaceOptions) -> AsyncGenerator[tuple[Workspace, People], None]:
    """A workspace that answers, and its people."""
    async with open_workspace(options) as workspace, aiohttp.ClientSession() as session:
        yield workspace, People(session, workspace.url)


@asynccontextmanager
async def client_of(workspace: Workspace, token: str = "xoxb-local") -> AsyncGenerator[AsyncWebClient, None]:
    """The ordinary SDK's client, with a session of its own that is closed."""
    async with aiohttp.ClientSession() as session:
        yield AsyncWebClient(token=token, base_url=workspace.api_url, session=session)


@asynccontextmanager
async def bot_on(
    workspace: Workspace, prepare: Callable[[AsyncApp], None], *, connections: int = 1
) -> AsyncGenerator[AsyncApp, None]:
    """A Bolt app over Socket Mode, connected when the block begins and gone when it ends."""
    async with client_of(workspace) as client:
        app = AsyncApp(client=client)
        prepare(app)
        handlers = [AsyncSocketModeHandler(app, "xapp-local", ping_interval=1) for _ in range(connections)]
        for handler in handlers:
            await handler.connect_async()
        try:
            yield app
        finally:
            for handler in handlers:
                await handler.close_async()


async def until(met: Callable[[], object], *, seconds: float = 5.0) -> None:
    """Return as soon as a condition holds; fail when it does not within the time."""
    async with asyncio.timeout(seconds):
        while not met():
            await asyncio.sleep(0.01)
