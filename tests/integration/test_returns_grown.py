"""Returns as they have grown: parts, exchanges, pictures of damage, repeated refunds, over the real sandbox shop."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from graphs.run import RunState
from tests.support.office import Office, open_office
from tests.support.postgres import PostgresServer, new_test_name

pytest_plugins = ["tests.support.migrated"]
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(
    postgres_server: PostgresServer, installation_template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Office]:
    name = new_test_name()
    url = postgres_server.make(name, template=installation_template)
    async with open_office(tmp_path_factory.mktemp("office"), url) as open_one:
        yield open_one
    postgres_server.drop(name)


async def _returns(office: Office, text: str):
    return await office.rests(await office.ask("returns", text), "waiting", "done", "refused")


async def test_an_exchange_is_recorded_with_the_difference_that_the_records_give(office):
    run = await _returns(office, "exchange the running shoes of #W2022 for the 42 because they are too small")
    assert run.state is RunState.DONE
    assert "exchanged (receipt" in run.outcome
    (made,) = [e for e in (await office.log("shop"))["exchanges"] if e["order_id"] == "#W2022"]
    assert (made["amount_minor"], made["payment_method_id"]) == (472, "gift_card_1016")
    again = await _returns(office, "return everything from #W2022")
    assert "one-return-per-order" in again.outcome


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("exchange the running shoes for 1000000100 of #W2097", "same-product"),
        ("exchange the headphones for the white of #W2031 with my gift card", ""),
        ("exchange the tool box for the large of #W2138", ""),
        ("exchange the espresso machine for the red of #W2086 to paypal_9999", "difference-method"),
    ],
)
async def test_an_exchange_that_a_rule_forbids_names_the_rule(office, text, rule):
    run = await _returns(office, text)
    assert rule in run.outcome if rule else run.state is RunState.DONE


async def test_damaged_goods_wait_for_a_person_without_a_picture_and_run_alone_with_one(office):
    unseen = await _returns(office, "#W2065 all because it arrived broken")
    assert unseen.state is RunState.WAITING
    (shown,) = await office.rows(
        "select r.evidence from actions.approval a join actions.intent i using (intent_id)"
        " join actions.revision r on r.intent_id = a.intent_id and r.revision = a.revision"
        " where i.run_id = %s and a.state = 'pending'",
        unseen.run_id,
    )
    assert any("damaged-evidence" in line for line in shown["evidence"])
    seen = await _returns(office, "#W2134 all because it arrived broken photo: mug.jpg")
    assert seen.state is RunState.DONE


async def test_part_of_an_order_comes_back_and_the_rest_does_not_follow(office):
    run = await _returns(office, "#W1001 one Water Bottle because it leaks")
    assert run.state is RunState.DONE
    assert "refunded 18.50 USD" in run.outcome
    rest = await _returns(office, "#W1001 the Desk Lamp")
    assert "one-return-per-order" in rest.outcome
