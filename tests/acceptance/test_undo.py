"""Undoing as a person meets it: the shop's record stands as before, and what is left is told to a person."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.asking import Orders, rows, told, told_at_click
from tests.support.company import ADA, BEN, RITA, Company, open_company
from tests.support.nursery import Nursery
from tests.support.undoing import errand_card, order_of, restores_of, returned, run_of, state_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def company(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> AsyncGenerator[Company]:
    """A started sample company, shared; each test has an order of its own."""
    home: Path = tmp_path_factory.mktemp("undo") / "var"
    async with open_company(home, nursery) as started:
        yield started


@pytest.fixture(scope="module")
def orders() -> Orders:
    """Orders that no other test here uses."""
    return Orders()


async def test_a_done_return_is_undone_once_and_the_refund_is_left_to_a_person(
    company: Company, orders: Orders
) -> None:
    order_id, run_id = await returned(company, orders)
    undo_id = (await told(company, RITA, f"undo {run_id}", says="newest first")).split("`")[3]
    await state_of(company, undo_id, "needs_person")
    order = await order_of(company, order_id)
    assert (order["status"], order["return"], len(await restores_of(company, order_id))) == ("delivered", None, 1)

    card = await errand_card(company, order_id)
    assert f"Ask the customer of order {order_id} to pay" in card["text"]
    steps = {
        step["key"].partition(":")[0]: step["state"] for step in (await state_of(company, run_id, "done"))["steps"]
    }
    assert steps == {"return": "undone", "refund": "by_hand"}

    assert "undone before" in await told(company, RITA, f"undo {run_id}", says=undo_id)
    await told_at_click(company, RITA, card, "errand.done", says="Only an operator, an approver or an admin")
    await told_at_click(company, BEN, card, "errand.done", says="put it right")
    await errand_card(company, order_id, state="Put right by hand")
    await state_of(company, undo_id, "done")
    events = [row["event"] for row in await rows(company, "audit")]
    assert {"run.undo_asked", "effect.compensated", "errand.asked", "errand.answered", "errand.click_refused"} <= set(
        events
    )


async def test_a_return_whose_refund_is_refused_is_taken_back_by_itself(company: Company, orders: Orders) -> None:
    order_id = orders.take(at_most=5_000)
    total = sum(item["price_minor"] for item in (await order_of(company, order_id))["items"])
    method = (await order_of(company, order_id))["payments"][0]["payment_method_id"]
    body = {"order_id": order_id, "amount_minor": total, "currency": "USD", "payment_method_id": method, "metadata": {}}
    async with company.http.post(f"{company.sandbox}/payments/refunds", json=body) as answer:
        assert answer.status == 201, "somebody refunded it at the provider already"

    assert await company.command(RITA, f"run returns {order_id} everything because it broke") == {"ok": True}
    await company.run_card(containing=order_id, state="❌ failed")
    run_id = await run_of(company, order_id)

    async def undone() -> str | None:
        found = [row for row in await rows(company, "runs") if row["workflow"] == "undo" and run_id in str(row)]
        return found[0]["run_id"] if found else None

    await state_of(company, await company.until(undone, "it is being undone"), "done")
    order = await order_of(company, order_id)
    assert (order["status"], order["return"], len(await restores_of(company, order_id))) == ("delivered", None, 1)
    assert "was undone before" in await told(company, RITA, f"undo {run_id}", says="undone before")


async def test_a_run_that_goes_on_or_did_nothing_or_is_somebody_elses_is_not_undone(
    company: Company, orders: Orders
) -> None:
    order_id = orders.take(above=5_000, at_most=50_000)
    await company.command(RITA, f"run returns {order_id} everything because it broke")
    await company.run_card(containing=order_id, state="waiting")
    run_id = await run_of(company, order_id)
    assert "stop" in await told(company, RITA, f"undo {run_id}", says="has not ended")
    await told(company, BEN, f"undo {run_id}", says="Only who asked for a run")
    await told(company, RITA, f"stop {run_id}", says="Stopping")
    await state_of(company, run_id, "stopped")
    await told(company, ADA, f"undo {run_id}", says="has done nothing that could be taken back")
    await told(company, RITA, "undo run_nowhere00", says="There is no run")
    await told(company, RITA, "undo", says="undo &lt;run&gt;")
    await told(company, RITA, "run undo", says="undo")
