"""Whatever a person does wrong, and whatever Slack does twice: a clear sentence, and nothing lost or repeated."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from tests.support.asking import (
    Orders,
    asked_for_approval,
    cards_of,
    faults,
    refunds_of,
    rows,
    told,
    told_at_click,
)
from tests.support.company import AMIR, BEN, CLEO, GUS, RITA, Company, Json, open_company
from tests.support.nursery import Nursery

pytestmark = pytest.mark.asyncio(loop_scope="session")

APPROVE, REJECT = "approval.approve", "approval.reject"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def company(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> AsyncGenerator[Company]:
    """One started sample company for all of these."""
    async with open_company(tmp_path_factory.mktemp("bad") / "var", nursery) as started:
        yield started


@pytest.fixture(scope="module")
def orders() -> Orders:
    """Orders that no two tests share."""
    return Orders()


# -- what people type ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rum returns #W1001", "Did you mean `/team run`?"),
        ("xyzzy", "I do not know “xyzzy”. I know: run, dry, ask, status"),
        ("run retruns #W1001 water bottle", "There is no workflow “retruns”. Did you mean *returns*?"),
        ("run", "Something is missing. Say it like this: `/team run"),
        ("ask", "Something is missing. Say it like this: `/team ask"),
        ("stop", "Something is missing. Say it like this: `/team stop"),
        ("stop run_nobody", "There is no run `run_nobody`."),
        ("status run_nobody", "There is no run `run_nobody` of yours or of this channel"),
        ("schedule pause sch_nobody", "There is no schedule `sch_nobody`"),
        ("schedule frobnicate", "Something is missing. Say it like this: `/team schedule"),
    ],
)
async def test_a_command_that_cannot_be_followed_is_answered_and_starts_nothing(
    company: Company, text: str, says: str
) -> None:
    before = await rows(company, "runs")
    assert "None" not in await told(company, RITA, text, says=says)
    assert len(await rows(company, "runs")) == len(before)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "I could not find an order number in that. Write it like #W1001"),
        ("#W9999 office chair because it wobbles", "The shop has no order #W9999. Check the number and ask again."),
        ("#W1001 office chair", "I could not tell which items of #W1001 come back."),
        ("#W1001 9999999999", "Item 9999999999 is not in order #W1001."),
        ("#W1003 backpack", "Only a delivered order can be returned."),
        ("#W1001 1000000100 1000000100", "The same item comes back once"),
        ("#W1004 three coffee mugs", "Name no more of it than was bought."),
        ("#W1004 tea kettle to gift card", "has no gift card."),
        ("#W1004 tea kettle to paypal", "Refund to credit_card_1001."),
        ("#W1004 tea kettle to paypal_9999", "has no payment method paypal_9999."),
    ],
)
async def test_a_return_that_cannot_be_is_refused_on_its_card_and_moves_nothing(
    company: Company, text: str, says: str
) -> None:
    said = await told(company, RITA, f"run returns {text}", says=says)
    assert "⛔ refused" in said
    assert not [each for each in await company.refunds() if each["order_id"] in text]


async def test_the_card_of_a_refused_return_names_the_rule_that_says_so(company: Company) -> None:
    for text, rule in [
        ("#W1003 backpack", "delivered-only"),
        ("#W1001 9999999999", "items-in-order"),
        ("#W1001 1000000100 1000000100", "same-item-once"),
        ("#W1004 tea kettle to paypal", "refund-destination"),
    ]:
        await told(company, RITA, f"run returns {text}", says=f"(rule {rule})")


async def test_an_order_that_is_in_return_already_is_refused(company: Company, orders: Orders) -> None:
    order = orders.take(at_most=5_000)
    await told(company, RITA, f"run returns {order} everything", says="✅ done")
    assert len(await refunds_of(company, order)) == 1
    await told(company, RITA, f"run returns {order} everything", says="(rule one-return-per-order)")
    assert len(await refunds_of(company, order)) == 1


@pytest.mark.parametrize("who", [GUS, AMIR])
async def test_who_may_not_start_work_is_told_how_to_become_somebody_who_may(company: Company, who: str) -> None:
    for text in ("run returns #W1001 water bottle", "ask refund #W1001", "schedule add returns every day at 9: sweep"):
        assert "An admin can add you to team.yml" in await told(company, who, text, says="nothing was started")


# -- clicks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "says"),
    [
        (RITA, "Only an approver can decide this. Nothing was changed."),
        (AMIR, "Only an approver can decide this. Nothing was changed."),
        (GUS, "Guests, bots and deactivated accounts cannot decide. Nothing was changed."),
    ],
)
async def test_a_click_by_somebody_not_entitled_is_answered_and_changes_nothing(
    company: Company, orders: Orders, who: str, says: str
) -> None:
    card = await asked_for_approval(company, orders)
    await told_at_click(company, who, card, APPROVE, says=says)
    assert await refunds_of(company, card["order"]) == []
    assert (await company.approval_card(card["run"]))["ts"] == card["ts"]
    (approval,) = [each for each in await rows(company, "approvals") if card["order"] in each["summary"]]
    assert approval["state"] == "pending"


async def test_a_large_refund_needs_an_approver_of_the_higher_tier(company: Company, orders: Orders) -> None:
    card = await asked_for_approval(company, orders, above=50_000, at_most=10**9)
    assert "tier 2" in await told_at_click(company, BEN, card, APPROVE, says="can decide this. Nothing was changed.")
    assert await refunds_of(company, card["order"]) == []
    await told_at_click(company, CLEO, card, APPROVE, says="Approved")
    await company.run_card(containing=card["order"], state="✅ done")
    assert len(await refunds_of(company, card["order"])) == 1


async def test_a_click_on_a_card_that_was_decided_long_ago_says_who_decided(company: Company, orders: Orders) -> None:
    card = await asked_for_approval(company, orders)
    # The card goes on showing its buttons, as on a phone that was offline meanwhile.
    async with faults(company, fail={"chat.update": 1000}):
        await company.click(BEN, card, APPROVE)
        await _until_refunded(company, card["order"])
        await told_at_click(company, CLEO, card, APPROVE, says=f"This was already approved by <@{BEN}>.")
        assert "Nothing was changed" in await told_at_click(company, BEN, card, APPROVE, says="already approved")
    await company.run_card(containing=card["order"], state="✅ done")
    assert len(await refunds_of(company, card["order"])) == 1


async def test_a_click_on_the_card_of_a_stopped_run_says_so(company: Company, orders: Orders) -> None:
    card = await asked_for_approval(company, orders)
    async with faults(company, fail={"chat.update": 1000}):
        await told(company, RITA, f"stop {await _run_id(company, card['order'])}", says="Stopping")
        await company.until(lambda: _is_cancelled(company, card["order"]), "the approval is cancelled")
        await told_at_click(company, BEN, card, APPROVE, says="The run was stopped, so this is no longer asked.")
    await company.approval_card(card["run"], state="Cancelled")
    assert await refunds_of(company, card["order"]) == []


async def test_a_double_click_decides_once(company: Company, orders: Orders) -> None:
    card = await asked_for_approval(company, orders)
    await asyncio.gather(*(company.click(BEN, card, APPROVE) for _ in range(2)))
    await company.run_card(containing=card["order"], state="✅ done")
    assert len(await refunds_of(company, card["order"])) == 1
    audit = await rows(company, "audit")
    approval = await _approval_of(company, card["order"])
    granted = [each for each in audit if each["event"] == "approval.granted" and approval in str(each["subject"])]
    assert len(granted) == 1


async def test_a_rejection_without_a_reason_is_asked_for_one_and_tells_it(company: Company, orders: Orders) -> None:
    card = await asked_for_approval(company, orders)
    assert (await company.click(BEN, card, REJECT))["ok"]
    view = await company.until(lambda: _modal_of(company, BEN), "the modal asks why")
    missing = await company.act("submit", **{"as": BEN}, view_id=view["id"], values={})
    assert missing["error"] == "view_has_errors"
    values = {"reason": {"reason.text": "The chair was fine when it left us."}}
    assert (await company.act("submit", **{"as": BEN}, view_id=view["id"], values=values))["ok"]
    shown = await company.approval_card(card["run"], state="] Rejected:")
    assert "The chair was fine when it left us." in shown["text"]
    assert f"<@{BEN}>" in shown["text"]
    ended = await company.run_card(containing=card["order"], state="Outcome")
    assert "⏳" not in ended["text"]
    assert await refunds_of(company, card["order"]) == []


# -- what Slack and networks do --------------------------------------------------------------------------------------


async def test_a_command_and_a_click_that_arrive_twice_count_once(company: Company, orders: Orders) -> None:
    order = orders.take(above=5_000, at_most=50_000)
    async with faults(company, duplicate=1):
        await company.command(RITA, f"run returns {order} everything")
        run = await company.run_card(containing=order, state="waiting")
    card = await company.approval_card(run)
    async with faults(company, duplicate=1):
        await company.click(BEN, card, APPROVE)
        await company.run_card(containing=order, state="✅ done")
    assert len(await cards_of(company, order)) == 1
    assert len(await refunds_of(company, order)) == 1


async def test_a_mention_whose_acknowledgement_is_lost_is_answered_once(company: Company) -> None:
    async with faults(company, drop_acks=1):
        spoken = await company.say(RITA, "@countersign stop run_lost")
        await company.until(lambda: _answers(company, spoken["ts"], "run_lost"), "the mention is answered")
        # Slack sends it again after a second or so.
        await asyncio.sleep(5)
    assert len(await _answers(company, spoken["ts"], "run_lost")) == 1


async def test_a_card_is_posted_when_slack_is_busy(company: Company, orders: Orders) -> None:
    order = orders.take(at_most=5_000)
    async with faults(company, rate_limit={"chat.postMessage": 2, "chat.update": 2}):
        await told(company, RITA, f"run returns {order} everything", says="✅ done")
    assert len(await cards_of(company, order)) == 1
    assert len(await refunds_of(company, order)) == 1


async def test_a_card_whose_posting_was_never_confirmed_is_found_and_not_posted_again(
    company: Company, orders: Orders
) -> None:
    order = orders.take(above=5_000, at_most=50_000)
    async with faults(company, lose_answer={"chat.postMessage": 2}):
        await company.command(RITA, f"run returns {order} everything")
        run = await company.run_card(containing=order, state="waiting")
        await company.approval_card(run)
    await company.click(BEN, await company.approval_card(run), APPROVE)
    await company.run_card(containing=order, state="✅ done")
    assert len(await cards_of(company, order)) == 1
    thread = await company.messages(thread=run["ts"])
    assert sum(order in each["text"] and "Approved" in each["text"] for each in thread[1:]) == 1
    assert len(await refunds_of(company, order)) == 1


@pytest.mark.parametrize("how", [True, "abrupt"])
async def test_a_lost_connection_loses_nothing(company: Company, orders: Orders, how: bool | str) -> None:
    card = await asked_for_approval(company, orders)
    assert (await company.act("faults", disconnect=how))["ok"]

    async def pressed() -> bool:
        # A person whose click fails sees that it did, and presses again.
        return bool((await company.click(BEN, card, APPROVE))["ok"])

    await company.until(pressed, "the click arrives")
    await company.run_card(containing=card["order"], state="✅ done")
    assert len(await refunds_of(company, card["order"])) == 1


async def _until_refunded(company: Company, order: str) -> None:
    await company.until(lambda: refunds_of(company, order), f"{order} is refunded")


async def _run_id(company: Company, order: str) -> str:
    (run,) = [each for each in await rows(company, "runs") if order in str(each["steps"])]
    return run["run_id"]


async def _approval_of(company: Company, order: str) -> str:
    (found,) = [each for each in await rows(company, "approvals") if order in each["summary"]]
    return found["approval_id"]


async def _is_cancelled(company: Company, order: str) -> bool:
    approvals = await rows(company, "approvals")
    return [each["state"] for each in approvals if order in each["summary"]] == ["cancelled"]


async def _modal_of(company: Company, who: str) -> Json | None:
    async with company.http.get(f"{company.page}/local/api/views", params={"as": who}) as answer:
        views = (await answer.json())["views"]
    return next((view for view in views if view.get("submit")), None)


async def _answers(company: Company, thread: str, word: str) -> list[Json]:
    found = await company.messages(thread=thread, as_=RITA)
    return [each for each in found[1:] if word in each["text"]]
