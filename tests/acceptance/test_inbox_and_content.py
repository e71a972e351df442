"""Mail and posts as people meet them: the sample week in #inbox, a brief and its rounds in #content, on rules alone."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from bot.sample.mail import sample_mail
from tests.support.company import BEN, CLEO, RITA, Company, Json, open_company
from tests.support.nursery import Nursery

pytestmark = pytest.mark.asyncio(loop_scope="session")

INBOX, CONTENT = "C0INBOX", "C0CONTENT"
BRIEF = "Title: Oiling a board; Audience: home cooks\nPoints: why oil; how often; which oil\nHow to oil a wooden board"
TEXT = "# Oiling a board\n\nOil your board once a month! Any food oil will do."


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def company(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> AsyncGenerator[Company]:
    async with open_company(tmp_path_factory.mktemp("company") / "var", nursery) as started:
        yield started


async def _log(company: Company, system: str) -> Json:
    async with company.http.get(f"{company.sandbox}/{system}/log") as answer:
        return await answer.json()


async def _told(company: Company, run: Json, what: str) -> Json:
    """The message in the run's thread that says `what`, once it is there."""

    async def look() -> Json | None:
        thread = await company.messages(channel=run["channel"], thread=run["ts"])
        return next((message for message in thread[1:] if what in message["text"]), None)

    return await company.until(look, f"the thread says {what!r}")


async def test_the_sample_week_is_begun_by_one_sweep_and_an_answer_goes_out_once_a_person_has_read_it(
    company: Company,
) -> None:
    assert await company.command(RITA, "run inbox sweep", channel=INBOX) == {"ok": True}
    sweep = await company.run_card(containing="sweep", state="✅ done", channel=INBOX)
    await _told(company, sweep, f"{len(sample_mail())} new mails begun")

    question = "clara.costa1003@example.com: a question about an order"
    asked = await company.run_card(containing=question, state="waiting", channel=INBOX)
    card = await company.approval_card(asked)
    assert "clara.costa1003@example.com" in card["text"]
    assert (await company.click(BEN, card, "approval.approve"))["ok"]
    await company.run_card(containing=question, state="✅ done", channel=INBOX)
    (sent,) = (await _log(company, "mail"))["mails"]
    assert (sent["to"], sent["in_reply_to"]) == ("clara.costa1003@example.com", "<week-5@mail.example>")
    assert "#W1003" in sent["text"]

    # What the verified sender's own order bears out is refunded by the rulebook; the forged mail moves nothing.
    handed = await company.run_card(
        containing="“Return” from dario.dubois1004@example.com: a wish", state="✅ done", channel=INBOX
    )
    await _told(company, handed, "#W1001: refunded 42.00 USD")
    forged = await company.run_card(
        containing="“Refund” from bruno.bianchi1002@example.com: a wish", state="✅ done", channel=INBOX
    )
    await _told(company, forged, "Approval needed")
    assert {refund["order_id"] for refund in await company.refunds()} == {"#W1001", "#W1004"}


async def test_a_brief_becomes_one_post_by_what_people_say_in_its_thread(company: Company) -> None:
    assert await company.command(RITA, f"run content {BRIEF}", channel=CONTENT) == {"ok": True}
    run = await company.run_card(containing="content", state="waiting", channel=CONTENT)
    await _told(company, run, "A person or a model must write this")
    for said, told in ((TEXT, "Draft 2 by Rita"), ("no exclamation marks", "Draft 3 by Rita")):
        assert (await company.say(RITA, said, channel=CONTENT, thread_ts=run["ts"]))["ok"]
        await _told(company, run, told)
    shaped = await _told(company, run, "Draft 3 by Rita")
    assert "Oil your board once a month." in shaped["text"]
    assert (await company.say(RITA, "publish", channel=CONTENT, thread_ts=run["ts"]))["ok"]
    card = await company.approval_card(run)
    assert (await company.click(CLEO, card, "approval.approve"))["ok"]
    await _told(company, run, "is published:")
    log = await _log(company, "site")
    assert [post["slug"] for post in log["posts"]] == ["oiling-a-board"]

    assert await company.command(RITA, f"run content {BRIEF}", channel=CONTENT) == {"ok": True}
    again = await company.run_card(containing="content", state="refused", channel=CONTENT)
    await _told(company, again, "This brief is published already")
    assert (await _log(company, "site"))["count"] == 1
