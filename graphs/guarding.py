"""Who asks a model and within which budgets: a run pauses at one and asks for more, a person outside a run is told."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from actions.catalogue.budget_raise import Raise, Unit
from actions.intent import TrustLabel
from actions.outcome import Declined, Done, Failed, Rehearsed
from core.clock import Clock
from core.db import Database
from graphs.budget import Amounts, BudgetReached, Ceiling, count_once, take
from graphs.model_calls import Asker, ModelCalls, Question, Recalled, Settled
from graphs.plan import Step
from graphs.run_guard import RunGuard

Act = Callable[[Step], Awaitable[Done | Declined | Failed | Rehearsed]]

#: Each measure with the unit people agree to, and how many of its smallest parts that has.
_UNITS: dict[str, tuple[Unit, int]] = {
    "micro": ("US cents", 10_000),
    "tokens": ("tokens", 1),
    "steps": ("steps", 1),
    "actions": ("actions", 1),
    "milliseconds": ("minutes", 60_000),
}


class BudgetGuard(Protocol):
    """Keeps what is used within budgets, and remembers what was answered."""

    @property
    def workflow(self) -> str:
        """What is worked on; empty outside of a run."""
        ...

    async def recall(self, asked: str) -> Recalled | None:
        """The answer to the same question of the same run, if there was one."""
        ...

    async def reserve(self, question: Question, model: str, worst: Amounts, *, window: float) -> str:
        """Set the worst case of one call aside and give its id; raises BudgetReached."""
        ...

    async def settle(self, call_id: str, settled: Settled) -> None:
        """Write down what the call used."""
        ...

    async def more(self, reached: BudgetReached) -> bool:
        """Ask people for more, pausing while they decide; True once there is more."""
        ...


class NoGuard:
    """Limits nothing and remembers nothing: for a reasoner that nobody has bound to a run or a person."""

    workflow = ""

    async def recall(self, asked: str) -> Recalled | None:
        """Nothing is remembered."""
        return None

    async def reserve(self, question: Question, model: str, worst: Amounts, *, window: float) -> str:
        """There is always room."""
        return ""

    async def settle(self, call_id: str, settled: Settled) -> None:
        """Nothing is written down."""

    async def more(self, reached: BudgetReached) -> bool:
        """Never asked."""
        return False


@dataclass(frozen=True)
class AskerBudget:
    """What somebody asks outside of a run: at a budget they are told, and rules answer."""

    calls: ModelCalls
    asker: Asker
    ceilings: Sequence[Ceiling]

    @property
    def workflow(self) -> str:
        """What is worked on; empty outside of a run."""
        return self.asker.workflow

    async def recall(self, asked: str) -> Recalled | None:
        """The answer this run had; outside of a run nothing is remembered."""
        return await self.calls.recall(self.asker, asked)

    async def reserve(self, question: Question, model: str, worst: Amounts, *, window: float) -> str:
        """Set the worst case of one call aside; raises BudgetReached."""
        return await self.calls.reserve(self.asker, question, model, worst, self.ceilings, window)

    async def settle(self, call_id: str, settled: Settled) -> None:
        """Write down what the call used."""
        await self.calls.settle(self.asker, call_id, settled, self.ceilings)

    async def more(self, reached: BudgetReached) -> bool:
        """Nobody is asked: there is nothing that could wait."""
        return False


class RunBudget(AskerBudget):
    """One run's budgets while one owner advances it; `act` is the run's one guarded way to act."""

    def __init__(
        self, database: Database, asker: Asker, ceilings: Sequence[Ceiling], *, act: Act, clock: Clock
    ) -> None:
        super().__init__(ModelCalls(database), asker, ceilings)
        self._database = database
        self._act = act
        self._clock = clock
        self._since = clock.monotonic()

    async def reserve(self, question: Question, model: str, worst: Amounts, *, window: float) -> str:
        """Set the worst case of one call aside, and count the time since the last; raises BudgetReached."""
        await self._count_time()
        return await super().reserve(question, model, worst, window=window)

    async def more(self, reached: BudgetReached) -> bool:
        """Ask for as much again as the budget declares; a dry run asks nobody."""
        return isinstance(await self._act(raise_of(reached)), Done)

    async def allows(self, amounts: Amounts, *, what: str) -> str:
        """Count this once for the run, asking for more where a budget is reached; why not, where nobody gave more."""
        while True:
            try:
                await self._count_time()
                await self._take(amounts, what)
                return ""
            except BudgetReached as reached:
                outcome = await self._act(raise_of(reached))
                if not isinstance(outcome, Done):
                    return f"{reached} {outcome.text}"

    async def _take(self, amounts: Amounts, what: str | None = None) -> None:
        assert self.asker.run_id is not None
        async with self._database.transaction() as conn:
            await RunGuard(self.asker.run_id, self.asker.epoch).fence(conn)
            if what is None or await count_once(conn, self.asker.run_id, what):
                await take(conn, self.asker.workspace, self.ceilings, amounts)

    async def _count_time(self) -> None:
        """Count the time at work since this was last done; what the process was away for is nobody's work."""
        now = self._clock.monotonic()
        await self._take(Amounts(milliseconds=int((now - self._since) * 1000)))
        self._since = now


def raise_of(reached: BudgetReached) -> Step:
    """The question for more: as much again as was declared, or as is wanted where that is more.

    It is named so, and made of nothing that others change, that a node which runs again asks the same.
    """
    unit, parts = _UNITS[reached.measure]
    draw = reached.draw
    args = Raise(
        budget=draw.scope,
        whose=draw.subject,
        period=draw.period,
        amount=max(1, -(-max(reached.declared, reached.wanted) // parts)),
        unit=unit,
    )
    trusted = (TrustLabel.OPERATOR, "the budget that was reached")
    return Step(
        key=":".join(["budget", draw.scope, *([draw.period] if draw.period else []), str(reached.raises + 1)]),
        action="budget.raise",
        args=args.model_dump(mode="json"),
        origins={"whose": trusted},
        evidence=[str(reached)],
    )
