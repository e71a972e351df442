"""kill -9 of everything in the middle of undoing: by the shop's own log each return is taken back once."""

from collections.abc import AsyncGenerator
from contextlib import suppress

import pytest
import pytest_asyncio

from tests.support.asking import Orders, rows, told
from tests.support.campaign import HASTY, at_rest
from tests.support.company import RITA, Company, Json
from tests.support.halting import UNDOING_POINTS, Halting, forking
from tests.support.nursery import Nursery
from tests.support.undoing import cards_of_errands, order_of, restores_of, returned, undoings_of

pytest_plugins = ["tests.support.nursery_fixture"]
pytestmark = pytest.mark.asyncio(loop_scope="module")


class Crashed:
    """One company, killed again and again, with a return of its own each time."""

    def __init__(self, company: Company) -> None:
        self.company = company
        self.halting = Halting(company.home)
        self._orders = Orders()
        self._runs = 0

    async def start(self) -> None:
        """Start it with traps that are not set."""
        await self.company.start(*self.halting.command)

    async def caught_at(self, point: str) -> tuple[str, str]:
        """A return whose undoing has come to `point` and no further, and the run that did it."""
        order_id, run_id = await returned(self.company, self._orders)
        self.halting.set(point, order_id)
        await told(self.company, RITA, f"undo {run_id}", says="newest first")
        await self.company.until(self.halting.is_caught, f"it halts at {point!r}", seconds=60)
        return order_id, run_id

    async def at_rest(self) -> None:
        """kill -9 of everything, a start, and all that was begun comes to its end."""
        await self.company.kill_everything()
        await self.start()
        self._runs += 2
        await at_rest(self.company, self._runs, seconds=120)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def crashed(tmp_path_factory: pytest.TempPathFactory, companies: Nursery) -> AsyncGenerator[Crashed]:
    """A started company with traps."""
    company = Company(tmp_path_factory.mktemp("undoing") / "var", env=HASTY, begin=forking(companies))
    opened = Crashed(company)
    try:
        await opened.start()
        yield opened
    finally:
        await company.kill_everything()
        with suppress(OSError):
            await company.forget()
        await company.close()


@pytest.mark.parametrize("point", UNDOING_POINTS)
async def test_a_kill_of_everything_while_undoing_takes_back_once_and_asks_once(crashed: Crashed, point: str) -> None:
    order_id, run_id = await crashed.caught_at(point)
    await crashed.at_rest()
    company = crashed.company
    assert len(await restores_of(company, order_id)) == 1, company.console()
    order = await order_of(company, order_id)
    assert (order["status"], order["return"]) == ("delivered", None)
    assert len(await cards_of_errands(company, order_id)) == 1
    [undoing] = await undoings_of(company, run_id)
    assert undoing["state"] == "needs_person"
    assert await _intents(company, run_id) == {"order.update": "compensated", "payment.refund": "done"}
    told_once = [row for row in await rows(company, "audit") if _is_about(row, "effect.compensated", run_id)]
    assert len(told_once) == 1


async def _intents(company: Company, run_id: str) -> dict[str, str]:
    found = [row for row in await rows(company, "ledger") if row["run_id"] == run_id]
    return {row["action"]: row["state"] for row in found if row["action"] != "message.post"}


def _is_about(row: Json, event: str, run_id: str) -> bool:
    return row["event"] == event and row["subject"]["run_id"] == run_id
