"""An installation in the test's own process, on the sandbox and without Slack: runs are advanced as a worker does."""

import asyncio
import atexit
import json
import shutil
import tempfile
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

from actions.approval import Answer, Click, Standing
from actions.questions import Reply
from bot.bootstrap import Installation, open_installation
from bot.company import settle_sample_company
from bot.local.sandbox.server import SandboxOptions, open_sandbox
from bot.sample.mail import seed_mail
from bot.sample.shop import seed_sample
from bot.sample.watched import seed_watched
from bot.settings import Settings
from bot.talk import Replies
from core.clock import SystemClock
from core.ids import RunId, new_id, new_run_id
from core.metrics import Metrics
from core.outbox import Conversation
from graphs.run import ENDED, Request, Run, RunState
from tests.support.company import ADA, RETURNS, RITA
from tests.support.sandbox import SandboxClient

TEAM = "T0LOCAL"


@dataclass
class Inside:
    """The installation, and what people and a worker do with it."""

    installation: Installation
    sandbox: str
    threads: Iterator[int] = field(default_factory=lambda: count(1))

    async def start(
        self, workflow: str, text: str, *, requester: str = RITA, dry: bool = False, wake: bool = False
    ) -> RunId:
        """Store a run, as a command would; it begins when it is advanced."""
        run_id, store = new_run_id(), self.installation.runs
        found = self.installation.workflows.get(workflow)
        assert found is not None
        request = Request(
            workspace=TEAM,
            requester=requester,
            origin="cli",
            workflow=workflow,
            text=text,
            delivery_id=f"d-{run_id}",
            dry=dry,
        )
        async with self.installation.database.transaction() as conn:
            where = Conversation(TEAM, RETURNS, f"17.{next(self.threads)}")
            await store.create(conn, request, conversation=where, workflow_version=found.version, run_id=run_id)
            if wake:
                await self.installation.dispatcher.wake(run_id, conn)
        return run_id

    async def go(self, run_id: RunId, *, most: int = 30) -> Run:
        """Advance it as often as something it waits for has happened: to its end, or to where people must act."""
        for _ in range(most):
            await self.installation.runner.advance(run_id)
            run = await self.run(run_id)
            if run.state in ENDED or run.state is RunState.NEEDS_ATTENTION:
                return run
            if not await self._deliver(run_id) and not await self._due(run):
                if not any(each.kind == "delivery" for each in run.waiting):
                    return run
                # An outside system was slow: it looks again by itself, here a little sooner.
                await asyncio.sleep(0.2)
            async with self.installation.database.transaction() as conn:
                await self.installation.runs.wake(conn, run_id)
        raise AssertionError(f"{run_id} goes on and on")

    async def _due(self, run: Run) -> bool:
        """True when nothing that it waits for is still open."""
        gateway = self.installation.gateway
        settled = [await gateway.is_settled(each.kind, each.subject_id) for each in run.waiting]
        return bool(settled) and all(settled) and all(each.kind == "approval" for each in run.waiting)

    async def ask(self, workflow: str, text: str, **more: Any) -> Run:
        """Start a run and take it as far as it goes."""
        return await self.go(await self.start(workflow, text, **more))

    async def say(self, run: Run, text: str) -> bool:
        """Say something in the run's conversation; False where nobody listens there."""
        replies = Replies(self.installation.questions, self.installation.talk, lambda: self.installation.rules().team)
        reply = Reply(run.conversation, run.request.requester, text, new_id("event"))
        if not await replies.awaits(reply):
            return False
        async with self.installation.database.transaction() as conn:
            return await replies.answer_in(conn, reply)

    async def run(self, run_id: RunId) -> Run:
        """The run as it is stored."""
        found = await self.installation.runs.get(run_id)
        assert found is not None
        return found

    async def _deliver(self, run_id: RunId) -> bool:
        """Let Slack have posted what is owed; True when a message of this run was among it."""
        rows = await self.rows(
            "update core.outbox set state = 'sent', ts = outbox_id || '.1', ended_at = core.now()"
            " where state = 'owed' and kind = 'post' and receiver_key is not null returning receiver_key"
        )
        keys = {row["receiver_key"] for row in rows}
        async with self.installation.database.transaction() as conn:
            for key in keys:
                await self.installation.gateway.receipt_arrived(conn, key)
        run = await self.run(run_id)
        return run.state is RunState.READY or (bool(keys) and any(each.kind == "delivery" for each in run.waiting))

    async def approve(self, run_id: RunId, *, by: str = ADA, verdict: Any = "approve") -> list[Answer]:
        """Answer everything this run asks, as an entitled person."""
        asked = await self.rows(
            "select a.approval_id, a.revision, a.digest from actions.approval a join actions.intent i using (intent_id)"
            " where a.state = 'pending' and run_id = %s",
            run_id,
        )
        return [await self._answer(row, by, verdict) for row in asked]

    async def _answer(self, row: Mapping[str, Any], by: str, verdict: Any) -> Answer:
        click = Click(
            approval_id=row["approval_id"],
            revision=row["revision"],
            digest16=row["digest"][:16],
            verdict=verdict,
            user_id=by,
            team_id=TEAM,
            enterprise_id=None,
            delivery_id=new_id("click"),
        )
        standing = Standing(by, TEAM, is_bot=False, deleted=False, guest=False, stranger=False)
        return await self.installation.approvals.decide(click, standing)

    async def delivered(self) -> list[str]:
        """Every order of the shop that was delivered, and so may come back."""
        async with aiohttp.ClientSession() as session:
            return [each["order_id"] for each in await SandboxClient(session, self.sandbox).orders("delivered")]

    async def rows(self, question: str, *values: Any) -> list[dict[str, Any]]:
        """What the database answers."""
        async with self.installation.database.connection() as conn:
            cursor = await conn.execute(question.encode(), values)
            return await cursor.fetchall() if cursor.description is not None else []

    async def effects(self, run_id: RunId) -> list[tuple[str, str, str]]:
        """What this run did outside or was kept from doing: action, arguments, state; its own report left out."""
        found = await self.rows(
            "select i.action, r.record -> 'args' as args, i.state from actions.intent i"
            " join actions.revision r using (intent_id, revision) where run_id = %s and step <> 'report'"
            " order by i.created_at, i.intent_id",
            run_id,
        )
        return [(row["action"], json.dumps(row["args"], sort_keys=True), row["state"]) for row in found]


