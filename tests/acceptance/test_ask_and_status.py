"""Asking in one's own words, looking, and stopping: by command, in a thread, in a direct message, by button."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from bot.commands import USAGE
from tests.support.asking import Orders, asked_for_approval, refunds_of, rows, told, told_at_click, told_in_thread
from tests.support.company import AMIR, BEN, GENERAL, GUS, RETURNS, RITA, Company, Json, open_company
from tests.support.nursery import Nursery

pytestmark = pytest.mark.asyncio(loop_scope="session")

RITAS_LINE = "D0RITA"
#: What no sentence for people may have in it.
RAW = ("None", "Traceback", "<class", "object at 0x", "{'", "datetime.")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def company(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> AsyncGenerator[Company]:
    """One started sample company for all of these."""
    async with open_company(tmp_path_factory.mktemp("ask") / "var", nursery) as started:
        yield started


@pytest.fixture(scope="module")
def orders() -> Orders:
    """Orders that no two tests share."""
    return Orders()


@pytest.mark.parametrize("who", [RITA, GUS])
async def test_help_tells_everybody_all_that_can_be_said(company: Company, who: str) -> None:
    said = await told(company, who, "help", says="What you can say")
    assert all(f"`/team {verb}" in said for verb in USAGE)
    assert "*returns*" in said
    assert said == await told(company, who, "", says="What you can say")


async def test_a_wish_in_own_words_starts_the_workflow_it_means(company: Company, orders: Orders) -> None:
    order = orders.take(at_most=5_000)
    await told(company, RITA, f"ask the customer of {order} sends everything back", says="✅ done")
    assert len(await refunds_of(company, order)) == 1


async def test_a_wish_that_means_nothing_here_is_not_guessed_at(company: Company) -> None:
    before = await rows(company, "runs")
    said = await told(company, RITA, "ask what is the weather in Paris", says="so I did nothing")
    assert "*returns*" in said
    assert await rows(company, "runs") == before


async def test_status_and_approvals_tell_what_waits_for_whom(company: Company, orders: Orders) -> None:
    card = await asked_for_approval(company, orders)
    order, run_id = card["order"], await _run_id(company, card["order"])

    assert run_id in await told(company, RITA, "status", says=order)
    assert "⏸️ waiting" in await told(company, RITA, f"status {run_id}", says="Waiting for: Refund")
    assert order in await told(company, BEN, "approvals", says="Waiting for you (")
    assert "Nothing waits for you." in await told(company, RITA, "approvals", says="Nothing")

    await company.click(BEN, card, "approval.approve")
    await company.run_card(containing=order, state="✅ done")
    assert "✅ done" in await told(company, RITA, f"status {run_id}", says="Outcome: ")
    assert order not in await told(company, BEN, "approvals", says="aits for you")


async def test_a_stopped_run_asks_nobody_any_more_and_its_cards_say_so(company: Company, orders: Orders) -> None:
    card = await asked_for_approval(company, orders)
    run_id = await _run_id(company, card["order"])
    for who in (GUS, AMIR):
        await told(company, who, f"stop {run_id}", says="Only who asked for a run, an operator or an admin")
    await told(company, RITA, f"stop {run_id}", says=f"Stopping `{run_id}`")
    await company.run_card(containing=card["order"], state="stopped")
    assert "the run was stopped" in (await company.approval_card(card["run"], state="Cancelled"))["text"]
    await told(company, RITA, f"stop {run_id}", says="has ended already")
    refused = await company.click(BEN, card, "approval.approve")
    assert not refused["ok"], "the button is gone"
    assert await refunds_of(company, card["order"]) == []


async def test_the_button_on_the_run_card_stops_it_for_who_may(company: Company, orders: Orders) -> None:
    card = await asked_for_approval(company, orders)
    await told_at_click(company, BEN, card["run"], "run.stop", says="Only who asked for a run")
    await told_at_click(company, RITA, card["run"], "run.stop", says="Stopping `")
    await company.run_card(containing=card["order"], state="stopped")
    await company.approval_card(card["run"], state="Cancelled")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("status", "The latest runs"),
        ("approvals", "aits for you"),
        ("schedule list", "chedules"),
        ("help", "What you can say"),
        ("ask what is the weather in Paris", "so I did nothing"),
        ("frobnicate", "I do not know “frobnicate”"),
        ("", "What you can say"),
    ],
)
async def test_in_a_thread_a_mention_does_what_the_command_does(
    company: Company, orders: Orders, words: str, says: str
) -> None:
    opening = await company.say(RITA, "What about this one?", channel=GENERAL)
    await told(company, RITA, "run returns #W9999 nothing", says="no order #W9999", channel=GENERAL)
    await told_in_thread(company, RITA, f"@countersign {words}", opening["ts"], says=says, channel=GENERAL)


async def test_a_run_asked_for_in_a_thread_reports_there(company: Company, orders: Orders) -> None:
    order = orders.take(at_most=5_000)
    opening = await company.say(RITA, "A customer called.", channel=GENERAL)
    words = f"@countersign run returns {order} everything because it broke"
    await told_in_thread(company, RITA, words, opening["ts"], says="✅ done", channel=GENERAL)
    assert order not in str([each["text"] for each in await company.messages(channel=GENERAL)])
    assert len(await refunds_of(company, order)) == 1


async def test_a_direct_message_needs_no_name_and_no_command(company: Company) -> None:
    spoken = await company.say(RITA, "approvals", channel=RITAS_LINE)

    async def answered() -> list[Json]:
        found = await company.messages(channel=RITAS_LINE, thread=spoken["ts"], as_=RITA)
        return [each for each in found[1:] if "Nothing waits for you." in each["text"]]

    assert len(await company.until(answered, "the direct message is answered")) == 1


async def test_nothing_that_people_read_is_in_a_programmers_words(company: Company, orders: Orders) -> None:
    card = await asked_for_approval(company, orders)
    await company.click(BEN, card, "approval.approve")
    await company.run_card(containing=card["order"], state="✅ done")
    await told(company, RITA, "status", says=card["order"])
    read = [*await company.messages(channel=RETURNS, as_=RITA), *await company.messages(thread=card["run"]["ts"])]
    for message in read:
        shown = f"{message['text']} {message.get('blocks', '')}"
        assert not [raw for raw in RAW if raw in message["text"]], message["text"]
        assert "None" not in shown.replace("'None'", "")


async def _run_id(company: Company, order: str) -> str:
    (run,) = [each for each in await rows(company, "runs") if order in str(each["steps"])]
    return run["run_id"]


async def test_the_demo_starts_its_first_step_at_a_press_and_goes_on(company: Company) -> None:
    await company.command(RITA, "demo", channel=GENERAL)
    first = await _demo(company, "Demo 1 of 7")
    assert (await company.click(RITA, first, "demo.start"))["ok"]
    done = await company.run_card(containing="#W1005", channel=GENERAL, state="✅ done")
    assert "returns for" in done["text"]
    assert (await company.click(RITA, first, "demo.next"))["ok"]
    second = await _demo(company, "Demo 2 of 7")
    assert (await company.click(RITA, second, "demo.end"))["ok"]
    await told(company, RITA, "demo stop", says="You are in no demo", channel=GENERAL)


async def _demo(company: Company, title: str) -> Json:
    async def look() -> Json | None:
        shown = await company.messages(channel=GENERAL)
        return next((each for each in shown if each["text"].startswith(title)), None)

    return await company.until(look, title)
