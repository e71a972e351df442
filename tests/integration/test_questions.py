"""Ask back: a question goes to whoever asked, the answer stands on the card, and nothing is decided by either."""

import pytest

from actions.questions import MOST_QUESTIONS, Reply
from core.db import Database
from core.outbox import Conversation
from tests.support.company import BEN, CLEO, RITA
from tests.support.ledger import TEAM, a_house, ask, rules_of

pytest_plugins = ["tests.support.migrated"]


@pytest.fixture
def house(common_installation: Database):
    house = a_house(common_installation)
    house.rules = rules_of(ask(tier=2))
    return house


def reply(text, *, by=RITA, thread="17.1", number=1):
    return Reply(Conversation(TEAM, "C0RETURNS", thread), by, text, f"event-{text}-{number}")


async def answer(house, said):
    async with house.database.transaction() as conn:
        return await house.questions.answer_in(conn, said)


async def posts(house):
    found = await house.execute("select payload from core.outbox where kind = 'post' order by outbox_id desc limit 3")
    return [row["payload"]["text"] for row in found]


async def finish(house, *asked):
    """No other test's conversation is this one's: they all happen in the same thread."""
    for approval_id in asked:
        await house.answer(approval_id, verdict="reject")


async def test_a_question_is_posted_and_its_answer_stands_on_the_card_which_goes_on_waiting(house):
    caller = await house.caller()
    asked = await house.asked(caller)
    told = await house.ask_back(asked, "Why <!channel> so late?")
    assert (told.decided, told.state) == (True, "pending")
    [said, *_] = await posts(house)
    assert f"<@{RITA}>, <@{CLEO}> has a question" in said
    assert "&lt;!channel&gt; so late?" in said
    assert await house.questions.awaits(reply("Because"))
    assert await answer(house, reply("Because <!here> of snow"))
    view = await house.approvals.view(asked)
    assert view.state == "pending"
    assert [(q.asked_by, q.question, q.answered_by, q.answer) for q in view.questions] == [
        (CLEO, "Why <!channel> so late?", RITA, "Because <!here> of snow")
    ]
    assert f"<@{CLEO}>, <@{RITA}> has answered" in (await posts(house))[0]
    assert not await house.questions.awaits(reply("More"))
    assert not await answer(house, reply("More"))
    assert [event for event in await house.events(caller) if "back" in event] == [
        "approval.asked_back",
        "approval.answered_back",
    ]
    assert (await house.answer(asked)).state == "approved"


@pytest.mark.parametrize("other", [reply("x", by=BEN), reply("x", by=CLEO), reply("x", thread="99.9")])
async def test_only_whoever_asked_answers_and_only_in_that_conversation(house, other):
    asked = await house.asked(await house.caller())
    await house.ask_back(asked, "Why?")
    assert not await house.questions.awaits(other)
    assert not await answer(house, other)
    assert (await house.approvals.view(asked)).questions[0].answer is None
    await finish(house, asked)


async def test_whoever_may_not_decide_may_not_ask_from_the_card_and_it_is_audited(house):
    caller = await house.caller()
    asked = await house.asked(caller)
    for person in (RITA, BEN, "U0NOBODY"):
        assert (await house.ask_back(asked, "Why?", by=person)).refusal == "not_entitled"
    assert (await house.events(caller)).count("approval.click_refused") == 3
    assert (await house.approvals.view(asked)).questions == []


async def test_a_decided_approval_is_not_asked_about_and_its_questions_wait_for_nobody(house):
    asked = await house.asked(await house.caller())
    await house.ask_back(asked, "Why?")
    await house.answer(asked)
    assert (await house.ask_back(asked, "And why?")).refusal == "already_decided"
    assert not await house.questions.awaits(reply("Because"))


async def test_the_same_question_delivered_twice_is_asked_once_and_nobody_asks_for_ever(house):
    asked = await house.asked(await house.caller())
    for _ in range(2):
        await house.ask_back(asked, "Why?", delivery_id=f"{asked}-q")
    assert len((await house.approvals.view(asked)).questions) == 1
    assert (await house.ask_back(asked, "")).refusal == "no_question"
    for number in range(MOST_QUESTIONS):
        last = await house.ask_back(asked, f"Why {number}?")
    assert last.refusal == "no_question"
    assert len((await house.approvals.view(asked)).questions) == MOST_QUESTIONS
    await finish(house, asked)
