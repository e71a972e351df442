"""Workers killed, frozen and silenced at random under way, and what the outside system says afterwards."""

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from core.db import DatabaseError
from tests.support.ground import LANDING, WINDOW, Ground
from tests.support.nursery import Process

#: A worker silent for so many seconds is taken for dead.
STALLED = 1.2
#: When others have noticed that somebody stands still, have looked up what became of the call, and have sent it.
TAKEN_OVER = 2 * STALLED + WINDOW + LANDING + 1
#: Whoever stands still for longer finds its connection to the outside system too old to be used again.
CUT_OFF = 14
#: The first and the last run alone, the one between asks.
AMOUNTS = ("10 USD", "60 USD", "20 USD")
QUIET_SECONDS = 120


async def _all_is_well() -> None:
    pass


@dataclass(frozen=True)
class Storm:
    """What happens, and how much of it; everything random comes from `seed` and from when processes get their turn."""

    runs: int
    kills: int
    pauses: int = 0
    """SIGSTOPs longer than a worker may be silent, each continued later."""
    seed: int = 20261122
    workers: int = 4
    control: str = ""
    """The guard that is taken away."""
    kills_between: tuple[float, float] = (0.2, 0.8)
    """Seconds from one kill from outside to the next; others die by themselves at some point of their way."""
    lulls: float = 0.0
    """The chance that nobody kills for a while after a kill, so that others can take over what the dead left."""
    lull: tuple[float, float] = (2 * STALLED + 1, TAKEN_OVER + 2)
    """For how many seconds."""
    dies: float = 0.006
    """The chance to die at any named point."""
    stands_still: float = 0.0
    """The chance to stop between the commit of an attempt and its sending."""
    frozen: tuple[float, float] = (TAKEN_OVER, CUT_OFF)
    """For how many seconds what stands still does so."""
    silent: float = 0.0
    """The chance that a new worker's heartbeats get lost."""
    think: float = 0.0
    """Up to so many seconds to make a plan."""
    approve_after: float = 0.2
    ends_early: bool = False
    """Ends with the first duplicate: a control has nothing more to show then."""


@dataclass
class Verdict:
    """Empty lists are good news."""

    lost: list[str] = field(default_factory=list[str])
    duplicated: list[str] = field(default_factory=list[str])
    stuck: list[str] = field(default_factory=list[str])
    """Runs, attempts and jobs that came to no end, and receipts that are not the outside system's."""
    effects: int = 0
    runs: int = 0
    events: Counter[str] = field(default_factory=Counter[str])

    @property
    def is_clean(self) -> bool:
        """True when everything happened, and once."""
        return not (self.lost or self.duplicated or self.stuck)

    def __str__(self) -> str:
        seen = ", ".join(f"{count} {name}" for name, count in sorted(self.events.items()))
        bad = [*self.lost, *self.duplicated, *self.stuck]
        return (
            f"{self.runs} runs, {self.effects} effects ({seen}): {len(self.lost)} lost,"
            f" {len(self.duplicated)} duplicated, {len(self.stuck)} stuck" + "".join(f"\n  {each}" for each in bad[:20])
        )


class _Crew:
    """Workers, each replaced the moment it ends, as a supervisor does."""

    def __init__(self, ground: Ground, plan: Storm, dice: random.Random) -> None:
        self._ground = ground
        self._plan = plan
        self._dice = dice
        self._tasks: list[asyncio.Task[None]] = []
        self._later: set[asyncio.Task[None]] = set()
        self._is_calm = False
        self.alive: list[Process] = []
        self._still: set[int] = set()
        """Those that stand still: whoever is killed there harms nobody when it would have woken."""
        self.events: Counter[str] = Counter()

    def begin(self) -> None:
        """Have all workers at work."""
        self._tasks = [asyncio.create_task(self._keep()) for _ in range(self._plan.workers)]

    def calm(self) -> None:
        """From now on nothing goes wrong any more; those with bad habits end."""
        self._is_calm = True
        for process in self.alive:
            process.signal(signal.SIGKILL)

    async def end(self) -> None:
        """Nobody works any more."""
        for task in [*self._tasks, *self._later]:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._later, return_exceptions=True)
        for process in self.alive:
            await process.kill()

    async def _keep(self) -> None:
        while True:
            process = await self._ground.start("worker", **self._given())
            process.on_stopped = self._stopped
            self.alive.append(process)
            code = await asyncio.shield(process.ended)
            self.alive.remove(process)
            self._still.discard(process.pid)
            self.events[{-9: "kills", 75: "fenced"}.get(code, f"ended with {code}")] += 1

    def _given(self) -> dict[str, Any]:
        plan = self._plan
        after = 0.2 if self._is_calm else plan.approve_after
        common = {"control": plan.control, "stalled": STALLED, "approve_after": after}
        if self._is_calm:
            return common
        silent = self._dice.random() < plan.silent
        self.events["silent"] += silent
        chances = {"die": plan.dies, "stop": plan.stands_still}
        return {**common, "chances": chances, "seed": self._dice.random(), "mute": silent}

    def strike(self, number: int) -> None:
        """Send this signal to one of those that move."""
        moving = [process for process in self.alive if process.pid not in self._still]
        if moving:
            self._dice.choice(moving).signal(number)

    def _stopped(self, process: Process) -> None:
        is_one_too_many = 2 * len(self._still) >= self._plan.workers
        self.events["pauses"] += not is_one_too_many
        self._still.add(process.pid)
        after = 0 if is_one_too_many else self._dice.uniform(*self._plan.frozen)
        task = asyncio.create_task(self._continue(process, after))
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def _continue(self, process: Process, after: float) -> None:
        await asyncio.sleep(after)
        self._still.discard(process.pid)
        process.signal(signal.SIGCONT)


