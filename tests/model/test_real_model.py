"""A real, small and foolish model behind the real client: it invents what it likes, and no effect of it is wrong."""

import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from graphs.circuit import FAILURES
from graphs.run import Run, RunState
from tests.model.works import WORKS, alone
from tests.support.inside import open_inside

pytest_plugins = ["tests.support.migrated"]

RUNS = int(os.environ.get("COUNTERSIGN_MODEL_RUNS", "100"))
PYTHON = os.environ.get("COUNTERSIGN_REAL_MODEL", "")
HERE = Path(__file__).parent
#: By workflow, the skill whose answer is said to have understood what was asked; the others ask no model.
SKILLS = {"returns": "extract", "ask": "plan", "pricewatch": "extract", "inbox": "classify", "content": "draft"}
#: Made up, so that a cost can be wrong: USD per million tokens.
PRICE = (0.1, 0.4)


@contextmanager
def serving(folder: Path, *, penalty: float) -> Iterator[str]:
    """The address of the model's server; `penalty` above 1 keeps it from saying the same again."""
    with subprocess.Popen(
        [PYTHON, str(HERE / "serve.py"), str(folder / "model.gguf"), str(penalty)],
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


@pytest.fixture
def model(workflow: str, tmp_path: Path) -> Iterator[str]:
    with serving(tmp_path, penalty=1.3 if workflow == "content" else 1) as url:
        yield url


def settings(url: str, workflow: str) -> dict[str, Any]:
    """Room for what the workflow has written, and no more: so small a model does not always find an end."""
    small = {
        "model": "gemma-3-270m",
        "base_url": f"{url}/v1",
        "price": PRICE,
        "timeout_seconds": 60,
        "tries": 1,
        "max_tokens": 600 if workflow == "content" else 120,
    }
    return {"COUNTERSIGN_MODELS": json.dumps({"models": {"small": small}})}


@pytest.mark.parametrize("workflow", WORKS)
async def test_every_effect_of_a_hundred_runs_is_right_asked_or_refused(
    model: str, workflow: str, tmp_path: Path, installation_url: str, common_installation_url: str
) -> None:
    before = await _predicted_tokens(model)
    async with (
        open_inside(tmp_path / "rules", common_installation_url) as plain,
        open_inside(tmp_path / "model", installation_url, env=settings(model, workflow)) as inside,
    ):
        given = await WORKS[workflow](inside, plain, RUNS)
        done = [(run, each.may, effect) for each in given for run in each.runs for effect in await alone(inside, run)]
        runs = [run for each in given for run in each.runs]
        calls = await inside.rows("select * from graphs.model_call order by started_at, call_id")
    _tell(workflow, runs, calls, Counter(action for _, _, (action, _) in done))
    assert [(run.run_id, effect) for run, may, effect in done if not may(*effect)] == []
    assert {run.state for run in runs} <= {RunState.DONE, RunState.REFUSED, RunState.WAITING, RunState.FAILED}
    failed = [run.outcome for run in runs if run.state is RunState.FAILED]
    assert all("Nothing" in why or "nothing" in why or "Slack" in why for why in failed), failed
    _was_recorded_truly(runs, calls)
    # A call that was given up on may go on at the server's.
    if not any(row["partial"] for row in calls):
        assert sum(row["tokens_out"] for row in calls) == await _predicted_tokens(model) - before


def _was_recorded_truly(runs: list[Run], calls: list[dict[str, Any]]) -> None:
    for row in calls:
        assert row["outcome"] != "started"
        if row["outcome"] == "ok":
            assert row["tokens_in"] > 0
            assert row["tokens_out"] > 0
        price = sum(Decimal(str(each)) * row[of] for each, of in zip(PRICE, ("tokens_in", "tokens_out"), strict=True))
        assert 0 <= row["micro"] - price < 1
    # The last of a run's calls of the deciding skill, in the order of the calls.
    last = {row["run_id"]: row["outcome"] for row in calls if row["skill"] == SKILLS.get(row["workflow"])}
    asked = {row["run_id"] for row in calls}
    for run in runs:
        # A model that fails again and again is left alone for a while.
        assert (run.run_id in asked) == (run.workflow in SKILLS) or _kept_failing(calls)
        # Rules also read where a model's answer names what the words do not have.
        assert last.get(run.run_id) == "ok" or not run.reasoned_by.startswith("model"), run.reasoned_by


def _kept_failing(calls: list[dict[str, Any]]) -> bool:
    outcomes = [row["outcome"] == "ok" for row in calls]
    return any(not any(outcomes[place : place + FAILURES]) for place in range(len(calls) - FAILURES + 1))


def _tell(workflow: str, runs: list[Run], calls: list[dict[str, Any]], done: Mapping[str, int]) -> None:
    states = Counter(f"{run.workflow} {run.state.value}" for run in runs)
    by = Counter(re.sub(r" .*", "", run.reasoned_by) or "nobody (no plan)" for run in runs)
    outcomes = Counter(f"{row['skill']} {row['outcome']}" for row in calls)
    tokens = sum(row["tokens_in"] + row["tokens_out"] for row in calls)
    cost = sum(row["micro"] for row in calls) / 1_000_000
    print(
        f"\n{workflow}: {len(runs)} runs {dict(states)}; done without asking {dict(done)}; understood by {dict(by)};"
        f" {len(calls)} calls {dict(outcomes)}; {tokens:,} tokens, {cost:.4f} USD at a made-up price;"
        f" half and 95 % of the calls within: {_latencies(calls) or 'none'}"
    )


def _latencies(calls: list[dict[str, Any]]) -> str:
    """How long the calls of each purpose took: half of them, and 95 of a hundred, within so many seconds."""
    said: list[str] = []
    for purpose in sorted({row["purpose"] for row in calls}):
        spans = sorted(row["milliseconds"] / 1000 for row in calls if row["purpose"] == purpose)
        said.append(f"to {purpose} {spans[len(spans) // 2]:.1f} / {spans[len(spans) * 95 // 100]:.1f} s")
    return ", ".join(said)


async def _predicted_tokens(model: str) -> int:
    """How many tokens the server itself says that it has written."""
    async with aiohttp.ClientSession() as session, session.get(f"{model}/metrics") as answer:
        page = await answer.text()
    found = re.search(r"^llamacpp:tokens_predicted_total (\S+)", page, re.MULTILINE)
    assert found is not None, page
    return int(float(found[1]))
