"""A refund that nobody but a person can tell of: asked on a card, answered once, paid out once."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.company import BEN, QUICK, RITA, Company, Json, open_company
from tests.support.nursery import Nursery

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def company(tmp_path: Path, nursery: Nursery) -> AsyncGenerator[Company]:
    """A sample company whose payment provider and shop can never say what happened."""
    env = {**QUICK, "COUNTERSIGN_SANDBOX_SETTLES": "opaque"}
    async with open_company(tmp_path / "var", nursery, env=env) as started:
        yield started


async def test_what_only_a_person_can_tell_is_asked_and_their_word_ends_it(company: Company) -> None:
    await company.control("payments", apply_then_timeout_next=1)
    assert await company.command(RITA, "run returns #W1002 office chair because it wobbles") == {"ok": True}
    run = await company.run_card(containing="#W1002", state="waiting")
    await company.click(BEN, await company.approval_card(run), "approval.approve")

    card = await company.approval_card(run, state="Did it happen?")
    await company.click(RITA, card, "doubt.absent")

    async def refused() -> bool:
        thread = await company.messages(thread=run["ts"], as_=RITA)
        return any("Only an approver can decide this" in message["text"] for message in thread)

    await company.until(refused, "the requester is told that she may not say")
    await company.click(BEN, card, "doubt.happened")
    [refund] = await company.refunds()
    view = await company.until(lambda: _modal(company), "the modal asks for a reference")
    values = {"reference": {"reference.text": {"type": "plain_text_input", "value": refund["refund_id"]}}}
    assert (await company.act("submit", **{"as": BEN}, view_id=view["id"], values=values))["ok"]

    await company.run_card(containing="#W1002", state="✅ done")
    await company.approval_card(run, state="It happened")
    thread = await company.messages(thread=run["ts"])
    assert any(f"receipt {refund['refund_id']}" in message["text"] for message in thread)
    assert len(await company.refunds()) == 1


async def _modal(company: Company) -> Json | None:
    async with company.http.get(f"{company.page}/local/api/views", params={"as": BEN}) as answer:
        views = (await answer.json())["views"]
    return next((view for view in views if view.get("callback_id") == "doubt.happened"), None)
