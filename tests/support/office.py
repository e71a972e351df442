"""A whole installation in one process without Slack: real stores, the real sandbox, a worker, and what was posted."""

import asyncio
import io
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from actions.approval import Click, Standing
from actions.questions import Reply
from bot.bootstrap import Installation, open_installation
from bot.channel import Message, Place
from bot.company import settle_sample_company
from bot.local.sandbox.server import SandboxOptions, open_sandbox
from bot.pacing import Pacing
from bot.sample.shop import seed_sample
from bot.sender import Sender
from bot.settings import Settings
from bot.talk import Replies
from core.clock import SystemClock
from core.ids import RunId, new_card_id, new_id, new_run_id
from core.metrics import Metrics
from core.outbox import Conversation
from graphs.run import Request, Run
from tests.support.company import ADA, RITA
from tests.support.ports import free_port

TEAM = "T0LOCAL"
#: For an office after one that was cut off: it soon notices, and is patient enough for a busy machine.
WATCHFUL = {"COUNTERSIGN_HEARTBEAT_SECONDS": 1, "COUNTERSIGN_STALLED_SECONDS": 6}
Json = dict[str, Any]


@dataclass
class Wall:
    """Where everything that is posted hangs, in order."""

    posts: list[tuple[Place, str]] = field(default_factory=list[tuple[Place, str]])

    async def post(self, place: Place, message: Message, *, mark: str) -> str:
        """Hang it up."""
        del mark
        self.posts.append((place, message.text))
        return f"{len(self.posts)}.0"

    def ts_of(self, text: str) -> str:
        """Where the first post of that text hangs."""
        return f"{next(place for place, (_, said) in enumerate(self.posts, 1) if said == text)}.0"

    async def update(self, channel: str, ts: str, message: Message) -> None:
        """Cards change; nobody here looks at them."""

    async def whisper(self, place: Place, person: str, message: Message) -> None:
        """Nobody here is whispered to."""

    async def find_by_mark(self, place: Place, mark: str) -> str | None:
        """Nothing is posted twice here."""
        return None

    async def reaches(self, channel: str) -> bool:
        """We are everywhere."""
        return True


class Names:
    """Cards that only say whose they are."""

    async def render(self, kind: str, subject_id: str) -> Message | None:
        """The card's name."""
        return Message(f"{kind} {subject_id}")


