"""The README's story in a real Chromium: what a newcomer is told there is what the page shows."""

import os
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Locator, Page, Request, async_playwright, expect

from tests.support.asking import Orders
from tests.support.chromium import ChromiumMissing, find_chromium
from tests.support.company import BEN, RITA, Company, open_company
from tests.support.nursery import Nursery

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: How long a busy machine may take for one change to show, in milliseconds.
PATIENCE = 60_000
#: The same letters on every screen, and nothing of Chromium's own on the network.
ARGUMENTS = (
    "--disable-gpu",
    "--disable-lcd-text",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
DESK = {"viewport": {"width": 1200, "height": 880}}
PHONE = {"viewport": {"width": 375, "height": 812}, "has_touch": True, "is_mobile": True}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def company(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> AsyncGenerator[Company]:
    """One started sample company; each test returns another order."""
    async with open_company(tmp_path_factory.mktemp("company") / "var", nursery) as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browser() -> AsyncGenerator[Browser]:
    """A Chromium; without one this is skipped aloud, and under CI it fails."""
    try:
        program = find_chromium()
    except ChromiumMissing as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))
    expect.set_options(timeout=PATIENCE)
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=program, args=[*ARGUMENTS, *root])
        yield opened
        await opened.close()


@asynccontextmanager
async def looking(browser: Browser, company: Company, **how: Any) -> AsyncGenerator[Page]:
    """The page as somebody opens it; at the end nothing may have gone wrong in it or left this machine."""
    context = await browser.new_context(color_scheme="light", **how)
    context.set_default_timeout(PATIENCE)
    page = await context.new_page()
    faults: list[str] = []
    asked: set[str] = set()

    def hear(said: ConsoleMessage) -> None:
        if said.type in {"error", "warning"}:
            faults.append(f"console: {said.text}")

    def note(request: Request) -> None:
        asked.add(request.url)

    page.on("console", hear)
    page.on("pageerror", lambda error: faults.append(f"page: {error}"))
    page.on("websocket", lambda socket: asked.add(socket.url))
    page.on("request", note)
    await page.goto(company.page)
    yield page
    await context.close()
    assert faults == []
    assert asked
    assert [url for url in asked if not url.startswith(f"{company.page}/")] == []


async def test_a_newcomer_is_refused_as_rita_then_approves_as_ben_and_sees_the_refund_once(
    browser: Browser, company: Company
) -> None:
    async with looking(browser, company, **DESK) as page:
        await expect(page.get_by_role("combobox", name="Act as")).to_have_value(RITA)
        run = await ask(page, "returns", "run returns #W1002 office chair because it wobbles")
        await expect(run).to_contain_text("Plan: Return and refund #W1002")
        await expect(run).to_contain_text("waits for an approver")
        await expect(run).to_contain_text("waiting · sandbox")
        thread = await open_thread(page, run)
        card = approval_card(thread)
        await expect(card.get_by_role("heading")).to_have_text(
            "Approve: Refund 389.00 USD for order #W1002 to paypal_1002?"
        )
        await picture(page, "approval.png")
        await page.emulate_media(color_scheme="dark")
        await picture(page, "approval-dark.png")
        await page.emulate_media(color_scheme="light")

        await approve(page, card)
        refusal = thread.locator(".ephemeral")
        await expect(refusal).to_contain_text("Only visible to you")
        await expect(refusal).to_contain_text("Only an approver can decide this")
        await expect(refusal).to_be_in_viewport(ratio=1)
        await expect(card.get_by_role("heading")).to_contain_text("Approve:")
        assert await refunds_of(company, "#W1002") == []

        await act_as(page, BEN)
        await expect(refusal).to_have_count(0)
        await approve(page, card)
        await expect(card.get_by_role("heading")).to_contain_text("Approved: Refund 389.00 USD")
        await expect(card).to_contain_text("Approved by @ben")
        await expect(card).to_contain_text("Done")
        await expect(card.get_by_role("button", name="Approve")).to_have_count(0)
        await expect(run).to_contain_text("done · sandbox")
        await expect(replies(thread).filter(has_text="refunded 389.00 USD to paypal_1002")).to_have_count(1)
        await picture(page, "done.png")
        (refund,) = await refunds_of(company, "#W1002")
        assert (refund["amount_minor"], refund["payment_method_id"]) == (38900, "paypal_1002")


