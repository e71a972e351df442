"""A model that fails in every way there is loses no run, and the rare failure is noticed by nobody."""

import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from graphs.run import Run, RunState
from tests.support.inside import Inside, open_inside, together
from tests.support.minds import Mind, data_of, honest, unreliable
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


async def run_all(inside: Inside, *, dry: bool = False) -> list[Run]:
    orders = await inside.delivered()
    texts = [f"{orders[number % len(orders)]} everything because it did not fit, {number}" for number in range(RUNS)]
    return await together([inside.ask("returns", text, dry=dry) for text in texts], at_once=6)


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


def hanging(hung: list[str]) -> Mind:
    """Honest, but a call in 33 is never answered; what such a call was about is noted in `hung`."""
    number = 0

    def think(asked: Json) -> Reply:
        nonlocal number
        number += 1
        if number % 33 != 5:
            return honest(asked)
        hung.append(data_of(asked)["text"])
        return Reply(hang=True)

    return think


def seen(run: Run) -> tuple[Any, ...]:
    """What a person sees of a dry run's end."""
    return run.state, run.reasoned_by, run.outcome, [(step.summary, step.note) for step in run.steps]


@pytest.mark.campaign
async def test_three_timeouts_in_a_hundred_are_seen_by_nobody(tmp_path: Path, installation_url: str) -> None:
    hung: list[str] = []
    async with open_scripted_model() as model:
        model.think = honest
        async with open_inside(
            tmp_path / "home", installation_url, env=env(model, seconds=20 if FULL else 10)
        ) as inside:
            # In dry runs no run finds what another has done, so each can be compared with itself.
            plain = await run_all(inside, dry=True)
            model.think = hanging(hung)
            runs = await run_all(inside, dry=True)
            failed = Counter(
                row["run_id"] for row in await inside.rows("select run_id from graphs.model_call where outcome <> 'ok'")
            )
            tell("3 % of calls time out", runs, await outcomes_of(inside))
    assert all(run.reasoned_by == "model gpt-4.1-mini" for run in plain)
    # On a busy machine calls that nobody made hang may time out too: those runs say nothing about the others.
    judged = [
        (run, by) for run, by in zip(runs, plain, strict=True) if failed[run.run_id] <= hung.count(run.request.text)
    ]
    assert {run.request.text for run, _ in judged} & set(hung)
    assert [seen(run) for run, _ in judged] == [seen(by) for _, by in judged]
    print(f"{len(hung)} calls hung, {len(runs) - len(judged)} of {len(runs)} runs had failures of their own")
