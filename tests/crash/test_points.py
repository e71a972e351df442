"""kill -9 of everything at each point of a run's way: afterwards the effect stands once, and so does every message."""

import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.campaign import CLEO, HASTY, Ask, approval_of, ask_for, asks, at_rest, judge
from tests.support.company import Company
from tests.support.halting import MORE_POINTS, POINTS, Halting, forking
from tests.support.nursery import Nursery

FULL = os.environ.get("COUNTERSIGN_CAMPAIGN") == "full"
AROUND_THE_PROVIDER = ("before the provider", "after the provider")
#: Where a person is part of it.
ASKED = ("approval card posted", "click acknowledged", "approval decided")

pytest_plugins = ["tests.support.nursery_fixture"]
pytestmark = pytest.mark.asyncio(loop_scope="module")


class Crashed:
    """One company, killed again and again, with a run of its own each time."""

    def __init__(self, home: Path, settles: str, companies: Nursery) -> None:
        env = {**HASTY, "COUNTERSIGN_SANDBOX_SETTLES": settles}
        self.company = Company(home, env=env, begin=forking(companies))
        self.halting = Halting(home)
        self._honours = settles == "keyed"
        # Each is less than half of what was paid, so that the provider would let a second refund pass.
        self._alone, self._asked = asks(8, seed=1, alone=True), asks(5, seed=1, alone=False)
        self._used = 0

    async def start(self) -> None:
        """Start it with traps that are not set."""
        await self.company.start(*self.halting.command)
        await self.company.control("payments", honour_keys=self._honours)

    async def restart(self) -> None:
        """kill -9 of everything, then a start."""
        await self.company.kill_everything()
        await self.company.start(*self.halting.command)

    def next(self, *, alone: bool) -> Ask:
        """An order nobody has asked about."""
        self._used += 1
        return (self._alone if alone else self._asked).pop()

    async def approve(self, ask: Ask) -> None:
        """Have the entitled person press Approve on the card in the approvals channel."""
        await self.company.click(CLEO, await approval_of(self.company, ask), "approval.approve")

    async def caught_at(self, point: str) -> Ask:
        """A run that has come to `point` and no further: everything stands still there."""
        ask = self.next(alone=point not in ASKED)
        self.halting.set(point, ask.order_id)
        await ask_for(self.company, ask)
        if point in {"click acknowledged", "approval decided"}:
            await self.approve(ask)
        await self.company.until(self.halting.is_caught, f"it halts at {point!r}", seconds=60)
        return ask

    async def check(self, ask: Ask) -> None:
        """Everything rests, and what was asked for happened once and is told once."""
        await at_rest(self.company, self._used, seconds=120)
        verdict = await judge(self.company, [ask])
        assert verdict.is_clean, f"{verdict}\n{self.company.console()}"


Opener = Callable[[str], Awaitable[Crashed]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(tmp_path_factory: pytest.TempPathFactory, companies: Nursery) -> AsyncGenerator[Opener]:
    """Gives the company of one contract, started on first use and shared from then on."""
    found: dict[str, Crashed] = {}

    async def open_(settles: str) -> Crashed:
        if settles not in found:
            found[settles] = Crashed(tmp_path_factory.mktemp(settles) / "var", settles, companies)
            await found[settles].start()
        return found[settles]

    yield open_
    for crashed in found.values():
        await crashed.company.kill_everything()
        with suppress(OSError):
            await crashed.company.forget()
        await crashed.company.close()


@pytest.mark.parametrize("point", [*POINTS, *(MORE_POINTS if FULL else ())])
async def test_a_kill_of_everything_loses_nothing_and_doubles_nothing(opened: Opener, point: str) -> None:
    crashed = await opened("keyed")
    ask = await crashed.caught_at(point)
    await crashed.restart()
    if point == "approval card posted":
        await crashed.approve(ask)
    await crashed.check(ask)


async def test_a_card_that_waits_outlives_a_kill_of_everything(opened: Opener) -> None:
    crashed = await opened("keyed")
    ask = crashed.next(alone=False)
    await ask_for(crashed.company, ask)
    await approval_of(crashed.company, ask)
    await crashed.restart()
    await crashed.approve(ask)
    await crashed.check(ask)


@pytest.mark.parametrize("point", AROUND_THE_PROVIDER)
async def test_a_provider_that_ignores_keys_is_asked_before_it_is_sent_to_again(opened: Opener, point: str) -> None:
    crashed = await opened("probeable")
    ask = await crashed.caught_at(point)
    await crashed.restart()
    await crashed.check(ask)
