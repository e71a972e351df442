"""A real, small and foolish model behind the real client: it invents what it likes, and no effect of it is wrong."""

import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from graphs.run import Run, RunState
from tests.model.texts import TEXTS
from tests.support.inside import Inside, open_inside, together

pytest_plugins = ["tests.support.migrated"]

RUNS = int(os.environ.get("COUNTERSIGN_MODEL_RUNS", "100"))
PYTHON = os.environ.get("COUNTERSIGN_REAL_MODEL", "")
HERE = Path(__file__).parent
#: Made up, so that a cost can be wrong: USD per million tokens.
PRICE = (0.1, 0.4)


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address of the model's server."""
    with subprocess.Popen(
        [PYTHON, str(HERE / "serve.py"), str(folder / "model.gguf")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("model")) as url:
        yield url


def settings(url: str | None) -> dict[str, Any]:
    if url is None:
        return {}
    small = {
        "model": "gemma-3-270m",
        "base_url": f"{url}/v1",
        "price": PRICE,
        "timeout_seconds": 60,
        "tries": 1,
        "max_tokens": 120,
    }
    return {"COUNTERSIGN_MODELS": json.dumps({"models": {"small": small}})}


async def alone_by_rules(home: Path, url: str, workflow: str) -> list[set[tuple[str, str]]]:
    """For each text, what rules alone would have run without asking, each on a shop where nothing happened before."""
    async with open_inside(home, url) as inside:
        texts = TEXTS[workflow](RUNS, await inside.delivered())
        runs = [await inside.ask(workflow, text, dry=True) for text in texts]
        return [await _alone(inside, run) for run in runs]


async def _alone(inside: Inside, run: Run) -> set[tuple[str, str]]:
    """The effects that nobody was asked about: action and arguments, but for free words."""
    rows = await inside.rows(
        "select i.action, r.record -> 'args' as args from actions.intent i join actions.revision r"
        " using (intent_id, revision) where run_id = %s and step <> 'report' and (state = 'done'"
        " or (state = 'rehearsed' and rehearsal ->> 'verdict' = 'allow'))"
        " and not exists (select from actions.approval a where a.intent_id = i.intent_id)",
        run.run_id,
    )
    steers = [{name: value for name, value in row["args"].items() if name not in {"reason", "text"}} for row in rows]
    return {(row["action"], json.dumps(args, sort_keys=True)) for row, args in zip(rows, steers, strict=True)}


@pytest.mark.parametrize("workflow", TEXTS)
async def test_every_effect_of_a_hundred_runs_is_right_asked_or_refused(
    model: str, workflow: str, tmp_path: Path, installation_url: str, common_installation_url: str
) -> None:
    plain = await alone_by_rules(tmp_path / "rules", common_installation_url, workflow)
    before = await _predicted_tokens(model)
    async with open_inside(tmp_path / "model", installation_url, env=settings(model)) as inside:
        texts = list(TEXTS[workflow](RUNS, await inside.delivered()))
        runs: list[Run] = await together([inside.ask(workflow, text) for text in texts], at_once=2)
        wrong = [
            (run.run_id, effect)
            for run, by_rules in zip(runs, plain, strict=True)
            for effect in await _alone(inside, run)
            if effect not in by_rules and effect[0] != "message.post"
        ]
        calls = await inside.rows("select * from graphs.model_call")
        await _tell(inside, workflow, runs, calls)
    assert wrong == []
    assert {run.state for run in runs} <= {RunState.DONE, RunState.REFUSED, RunState.WAITING, RunState.FAILED}
    failed = [run.outcome for run in runs if run.state is RunState.FAILED]
    assert all("Nothing" in why or "nothing" in why or "Slack" in why for why in failed), failed
    _was_recorded_truly(runs, calls)
    after = await _predicted_tokens(model)
    told = sum(row["tokens_out"] for row in calls)
    # A call that was given up on may go on at the server's.
    if not any(row["partial"] for row in calls):
        assert told == after - before


def _was_recorded_truly(runs: list[Run], calls: list[dict[str, Any]]) -> None:
    for row in calls:
        assert row["outcome"] != "started"
        if row["outcome"] == "ok":
            assert row["tokens_in"] > 0
            assert row["tokens_out"] > 0
        price = PRICE[0] * row["tokens_in"] + PRICE[1] * row["tokens_out"]
        assert 0 <= row["micro"] - price < 1
    asked = {row["run_id"] for row in calls}
    assert all(run.run_id in asked for run in runs)
    answered = {row["run_id"] for row in calls if row["outcome"] == "ok"}
    assert all(run.run_id in answered for run in runs if run.reasoned_by.startswith("model"))


async def _tell(inside: Inside, workflow: str, runs: list[Run], calls: list[dict[str, Any]]) -> None:
    states = dict(Counter(run.state.value for run in runs))
    by = dict(Counter(re.sub(r" .*", "", run.reasoned_by) or "nobody (no plan)" for run in runs))
    outcomes = dict(Counter(row["outcome"] for row in calls))
    tokens = sum(row["tokens_in"] + row["tokens_out"] for row in calls)
    cost = sum(row["micro"] for row in calls) / 1_000_000
    spans = sorted(row["milliseconds"] for row in calls)
    print(
        f"\n{workflow}: {len(runs)} runs {states}; understood by {by}; {len(calls)} calls {outcomes};"
        f" {tokens:,} tokens, {cost:.4f} USD at a made-up price; half within {spans[len(spans) // 2] / 1000:.1f} s"
    )


async def _predicted_tokens(model: str) -> int:
    """How many tokens the server itself says that it has written."""
    async with aiohttp.ClientSession() as session, session.get(f"{model}/metrics") as answer:
        page = await answer.text()
    found = re.search(r"^llamacpp:tokens_predicted_total (\S+)", page, re.MULTILINE)
    assert found is not None, page
    return int(float(found[1]))