async def rage(ground: Ground, plan: Storm, *, also: Callable[[], Awaitable[None]] = _all_is_well) -> Verdict:
    """Ask for all runs while the storm lasts, `also` at its height; then let everything come to rest, and judge."""
    dice = random.Random(plan.seed)
    crew = _Crew(ground, plan, dice)
    crew.begin()
    asked = 0
    try:
        beside = asyncio.create_task(_awaited(also))
        while asked < plan.runs or not beside.done() or not _is_enough(plan, crew.events):
            if plan.ends_early and (doubled := await _doubled(ground)):
                return Verdict(duplicated=doubled, runs=asked, events=crew.events)
            share = min(1.0, (crew.events["kills"] + 1) / (plan.kills + 1)) if plan.kills else 0
            wanted = max(asked + 1, round(plan.runs * share))
            while asked < min(wanted, plan.runs):
                await _ask(ground, plan, asked)
                asked += 1
            await asyncio.sleep(dice.uniform(*plan.kills_between))
            if dice.random() < plan.lulls:
                await asyncio.sleep(dice.uniform(*plan.lull))
            _strike(plan, crew, dice)
        await beside
        crew.calm()
        await _at_rest(ground)
    finally:
        await crew.end()
    return await _judge(ground, plan, crew.events)


async def _doubled(ground: Ground) -> list[str]:
    applied = Counter(made["order_id"] for made in (await ground.receiver.log())["applied"])
    return [f"{order_id} x {count}" for order_id, count in applied.items() if count > 1]


async def _awaited(also: Callable[[], Awaitable[None]]) -> None:
    await also()


def _is_enough(plan: Storm, events: Counter[str]) -> bool:
    return events["kills"] >= plan.kills and events["pauses"] >= plan.pauses


def _strike(plan: Storm, crew: _Crew, dice: random.Random) -> None:
    wants_pause = crew.events["pauses"] < plan.pauses and dice.random() < plan.pauses / max(1, plan.kills)
    if wants_pause:
        crew.strike(signal.SIGSTOP)
    elif crew.events["kills"] < plan.kills:
        crew.strike(signal.SIGKILL)


def _orders(number: int) -> list[tuple[str, str]]:
    return [(f"#{number}-{place}", amount) for place, amount in enumerate(AMOUNTS)]


async def _ask(ground: Ground, plan: Storm, number: int) -> None:
    while True:
        with suppress(DatabaseError):
            await ground.request(_orders(number), think=plan.think)
            return
        await asyncio.sleep(0.2)


async def _at_rest(ground: Ground) -> None:
    """Wait until no run is under way, or until it takes too long: that is what the verdict is for."""
    with suppress(TimeoutError):
        async with asyncio.timeout(QUIET_SECONDS):
            while True:
                await asyncio.sleep(0.3)
                with suppress(DatabaseError):
                    left = await ground.rows("select 1 from graphs.run where state in ('ready', 'waiting') limit 1")
                    busy = await ground.rows("select 1 from engine.procrastinate_jobs where status = 'doing' limit 1")
                    if not left and not busy:
                        return


async def _judge(ground: Ground, plan: Storm, events: Counter[str]) -> Verdict:
    log = await ground.receiver.log()
    applied = Counter(made["order_id"] for made in log["applied"])
    wanted = [order_id for number in range(plan.runs) for order_id, _ in _orders(number)]
    verdict = Verdict(runs=plan.runs, effects=applied.total(), events=events)
    verdict.lost = [order_id for order_id in wanted if not applied[order_id]]
    verdict.duplicated = await _doubled(ground)
    for question in (
        "select run_id || ' is ' || state || ' ' || outcome as said from graphs.run where state <> 'done'",
        "select 'job of ' || lock || ' is ' || status as said from engine.procrastinate_jobs where status = 'doing'",
        "select 'intent of ' || run_id || ' is ' || state as said from actions.intent"
        " where state not in ('done', 'cancelled')",
    ):
        verdict.stuck += [row["said"] for row in await ground.rows(question)]
    receipts = await ground.rows("select receipt ->> 'refund_id' as id from actions.attempt where state = 'done'")
    strange = Counter(row["id"] for row in receipts) - Counter(made["refund_id"] for made in log["applied"])
    verdict.stuck += [f"receipt {name} is not the other side's" for name in strange]
    return verdict