@asynccontextmanager
async def open_inside(
    home: Path, url: str, *, env: Mapping[str, Any] | None = None, files: Mapping[str, str] | None = None
) -> AsyncGenerator[Inside]:
    """An installation over a migrated database; `env` are further settings, `files` go into the company's folder."""
    home.mkdir(parents=True, exist_ok=True)
    settle_sample_company(home / "company")
    for name, text in (files or {}).items():
        (home / "company" / name).write_text(text)
    clock = SystemClock()
    shutil.copytree(await asyncio.to_thread(_seeded), home, dirs_exist_ok=True)
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(open_sandbox(SandboxOptions(port=0, home=home, clock=clock)))
        settings = Settings.model_validate(
            {
                "COUNTERSIGN_HOME": home,
                "COUNTERSIGN_PORT": sandbox.port - 1,
                "DATABASE_URL": url,
                # Nobody listens there: what is cached may always be missing.
                "REDIS_URL": "redis://127.0.0.1:9",
                "COUNTERSIGN_EMBEDDER": "letters",
                **(env or {}),
            }
        )
        installation = await stack.enter_async_context(open_installation(settings, clock, Metrics()))
        yield Inside(installation, sandbox.url)


@cache
def _seeded() -> Path:
    """A folder with the files of the sample shop, made once."""
    folder = Path(tempfile.mkdtemp(prefix="countersign-shop-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    seed_sample(folder, clock=SystemClock())
    seed_mail(folder)
    seed_watched(folder)
    return folder


async def together(jobs: Sequence[Any], *, at_once: int) -> list[Any]:
    """The results of all jobs, so many at a time."""
    gate = asyncio.Semaphore(at_once)

    async def one(job: Any) -> Any:
        async with gate:
            return await job

    return await asyncio.gather(*(one(job) for job in jobs))
