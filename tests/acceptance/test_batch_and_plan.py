"""Several approvals answered by one press, as people do it on a running company, over the page's own API."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from bot.company import settle_sample_company
from tests.support.asking import Orders, refunds_of, told_at_click
from tests.support.company import BEN, CLEO, RITA, Company, Json, open_company
from tests.support.nursery import Nursery

pytestmark = pytest.mark.asyncio(loop_scope="session")

APPROVALS = "C0APPROVALS"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def company(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> AsyncGenerator[Company]:
    """One started sample company; each test returns other orders."""
    home: Path = tmp_path_factory.mktemp("company") / "var"
    async with open_company(home, nursery) as started:
        yield started


@pytest.fixture(scope="module")
def orders() -> Orders:
    """Orders that no other test has used."""
    return Orders()


async def returned(company: Company, orders: Orders, count: int, *, above: int, at_most: int) -> list[Json]:
    """The run cards of this many returns, once all of them wait; `order` is beside each."""
    taken = [orders.take(above=above, at_most=at_most) for _ in range(count)]
    for order in taken:
        assert await company.command(RITA, f"run returns {order} everything because it did not fit") == {"ok": True}
    return [{**await company.run_card(containing=order, state="waiting"), "order": order} for order in taken]


async def batch_card(company: Company, order: str, *, says: str) -> Json:
    """The card in the approvals channel that lists this order among others, once it says so."""

    async def look() -> Json | None:
        found = await company.messages(channel=APPROVALS)
        listed = [each for each in found if "\n2. " in each["text"] and order in each["text"]]
        return next((each for each in listed if says in str(each)), None)

    return await company.until(look, f"a batch card lists {order} and says {says!r}")


async def test_one_press_approves_what_three_returns_ask_and_skips_what_was_decided_meanwhile(
    company: Company, orders: Orders
) -> None:
    runs = await returned(company, orders, 4, above=10_000, at_most=40_000)
    large = (await returned(company, orders, 1, above=60_000, at_most=90_000))[0]
    card = await batch_card(company, runs[0]["order"], says="Approve all 4")
    assert all(run["order"] in card["text"] for run in runs)
    assert large["order"] not in card["text"]
    single = await company.approval_card(runs[3])
    await company.click(CLEO, single, "approval.approve")
    await company.run_card(containing=runs[3]["order"], state="✅ done")
    await batch_card(company, runs[3]["order"], says="Approve all 3")

    refused = await told_at_click(company, RITA, card, "batch.approve", says="Approved 0 of 4.")
    assert "Only an approver can decide this" in refused
    said = await told_at_click(company, BEN, card, "batch.approve", says="Approved 3 of 4")
    assert "Skipped 1: Refund" in said
    assert "already approved by" in said
    for run in runs:
        await company.run_card(containing=run["order"], state="✅ done")
        assert len(await refunds_of(company, run["order"])) == 1

    async def all_told() -> bool:
        ended = await batch_card(company, runs[0]["order"], says="Decided: 4")
        return str(ended["blocks"]).count("*Approved* by <@U0BEN> · done") == 3

    await company.until(all_told, "the card says how each of the three ended")
    assert await refunds_of(company, large["order"]) == []


async def test_whoever_lists_what_waits_for_them_is_offered_to_approve_it_all(company: Company, orders: Orders) -> None:
    runs = await returned(company, orders, 3, above=10_000, at_most=40_000)

    async def offered() -> Json | None:
        found = await company.messages(as_=BEN)
        buttons = [each for each in found if "batch.approve" in str(each) and runs[0]["order"] in each["text"]]
        return buttons[-1] if buttons else None

    assert await company.command(BEN, "approvals") == {"ok": True}
    offer = await company.until(offered, "Ben is offered all three")
    assert "batch.approve" not in str(await company.messages(as_=RITA))
    await told_at_click(company, BEN, offer, "batch.approve", says="Approved 3 of 3")
    for run in runs:
        await company.run_card(containing=run["order"], state="✅ done")


ASKS_ABOUT_RECORDS = """\
  - id: returns-recorded
    because: Recording a return is looked at here too.
    action: order.update
    verdict: require_approval
    approvers: {tier: 1}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def careful(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> AsyncGenerator[Company]:
    """A company whose policy asks about the shop's record as well as about the refund."""
    home: Path = tmp_path_factory.mktemp("careful") / "var"
    company = home / "company"
    # Not taken from a company that was started and forgotten: its seals would stay, and no later log bears them out.
    settle_sample_company(company)
    policy = (company / "policy.yml").read_text("utf-8")
    head, _, rest = policy.partition("  - id: returns-recorded\n")
    _, _, tail = rest.partition("  - id: messages\n")
    rules, _, _ = tail.partition("# Start-up refuses")
    (company / "policy.yml").write_text(f"{head}{ASKS_ABOUT_RECORDS}  - id: messages\n{rules}", "utf-8")
    async with open_company(home, nursery) as started:
        yield started


async def plan_card(company: Company, run: Json, *, says: str) -> Json:
    """The plan card in the run's conversation, once it says so."""

    async def look() -> Json | None:
        thread = await company.messages(channel=run["channel"], thread=run["ts"])
        return next((each for each in thread[1:] if "\n2. " in each["text"] and says in str(each)), None)

    return await company.until(look, f"a plan card says {says!r}")


async def test_a_plan_of_two_steps_that_ask_is_approved_by_one_press(careful: Company, orders: Orders) -> None:
    [run] = await returned(careful, orders, 1, above=10_000, at_most=40_000)
    card = await plan_card(careful, run, says="Approve the plan: 2 steps?")
    shown = str(card["blocks"])
    assert "order.update" in shown or "Record" in shown or "return" in shown
    assert "cannot be taken back" in shown
    assert "Predicted: no history yet" in shown
    there = await careful.messages(channel=APPROVALS)
    assert any("\n2. " in each["text"] and run["order"] in each["text"] for each in there)
    await told_at_click(careful, BEN, card, "plan.approve", says="Approved 2 of 2")
    await careful.run_card(containing=run["order"], state="✅ done")
    assert len(await refunds_of(careful, run["order"])) == 1
    await plan_card(careful, run, says="Plan decided: 2 steps")


async def test_a_step_is_dropped_and_what_depends_on_it_is_not_begun(careful: Company, orders: Orders) -> None:
    [run] = await returned(careful, orders, 1, above=10_000, at_most=40_000)
    card = await plan_card(careful, run, says="Drop step 2")
    drops = [each for block in card["blocks"] for each in block.get("elements", []) if "Drop step 2" in str(each)]
    second = {"channel": card["channel"], "ts": card["ts"], "action_id": "plan.drop", "value": drops[0]["value"]}
    assert (await careful.act("click", **{"as": CLEO}, **second))["ok"]
    await plan_card(careful, run, says="dropped from the plan")
    await careful.click(CLEO, card, "plan.approve")
    await careful.run_card(containing=run["order"], state="refused")
    assert await refunds_of(careful, run["order"]) == []


async def test_whoever_asked_cancels_the_plan_and_a_bystander_does_not(careful: Company, orders: Orders) -> None:
    [run] = await returned(careful, orders, 1, above=10_000, at_most=40_000)
    card = await plan_card(careful, run, says="Cancel")
    await told_at_click(careful, BEN, card, "plan.cancel", says="Only who asked for a run")
    await told_at_click(careful, RITA, card, "plan.cancel", says="Stopping")
    await careful.run_card(containing=run["order"], state="stopped")
    ended = await plan_card(careful, run, says="Cancelled")
    assert "plan.approve" not in str(ended["blocks"])
    assert await refunds_of(careful, run["order"]) == []
