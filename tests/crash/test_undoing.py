"""kill -9 of everything in the middle of undoing: by the shop's own log each return is taken back once."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass

import pytest
import pytest_asyncio

from tests.support.asking import Orders, rows, told
from tests.support.campaign import HASTY, at_rest
from tests.support.company import RITA, Company, Json
from tests.support.halting import UNDOING_POINTS, Halting, forking
from tests.support.nursery import Nursery
from tests.support.undoing import cards_of_errands, order_of, restores_of, returned, undoings_of

pytest_plugins = ["tests.support.nursery_fixture"]
pytestmark = pytest.mark.asyncio(loop_scope="session")


@dataclass(frozen=True)
class Undone:
    """A return whose undoing came to some point and no further, for then everything was killed."""

    order_id: str
    run_id: str


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def company(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> AsyncGenerator[Company]:
    """A started company with traps that are not set."""
    company = Company(tmp_path_factory.mktemp("undoing") / "var", env=HASTY, begin=forking(nursery))
    try:
        await company.start(*Halting(company.home).command)
        yield company
    finally:
        await company.kill_everything()
        with suppress(OSError):
            await company.forget()
        await company.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def undone(company: Company) -> dict[str, Undone]:
    """Everything killed and started again at each point of an undoing; then all that was begun comes to its end.

    Nobody waits for one to recover before the next kill: what was cut off may be cut off again under way.
    """
    halting, orders = Halting(company.home), Orders()
    done = await asyncio.gather(*(returned(company, orders) for _ in UNDOING_POINTS))
    found = {point: Undone(*each) for point, each in zip(UNDOING_POINTS, done, strict=True)}
    for point, each in found.items():
        halting.set(point, each.order_id)
        await told(company, RITA, f"undo {each.run_id}", says="newest first")
        await company.until(halting.is_caught, f"it halts at {point!r}", seconds=60)
        await company.kill_everything()
        await company.start(*halting.command)
    await at_rest(company, 2 * len(found), seconds=120)
    return found


@pytest.mark.parametrize("point", UNDOING_POINTS)
async def test_a_kill_of_everything_while_undoing_takes_back_once_and_asks_once(
    company: Company, undone: dict[str, Undone], point: str
) -> None:
    order_id, run_id = undone[point].order_id, undone[point].run_id
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
