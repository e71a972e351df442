"""The past under other rules: the same facts, counted as they were at that moment."""

import pytest

from actions import history
from actions.replay import replay
from bot.policy_verbs import told
from tests.support.ledger import a_house, allow, ask, rules_of

pytest_plugins = ["tests.support.migrated"]


@pytest.fixture
def house(installation_database):
    return a_house(installation_database, rules=[allow("50 USD"), ask("50 USD")])


async def replayed(house, *rules):
    async with house.database.connection() as conn:
        found = await history.judgements(conn, run_id=None, limit=100)
        return await replay(conn, rules_of(*rules), found)


async def test_a_higher_limit_says_how_many_would_have_run_alone_and_how_many_of_them_people_rejected(house):
    await house.refund(await house.caller(), "10 USD")
    rejected = await house.caller()
    await house.answer(await house.asked(rejected, "60 USD"), verdict="reject")
    await house.asked(await house.caller(), "500 USD")
    lines = told(await replayed(house, allow("100 USD"), ask("100 USD")))
    assert lines[0] == "2 of 3 would have been automatic, 1 of them was rejected."
    assert "require_approval became allow by small" in lines[3]


async def test_a_window_that_nobody_asked_about_then_is_counted_as_it_was(house):
    for _ in range(3):
        await house.refund(await house.caller(), "10 USD")
    counted = {**ask("50 USD"), "when": {"count": {"per": "recipient", "within": "1h", "above": 2}}}
    verdicts = [each.now.verdict for each in await replayed(house, allow("50 USD"), counted)]
    assert verdicts == ["allow", "allow", "require_approval"]
