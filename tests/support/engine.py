"""Toy workflows on the real engine, with the outside world's own log of what they did."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import interrupt

from core.clock import SystemClock
from core.db import Connection, Database, connect, open_database
from core.ids import RunId, new_run_id
from core.metrics import Metrics
from core.migrate import Migrations, Setup, migrate
from core.outbox import Conversation
from graphs.checkpoints import FencedSaver, OpenSaver, set_up_checkpoints
from graphs.dispatch import Dispatcher, EngineOptions, set_up_engine
from graphs.run import Request, Run, RunState, Waiting
from graphs.run_guard import RunGuard
from graphs.runner import Runner, Surroundings
from graphs.store import RunStore
from graphs.workflow import Workflow, Workflows

ENGINE = (
    Migrations("core"),
    Setup("langgraph", set_up_checkpoints),
    Setup("engine", set_up_engine),
    Migrations("graphs"),
)
#: A worker ends itself after standing still for half of `stalled`: a busy machine may do that for most of a second.
QUICK = EngineOptions(heartbeat=0.1, stalled=2, poll=0.1, sweep=0.1, concurrency=4, drain=1, retry_first=0.05)
#: Patient enough for two processes on a busy machine.
STEADY = EngineOptions(heartbeat=0.5, stalled=2, poll=0.5, sweep=0.5, concurrency=4, drain=1, retry_first=0.1)
ROOT = Path(__file__).parents[2]


class Toy(TypedDict):
    """The state of every toy workflow."""

    case: dict[str, Any]


@dataclass(frozen=True)
class ToyContext:
    """What a toy node may use."""

    run: Run
    guard: RunGuard
    database: Database
    hook: Callable[[Run], Awaitable[None]]

    async def mark(self, node: str) -> None:
        """Do something in the world outside, where it is counted."""
        async with self.database.connection() as conn:
            await conn.execute(
                "insert into public.world (run_id, node, pid) values (%s, %s, %s)",
                (self.run.run_id, node, os.getpid()),
            )

    async def pass_gate(self) -> None:
        """Wait until the test opens the gate."""
        while True:
            async with self.database.connection() as conn:
                if await (await conn.execute("select 1 from public.gate")).fetchone():
                    return
            await asyncio.sleep(0.02)


def _with(state: Toy, **more: Any) -> Toy:
    return {"case": {**state["case"], **more}}


async def first(state: Toy, runtime: Runtime[ToyContext]) -> Toy:
    await runtime.context.mark("first")
    return _with(state, first=True)


async def gated(state: Toy, runtime: Runtime[ToyContext]) -> Toy:
    await runtime.context.mark("gated")
    await runtime.context.pass_gate()
    return _with(state, gated=True)


async def last(state: Toy, runtime: Runtime[ToyContext]) -> Toy:
    await runtime.context.mark("last")
    return _with(state, ended={"state": "done", "text": "All done."})


async def asks(state: Toy, runtime: Runtime[ToyContext]) -> Toy:
    """Asks twice in one node, going on only when the stored answer is there: as `act` does."""
    context = runtime.context
    await context.mark("asking")
    for number in (1, 2):
        subject = f"{context.run.run_id}.{number}"
        while not await is_settled(context.database, subject):
            interrupt(Waiting(kind="approval", subject_id=subject, text=f"question {number}").model_dump())
        await context.mark(f"answered {number}")
    return _with(state, asked=True)


async def starts(state: Toy, runtime: Runtime[ToyContext]) -> Toy:
    context = runtime.context
    await context.mark("before")
    await context.hook(context.run)
    async with context.database.transaction() as conn:
        await context.guard.may_start(conn)
    await context.mark("started")
    return _with(state, started=True)


async def breaks(state: Toy, runtime: Runtime[ToyContext]) -> Toy:
    await runtime.context.mark("broke")
    raise ZeroDivisionError("always")


async def keeps_a_set(state: Toy, runtime: Runtime[ToyContext]) -> Toy:
    return _with(state, wrong={1, 2})


def _line(*nodes: Any) -> Callable[[], StateGraph[Toy, ToyContext, Toy, Toy]]:
    def build() -> StateGraph[Toy, ToyContext, Toy, Toy]:
        graph: StateGraph[Toy, ToyContext, Toy, Toy] = StateGraph(Toy, context_schema=ToyContext)
        before = START
        for node in nodes:
            graph.add_node(node.__name__, node)
            graph.add_edge(before, node.__name__)
            before = node.__name__
        graph.add_edge(before, END)
        return graph

    return build


def _toy(name: str, *nodes: Any) -> Workflow:
    return Workflow(name=name, version=1, purpose="a toy", usage="", examples=(), build=_line(*nodes))


TOYS = (
    _toy("plain", first, last),
    _toy("gated", first, gated, last),
    _toy("asking", first, asks, last),
    _toy("starting", first, starts, last),
    _toy("broken", first, breaks, last),
    _toy("endless", first),
    _toy("unstorable", first, keeps_a_set, last),
)


async def make_engine_tables(url: str) -> None:
    """Bring a database to where toy workflows can run on it."""
    await migrate(url, ENGINE)
    await make_world(url)


async def make_world(url: str) -> None:
    """Make the tables that stand for the world outside."""
    async with connect(url) as conn:
        await conn.execute("create table public.world (at timestamptz default now(), run_id text, node text, pid int)")
        await conn.execute("create table public.gate (open bool)")
        await conn.execute("create table public.settled (subject_id text)")


async def is_settled(database: Database, subject_id: str) -> bool:
    """True when the test has answered this question."""
    async with database.connection() as conn:
        found = await conn.execute("select 1 from public.settled where subject_id = %s", (subject_id,))
        return await found.fetchone() is not None


async def nothing(run: Run) -> None:
    """The hook of a toy that is left alone."""


class Died(Exception):
    """Where a process would have ended itself."""


@dataclass
class Engine:
    """Everything that runs toy workflows, in this process."""

    database: Database
    store: RunStore
    dispatcher: Dispatcher
    runner: Runner
    metrics: Metrics
    cancelled: list[RunId] = field(default_factory=list[RunId])
    hooks: list[Callable[[Run], Awaitable[None]]] = field(default_factory=list[Callable[[Run], Awaitable[None]]])

    async def start(self, workflow: str, *, wake: bool = True, version: int = 1, delivery: str = "") -> RunId:
        """Store a run of a toy workflow and, unless told otherwise, wake it."""
        run_id = new_run_id()
        request = Request(
            workspace="T1", requester="U1", origin="cli", workflow=workflow, delivery_id=delivery or f"d-{run_id}"
        )
        where = Conversation("T1", "C1", "1.1")
        async with self.database.transaction() as conn:
            await self.store.create(conn, request, conversation=where, workflow_version=version, run_id=run_id)
        if wake:
            await self.wake(run_id)
        return run_id

    async def wake(self, run_id: RunId) -> None:
        """Wake a run in a transaction of its own."""
        async with self.database.transaction() as conn:
            await self.dispatcher.wake(run_id, conn)

    async def settle(self, run_id: RunId, number: int) -> None:
        """Answer one question of the asking toy."""
        await self.execute("insert into public.settled values (%s)", f"{run_id}.{number}")

    async def run(self, run_id: RunId) -> Run:
        """The run as it is stored."""
        run = await self.store.get(run_id)
        assert run is not None
        return run

    async def execute(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """Run one statement on the side and give its rows."""
        async with self.database.connection() as conn:
            cursor = await conn.execute(statement.encode(), values)
            return await cursor.fetchall() if cursor.description is not None else []

    async def done_in_the_world(self, run_id: RunId) -> list[str]:
        """What the nodes of this run did, in order, repetitions included."""
        rows = await self.execute("select node from public.world where run_id = %s order by at", run_id)
        return [row["node"] for row in rows]

    async def until(self, run_id: RunId, state: RunState, *, within: float = 10) -> Run:
        """Wait until the run stands in `state`."""
        async with asyncio.timeout(within):
            while (run := await self.run(run_id)).state is not state:
                await asyncio.sleep(0.02)
        return run

    async def until_done(self, run_id: RunId, node: str, *, within: float = 10) -> None:
        """Wait until this node has begun."""
        async with asyncio.timeout(within):
            while node not in await self.done_in_the_world(run_id):
                await asyncio.sleep(0.02)

    async def set_stopped(self, conn: Connection, run_id: RunId) -> None:
        """Remember that what this run waited for was cancelled."""
        self.cancelled.append(run_id)

    async def hook(self, run: Run) -> None:
        """Do, once, what the test wants done in the middle of a node."""
        if self.hooks:
            await self.hooks.pop()(run)


def assemble(
    database: Database,
    options: EngineOptions,
    *,
    stalls_allowed: int = 5,
    open_saver: OpenSaver = FencedSaver,
    open_store: Callable[[Database], RunStore] = RunStore,
) -> Engine:
    """The engine over an open database."""
    store, metrics = open_store(database), Metrics()

    async def settled(waiting: Waiting) -> bool:
        return await is_settled(database, waiting.subject_id)

    runner = Runner(
        database,
        store,
        workflows=Workflows(TOYS),
        surroundings=Surroundings(
            make_context=lambda run, guard: ToyContext(run, guard, database, engine.hook),
            is_settled=settled,
            on_ended=lambda conn, run_id: engine.set_stopped(conn, run_id),
        ),
        metrics=metrics,
        stalls_allowed=stalls_allowed,
        open_saver=open_saver,
    )
    dispatcher = Dispatcher(database, store, clock=SystemClock(), options=options)
    engine = Engine(database, store, dispatcher, runner, metrics)
    return engine


def die_here(code: int) -> NoReturn:
    """What stands in for the end of the process in tests that share it."""
    raise Died(code)


@asynccontextmanager
async def working(engine: Engine) -> AsyncGenerator[None]:
    """A worker in this process for as long as the block lasts."""
    stop = asyncio.Event()
    work = asyncio.create_task(
        engine.dispatcher.run_worker(engine.runner.advance, stop=stop, metrics=engine.metrics, die=die_here)
    )
    try:
        yield
    finally:
        stop.set()
        await work


@asynccontextmanager
async def worker_process(url: str) -> AsyncGenerator[subprocess.Popen[bytes]]:
    """A worker in a process of its own, killed at the end of the block if it still lives."""
    process = subprocess.Popen([sys.executable, "-m", "tests.support.engine", url], cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def _serve(url: str) -> None:
    async with open_database(url) as database:
        engine = assemble(database, STEADY)
        await engine.dispatcher.run_worker(engine.runner.advance, stop=asyncio.Event(), metrics=engine.metrics)


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
