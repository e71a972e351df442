"""Budgets hold whoever spends at the same moment; at one the run pauses, asks, and goes on or does without."""

import asyncio
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actions.budget import Budget
from core.db import Database
from core.ids import RunId
from core.money import Money
from graphs.budget import Amounts, BudgetReached, Ceiling, Draw
from graphs.model_calls import Asker, ModelCalls, Question, Settled, list_recent, list_spend
from graphs.run import RunState
from tests.support.company import ADA, BEN
from tests.support.inside import Inside, open_inside, together
from tests.support.scripted_model import Json, Reply, ScriptedModel, open_scripted_model

pytest_plugins = ["tests.support.migrated"]

QUESTION = Question("reason", "extract", "a" * 64)
DAY = Ceiling("day", "T0LOCAL", Budget(cost=Money(100, "USD"), tokens=1_000_000))
WORST = Amounts(micro=90_000, tokens=3_000)
POLICY = (Path(__file__).parents[2] / "bot" / "sample" / "policy.yml").read_text()


def budgets(**given: str) -> dict[str, str]:
    """The sample policy with these budgets."""
    lines = "".join(f"  {scope}: {budget}\n" for scope, budget in given.items())
    return {"policy.yml": f"{POLICY}\nbudgets:\n{lines}" if lines else POLICY}


# -- spending at the same moment -------------------------------------------------------------------------------------


async def spend(calls: Any, number: int) -> tuple[int, int]:
    """One run of five calls, each settled for less than was set aside; how many were made and what they cost."""
    asker, made, cost = Asker("T0LOCAL", "U0RITA", "returns"), 0, 0
    for turn in range(5):
        try:
            call_id = await calls.reserve(asker, QUESTION, "small", WORST, [DAY], 5)
        except BudgetReached:
            break
        await asyncio.sleep(0.001 * ((number * 7 + turn * 3) % 5))
        used = 20_000 + 7_000 * ((number + turn) % 10)
        await calls.settle(asker, call_id, Settled("ok", 2_000, 100, used), [DAY])
        made, cost = made + 1, cost + used
    return made, cost


async def test_twenty_runs_at_once_never_pass_a_budget_and_use_nearly_all_of_it(
    installation_database: Database,
) -> None:
    spent = await asyncio.gather(*(spend(ModelCalls(installation_database), number) for number in range(20)))
    assert sum(cost for _, cost in spent) <= 1_000_000
    # Who was refused while others had set more aside than they used gave up too early: what they left is still there.
    while (more := await spend(ModelCalls(installation_database), len(spent)))[0]:
        spent.append(more)
    total = sum(cost for _, cost in spent)
    assert total <= 1_000_000
    assert total > 1_000_000 - WORST.micro
    async with installation_database.connection() as conn:
        row = await (await conn.execute("select micro, tokens from graphs.spend where scope = 'day'")).fetchone()
    assert row == {"micro": total, "tokens": sum(made for made, _ in spent) * 2_100}


class Peeking(ModelCalls):
    """The control: looks what is left before it writes, instead of in the same statement."""

    async def reserve(
        self, asker: Asker, question: Any, model: str, worst: Amounts, ceilings: Any, window: float
    ) -> str:
        async with self._database.connection() as conn:
            cursor = await conn.execute("select coalesce(sum(micro), 0)::bigint as used from graphs.spend")
            row = await cursor.fetchone()
        assert row is not None
        if row["used"] + worst.micro > 1_000_000:
            raise BudgetReached(DAY, Draw("day", "T0LOCAL", ""), _ROW | {"micro": row["used"]}, "micro", worst.micro)
        unlimited = [replace(each, budget=Budget(tokens=10_000_000)) for each in ceilings]
        return await super().reserve(asker, question, model, worst, unlimited, window)


_ROW = {f"raised_{name}": 0 for name in ("micro", "tokens")} | {"raises": 0}


async def test_a_reservation_that_reads_before_it_writes_passes_the_budget(installation_database: Database) -> None:
    spent = await asyncio.gather(*(spend(Peeking(installation_database), number) for number in range(20)))
    assert sum(cost for _, cost in spent) > 1_000_000


async def test_what_died_before_it_was_settled_stays_counted_and_is_called_partial(
    installation_database: Database,
) -> None:
    calls, asker = ModelCalls(installation_database), Asker("T0LOCAL", "U0RITA")
    await calls.reserve(asker, QUESTION, "small", WORST, [DAY], 5)
    async with installation_database.transaction() as conn:
        await conn.execute("update graphs.model_call set lost_after = core.now() - interval '1 second'")
    await calls.give_up_lost()
    async with installation_database.connection() as conn:
        row = await (await conn.execute("select outcome, partial from graphs.model_call")).fetchone()
        spent = await (await conn.execute("select micro from graphs.spend")).fetchone()
    assert (row, spent) == ({"outcome": "lost", "partial": True}, {"micro": WORST.micro})


