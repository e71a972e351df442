"""The main job as a person sees it: ask, be refused, have somebody entitled approve, see it done once."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.company import BEN, RITA, Company, open_company
from tests.support.nursery import Nursery

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def company(tmp_path: Path, nursery: Nursery) -> AsyncGenerator[Company]:
    """A started sample company."""
    async with open_company(tmp_path / "var", nursery) as started:
        yield started


async def test_a_refund_happens_once_after_somebody_entitled_approves(company: Company) -> None:
    assert await company.command(RITA, "run returns #W1002 office chair because it wobbles") == {"ok": True}
    run = await company.run_card(containing="#W1002", state="waiting")
    card = await company.approval_card(run)

    await company.click(RITA, card, "approval.approve")

    async def refused() -> bool:
        thread = await company.messages(thread=run["ts"], as_=RITA)
        return any("Only an approver can decide this" in message["text"] for message in thread)

    await company.until(refused, "the requester is told that she may not")
    assert await company.refunds() == []

    await company.click(BEN, card, "approval.approve")
    await company.run_card(containing="#W1002", state="✅ done")
    await company.approval_card(run, state="Approved")
    (refund,) = await company.refunds()
    assert (refund["amount_minor"], refund["payment_method_id"]) == (38900, "paypal_1002")

    async def reported() -> int:
        thread = await company.messages(thread=run["ts"])
        return sum("refunded 389.00 USD" in message["text"] for message in thread[1:])

    assert await company.until(reported, "the thread tells of the refund") == 1