async def test_a_small_refund_runs_alone(browser: Browser, company: Company) -> None:
    async with looking(browser, company, **DESK) as page:
        run = await ask(page, "general", "run returns #W1001 water bottle because it leaks")
        await expect(run).to_contain_text("done · sandbox")
        thread = await open_thread(page, run)
        await expect(replies(thread).filter(has_text="refunded 18.50 USD")).to_have_count(1)
        await expect(approval_card(thread)).to_have_count(0)
        (refund,) = await refunds_of(company, "#W1001")
        assert refund["amount_minor"] == 1850


async def test_a_rejection_needs_a_reason_and_the_thread_says_who_and_why(browser: Browser, company: Company) -> None:
    async with looking(browser, company, **DESK) as page:
        run = await ask(page, "general", "run returns #W1009 headphones because they crackle")
        thread = await open_thread(page, run)
        card = approval_card(thread)
        await expect(card.get_by_role("heading")).to_contain_text("Refund 89.90 USD for order #W1009")
        await act_as(page, BEN)
        await card.get_by_role("button", name="Reject…").click()
        modal = page.get_by_role("dialog", name="Reject")
        await modal.get_by_role("button", name="Reject").click()
        await expect(modal.get_by_role("alert").first).to_have_text("Please complete this required field.")

        await modal.get_by_role("textbox").fill("The seal was broken by the customer")
        await modal.get_by_role("button", name="Reject").click()
        await expect(modal).to_have_count(0)
        await expect(card.get_by_role("heading")).to_contain_text("Rejected:")
        await expect(card).to_contain_text("Rejected by @ben")
        await expect(card).to_contain_text("The seal was broken by the customer")
        await expect(run).to_contain_text("refused")
        assert await refunds_of(company, "#W1009") == []


async def test_an_approver_finds_reads_and_approves_on_a_phone(browser: Browser, company: Company) -> None:
    await company.command(RITA, "run returns #W1007 espresso machine because it is too big", channel="C0GENERAL")
    waiting = await company.run_card(containing="#W1007", state="waiting", channel="C0GENERAL")
    await company.approval_card(waiting)
    async with looking(browser, company, **PHONE) as page:
        await page.get_by_role("button", name="Show channels").tap()
        await act_as(page, BEN)
        await page.get_by_role("button", name="Show channels, something is new").tap()
        await page.get_by_role("button", name="approvals Unread").tap()
        card = page.locator("#timeline article").filter(has_text="#W1007")
        amount = card.get_by_role("heading", name="Refund 349.00 USD for order #W1007")
        await expect(amount).to_be_in_viewport(ratio=1)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert await page.locator("#timeline").evaluate("pane => pane.scrollWidth <= pane.clientWidth")
        await picture(page, "phone.png")

        await approve(page, card)
        await expect(card.get_by_role("heading")).to_contain_text("Approved:")
        await expect(card).to_contain_text("Done")
        (refund,) = await refunds_of(company, "#W1007")
        assert refund["amount_minor"] == 34900


async def test_an_approver_lowers_an_amount_on_a_phone_and_reads_what_was_changed(
    browser: Browser, company: Company
) -> None:
    await company.command(RITA, "run returns #W1006 everything because it came late", channel="C0GENERAL")
    waiting = await company.run_card(containing="#W1006", state="waiting", channel="C0GENERAL")
    await company.approval_card(waiting)
    async with looking(browser, company, **PHONE) as page:
        await page.get_by_role("button", name="Show channels").tap()
        await act_as(page, BEN)
        await page.get_by_role("button", name="Show channels, something is new").tap()
        await page.get_by_role("button", name="approvals Unread").tap()
        card = page.locator("#timeline article").filter(has_text="#W1006")
        await card.get_by_role("button", name="Edit & approve…").tap()
        form = page.get_by_role("dialog", name="Edit & approve")
        amount = form.get_by_label("Amount")
        await expect(amount).to_have_value(re.compile(r"USD$"))
        await picture(page, "edit-form.png")
        await amount.fill("0 USD")
        await form.get_by_role("button", name="Approve changes").tap()
        await expect(form.get_by_role("alert").first).to_contain_text("above zero")
        await picture(page, "edit-error.png")
        await amount.fill("51.00 USD")
        await form.get_by_role("button", name="Approve changes").tap()
        await expect(form).to_have_count(0)
        await expect(card.get_by_role("heading")).to_contain_text("Approved: Refund 51.00 USD")
        await expect(card).to_contain_text("→ 51.00 USD")
        await expect(card).to_contain_text("Approved with changes by @ben")
        await expect(card).to_contain_text("Done")
        await picture(page, "edit-done.png")
        (refund,) = await refunds_of(company, "#W1006")
        assert refund["amount_minor"] == 5100


