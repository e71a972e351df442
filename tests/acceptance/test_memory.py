"""The team remembers what is said where it may listen, tells it to whoever may know, and follows edits."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.asking import Orders, told, told_at_click
from tests.support.company import ADA, GENERAL, RETURNS, RITA, Company, open_company
from tests.support.nursery import Nursery

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def company(tmp_path: Path, nursery: Nursery) -> AsyncGenerator[Company]:
    """A started sample company that remembers nothing yet, and finds by meaning."""
    async with open_company(tmp_path / "var", nursery, env={"COUNTERSIGN_EMBEDDER": "meaning"}) as started:
        yield started


async def found_once_heard(company: Company, question: str, *, says: str) -> str:
    """What Ada is told when she asks again until what was written just before has been heard.

    What one person writes and what another asks are handled side by side, so a single question may come first.
    """

    async def ask() -> str | None:
        answer = await told(company, ADA, f"memory search {question}", says="", channel=GENERAL)
        return answer if says in answer else None

    return await company.until(ask, f"{says!r} is found", seconds=30)


async def test_from_said_to_found_to_edited_to_judged(company: Company) -> None:
    await told(company, RITA, "memory search parcels", says="I remember nothing about", channel=GENERAL)
    await told(company, ADA, "memory on", says="From now on I remember", channel=GENERAL)
    said = await company.say(RITA, "Nordpost charges 7.20 for the mountain villages", channel=GENERAL)
    found = await found_once_heard(company, "What does Nordpost charge?", says="7.20")
    assert "<@U0RITA>" in found
    await told(company, ADA, "memory why", says="7.20 for the mountain villages", channel=GENERAL)

    edit = {"as": RITA, "channel": GENERAL, "ts": said["ts"], "text": "Nordpost charges 8.40 for the mountain villages"}
    assert (await company.act("edit", **edit))["ok"]
    await found_once_heard(company, "What does Nordpost charge?", says="8.40")
    answers = await company.messages(channel=GENERAL, as_=ADA)
    asked = next(each for each in reversed(answers) if "8.40" in each["text"] and each.get("bot_id"))
    assert "7.20" not in asked["text"]
    thanks = await told_at_click(company, ADA, {**asked, "channel": GENERAL}, "recall.useful", says="Thank you")
    assert "kept longer" in thanks
    stats = await told(company, ADA, "memory stats", says="*Remembered*", channel=GENERAL)
    assert "100 % useful" in stats


async def test_a_run_shows_what_is_remembered_of_its_order_and_how_it_came_out_is_remembered(company: Company) -> None:
    await told(company, ADA, "memory on", says="I remember")
    order = Orders().take(at_most=5_000)
    await company.say(RITA, f"The lid of {order} was cracked when it came", channel=RETURNS)
    await found_once_heard(company, f"lid of {order}", says="cracked")
    await company.command(RITA, f"run returns {order} everything because it broke")
    card = await company.run_card(containing=order, state="✅ done")
    assert "Remembered: “The lid of" in card["text"]
    assert f"(of {order})" in card["text"]
    assert ", 0 % were used" not in await told(company, ADA, "memory stats", says="were used in what was done")
    await told(company, ADA, f"memory search what became of {order}", says="refund")
