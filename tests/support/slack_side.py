"""A bot's Slack side on a local workspace and a real Postgres, without the runs behind it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from actions.approval import ApprovalView
from bot.channel import Message
from bot.delivery import Delivery
from bot.local.workspace import Workspace
from bot.slack.app import SlackOptions, SlackSide, open_slack
from core.db import Connection, Database
from core.metrics import Metrics
from core.outbox import Conversation
from tests.support.local_workspace import People, opened, sample_options

TEAM = "T0LOCAL"


def conversation(channel: str = "C0GENERAL", thread_ts: str | None = None, root: Any = None) -> Conversation:
    """A conversation of the sample company."""
    return Conversation(TEAM, channel, thread_ts, root)


class StoredCards:
    """Cards whose text a test sets."""

    def __init__(self) -> None:
        self.text: dict[str, str] = {}

    async def render(self, kind: str, subject_id: str) -> Message | None:
        """The text set for this subject."""
        text = self.text.get(f"{kind} {subject_id}")
        return None if text is None else Message(text, [{"type": "divider"}])


class Receipts:
    """Writes down which receivers were told, in the transaction that tells them."""

    def __init__(self) -> None:
        self.told: list[str] = []

    async def __call__(self, conn: Connection, receiver_key: str) -> None:
        """Remember `receiver_key` with what the row says at that moment."""
        cursor = await conn.execute("select state from core.outbox where receiver_key = %s", (receiver_key,))
        row = await cursor.fetchone()
        assert row is not None
        self.told.append(f"{receiver_key} {row['state']}")


class NoKeeper:
    """A store of deliveries that cannot be reached in time."""

    async def commit(self, delivery: Delivery) -> bool:
        """Hang, as a database does that is down."""
        del delivery
        await asyncio.sleep(60)
        return True


async def no_approval(approval_id: str) -> ApprovalView | None:
    """No approval is on record."""
    del approval_id
    return None


def options_for(workspace: Workspace, **changes: Any) -> SlackOptions:
    """How to reach a local workspace."""
    given: dict[str, Any] = {
        "bot_token": "xoxb-local",
        "app_token": "xapp-local",
        "base_url": workspace.api_url,
        "command": "/team",
        "local": True,
    }
    return SlackOptions(**{**given, **changes})


@asynccontextmanager
async def company(folder: Path, **changes: Any) -> AsyncGenerator[tuple[Workspace, People]]:
    """The sample company on a local workspace."""
    async with opened(sample_options(folder, **changes)) as (workspace, people):
        yield workspace, people


@asynccontextmanager
async def slack_on(
    workspace: Workspace, keeper: Any, *, metrics: Metrics | None = None, load_approval: Any = no_approval
) -> AsyncGenerator[SlackSide]:
    """Our Slack side, connected."""
    async with open_slack(options_for(workspace), keeper, load_approval, metrics or Metrics()) as slack:
        yield slack


@asynccontextmanager
async def running(run: Callable[[asyncio.Event], Any]) -> AsyncGenerator[None]:
    """`run(stop)` goes on inside the block and has stopped after it."""
    stop = asyncio.Event()
    task = asyncio.create_task(run(stop))
    try:
        yield
    finally:
        stop.set()
        await task


async def rows(database: Database, query: str, *values: Any) -> list[dict[str, Any]]:
    """What a query finds."""
    async with database.connection() as conn:
        cursor = await conn.execute(query.encode(), values)
        return await cursor.fetchall()


async def until_rows(database: Database, query: str, *values: Any, seconds: float = 15.0) -> list[dict[str, Any]]:
    """What a query finds, as soon as it finds anything; fails when it does not within the time."""
    async with asyncio.timeout(seconds):
        while not (found := await rows(database, query, *values)):
            await asyncio.sleep(0.02)
    return found


async def drained(database: Database, *, seconds: float = 15.0) -> None:
    """Return when nothing is owed any more."""
    nothing_open = "select 1 where not exists (select from core.outbox where state in ('owed', 'sending'))"
    await until_rows(database, nothing_open, seconds=seconds)
