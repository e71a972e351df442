"""Where effects are tried while their processes die: a database, an outside system, and a nursery."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from bot.company import settle_sample_company
from core.clock import SystemClock
from core.db import Database, open_database
from core.ids import RunId, new_run_id
from core.outbox import Conversation
from graphs.dispatch import Dispatcher, EngineOptions
from graphs.run import Request
from graphs.store import RunStore
from tests.support.company import RITA
from tests.support.nursery import Nursery, Process
from tests.support.ports import free_port
from tests.support.receiver import Receiver
from tests.support.thrice import TEAM

Rows = list[dict[str, Any]]
#: From the commit of an attempt to its last byte.
WINDOW = 1.2
#: The outside system applies in a moment: nothing of a call is under way for longer than this after its window.
LANDING = 1.0


@dataclass(frozen=True)
class Contract:
    """How the outside system settles, and whether it really honours keys."""

    settles: str
    honours_keys: bool


KEYED, PROBEABLE, OPAQUE = Contract("keyed", True), Contract("probeable", False), Contract("opaque", False)


@dataclass
class Ground:
    """One installation without a process of its own, and an outside system."""

    home: Path
    database: Database
    nursery: Nursery
    receiver: Receiver
    contract: Contract
    landing: float
    """For how long after its window a call may still land."""

    async def request(self, refunds: Sequence[tuple[str, str]], *, think: float = 0) -> RunId:
        """Ask for these refunds (order, amount) as one run."""
        run_id = new_run_id()
        request = Request(
            workspace=TEAM,
            requester=RITA,
            origin="cli",
            workflow="thrice",
            text=json.dumps({"refunds": list(refunds), "think": think}),
            delivery_id=f"d-{run_id}",
        )
        store = RunStore(self.database)
        dispatcher = Dispatcher(self.database, store, clock=SystemClock(), options=EngineOptions())
        async with self.database.transaction() as conn:
            where = Conversation(TEAM, "C0RETURNS", "17.1")
            await store.create(conn, request, conversation=where, workflow_version=1, run_id=run_id)
            await dispatcher.wake(run_id, conn)
        return run_id

    async def start(self, kind: str, **given: Any) -> Process:
        """A hand or a worker on this ground."""
        common = {"url": self.database.url, "home": str(self.home), "port": self.receiver.port}
        times = {"window": WINDOW, "landing": self.landing}
        return await self.nursery.start(kind, settles=self.contract.settles, **{**common, **times, **given})

    async def rows(self, question: str, *values: Any) -> Rows:
        """What the database answers."""
        async with self.database.connection() as conn:
            return await (await conn.execute(question.encode(), values)).fetchall()


@asynccontextmanager
async def open_ground(
    home: Path,
    url: str,
    contract: Contract,
    nursery: Nursery,
    *,
    landing: float = LANDING,
    **outside: Any,
) -> AsyncGenerator[Ground]:
    """Ground over a migrated database; `outside` says how slow and how late the outside system is."""
    home.mkdir(parents=True, exist_ok=True)
    settle_sample_company(home / "company")
    team = home / "company" / "team.yml"
    team.write_text(team.read_text().replace("workflows: [returns]", "workflows: [returns, thrice]"))
    given = {"honours_keys": contract.honours_keys, "delays": 0.0, "late": 1.0, "seed": 1, **outside}
    async with open_database(url, min_size=1, max_size=4) as database, ClientSession() as session:
        receiver = Receiver(session, free_port())
        process = await nursery.start("receiver", port=receiver.port, **given)
        async with asyncio.timeout(30):
            while not await receiver.is_up():
                await asyncio.sleep(0.05)
        try:
            yield Ground(home, database, nursery, receiver, contract, landing)
        finally:
            await process.kill()


@dataclass(frozen=True)
class Found:
    """What became of one effect: outside, by the receiver's log; inside, by the ledger and the run."""

    effects: int
    calls: int
    looks: int
    run: str
    waits_for: str
    intent: str
    outcome: str


async def judge(ground: Ground, run_id: RunId, order_id: str) -> Found:
    """Compare one run of one refund with the outside system's own log."""
    log = await ground.receiver.log()
    keys = {call["key"] for call in log["calls"] if call["order_id"] == order_id}
    [run] = await ground.rows("select state, waiting, outcome from graphs.run where run_id = %s", run_id)
    intents = await ground.rows("select state from actions.intent where run_id = %s", run_id)
    return Found(
        effects=sum(made["order_id"] == order_id for made in log["applied"]),
        calls=sum(call["order_id"] == order_id for call in log["calls"]),
        looks=sum(key in keys for key in log["looks"]),
        run=run["state"],
        waits_for=run["waiting"][0]["kind"] if run["waiting"] else "",
        intent=", ".join(row["state"] for row in intents),
        outcome=run["outcome"],
    )
