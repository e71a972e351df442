"""Runs that are taken back, step by step and by hand: the real walk, gateway and ledger, beside a shop over lists."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from actions.action import Catalogue
from actions.catalogue.order_update import OrderReturn, ReturnMade
from actions.connector import EffectClass, Inconclusive, Outbound, OutcomeUnknown, Reply
from actions.gateway import Gateway
from actions.ground import Ground
from actions.intent import Origin, Record, TrustLabel
from actions.outcome import Caller, Outcome
from actions.records import Order
from core.clock import SettableClock
from core.db import Connection, Database
from core.ids import IntentId, RunId, new_run_id
from core.metrics import Metrics
from core.money import Money
from core.outbox import Conversation
from graphs.context import RunContext
from graphs.rules_reasoner import RulesReasoner
from graphs.run import Request, Run, RunState, Waiting
from graphs.run_guard import RunGuard
from graphs.runner import Runner, Surroundings
from graphs.store import RunStore
from graphs.undoing import Asked, start
from graphs.workflow import Workflows
from graphs.workflows.undo import UNDOING
from tests.support.company import RITA
from tests.support.ledger import NOON, TEAM, rules_of

ORDER = "#W7"
_OURS = {name: Origin(TrustLabel.MEMBER) for name in OrderReturn.model_fields}
_ALLOWED = [
    {"id": name.replace(".", "-"), "because": "A test.", "action": name, "verdict": "allow"}
    for name in ("order.update", "order.restore", "message.post")
]


@dataclass
class OtherSide:
    """An outside system that applies what it is sent and can be away from one call to the next."""

    name: str
    settles: EffectClass = EffectClass.KEYED
    loses: int = 0
    """So many of the next calls are applied and not answered, and from that very moment on nobody answers."""
    is_away: bool = False
    applied: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list[tuple[str, str, dict[str, Any]]])
    """Under which key, which action, with which arguments; in order."""
    account: str = "acct_1"
    sandbox: bool = True
    key_retention: timedelta | None = None
    window: timedelta = timedelta(seconds=10)

    def request(self, record: Record, receiver_key: str) -> Outbound:
        """The record as it stands, under its key."""
        body = {"key": receiver_key, "action": record.action, "args": dict(record.args)}
        return Outbound("POST", "/", json.dumps(body, sort_keys=True).encode(), {})

    async def send(self, outbound: Outbound, *, timeout: timedelta) -> Reply:
        """Apply it once per key, and answer unless told otherwise."""
        del timeout
        await asyncio.sleep(0)
        if self.is_away:
            raise OutcomeUnknown("No answer in time.")
        body = json.loads(outbound.body)
        if not any(key == body["key"] for key, _, _ in self.applied):
            self.applied.append((body["key"], body["action"], body["args"]))
        if self.loses:
            self.loses -= 1
            self.is_away = True
            raise OutcomeUnknown("No answer in time.")
        return self._reply(body["key"])

    async def find(self, record: Record, receiver_key: str) -> Reply | None:
        """What was done under this key."""
        del record
        if self.is_away:
            raise Inconclusive("Nobody answers.")
        return self._reply(receiver_key) if any(key == receiver_key for key, _, _ in self.applied) else None

    def _reply(self, wanted: str) -> dict[str, Any]:
        place, (_, action, args) = next(each for each in enumerate(self.applied) if each[1][0] == wanted)
        if action == "message.post":
            return {"channel": args["channel"], "ts": f"{place}.1"}
        status = "delivered" if action == "order.restore" else "return requested"
        return {"order": {"order_id": args["order_id"], "status": status}, "return_id": "rt_1", "restore_id": "rs_1"}

    def times(self, action: str) -> int:
        """How often this happened."""
        return sum(name == action for _, name, _ in self.applied)

    async def is_healthy(self) -> bool:
        """True while it answers."""
        return not self.is_away

    async def order(self, order_id: str) -> Order | None:
        """Every order is delivered and may be returned."""
        return Order(order_id=order_id, customer_id="c", status="delivered", currency="USD", items=[], payments=[])

    async def customer(self, customer_id: str) -> None:
        """Nobody is known."""

    async def product(self, product_id: str) -> None:
        """Nothing is sold any more."""

    async def open_returns(self, limit: int) -> list[Any]:
        """Nothing waits."""
        return []


class Yard:
    """A gateway and a runner of undoings over `database`, whose clock passes as soon as anybody waits."""

    def __init__(self, database: Database, settles: EffectClass) -> None:
        self.database = database
        self.runs = RunStore(database)
        self.shop = OtherSide("shop", settles)
        self._clock, self._metrics, self._catalogue = SettableClock(NOON), Metrics(), Catalogue.scan()
        self.connectors = {"shop": self.shop, "slack": OtherSide("slack")}
        rules = rules_of(*_ALLOWED)
        self.gateway = Gateway(
            database,
            self._catalogue,
            self.connectors,
            lambda: rules,
            wake=self._wake_later,
            clock=self._clock,
            metrics=self._metrics,
            ground=Ground(self.shop, lambda: rules.rulebook),
        )

        def make_context(run: Run, guard: RunGuard) -> RunContext:
            reasoner = RulesReasoner()
            return RunContext(
                run, guard, database, self.runs, self.gateway, self._catalogue, rules, self.shop, reasoner
            )

        async def is_settled(waiting: Waiting) -> bool:
            return await self.gateway.is_settled(waiting.kind, waiting.subject_id)

        self.runner = Runner(
            database,
            self.runs,
            workflows=Workflows([UNDOING]),
            surroundings=Surroundings(make_context, is_settled, on_ended=self.gateway.cancel_run),
            metrics=self._metrics,
        )

    async def _wake_later(self, run_id: RunId, conn: Connection, at: datetime | None = None) -> None:
        """Nobody wakes a run but the test."""

    async def caller(self) -> tuple[Run, Caller]:
        """A run in our hands, and on whose behalf it acts."""
        run_id, where = new_run_id(), Conversation(TEAM, "C0RETURNS", "17.1")
        request = Request(workspace=TEAM, requester=RITA, origin="cli", workflow="returns", delivery_id=f"d-{run_id}")
        async with self.database.transaction() as conn:
            await self.runs.create(conn, request, conversation=where, workflow_version=1, run_id=run_id)
        run = await self.runs.begin(run_id)
        assert run is not None
        return run, Caller(run_id, TEAM, "returns", RITA, where, RunGuard(run_id, run.epoch))

    async def returned(self) -> tuple[RunId, Outcome]:
        """A run that asked for one return, stopped since, and what it was told."""
        run, caller = await self.caller()
        args = OrderReturn(
            order_id=ORDER, item_ids=["1"], payment_method_id="card_1", amount=Money.parse("10 USD"), reason="broken"
        )
        outcome = await self.gateway.perform("order.update", args, step="return", caller=caller, origins=_OURS)
        async with self.database.transaction() as conn:
            await self.gateway.cancel_run(conn, run.run_id)
            await self.runs.finish(conn, run, RunState.STOPPED, "Stopped.")
        return run.run_id, outcome

    async def taken_back_beside(self, run_id: RunId) -> Outcome:
        """What somebody is told who takes this run's return back on their own."""
        _, caller = await self.caller()
        async with self.database.connection() as conn:
            cursor = await conn.execute("select intent_id from actions.intent where run_id = %s", (run_id,))
            [row] = await cursor.fetchall()
        caller = replace(caller, compensates=IntentId(row["intent_id"]), is_compensation=True)
        args = ReturnMade(order_id=ORDER, return_id="rt_1")
        return await self.gateway.perform("order.restore", args, step="restore", caller=caller, origins=_OURS)

    async def pass_time(self, by: timedelta) -> None:
        """Let `by` pass on the database's clock."""
        async with self.database.connection() as conn:
            await conn.execute("insert into core.clock_shift (shift) values (%s)", (by,))

    async def undo(self, run_id: RunId) -> RunId:
        """Begin to take back what this run did, as far as that goes now."""
        run = await self.runs.get(run_id)
        assert run is not None
        async with self.database.transaction() as conn:
            undo_id = await start(conn, self.runs, run, Asked(RITA, "command", f"d-{new_run_id()}"))
        assert undo_id is not None
        await self.runner.advance(undo_id)
        return undo_id

    async def go_on(self, run_id: RunId) -> None:
        """Let a waiting run look again."""
        async with self.database.transaction() as conn:
            await self.runs.wake(conn, run_id)
        await self.runner.advance(run_id)

    async def stop(self, run_id: RunId) -> None:
        """Have a person stop a waiting run."""
        async with self.database.transaction() as conn:
            await self.runs.request_stop(conn, run_id)
            await self.runs.wake(conn, run_id)
        await self.runner.advance(run_id)

    async def stands(self, run_id: RunId) -> tuple[RunState, list[str]]:
        """The state of a run and of its steps."""
        run = await self.runs.get(run_id)
        assert run is not None
        return run.state, [step.state.value for step in run.steps]

    async def intents(self, run_id: RunId) -> Mapping[str, str]:
        """How the effects of a run stand in the ledger, by action."""
        async with self.database.connection() as conn:
            cursor = await conn.execute("select action, state from actions.intent where run_id = %s", (run_id,))
            return {row["action"]: row["state"] for row in await cursor.fetchall()}

    async def doubts_of(self, run_id: RunId) -> list[str]:
        """How the questions about this run's effects stand."""
        async with self.database.connection() as conn:
            cursor = await conn.execute(
                "select doubt.state from actions.doubt join actions.intent using (intent_id) where run_id = %s",
                (run_id,),
            )
            return [row["state"] for row in await cursor.fetchall()]
