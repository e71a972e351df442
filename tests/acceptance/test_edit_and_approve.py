"""Answers other than yes and no, as people give them on a running company, over the page's own API."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.asking import Orders, asked_for_approval, refunds_of
from tests.support.company import ADA, BEN, CLEO, RITA, Company, Json, open_company
from tests.support.nursery import Nursery

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def company(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> AsyncGenerator[Company]:
    """One started sample company; each test returns another order."""
    home: Path = tmp_path_factory.mktemp("company") / "var"
    async with open_company(home, nursery) as started:
        yield started


@pytest.fixture(scope="module")
def orders() -> Orders:
    """Orders that no other test has used."""
    return Orders()


async def open_modal(company: Company, who: str, card: Json, action_id: str, *, title: str) -> Json:
    """The modal that a button opens, once it is filled."""
    assert (await company.click(who, card, action_id))["ok"]

    async def look() -> Json | None:
        async with company.http.get(f"{company.page}/local/api/views", params={"as": who}) as answer:
            stack = (await answer.json())["views"]
        top = stack[-1] if stack else None
        return top if top and top["title"]["text"] == title and "Reading" not in str(top["blocks"]) else None

    return await company.until(look, f"{who} sees the modal {title}")


async def test_an_amount_lowered_in_the_form_is_what_is_refunded_and_everybody_is_told(
    company: Company, orders: Orders
) -> None:
    card = await asked_for_approval(company, orders, above=10_000)
    modal = await open_modal(company, BEN, card, "edit.change", title="Edit & approve")
    wrong = await company.act("submit", **{"as": BEN}, view_id=modal["id"], values={"edit.amount": "nothing"})
    assert not wrong["ok"]
    assert "Write an amount and a currency" in wrong["errors"]["edit.amount"]
    zero = await company.act("submit", **{"as": BEN}, view_id=modal["id"], values={"edit.amount": "0 USD"})
    assert "above zero" in zero["errors"]["edit.amount"]
    assert await refunds_of(company, card["order"]) == []

    done = await company.act("submit", **{"as": BEN}, view_id=modal["id"], values={"edit.amount": "60.00 USD"})
    assert done["ok"], done
    run = await company.run_card(containing=card["order"], state="✅ done")
    decided = await company.approval_card(card["run"], state="Approved with changes")
    assert "60.00 USD" in decided["text"]
    assert decided["ts"] == card["ts"]
    (refund,) = await refunds_of(company, card["order"])
    assert refund["amount_minor"] == 6000
    thread = await company.messages(thread=run["ts"])
    assert any("approved with changes" in message["text"] and "→ 60.00 USD" in message["text"] for message in thread)


async def test_a_raised_amount_asks_somebody_else_and_then_runs_once(company: Company, orders: Orders) -> None:
    card = await asked_for_approval(company, orders, above=10_000, at_most=40_000)
    modal = await open_modal(company, BEN, card, "edit.change", title="Edit & approve")
    sent = await company.act("submit", **{"as": BEN}, view_id=modal["id"], values={"edit.amount": "450.00 USD"})
    assert sent["ok"], sent

    async def renewed() -> Json | None:
        found = await company.messages(thread=card["run"]["ts"])
        newer = [each for each in found if "Approval needed" in each["text"] and "450.00 USD" in each["text"]]
        return newer[0] if newer else None

    newer = await company.until(renewed, "a new card asks somebody else")
    await company.approval_card(card["run"], state="Replaced")
    await company.click(BEN, newer, "approval.approve")
    assert await refunds_of(company, card["order"]) == []
    await company.click(CLEO, newer, "approval.approve")
    await company.run_card(containing=card["order"])
    await company.approval_card(card["run"], state="Approved with changes")


async def test_whoever_may_not_decide_is_told_so_instead_of_a_form(company: Company, orders: Orders) -> None:
    card = await asked_for_approval(company, orders)
    modal = await open_modal(company, RITA, card, "edit.change", title="Edit & approve")
    assert "somebody else must decide it" in str(modal["blocks"])
    assert not modal["submit"]
    await company.click(ADA, card, "approval.approve")
    await company.approval_card(card["run"], state="*Approved* by")


async def test_a_question_from_the_card_is_answered_in_the_thread_and_the_card_shows_both(
    company: Company, orders: Orders
) -> None:
    card = await asked_for_approval(company, orders)
    modal = await open_modal(company, BEN, card, "question.ask", title="Ask")
    asked = await company.act("submit", **{"as": BEN}, view_id=modal["id"], values={"reason.text": "Is it unopened?"})
    assert asked["ok"], asked

    async def posted() -> Json | None:
        thread = await company.messages(thread=card["run"]["ts"])
        found = [each for each in thread if "has a question" in each["text"] and "Is it unopened?" in each["text"]]
        return found[0] if found else None

    await company.until(posted, "the question stands in the thread")
    assert (await company.say(CLEO, "Not me", thread_ts=card["run"]["ts"]))["ok"]
    assert (await company.say(RITA, "Yes, still sealed <!channel>", thread_ts=card["run"]["ts"]))["ok"]

    async def shown() -> bool:
        thread = await company.messages(thread=card["run"]["ts"])
        blocks = [str(each["blocks"]) for each in thread if each["ts"] == card["ts"]]
        return bool(blocks) and "still sealed" in blocks[0] and "Not me" not in blocks[0]

    await company.until(shown, "the card shows the answer")
    await company.click(BEN, card, "approval.approve")
    await company.approval_card(card["run"], state="*Approved* by")
