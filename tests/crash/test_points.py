"""kill -9 of everything at each point of a run's way: afterwards the effect stands once, and so does every message."""

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.campaign import CLEO, HASTY, Ask, Verdict, approval_of, ask_for, asks, at_rest, judge
from tests.support.company import Company
from tests.support.halting import MORE_POINTS, POINTS, Halting, forking
from tests.support.nursery import Nursery

FULL = os.environ.get("COUNTERSIGN_CAMPAIGN") == "full"
#: Not a trap: the kill comes while the card stands there.
WAITS = "the card waits"
KEYED_POINTS = (*POINTS, WAITS, *(MORE_POINTS if FULL else ()))
AROUND_THE_PROVIDER = ("before the provider", "after the provider")
#: What a dead process has in hand of a person is theirs to wait for, and so is whatever they do next.
IN_HAND = ("click acknowledged", "request acknowledged")
#: What comes after a person has seen the card, and all where a person is part of it.
BEHIND_THE_CARD = ("click acknowledged", "approval decided", WAITS)
ASKED = ("approval card posted", *BEHIND_THE_CARD)

pytest_plugins = ["tests.support.nursery_fixture"]
pytestmark = pytest.mark.asyncio(loop_scope="session")


class Crashed:
    """One company, killed again and again, with a run of its own each time."""

    def __init__(self, home: Path, settles: str, nursery: Nursery) -> None:
        env = {**HASTY, "COUNTERSIGN_SANDBOX_SETTLES": settles}
        self.company = Company(home, env=env, begin=forking(nursery))
        self.halting = Halting(home)
        self._honours = settles == "keyed"
        # Each is less than half of what was paid, so that the provider would let a second refund pass.
        self._alone, self._asked = asks(8, seed=1, alone=True), asks(5, seed=1, alone=False)

    async def survive(self, points: Sequence[str]) -> dict[str, Verdict]:
        """kill -9 of everything at each of these points, and what became of each run once everything rests.

        Nobody waits for one run to recover before the next kill: what was cut off may be cut off again under way.
        """
        await self.company.start(*self.halting.command)
        await self.company.control("payments", honour_keys=self._honours)
        in_turn = sorted(points, key=lambda point: IN_HAND.index(point) if point in IN_HAND else -1)
        cut_off = {point: await self._cut_off_at(point) for point in in_turn}
        await at_rest(self.company, len(points), seconds=120)
        return {point: await judge(self.company, [ask]) for point, ask in cut_off.items()}

    async def _cut_off_at(self, point: str) -> Ask:
        """A run that came to `point` and no further, for then everything was killed and started again."""
        ask = (self._asked if point in ASKED else self._alone).pop()
        await self._come_to(point, ask)
        await self.company.kill_everything()
        await self.company.start(*self.halting.command)
        if point in {WAITS, "approval card posted"}:
            await self._approve(ask)
        return ask

    async def _come_to(self, point: str, ask: Ask) -> None:
        if point in BEHIND_THE_CARD:
            await ask_for(self.company, ask)
            await approval_of(self.company, ask)
            if point == WAITS:
                return
            self.halting.set(point, ask.order_id)
            await self._approve(ask)
        else:
            self.halting.set(point, ask.order_id)
            await ask_for(self.company, ask)
        await self.company.until(self.halting.is_caught, f"it halts at {point!r}", seconds=60)

    async def _approve(self, ask: Ask) -> None:
        """Have the entitled person press Approve on the card in the approvals channel."""
        await self.company.click(CLEO, await approval_of(self.company, ask), "approval.approve")

    async def end(self) -> None:
        """Leave nothing of it."""
        await self.company.kill_everything()
        with suppress(OSError):
            await self.company.forget()
        await self.company.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def verdicts(
    tmp_path_factory: pytest.TempPathFactory, nursery: Nursery
) -> AsyncGenerator[dict[str, dict[str, Verdict]]]:
    """What became of each run, for a provider that honours keys and for one that does not; both at once."""
    wanted = {"keyed": KEYED_POINTS, "probeable": AROUND_THE_PROVIDER}
    crashed = [Crashed(tmp_path_factory.mktemp(settles) / "var", settles, nursery) for settles in wanted]
    try:
        found = await asyncio.gather(*(each.survive(wanted[name]) for name, each in zip(wanted, crashed, strict=True)))
        yield dict(zip(wanted, found, strict=True))
    finally:
        await asyncio.gather(*(each.end() for each in crashed))


@pytest.mark.parametrize("point", KEYED_POINTS)
async def test_a_kill_of_everything_loses_nothing_and_doubles_nothing(
    verdicts: dict[str, dict[str, Verdict]], point: str
) -> None:
    assert verdicts["keyed"][point].is_clean, str(verdicts["keyed"][point])


@pytest.mark.parametrize("point", AROUND_THE_PROVIDER)
async def test_a_provider_that_ignores_keys_is_asked_before_it_is_sent_to_again(
    verdicts: dict[str, dict[str, Verdict]], point: str
) -> None:
    assert verdicts["probeable"][point].is_clean, str(verdicts["probeable"][point])
