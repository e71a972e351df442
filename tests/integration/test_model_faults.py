"""A model that fails in every way there is loses no run, and the rare failure is noticed by nobody."""

import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from graphs.run import Run, RunState
from tests.support.inside import Inside, open_inside, together
from tests.support.minds import honest, unreliable
from tests.support.scripted_model import Json, Reply, ScriptedModel, open_scripted_model

pytest_plugins = ["tests.support.migrated"]

FULL = os.environ.get("COUNTERSIGN_CAMPAIGN") == "full"
RUNS = 200 if FULL else 16


def env(model: ScriptedModel, *, seconds: float) -> dict[str, Any]:
    return {
        "OPENAI_BASE_URL": f"{model.url}/v1",
        "COUNTERSIGN_MODEL_TIMEOUT_SECONDS": seconds,
        "COUNTERSIGN_MODEL_PRICES": {"gpt-4.1-mini": (0.4, 1.6)},
    }


async def run_all(inside: Inside) -> list[Run]:
    orders = await inside.delivered()
    texts = [f"{orders[number % len(orders)]} everything because it did not fit" for number in range(RUNS)]
    return await together([inside.ask("returns", text) for text in texts], at_once=6)


def tell(name: str, runs: list[Run], calls: list[dict[str, Any]]) -> None:
    states = Counter(run.state.value for run in runs)
    outcomes = Counter({row["outcome"]: row["many"] for row in calls})
    by = Counter(re.sub(r" .*", "", run.reasoned_by or "none") for run in runs)
    print(f"{name}: {len(runs)} runs {dict(states)}, calls {dict(outcomes)}, understood by {dict(by)}")


async def outcomes_of(inside: Inside) -> list[dict[str, Any]]:
    return await inside.rows("select outcome, count(*) as many from graphs.model_call group by outcome")


@pytest.mark.campaign
async def test_with_three_calls_in_ten_failing_every_run_finishes_or_asks(
    tmp_path: Path, installation_url: str
) -> None:
    async with open_scripted_model() as model:
        model.think = unreliable(honest, 0.3)
        async with open_inside(tmp_path / "home", installation_url, env=env(model, seconds=2)) as inside:
            runs = await run_all(inside)
            calls = await outcomes_of(inside)
            tell("30 % of calls fail", runs, calls)
            assert {run.state for run in runs} <= {RunState.DONE, RunState.REFUSED, RunState.WAITING}
            asking = [run for run in runs if run.state is RunState.WAITING]
            assert all(each.kind == "approval" for run in asking for each in run.waiting)
            assert sum(row["many"] for row in calls if row["outcome"] != "ok") > 0
            assert "started" not in {row["outcome"] for row in calls}
            [spent] = await inside.rows(
                "select (select sum(case when partial then reserved_micro else micro end) from graphs.model_call)"
                " as told, (select sum(micro) from graphs.spend where scope = 'run') as counted"
            )
            assert spent["told"] == spent["counted"]


@pytest.mark.campaign
async def test_three_timeouts_in_a_hundred_are_seen_by_nobody(tmp_path: Path, installation_url: str) -> None:
    number = injected = 0

    def now_and_then(asked: Json) -> Reply:
        nonlocal number, injected
        number += 1
        injected += number % 33 == 5
        return Reply(hang=True) if number % 33 == 5 else honest(asked)

    async with open_scripted_model() as model:
        model.think = now_and_then
        async with open_inside(tmp_path / "home", installation_url, env=env(model, seconds=8)) as inside:
            runs = await run_all(inside)
            calls = await outcomes_of(inside)
            tell("3 % of calls time out", runs, calls)
            timeouts = next(row["many"] for row in calls if row["outcome"] == "timeout")
            understood = {run.reasoned_by for run in runs if run.reasoned_by}
            # On a machine so busy that others time out too, rules may have answered.
            assert understood == {"model gpt-4.1-mini"} or timeouts > injected
            assert {run.state for run in runs} <= {RunState.DONE, RunState.REFUSED, RunState.WAITING}
            assert not any("took too long" in run.outcome for run in runs)
