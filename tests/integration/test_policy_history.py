"""Rules that look at the past: what counts, whose it is, and that two effects at once never share one past."""

import asyncio
from datetime import timedelta

import pytest

from actions.outcome import Declined, Done, Parked
from core.db import Database
from tests.support.company import BEN, RITA
from tests.support.ledger import House, Outside, a_house, allow, rules_of

pytest_plugins = ["tests.support.migrated"]

SMALL = allow("1000 USD")


@pytest.fixture
def database(installation_database):
    return installation_database


def asks(**when):
    return {
        "id": "asks",
        "because": "Enough for now.",
        "action": "payment.refund",
        "verdict": "require_approval",
        "when": when,
    }


def house_with(database: Database, *rules, **more) -> House:
    return a_house(database, rules=[SMALL, *rules], **more)


async def refunds(house: House, *amounts: str, **changes) -> list[str]:
    """One run each; how each came out, in a word."""
    words = []
    for amount in amounts:
        outcome = await house.refund(
            await house.caller(requester=changes.get("requester", RITA)),
            amount,
            **{name: value for name, value in changes.items() if name != "requester"},
        )
        words.append({Done: "done", Parked: "asks", Declined: "declined"}[type(outcome)])
    return words


async def test_the_effect_that_would_pass_the_sum_asks_and_one_that_stays_within_it_does_not(database):
    house = house_with(database, asks(sum={"per": "recipient", "within": "24h", "above": "100 USD"}))
    assert await refunds(house, "60 USD", "40 USD", "0.01 USD") == ["done", "done", "asks"]


async def test_a_count_includes_the_effect_that_is_judged(database):
    house = house_with(database, asks(count={"per": "requester", "within": "24h", "above": 2}))
    assert await refunds(house, "1 USD", "1 USD", "1 USD") == ["done", "done", "asks"]


async def test_each_recipient_requester_and_customer_has_a_window_of_their_own(database):
    for per, other in (
        ("recipient", {"payment_method_id": "card_2"}),
        ("customer", {"customer_id": "lena"}),
        ("requester", {"requester": BEN}),
    ):
        house = house_with(database, asks(count={"per": per, "within": "1h", "above": 1}))
        first = {"customer_id": "noah", "payment_method_id": "card_1"}
        assert await refunds(house, "1 USD", "1 USD", **first) == ["done", "asks"], per
        assert await refunds(house, "1 USD", **{**first, **other}) == ["done"], per
        await house.pass_time(timedelta(hours=2))


async def test_workflow_and_workspace_windows_count_everybodys_effects(database):
    for per in ("workflow", "workspace"):
        house = house_with(database, asks(count={"per": per, "within": "1h", "above": 1}))
        assert await refunds(house, "1 USD") == ["done"]
        assert await refunds(house, "1 USD", requester=BEN, payment_method_id="card_9") == ["asks"]
        await house.pass_time(timedelta(hours=2))


async def test_a_window_moves_on_with_time(database):
    house = house_with(database, asks(sum={"per": "recipient", "within": "24h", "above": "100 USD"}))
    assert await refunds(house, "90 USD", "20 USD") == ["done", "asks"]
    await house.pass_time(timedelta(hours=24, minutes=1))
    assert await refunds(house, "20 USD") == ["done"]


async def test_what_did_not_happen_does_not_count_and_what_may_have_happened_does(database):
    outside = Outside(modes=["rejected"])
    house = house_with(database, asks(count={"per": "recipient", "within": "1h", "above": 1}), outside=outside)
    await house.refund(await house.caller(), "1 USD")
    assert await refunds(house, "1 USD") == ["done"]
    assert await refunds(house, "1 USD") == ["asks"]


async def test_an_effect_that_names_no_customer_asks_where_a_rule_counts_by_customer(database):
    house = house_with(database, asks(count={"per": "customer", "within": "1h", "above": 5}))
    assert await refunds(house, "1 USD") == ["asks"]
    assert await refunds(house, "1 USD", customer_id="noah") == ["done"]


async def test_amounts_of_another_currency_count_by_the_table_and_without_a_rate_they_ask(database):
    rule = asks(sum={"per": "recipient", "within": "24h", "above": "100 USD"})
    house = house_with(database, rule)
    house.rules = rules_of(SMALL, rule, rates={"EUR": 2})
    assert await refunds(house, "30 EUR", "40 USD", "0.01 EUR") == ["done", "done", "asks"]
    assert await refunds(house, "1 GBP", payment_method_id="card_3") == ["asks"]


async def test_a_recipient_is_new_until_something_reached_them(database):
    house = house_with(database, asks(first_time_recipient=True))
    first = await house.caller()
    asked = await house.asked(first, "1 USD")
    assert await refunds(house, "1 USD") == ["asks"]
    await house.answer(asked)
    assert isinstance(await house.refund(first, "1 USD"), Done)
    assert await refunds(house, "1 USD") == ["done"]
    assert await refunds(house, "1 USD", payment_method_id="card_2") == ["asks"]


@pytest.mark.parametrize("rivals", [16])
async def test_of_many_effects_at_once_no_more_run_alone_than_the_window_lets(database, rivals):
    house = house_with(database, asks(sum={"per": "recipient", "within": "24h", "above": "100 USD"}))
    callers = [await house.caller() for _ in range(rivals)]
    outcomes = await asyncio.gather(*(house.refund(caller, "20 USD") for caller in callers))
    assert sum(isinstance(outcome, Done) for outcome in outcomes) == 5
    assert sum(isinstance(outcome, Parked) for outcome in outcomes) == rivals - 5


async def test_the_first_judgement_is_kept_with_everything_policy_looked_at(database):
    house = house_with(database, asks(count={"per": "recipient", "within": "1h", "above": 1}))
    caller = await house.caller()
    await refunds(house, "1 USD")
    await house.refund(caller, "2 USD", customer_id="noah")
    [kept] = await house.execute(
        "select j.* from actions.judgement j join actions.intent using (intent_id) where run_id = %s", caller.run_id
    )
    assert (kept["verdict"], kept["rules"], kept["customer"]) == ("require_approval", ["asks"], "noah")
    assert kept["considered"]["amount"] == [200, "USD"]
    assert kept["considered"]["windows"] == [["payment.refund", "recipient", 3600, 1, [[100, "USD"]]]]