# -- a run at its budget ---------------------------------------------------------------------------------------------


def understands(asked: Json) -> Reply:
    """Finds the order and everything of it."""
    words = json.loads(asked["messages"][1]["content"])["text"]
    order = "#W1004" if "1004" in words else "#W1001"
    return Reply({"found": {"order_id": order, "items": ["all"], "destination": None, "reason": "broken"}})


def env(model: ScriptedModel, *, price: tuple[float, ...] | None) -> dict[str, Any]:
    """One model at this server."""
    small = {"model": "small", "base_url": f"{model.url}/v1", "price": price, "timeout_seconds": 5}
    return {"COUNTERSIGN_MODELS": json.dumps({"models": {"small": small}})}


@pytest.fixture
def opened(tmp_path: Path, installation_url: str) -> Any:
    """Opens an installation with that model and these budgets."""

    def open_with(model: ScriptedModel, *, price: tuple[float, ...] | None = (10, 40), **given: str) -> Any:
        return open_inside(tmp_path / "home", installation_url, env=env(model, price=price), files=budgets(**given))

    return open_with


async def asked_for(inside: Inside, run_id: RunId) -> list[dict[str, Any]]:
    return await inside.rows(
        "select i.step, i.state, r.record -> 'args' as args, r.summary from actions.intent i"
        " join actions.revision r using (intent_id, revision) where run_id = %s and action = 'budget.raise'",
        run_id,
    )


async def test_at_its_budget_a_run_pauses_asks_an_admin_and_goes_on_where_it_was(opened: Any) -> None:
    async with open_scripted_model() as model, opened(model, run="{cost: 0.01 USD}") as inside:
        model.think = understands
        run = await inside.ask("returns", "please take back everything of 1001, broken")
        assert run.state is RunState.WAITING
        assert model.asked == []
        [row] = await asked_for(inside, run.run_id)
        assert row["args"]["unit"] == "US cents"
        assert 1 < row["args"]["amount"] < 20
        assert row["summary"].startswith(f"Raise the budget of run {run.run_id}")
        assert "an admin" in run.waiting[0].text
        [refused] = await inside.approve(run.run_id, by=BEN)
        assert not refused.decided
        await inside.approve(run.run_id, by=ADA)
        run = await inside.go(run.run_id)
        assert len(model.asked) == 1
        assert Decimal(run.figures["cost_usd"]) > 0


async def test_twenty_whole_runs_at_once_stop_at_the_days_budget_and_each_asks(opened: Any) -> None:
    async with open_scripted_model() as model, opened(model, day="{cost: 0.60 USD}") as inside:
        model.think = lambda asked: replace(understands(asked), tokens=(1_000, 1_000), seconds=0.02)
        orders = await inside.delivered()
        jobs = [inside.ask("returns", f"please take back everything of {order}, broken") for order in orders[:20]]
        runs = await together(jobs, at_once=20)
        [day] = await inside.rows("select micro from graphs.spend where scope = 'day'")
        [called] = await inside.rows("select count(*) as many, sum(micro)::bigint as micro from graphs.model_call")
        assert day["micro"] == called["micro"] == called["many"] * 50_000
        # What was set aside for calls under way at that moment was no room for others, who ask.
        assert 200_000 < day["micro"] <= 600_000
        asking = await inside.rows(
            "select run_id from actions.intent where action = 'budget.raise' and state = 'awaiting'"
        )
        assert len(runs) == called["many"] + len(asking) == 20


async def test_a_raise_that_is_rejected_leaves_the_run_to_the_rules(opened: Any) -> None:
    async with open_scripted_model() as model, opened(model, run="{cost: 0.01 USD}") as inside:
        model.think = understands
        run = await inside.ask("returns", "#W1001 the water bottle because it leaks")
        await inside.approve(run.run_id, verdict="reject")
        run = await inside.go(run.run_id)
        assert (run.state, model.asked) == (RunState.DONE, [])
        assert "rules" in run.reasoned_by


def planning(asked: Json) -> Reply:
    """Says that a message is to be posted, for many tokens, and then what it says."""
    data = json.loads(asked["messages"][1]["content"])
    if "choices" in data:
        return Reply({"names": ["message.post"]}, tokens=(3_000, 100))
    return Reply({"found": {"text": "Closed on Friday."}})


