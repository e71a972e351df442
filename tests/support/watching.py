"""An installation without a process of its own, over the sandbox in this process: runs are advanced by hand."""

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

from aiohttp import ClientSession

from actions.approval import Click
from bot.bootstrap import Installation, open_installation
from bot.company import settle_sample_company
from bot.local.sandbox.hosts_store import HostsStore
from bot.local.sandbox.server import SandboxOptions, open_sandbox
from bot.sample.alerts import Week
from bot.sample.prices import seed_prices
from bot.sample.shop import seed_sample
from bot.settings import Settings
from core.clock import SystemClock
from core.ids import RunId, new_run_id
from core.metrics import Metrics
from core.outbox import Conversation
from graphs.run import Request, Run, RunState
from tests.support.company import CLEO, RITA
from tests.support.ledger import standing

TEAM, SECURITY = "T0LOCAL", "C0SECURITY"


@dataclass
class Desk:
    """An installation whose runs are asked for and advanced by hand, and the outside systems it reaches."""

    installation: Installation
    home: Path
    url: str
    session: ClientSession

    async def ask(self, workflow: str, text: str = "", *, channel: str = SECURITY, dry: bool = False) -> Run:
        """A new run of this workflow, as far as it goes by itself."""
        return await self.advance(await self.create(workflow, text, channel=channel, dry=dry))

    async def create(self, workflow: str, text: str = "", *, channel: str = SECURITY, dry: bool = False) -> RunId:
        """A new run of this workflow that nobody has advanced yet."""
        run_id, asked = new_run_id(), {"workflow": workflow, "text": text, "dry": dry}
        request = Request.model_validate(
            {"workspace": TEAM, "requester": RITA, "origin": "cli", "delivery_id": f"d-{run_id}", **asked}
        )
        place, found = Conversation(TEAM, channel, "17.1"), self.installation.workflows.get(workflow)
        assert found is not None, f"{workflow} is offered here"
        async with self.installation.database.transaction() as conn:
            await self.installation.runs.create(
                conn, request, conversation=place, workflow_version=found.version, run_id=run_id
            )
        return run_id

    async def advance(self, run_id: str) -> Run:
        """The run, after everything that can be done now; what it says is delivered at once."""
        for _ in range(5):
            run = await self._advanced(run_id)
            if run.state is not RunState.WAITING or any(each.kind != "delivery" for each in run.waiting):
                return run
            await self._deliver(run_id)
        return await self._advanced(run_id)

    async def _advanced(self, run_id: str) -> Run:
        await self.installation.runner.advance(RunId(run_id))
        run = await self.installation.runs.get(RunId(run_id))
        assert run is not None
        return run

    async def _deliver(self, run_id: str) -> None:
        """Play the sender: everything owed stands in Slack."""
        await self.rows("update core.outbox set state = 'sent', ts = '17.2', ended_at = core.now() where kind = 'post'")
        async with self.installation.database.transaction() as conn:
            await self.installation.runs.wake(conn, RunId(run_id))

    async def advance_all(self, workflow: str) -> list[Run]:
        """Every run of this workflow that is ready, advanced."""
        rows = await self.rows("select run_id from graphs.run where workflow = %s and state = 'ready'", workflow)
        return [await self.advance(row["run_id"]) for row in rows]

    async def approve(self, *, by: str = CLEO, verdict: Literal["approve", "reject"] = "approve") -> list[str]:
        """Answer everything that is asked; gives what people were told."""
        told: list[str] = []
        for row in await self.rows("select approval_id from actions.approval where state = 'pending'"):
            view = await self.installation.approvals.view(row["approval_id"])
            assert view is not None
            click = Click(
                approval_id=row["approval_id"],
                revision=view.revision,
                digest16=view.digest[:16],
                verdict=verdict,
                reason="" if verdict == "approve" else "not yet",
                user_id=by,
                team_id=TEAM,
                enterprise_id=None,
                delivery_id=f"click-{new_run_id()}",
            )
            told.append((await self.installation.approvals.decide(click, standing(by))).text)
        return told

    async def rows(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """What the database says."""
        async with self.installation.database.connection() as conn:
            cursor = await conn.execute(statement.encode(), values)
            return await cursor.fetchall() if cursor.description is not None else []

    async def pass_time(self, by: timedelta) -> None:
        """Let `by` pass on the database's clock."""
        await self.rows(
            "insert into core.clock_shift (shift) values (%s) on conflict (only_row)"
            " do update set shift = clock_shift.shift + excluded.shift",
            by,
        )

    async def get(self, path: str) -> dict[str, Any]:
        """What an outside system says."""
        async with self.session.get(f"{self.url}{path}") as answer:
            return await answer.json()

    async def put(self, path: str, **body: Any) -> None:
        """Have something else stand outside."""
        data, kind = BytesIO(json.dumps(body).encode()), {"Content-Type": "application/json"}
        async with self.session.put(f"{self.url}{path}", data=data, headers=kind) as answer:
            assert answer.status == 200, await answer.text()

    async def control(self, system: str, **body: Any) -> None:
        """Have an outside system misbehave."""
        async with self.session.post(f"{self.url}/control/{system}", json=body) as answer:
            assert answer.status == 200, await answer.text()

    async def isolated(self) -> Sequence[str]:
        """The hosts that the containment endpoint was told to cut off, in order."""
        return [each["host_id"] for each in (await self.get("/hosts/log"))["isolations"]]


@asynccontextmanager
async def open_desk(
    home: Path, week: Week, *, database_url: str, redis_url: str, settles: str = "keyed"
) -> AsyncGenerator[Desk]:
    """A desk over a migrated database, with this week in the sensor's log."""
    clock = SystemClock()
    settle_sample_company(home / "company")
    seed_sample(home, clock=clock)
    seed_prices(home)
    with closing(HostsStore(home)) as store:
        store.seed(week.hosts, week.feeds, week.lines)
    async with open_sandbox(SandboxOptions(port=0, home=home, clock=clock)) as sandbox, ClientSession() as session:
        settings = Settings.model_validate(
            {
                "COUNTERSIGN_HOME": home,
                "COUNTERSIGN_PORT": sandbox.port - 1,
                "DATABASE_URL": database_url,
                "REDIS_URL": redis_url,
                "COUNTERSIGN_SANDBOX_SETTLES": settles,
                "COUNTERSIGN_WINDOW_SECONDS": 2,
            }
        )
        async with open_installation(settings, clock, Metrics()) as installation:
            yield Desk(installation, home, sandbox.url, session)
