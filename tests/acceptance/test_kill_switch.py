"""The kill switch in a whole company: people pause, runs wait and say why, an admin resumes, and they go on."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from tests.support.asking import Orders, asked_for_approval, refunds_of, rows, told
from tests.support.company import ADA, BEN, RITA, Company, open_company
from tests.support.nursery import Nursery

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def company(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> AsyncGenerator[Company]:
    """A started sample company."""
    async with open_company(tmp_path_factory.mktemp("switch") / "var", nursery) as started:
        yield started


async def healthz(company: Company) -> list[str]:
    async with company.http.get(f"{company.status}/healthz") as answer:
        assert answer.status == 200
        return (await answer.json())["paused"]


async def test_a_run_that_meets_the_switch_waits_says_why_and_goes_on_when_an_admin_resumes(company: Company) -> None:
    orders = Orders()
    asked = await asked_for_approval(company, orders)
    await told(company, ADA, "pause because prices are wrong", says="Everything is paused by Ada: prices are wrong")
    card = await company.approval_card(asked["run"], state="paused by Ada")
    order = orders.take(at_most=5_000)
    assert await company.command(RITA, f"run returns {order} everything because it broke") == {"ok": True}
    await company.run_card(containing=order, state="paused by Ada: prices are wrong")
    assert "Everything is paused by Ada" in await told(company, RITA, "status", says="The latest runs")
    assert await healthz(company) == ["Everything is paused by Ada: prices are wrong"]
    await company.click(BEN, card, "approval.approve")
    await company.run_card(containing=asked["order"], state="paused by Ada")
    assert await refunds_of(company, order) == await refunds_of(company, asked["order"]) == []
    await told(company, BEN, "resume", says="Only an admin can resume")
    await told(company, ADA, "resume", says="goes on")
    for each in (order, asked["order"]):
        await company.run_card(containing=each, state="✅ done")
        assert len(await refunds_of(company, each)) == 1
    assert await healthz(company) == []


async def test_the_command_line_pauses_what_there_is_and_resumes_nothing(company: Company) -> None:
    code, said, _ = await company.countersign("pause", "action", "payment.refund", "--because", "fire")
    assert (code, said.strip()) == (
        0,
        "The action payment.refund is paused by an operator on the command line: fire. An admin resumes in Slack.",
    )
    code, _, refusal = await company.countersign("pause", "action", "payment.refnd")
    assert code == 78
    assert "Did you mean payment.refund?" in refusal
    code, _, refusal = await company.countersign("resume")
    assert code == 78
    assert "does not resume" in refusal
    await told(company, ADA, "resume action payment.refund", says="The action payment.refund goes on")
    listed = await rows(company, "pauses")
    assert (listed[0]["cause"], listed[0]["lifted_by"]) == ("cli", ADA)