@dataclass
class Office:
    """The installation with its outside world."""

    installation: Installation
    url: str
    http: aiohttp.ClientSession
    wall: Wall
    tasks: list[asyncio.Task[None]]

    async def ask(
        self, workflow: str, text: str, *, requester: str = RITA, channel: str = "C0INBOX", dry: bool = False
    ) -> RunId:
        """Ask for a workflow as `/team run` does."""
        found = self.installation.workflows.get(workflow)
        assert found is not None
        run_id = new_run_id()
        request = Request(
            workspace=TEAM,
            requester=requester,
            origin="command",
            workflow=workflow,
            text=text,
            delivery_id=f"d-{run_id}",
            dry=dry,
        )
        async with self.installation.database.transaction() as conn:
            place = Conversation(TEAM, channel, root=new_card_id())
            await self.installation.runs.create(
                conn, request, conversation=place, workflow_version=found.version, run_id=run_id
            )
            await self.installation.dispatcher.wake(run_id, conn)
        return run_id

    async def rests(self, run_id: RunId, *states: str, waits_for: str = "") -> Run:
        """The run once it is in one of these states (ended, where none is named), waiting for that kind of thing."""
        wanted = states or ("done", "refused", "failed", "stopped", "needs_person", "needs_attention")
        async with asyncio.timeout(60):
            while True:
                run = await self.installation.runs.get(run_id)
                assert run is not None
                kinds = [waiting.kind for waiting in run.waiting]
                if run.state.value in wanted and (not waits_for or waits_for in kinds):
                    return run
                if run.state.value == "needs_attention":
                    raise AssertionError(run.outcome)
                await asyncio.sleep(0.03)

    async def approve(self, run_id: RunId, *, verdict: str = "approve", by: str = ADA) -> list[Json]:
        """Have an entitled person answer everything that this run asks; gives what they were shown."""
        rows = await self.rows(
            "select a.approval_id, a.revision, a.digest, r.record, r.summary from actions.approval a"
            " join actions.intent i using (intent_id)"
            " join actions.revision r on r.intent_id = a.intent_id and r.revision = a.revision"
            " where a.state = 'pending' and i.run_id = %s",
            run_id,
        )
        for row in rows:
            click = Click(
                approval_id=row["approval_id"],
                revision=row["revision"],
                digest16=row["digest"][:16],
                verdict=verdict,  # pyright: ignore[reportArgumentType] -- one of the two
                user_id=by,
                team_id=TEAM,
                enterprise_id=None,
                delivery_id=new_id("click"),
                reason="" if verdict == "approve" else "not like this",
            )
            standing = Standing(by, TEAM, is_bot=False, deleted=False, guest=False, stranger=False)
            answer = await self.installation.approvals.decide(click, standing)
            assert answer.decided, answer
        return rows

    async def say(self, run_id: RunId, text: str, *, by: str = RITA) -> bool:
        """Say something in the run's conversation; False where nobody listens there."""
        replies = Replies(self.installation.questions, self.installation.talk, lambda: self.installation.rules().team)
        run = await self.installation.runs.get(run_id)
        assert run is not None
        rows = await self.rows("select ts from core.card where card_id = %s", run.conversation.root)
        place = Conversation(TEAM, run.conversation.channel, rows[0]["ts"])
        reply = Reply(place, by, text, new_id("event"))
        if not await replies.awaits(reply):
            return False
        async with self.installation.database.transaction() as conn:
            return await replies.answer_in(conn, reply)

    async def rows(self, question: str, *values: Any) -> list[Json]:
        """What the database answers."""
        async with self.installation.database.connection() as conn:
            return await (await conn.execute(question.encode(), values)).fetchall()

    async def runs_of(self, workflow: str) -> list[Run]:
        """Every run of that workflow, oldest first."""
        found = await self.installation.runs.recent(500)
        return [run for run in reversed(found) if run.workflow == workflow]

    async def log(self, system: str) -> Json:
        """An outside system's own log."""
        async with self.http.get(f"{self.url}/{system}/log") as answer:
            return await answer.json()

    async def refunds_and_mails(self) -> tuple[list[Json], list[Json]]:
        """What the payment provider refunded, and what the outgoing mail server sent."""
        return (await self.log("payments"))["refunds"], (await self.log("mail"))["mails"]

    def cut_off(self) -> None:
        """Stop working in the middle of whatever is under way, as a killed process does."""
        for task in self.tasks:
            task.cancel()

    async def control(self, system: str, **settings: Any) -> None:
        """Tell an outside system how to behave."""
        async with self.http.post(f"{self.url}/control/{system}", json=settings) as answer:
            assert answer.status == 200

    async def deliver(self, raw: bytes, *, verified: bool = True) -> str:
        """Have a mail arrive; gives its id."""
        flag = "1" if verified else "0"
        async with self.http.post(f"{self.url}/mailbox/messages?verified={flag}", data=io.BytesIO(raw)) as answer:
            return (await answer.json())["message_id"]


@asynccontextmanager
async def open_office(home: Path, url: str, *, settings: Mapping[str, Any] | None = None) -> AsyncGenerator[Office]:
    """An office whose database is migrated, with the sample shop and an empty mailbox."""
    home.mkdir(parents=True, exist_ok=True)
    settle_sample_company(home / "company")
    seed_sample(home)
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        port = free_port()
        sandbox = await stack.enter_async_context(open_sandbox(SandboxOptions(port=port, home=home, clock=clock)))
        chosen = Settings.model_validate(
            {
                "COUNTERSIGN_HOME": home,
                "COUNTERSIGN_PORT": port - 1,
                "COUNTERSIGN_POLL_SECONDS": 0.2,
                "COUNTERSIGN_WINDOW_SECONDS": 3,
                "DATABASE_URL": url,
                # Nobody listens there: what is cached may always be missing.
                "REDIS_URL": "redis://127.0.0.1:9",
                "COUNTERSIGN_EMBEDDER": "letters",
                **(settings or {}),
            }
        )
        metrics = Metrics()
        installation = await stack.enter_async_context(open_installation(chosen, clock, metrics))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        wall, stop = Wall(), asyncio.Event()
        sender = Sender(
            installation.database,
            wall,
            Names(),
            clock=clock,
            metrics=metrics,
            on_receipt=installation.gateway.receipt_arrived,
            pacing=Pacing(clock, seconds_each=0.001),
        )
        working = installation.dispatcher.run_worker(installation.runner.advance, stop=stop, metrics=metrics)
        tasks = [asyncio.create_task(sender.run(stop)), asyncio.create_task(working)]
        try:
            yield Office(installation, sandbox.url, http, wall, tasks)
        finally:
            stop.set()
            await asyncio.wait(tasks, timeout=5)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
