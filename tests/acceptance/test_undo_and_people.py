"""Undoing where something stands in its way: a question, a doubt, a pause, time, a refusal, or nobody who can."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
import pytest_asyncio

from bot.company import settle_sample_company
from bot.local.embedded import EmbeddedPostgres
from core.clock import SystemClock
from core.db import connect
from tests.support.asking import Orders, faults, rows, told, told_at_click
from tests.support.company import ADA, BEN, GUS, QUICK, RITA, Company, Json, open_company
from tests.support.nursery import Nursery
from tests.support.undoing import (
    cards_of_errands,
    errand_card,
    order_of,
    restores_of,
    returned,
    state_of,
    undoings_of,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: Where an admin wants something taken back, somebody else agrees first.
ASKS = """\
  - id: admins-ask
    because: What an admin takes back, somebody else looks at.
    action: order.restore
    when: {requester_role: admin}
    verdict: require_approval
    approvers: {tier: 1}
  - id: returns-taken-back
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def company(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> AsyncGenerator[Company]:
    """A started company whose policy asks about some undoing; each test has an order of its own."""
    home: Path = tmp_path_factory.mktemp("undo") / "var"
    settle_sample_company(home / "company")
    policy = home / "company" / "policy.yml"
    text = policy.read_text().replace("  - id: returns-taken-back\n", ASKS)
    policy.write_text(
        text.replace("order.restore, workflow: undo}", "order.restore, workflow: undo, requester_roles: [requester]}")
    )
    async with open_company(home, nursery, env=QUICK) as started:
        yield started


@pytest.fixture(scope="module")
def orders() -> Orders:
    """Orders that no other test here uses."""
    return Orders()


async def undone_by(company: Company, who: str, run_id: str, *, state: str) -> Json:
    """The newest run that takes this one back, asked for by `who`, once it stands in that state."""
    undo_id = (await told(company, who, f"undo {run_id}", says="newest first")).split("`")[3]
    return await state_of(company, undo_id, state)


async def test_where_policy_asks_nothing_is_taken_back_before_somebody_agrees(company: Company, orders: Orders) -> None:
    order_id, run_id = await returned(company, orders)
    undoing = await undone_by(company, ADA, run_id, state="waiting")
    run = await company.run_card(containing=order_id)
    card = await company.approval_card(run, state="Approval needed")
    assert "Restore order" in card["text"]
    assert await restores_of(company, order_id) == []
    await company.click(BEN, card, "approval.approve")
    await state_of(company, undoing["run_id"], "needs_person")
    assert len(await restores_of(company, order_id)) == 1


async def test_a_rejected_undoing_leaves_everything_and_can_be_asked_for_again(
    company: Company, orders: Orders
) -> None:
    order_id, run_id = await returned(company, orders)
    undoing = await undone_by(company, ADA, run_id, state="waiting")
    card = await company.approval_card(await company.run_card(containing=order_id), state="Approval needed")
    await reject(company, BEN, card)
    await state_of(company, undoing["run_id"], "needs_person")
    assert (await restores_of(company, order_id), (await order_of(company, order_id))["status"]) == (
        [],
        "return requested",
    )
    await undone_by(company, RITA, run_id, state="done")
    assert len(await restores_of(company, order_id)) == 1


async def test_what_is_too_late_or_refused_is_for_a_person_and_may_turn_out_impossible(
    company: Company, orders: Orders
) -> None:
    order_id, run_id = await returned(company, orders)
    await grow_old(company, run_id, by=timedelta(days=31))
    undoing = await undone_by(company, RITA, run_id, state="needs_person")
    assert await restores_of(company, order_id) == []
    late, refund = sorted(await cards_of_errands(company, order_id), key=lambda card: "In the shop" not in card["text"])
    assert "30 days only, and that time has passed" in str(late["blocks"])
    await told_at_click(company, RITA, late, "errand.impossible", says="Only an operator, an approver or an admin")
    await told_at_click(company, GUS, late, "errand.impossible", says="Nothing was changed")
    # The card goes on showing its buttons, as on a phone that was offline meanwhile.
    async with faults(company, fail={"chat.update": 1000}):
        await told_at_click(company, BEN, late, "errand.impossible", says="cannot be put right")
        await told_at_click(company, ADA, late, "errand.done", says="has answered this already")
    await errand_card(company, order_id, state="Could not be put right")
    await told_at_click(company, BEN, refund, "errand.done", says="put it right")
    await state_of(company, undoing["run_id"], "failed")
    [ended] = [row for row in await rows(company, "runs") if row["run_id"] == run_id]
    assert sorted(step["state"] for step in ended["steps"]) == ["failed", "undone"]


async def test_what_the_other_side_definitely_refuses_to_take_back_is_for_a_person(
    company: Company, orders: Orders
) -> None:
    order_id, run_id = await returned(company, orders)
    body = {"return_id": (await return_of(company, order_id))["return_id"]}
    url, headers = f"{company.sandbox}/shop/orders/{quote(order_id, safe='')}/restore", {"Idempotency-Key": order_id}
    async with company.http.post(url, json=body, headers=headers) as answer:
        assert answer.status < 300, "somebody put it right in the shop already"
    said = await company.say(RITA, f"<@U0BOT> undo {run_id}")
    assert said["ok"]

    async def begun() -> Json | None:
        return next(iter(await undoings_of(company, run_id)), None)

    undoing = await company.until(begun, "asked for in a message, it is being undone")
    await state_of(company, undoing["run_id"], "needs_person")
    cards = await cards_of_errands(company, order_id)
    assert sum("no longer in return" in str(card["blocks"]) for card in cards) == 1
    assert len(await restores_of(company, order_id)) == 1


async def test_taking_back_passes_a_pause_of_everything(company: Company, orders: Orders) -> None:
    order_id, run_id = await returned(company, orders)
    await told(company, ADA, "pause because prices are wrong", says="Everything is paused by Ada")
    try:
        undo_id = (await told(company, RITA, f"undo {run_id}", says="newest first")).split("`")[3]

        async def is_restored() -> bool:
            return len(await restores_of(company, order_id)) == 1

        await company.until(is_restored, "it is taken back although everything is paused")
        assert (await order_of(company, order_id))["status"] == "delivered"
    finally:
        await told(company, ADA, "resume", says="goes on")
    await state_of(company, undo_id, "needs_person")


async def reject(company: Company, who: str, card: Json) -> None:
    """Press Reject and say why."""
    assert (await company.click(who, card, "approval.reject"))["ok"]

    async def modal() -> Json | None:
        async with company.http.get(f"{company.page}/local/api/views", params={"as": who}) as answer:
            views = (await answer.json())["views"]
        return next((view for view in views if view.get("submit")), None)

    view = await company.until(modal, "the modal asks why")
    values = {"reason": {"reason.text": "It shall stay as it is."}}
    assert (await company.act("submit", **{"as": who}, view_id=view["id"], values=values))["ok"]


async def return_of(company: Company, order_id: str) -> Json:
    """The shop's own record of this order's return."""
    async with company.http.get(f"{company.sandbox}/shop/log") as answer:
        return next(each for each in (await answer.json())["returns"] if each["order_id"] == order_id)


async def grow_old(company: Company, run_id: str, *, by: timedelta) -> None:
    """Have what this run did have happened that much longer ago."""
    url = await EmbeddedPostgres(company.home, clock=SystemClock()).start()
    async with connect(url) as conn:
        await conn.execute("update actions.intent set ended_at = ended_at - %s where run_id = %s", (by, run_id))
