"""Plans as a whole: asked about where policy says so; without a step it is another; what is known later asks then."""

import json
from pathlib import Path
from typing import Any

import pytest
from langgraph.graph import StateGraph

import bot.extending
from actions.intent import TrustLabel
from graphs.context import RunContext
from graphs.plan import Plan, Step
from graphs.run import RunState, StepState
from graphs.spine import Facts, Walk, spine
from graphs.workflow import Workflow, scan_workflows
from tests.support.company import BEN
from tests.support.inside import Inside, open_inside

pytest_plugins = ["tests.support.migrated"]

SAMPLE = Path(__file__).parents[2] / "bot" / "sample"
ASKS = "plans:\n  - {because: More than one step is looked at., steps_above: 1, approvers: {tier: 1}}\n"
TRUSTED: dict[str, tuple[TrustLabel, str | None]] = {"channel": (TrustLabel.MEMBER, None)}
DUTY = """
  - name: Caller
    purpose: Says one thing and points to where it said it.
    workflows: [pointing]
    actions: [message.post]
"""


async def gather(text: str, context: RunContext) -> Facts:
    return {"text": text}


async def plan(facts: Facts, context: RunContext) -> Plan:
    """Says something, then says where it was said: known only once it was."""
    place = {**context.run.conversation.to_json(), "root": None}
    first = Step(key="say", action="message.post", args={**place, "text": facts["text"]}, origins=TRUSTED)
    later = {"workspace": place["workspace"], "channel": place["channel"], "thread_ts": {"$ref": "say.ts"}}
    second = Step(key="point", action="message.post", args={**later, "text": "It stands there."}, origins=TRUSTED)
    return Plan(summary="Say it and point to it", steps=[first, second])


def build() -> StateGraph[Any, Any, Any, Any]:
    return spine(Walk(gather=gather, plan=plan, report=lambda facts, results: "Said.", actions=("message.post",)))


POINTING = Workflow(name="pointing", version=1, purpose="points", usage="", examples=(), build=build)


@pytest.fixture
def opened(tmp_path: Path, installation_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    def open_with(policy: str = "") -> Any:
        monkeypatch.setattr(bot.extending, "scan_workflows", lambda **given: [*scan_workflows(**given), POINTING])
        files = {
            "policy.yml": f"{(SAMPLE / 'policy.yml').read_text()}\n{policy}",
            "team.yml": f"{(SAMPLE / 'team.yml').read_text().rstrip()}{DUTY}",
        }
        return open_inside(tmp_path / "home", installation_url, files=files)

    return open_with


async def states(inside: Inside, run_id: Any) -> list[tuple[str, str]]:
    return [(step.key, step.state.value) for step in (await inside.run(run_id)).steps]


async def test_a_reference_is_filled_in_with_what_the_earlier_step_gave(opened: Any) -> None:
    async with opened() as inside:
        run = await inside.ask("pointing", "hello")
        assert (run.state, run.outcome) == (RunState.DONE, "Said.")
        [first, second] = await inside.effects(run.run_id)
        [sent] = await inside.rows(
            "select ts from core.outbox where payload ->> 'text' = 'hello' and receiver_key is not null"
        )
        assert json.loads(second[1])["thread_ts"] == sent["ts"]
        assert (first[2], second[2]) == ("done", "done")


async def test_a_plan_that_policy_asks_about_runs_no_step_alone_and_one_known_later_asks_then(opened: Any) -> None:
    async with opened(ASKS) as inside:
        run = await inside.ask("pointing", "hello")
        assert run.state is RunState.WAITING
        asked = await inside.rows("select decision from actions.approval")
        assert [row["decision"]["rules"] for row in asked] == [["built-in:plan"]]
        assert "whoever policy names once all of it is known" in run.steps[1].who
        await inside.approve(run.run_id, by=BEN)
        run = await inside.go(run.run_id)
        assert run.state is RunState.WAITING
        assert await states(inside, run.run_id) == [("say", "done"), ("point", "waiting")]
        await inside.approve(run.run_id, by=BEN)
        assert (await inside.go(run.run_id)).state is RunState.DONE
        assert (await inside.run(run.run_id)).figures["actual"]["approvals"] == 2


async def test_a_dropped_step_makes_another_plan_and_what_refers_to_it_is_not_begun(opened: Any) -> None:
    async with opened(ASKS) as inside:
        run = await inside.ask("pointing", "hello")
        await inside.approve(run.run_id, by=BEN, verdict="reject")
        run = await inside.go(run.run_id)
        assert run.state is RunState.REFUSED
        assert [step.state for step in run.steps] == [StepState.REFUSED, StepState.SKIPPED]
        assert "it needs ts of say, which did not happen" in run.steps[1].note
        proposed, dropped = await inside.rows(
            "select event, detail from core.audit where event in ('plan.proposed', 'plan.step_dropped') order by seq"
        )
        assert proposed["detail"]["plan_sha256"] == dropped["detail"]["was_sha256"]
        assert dropped["detail"]["plan_sha256"] != dropped["detail"]["was_sha256"]


async def test_a_short_plan_is_not_asked_about(opened: Any) -> None:
    async with opened(ASKS.replace("steps_above: 1", "steps_above: 2")) as inside:
        assert (await inside.ask("pointing", "hello")).state is RunState.DONE
