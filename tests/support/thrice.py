"""One whole installation in a small process: its workflow is a plan and then one refund after the other."""

import asyncio
import functools
import json
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

import actions.attempts
import actions.gateway
import bot.bootstrap
from actions.approval import Click, Standing
from actions.catalogue.payment_refund import Refund
from actions.intent import TrustLabel
from actions.outcome import Done
from bot.bootstrap import Installation, engine_options, open_installation
from bot.settings import Settings
from core.clock import SystemClock
from core.ids import RunId, new_id
from core.metrics import Metrics
from core.money import Money
from graphs.context import RunContext
from graphs.dispatch import EngineOptions
from graphs.plan import Step
from graphs.runner import Runner
from graphs.workflow import Workflow
from tests.support.company import ADA
from tests.support.controls import ForgetfulGateway, UnfencedSaver, UnwatchedSending
from tests.support.receiver import Json
from tests.support.traps import Traps, lay, open_receiver

TEAM = "T0LOCAL"
#: Where a worker dies every second, dying with a run in hand says little about the run.
STALLS_ALLOWED = 30
_TRUSTED: dict[str, tuple[TrustLabel, str | None]] = {
    name: (TrustLabel.MEMBER, None) for name in ("order_id", "amount", "payment_method_id")
}


class _State(TypedDict):
    case: dict[str, Any]


async def plan(state: _State, runtime: Runtime[RunContext]) -> _State:
    """Names each step anew every time, as a model's tool calls are named; every other time it may take long."""
    wanted: Json = json.loads(runtime.context.run.request.text)
    await asyncio.sleep(max(0, random.uniform(-wanted["think"], wanted["think"])))
    steps = [_step(order_id, amount) for order_id, amount in wanted["refunds"]]
    await runtime.context.preview(steps[0])
    return {"case": {"steps": [step.model_dump(mode="json") for step in steps], "results": []}}


def _step(order_id: str, amount: str) -> Step:
    args = Refund(order_id=order_id, payment_method_id="card_1", amount=Money.parse(amount), reason="broken")
    return Step(key=new_id("call"), action="payment.refund", args=args.model_dump(mode="json"), origins=_TRUSTED)


async def act(state: _State, runtime: Runtime[RunContext]) -> _State:
    """The next refund; where it does not happen the run fails."""
    case = state["case"]
    outcome = await runtime.context.act(Step.model_validate(case["steps"][len(case["results"])]))
    results = [*case["results"], outcome.text]
    if not isinstance(outcome, Done):
        return {"case": {**case, "results": results, "ended": {"state": "failed", "text": outcome.text}}}
    if len(results) == len(case["steps"]):
        return {"case": {**case, "results": results, "ended": {"state": "done", "text": "All refunded."}}}
    return {"case": {**case, "results": results}}


def _has_ended(state: _State) -> bool:
    return "ended" in state["case"]


def _build() -> StateGraph[_State, RunContext, _State, _State]:
    graph: StateGraph[_State, RunContext, _State, _State] = StateGraph(_State, context_schema=RunContext)
    graph.add_node("plan", plan)
    graph.add_node("act", act)
    graph.add_edge(START, "plan")
    graph.add_edge("plan", "act")
    graph.add_conditional_edges("act", _has_ended, {True: END, False: "act"})
    return graph


THRICE = Workflow(name="thrice", version=1, purpose="refunds", usage="", examples=(), build=_build)


def _without(control: str) -> None:
    """Take one guard away, for a control."""
    match control:
        case "":
            pass
        case "forgetful ledger":
            bot.bootstrap.Gateway = ForgetfulGateway
        case "unfenced saver":
            bot.bootstrap.Runner = functools.partial(Runner, stalls_allowed=STALLS_ALLOWED, open_saver=UnfencedSaver)
        case "no window check":
            actions.attempts._Sending = UnwatchedSending  # type: ignore[attr-defined]
        case "no landing margin":
            actions.attempts.LANDING = timedelta(0)
        case _:
            raise ValueError(control)


@asynccontextmanager
async def installed(given: Json) -> AsyncGenerator[Installation]:
    """The installation, with the traps and without the guard that this process was given."""
    settings = Settings.model_validate(
        {
            "COUNTERSIGN_HOME": Path(given["home"]),
            "COUNTERSIGN_PORT": given["port"] - 1,
            "COUNTERSIGN_HEARTBEAT_SECONDS": given.get("stalled", 2) / 4,
            "COUNTERSIGN_STALLED_SECONDS": given.get("stalled", 2),
            "COUNTERSIGN_POLL_SECONDS": 0.2,
            "COUNTERSIGN_WINDOW_SECONDS": given["window"],
            "DATABASE_URL": given["url"],
            # Nobody listens there: what is cached may always be missing.
            "REDIS_URL": "redis://127.0.0.1:9",
        }
    ).model_copy(update={"sandbox_settles": given["settles"]})
    actions.gateway.ASK_AGAIN = timedelta(seconds=0.5)
    actions.attempts.LANDING = timedelta(seconds=given["landing"])
    bot.bootstrap._workflows = lambda *_: [THRICE]  # type: ignore[attr-defined]
    bot.bootstrap.Runner = functools.partial(Runner, stalls_allowed=STALLS_ALLOWED)
    concurrency = given.get("concurrency", EngineOptions.concurrency)
    bot.bootstrap.engine_options = lambda settings: replace(
        engine_options(settings), sweep=0.5, retry_first=0.2, concurrency=concurrency
    )
    _without(given.get("control", ""))
    lay(Traps(given), await open_receiver(given["port"]))
    async with open_installation(settings, SystemClock(), Metrics()) as installation:
        yield installation


async def approve_all(installation: Installation, *, after: float = 0, run_id: RunId | None = None) -> None:
    """Have an entitled person press Approve on whatever has been asked for so long, for one run or for all."""
    async with installation.database.connection() as conn:
        cursor = await conn.execute(
            "select a.approval_id, a.revision, a.digest from actions.approval a join actions.intent i using (intent_id)"
            " where a.state = 'pending' and asked_at <= core.now() - %s and (%s::text is null or run_id = %s)",
            (timedelta(seconds=after), run_id, run_id),
        )
        asked = await cursor.fetchall()
    for row in asked:
        click = Click(
            approval_id=row["approval_id"],
            revision=row["revision"],
            digest16=row["digest"][:16],
            verdict="approve",
            user_id=ADA,
            team_id=TEAM,
            enterprise_id=None,
            delivery_id=new_id("click"),
        )
        standing = Standing(ADA, TEAM, is_bot=False, deleted=False, guest=False, stranger=False)
        await installation.approvals.decide(click, standing)
