"""Free words that no workflow fits: planned over what teammates may ask for, asked where words alone set something."""

import json
from pathlib import Path
from typing import Any

import pytest

from graphs.run import RunState
from tests.support.company import RITA
from tests.support.inside import open_inside
from tests.support.minds import data_of, nonsense
from tests.support.scripted_model import Json, Reply, open_scripted_model

pytest_plugins = ["tests.support.migrated"]

REFUND = {
    "order_id": "#W1001",
    "payment_method_id": "credit_card_1004",
    "amount": {"minor": 1850, "currency": "USD"},
    "reason": "it leaks",
    "customer_id": None,
}
WORDS = "give credit_card_1004 18.50 USD for the leaking bottle of #W1001"


def planner(*names: str, args: Any = None) -> Any:
    """A mind that chooses these actions and finds these arguments."""

    def think(asked: Json) -> Reply:
        data = data_of(asked)
        if "choices" in data:
            return Reply({"names": list(names)})
        if "examples" in data:
            return Reply({"label": None})
        return Reply({"found": args})

    return think


@pytest.fixture
def opened(tmp_path: Path, installation_url: str) -> Any:
    def open_with(url: str) -> Any:
        models = {"models": {"small": {"model": "small", "base_url": f"{url}/v1", "price": [1, 4]}}}
        return open_inside(tmp_path / "home", installation_url, env={"COUNTERSIGN_MODELS": json.dumps(models)})

    return open_with


async def test_what_words_alone_set_waits_for_a_person_however_small(opened: Any) -> None:
    async with open_scripted_model() as model, opened(model.url) as inside:
        model.think = planner("payment.refund", args=REFUND)
        assert await inside.installation.choose_workflow(WORDS, RITA) == "ask"
        run = await inside.ask("ask", WORDS)
        assert run.state is RunState.WAITING
        assert "waits for an a" in run.waiting[0].text
        [asked] = await inside.rows("select decision from actions.approval")
        assert "built-in:untrusted" in asked["decision"]["rules"]
        await inside.approve(run.run_id)
        run = await inside.go(run.run_id)
        assert (run.state, run.reasoned_by) == (RunState.DONE, "model small")
        [(action, _, state)] = await inside.effects(run.run_id)
        assert (action, state) == ("payment.refund", "done")


async def test_nothing_is_planned_that_no_teammate_may_ask_for(opened: Any) -> None:
    async with open_scripted_model() as model, opened(model.url) as inside:
        model.think = planner("order.restore", args={"order_id": "#W1001", "return_id": "r"})
        run = await inside.ask("ask", "restore #W1001")
        assert run.state is RunState.REFUSED
        assert await inside.effects(run.run_id) == []
        offered = [c["name"] for c in data_of(model.asked[0])["choices"]]
        assert offered == ["message.post", "order.update", "payment.refund"]


async def test_what_the_words_do_not_say_in_full_is_asked_for_and_not_invented(opened: Any) -> None:
    async with open_scripted_model() as model, opened(model.url) as inside:
        model.think = planner("payment.refund", args=None)
        run = await inside.ask("ask", "give them their money")
        assert (run.state, await inside.effects(run.run_id)) == (RunState.REFUSED, [])
        assert "do not say everything" in run.outcome


async def test_on_rules_it_says_that_it_does_not_know(opened: Any) -> None:
    async with open_scripted_model() as model, opened(model.url) as inside:
        model.think = nonsense
        assert await inside.installation.choose_workflow("sing me a song about autumn", RITA) is None
        run = await inside.ask("ask", "sing me a song about autumn")
        assert run.state is RunState.REFUSED
        assert run.outcome.startswith("I do not know how to do that.")


async def test_what_is_said_is_said_in_the_runs_own_conversation(opened: Any) -> None:
    async with open_scripted_model() as model, opened(model.url) as inside:
        model.think = planner("message.post", args={"text": "Closed on Friday."})
        run = await inside.ask("ask", "say that we are closed on Friday")
        assert run.state is RunState.DONE
        [(action, args, _)] = await inside.effects(run.run_id)
        assert action == "message.post"
        assert json.loads(args)["channel"] == run.conversation.channel