async def test_an_approver_reads_a_batch_and_approves_all_of_it_on_a_phone(browser: Browser, company: Company) -> None:
    orders = Orders()
    taken = [orders.take(above=10_000, at_most=40_000) for _ in range(3)]
    for order in taken:
        await company.command(RITA, f"run returns {order} everything because it did not fit", channel="C0GENERAL")
        await company.run_card(containing=order, state="waiting", channel="C0GENERAL")
    async with looking(browser, company, **PHONE) as page:
        await page.get_by_role("button", name="Show channels").tap()
        await act_as(page, BEN)
        await page.get_by_role("button", name="Show channels, something is new").tap()
        await page.get_by_role("button", name="approvals Unread").tap()
        card = page.locator("#timeline article").filter(has_text="Approve all 3")
        for order in taken:
            await expect(card).to_contain_text(order)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await card.get_by_role("heading").scroll_into_view_if_needed()
        await picture(page, "batch.png")
        await card.get_by_role("button", name="Approve all 3").tap()
        sure = page.get_by_role("dialog")
        await expect(sure).to_contain_text("3 × “Refund …”")
        await picture(page, "batch-sure.png")
        await sure.get_by_role("button", name="Approve").tap()
        ended = page.locator("#timeline article").filter(has_text="Decided: 3")
        await expect(ended.get_by_text("Approved by @ben · done")).to_have_count(3)
        await ended.get_by_role("heading").scroll_into_view_if_needed()
        await picture(page, "batch-done.png")
        for order in taken:
            assert len(await refunds_of(company, order)) == 1


# What people do


async def ask(page: Page, channel: str, text: str) -> Locator:
    """Type `/team …` in a channel; the run card that answers."""
    await page.get_by_role("button", name=channel).click()
    await page.get_by_role("textbox", name=f"Message #{channel}").fill(f"/team {text}")
    await page.keyboard.press("Enter")
    order = text.split()[2]
    return page.locator("#timeline article").filter(has_text=order)


async def open_thread(page: Page, message: Locator) -> Locator:
    """Open the conversation under a message."""
    await message.get_by_role("button", name=re.compile(r"\d repl")).click()
    return page.get_by_role("complementary", name="Thread")


async def act_as(page: Page, person: str) -> None:
    """Switch to somebody else, as the page lets everybody do."""
    await page.get_by_role("combobox", name="Act as").select_option(person)


async def approve(page: Page, card: Locator) -> None:
    """Press Approve, and mean it."""
    await card.get_by_role("button", name="Approve", exact=True).click()
    sure = page.get_by_role("dialog")
    await expect(sure).to_contain_text("This cannot be taken back.")
    await sure.get_by_role("button", name="Approve").click()


# What stands where


def replies(thread: Locator) -> Locator:
    """Everything in the thread but the message that it hangs on."""
    return thread.locator("article:not(:first-child)")


def approval_card(thread: Locator) -> Locator:
    """The reply that has a heading."""
    return replies(thread).filter(has=thread.page.get_by_role("heading", level=3))


async def refunds_of(company: Company, order: str) -> list[dict[str, Any]]:
    """What the payment provider's own log says about one order."""
    return [refund for refund in await company.refunds() if refund["order_id"] == order]


async def picture(page: Page, name: str) -> None:
    """Keep what the page shows, where pictures are wanted; the pointer points at nothing."""
    folder = os.environ.get("COUNTERSIGN_SCREENSHOTS")
    if folder:
        await page.mouse.move(0, 0)
        await page.screenshot(path=Path(folder) / name)