async def test_a_node_that_runs_again_is_given_the_answer_it_had_and_pays_once(opened: Any) -> None:
    async with open_scripted_model() as model, opened(model, run="{tokens: 5500}") as inside:
        model.think = planning
        run = await inside.ask("ask", "say that we are closed on Friday")
        assert (run.state, len(model.asked)) == (RunState.WAITING, 1)
        [row] = await asked_for(inside, run.run_id)
        assert (row["args"]["unit"], row["args"]["amount"]) == ("tokens", 5_500)
        await inside.approve(run.run_id, by=ADA)
        run = await inside.go(run.run_id)
        # The first question, asked again by the node that ran again, was answered from what is kept.
        assert (run.state, len(model.asked), run.figures["calls"]) == (RunState.DONE, 2, 2)
        kept = await inside.rows("select answer from graphs.model_call where run_id = %s", run.run_id)
        assert kept == [{"answer": None}] * 2


async def test_actions_are_counted_once_and_more_of_them_are_asked_for(opened: Any) -> None:
    async with open_scripted_model() as model, opened(model, run="{actions: 1}") as inside:
        model.think = understands
        run = await inside.ask("returns", "please take back everything of 1001, broken")
        while run.state is RunState.WAITING:
            await inside.approve(run.run_id, by=ADA)
            run = await inside.go(run.run_id)
        assert run.state is RunState.DONE
        [row] = await asked_for(inside, run.run_id)
        assert (row["args"]["amount"], row["args"]["unit"]) == (1, "actions")


async def test_each_call_and_the_spend_are_listed_with_nothing_of_what_was_said(opened: Any) -> None:
    async with open_scripted_model() as model, opened(model) as inside:
        model.think = lambda asked: replace(understands(asked), tokens=(1_000, 100))
        run = await inside.ask("returns", "please take back everything of 1001, broken")
        async with inside.installation.database.connection() as conn:
            [call] = await list_recent(conn, 10)
            spend = await list_spend(conn)
        named = {name: call[name] for name in ("run_id", "node", "purpose", "skill", "model", "outcome", "cost_usd")}
        assert named == {
            "run_id": run.run_id,
            "node": "gather",
            "purpose": "reason",
            "skill": "extract",
            "model": "small",
            "outcome": "ok",
            "cost_usd": "0.014",
        }
        assert "1001" not in json.dumps(call)
        assert [(row["span"], row["workflow"], row["purpose"], row["calls"], row["cost_usd"]) for row in spend] == [
            ("today", "returns", "reason", 1, "0.014"),
            ("this month", "returns", "reason", 1, "0.014"),
        ]
        labels = {"workflow": "returns", "purpose": "reason"}
        registry = inside.installation.metrics.registry
        assert registry.get_sample_value("countersign_spend_usd_total", labels) == pytest.approx(0.014)


async def test_from_four_fifths_on_the_run_is_warned_about(opened: Any) -> None:
    async with open_scripted_model() as model, opened(model, run="{tokens: 5000}") as inside:
        model.think = lambda asked: replace(understands(asked), tokens=(3900, 200))
        run = await inside.ask("returns", "please take back everything of 1001, broken")
        assert run.figures["warning"].startswith("82 % of the budget of this run is used: 4,100 tokens of 5,000")


async def test_the_cost_of_a_model_without_a_price_is_called_unknown_and_its_tokens_are_held(opened: Any) -> None:
    async with open_scripted_model() as model, opened(model, price=None, run="{cost: 0.01 USD, tokens: 400}") as inside:
        model.think = understands
        run = await inside.ask("returns", "please take back everything of 1001, broken")
        [row] = await asked_for(inside, run.run_id)
        assert row["args"]["unit"] == "tokens"
        await inside.approve(run.run_id, verdict="reject")
        assert "calls" not in (await inside.go(run.run_id)).figures


async def test_two_owners_of_a_run_do_not_both_spend_for_it(opened: Any) -> None:
    async with open_scripted_model() as model, opened(model) as inside:
        run_id = await inside.start("returns", "x")
        calls = ModelCalls(inside.installation.database)
        run = await inside.installation.runs.begin(run_id)
        assert run is not None
        late = Asker("T0LOCAL", "U0RITA", "returns", run_id, run.epoch - 1)
        with pytest.raises(Exception, match="newer owner"):
            await calls.reserve(late, QUESTION, "small", WORST, [], 5)
