"""Content over a whole installation without Slack: rounds with people, rules that outlive them, and one post."""

import asyncio
import random
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from graphs.drafting import StyleRule, findings, read_draft
from graphs.run import Run, RunState
from graphs.style import stamped
from memory.spoken_rule import read_rule
from tests.support.clicks import campaign
from tests.support.company import AMIR, BEN
from tests.support.content import BRIEF, written
from tests.support.office import WATCHFUL, Office, open_office
from tests.support.postgres import PostgresServer, new_test_name
from tests.support.scripted_model import open_scripted_model

pytest_plugins = ["tests.support.migrated"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

CHANNEL = "C0CONTENT"
TEXT = "# Oiling a board\n\nOil your board once a month! We leverage plain food oil for it."
FEEDBACK = ("never say leverage", "no exclamation marks", "keep sentences under 12 words")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(
    postgres_server: PostgresServer, installation_template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Office]:
    name = new_test_name()
    url = postgres_server.make(name, template=installation_template)
    async with open_office(tmp_path_factory.mktemp("office"), url) as open_one:
        yield open_one
    postgres_server.drop(name)


async def _round(office: Office, run: Run, said: str) -> str:
    """What the thread is told after somebody has said this."""
    known = len(_thread(office, run))
    assert await office.say(run.run_id, said)
    async with asyncio.timeout(20):
        while len(_thread(office, run)) == known:
            await asyncio.sleep(0.03)
    await office.rests(run.run_id, "waiting", waits_for="reply")
    return _thread(office, run)[-1]


def _thread(office: Office, run: Run) -> list[str]:
    """What was posted in the run's own thread."""
    root = office.wall.ts_of(f"run {run.run_id}")
    return [text for place, text in office.wall.posts if place.thread_ts == root and not text.startswith("approval ")]


async def _begun(office: Office, brief: str) -> Run:
    return await office.rests(await office.ask("content", brief, channel=CHANNEL), "waiting", waits_for="reply")


async def test_without_a_model_it_says_so_gathers_what_a_writer_needs_and_goes_on_from_a_pasted_text(office):
    run = await _begun(office, BRIEF)
    (asked,) = _thread(office, run)
    assert "A person or a model must write this" in asked
    assert "wash it by hand · oil it once a month · dry it upright" in asked
    pasted = await _round(office, run, TEXT)
    assert "Draft 2 by Rita:" in pasted
    shaped = await _round(office, run, "only here: say use instead of leverage\nonly here: no exclamation marks")
    assert "We use plain food oil" in shaped
    assert "once a month." in shaped
    assert await office.say(run.run_id, "looks good, publish it")
    waiting = await office.rests(run.run_id, "waiting", waits_for="approval")
    assert not await office.say(run.run_id, "and one more thing"), "nobody listens any more once it is agreed"
    (shown,) = await office.approve(waiting.run_id, by=BEN)
    done = await office.rests(run.run_id, "done")
    assert "/site/posts/oiling-a-board" in done.outcome
    assert shown["record"]["args"]["body"] == "Oil your board once a month. We use plain food oil for it."


async def test_a_brief_of_one_word_is_asked_about_until_there_is_something_to_write(office):
    run = await _begun(office, "boards")
    assert "too little to write from" in _thread(office, run)[0]
    more = await _round(office, run, "How home cooks keep wooden boards from cracking in winter")
    assert "A person or a model must write this" in more
    assert await office.say(run.run_id, "drop it")
    assert (await office.rests(run.run_id)).state is RunState.REFUSED


async def test_who_may_not_start_runs_is_not_listened_to(office):
    run = await _begun(office, "A long enough brief on sharpening kitchen knives at home")
    assert not await office.say(run.run_id, "publish", by=AMIR)
    assert not await office.say(run.run_id, "publish", by="U0STRANGER")
    assert await office.say(run.run_id, "drop it", by=BEN)
    await office.rests(run.run_id, "refused")


async def test_publishing_what_breaks_a_rule_takes_an_explicit_word(office):
    run = await _begun(office, "Another long enough brief: how to store kitchen knives safely")
    await _round(office, run, "text: Keep knives in a block. " + "Never leave them loose in a drawer. " * 12)
    broken = await _round(office, run, "only here: no sentence over 3 words")
    assert "broken: " in broken
    still = await _round(office, run, "publish")
    assert "publish anyway" in still
    assert await office.say(run.run_id, "publish anyway")
    await office.rests(run.run_id, "waiting", waits_for="approval")
    await office.approve(run.run_id, verdict="reject")
    assert (await office.rests(run.run_id)).state is RunState.REFUSED


async def test_three_rounds_of_feedback_shape_the_next_draft_and_the_next_brief(
    postgres_server: PostgresServer, installation_template: str, tmp_path, capsys
):
    """Shown: each draft, and which of the rules it broke before they were said and keeps after."""
    name = new_test_name()
    url = postgres_server.make(name, template=installation_template)
    rules = [StyleRule(text=said, check=read_rule(said).model_dump(mode="json")) for said in FEEDBACK]
    async with open_scripted_model() as model:
        model.think = written
        told = {"OPENAI_BASE_URL": f"{model.url}/v1", "OPENAI_API_KEY": "key"}
        async with open_office(tmp_path / "office", url, settings=told) as office:
            run = await _begun(office, BRIEF)
            drafts = [_thread(office, run)[-1]]
            drafts += [await _round(office, run, said) for said in FEEDBACK]
            later = await _begun(office, BRIEF.replace("board", "spoon"))
            drafts.append(_thread(office, later)[-1])
            assert await office.say(run.run_id, "publish")
            await office.rests(run.run_id, "waiting", waits_for="approval")
            await office.approve(run.run_id)
            await office.rests(run.run_id, "done")
    broken = [_broken_by(text, rules) for text in drafts]
    with capsys.disabled():
        for number, (text, which) in enumerate(zip(drafts, broken, strict=True), 1):
            print(f"\n--- draft {number}{' (the next brief)' if number == 5 else ''}, breaks {sorted(which) or 'none'}")
            print(text.partition("\n\nRules:")[0])
    assert [len(which) for which in broken] == [3, 2, 1, 0, 0]
    assert FEEDBACK[0] not in broken[1]
    assert FEEDBACK[1] not in broken[2]
    postgres_server.drop(name)


def _broken_by(shown: str, rules: list[StyleRule]) -> set[str]:
    """The rules that the draft in this message breaks, whatever the message says about it."""
    text = shown.partition(":\n")[2].split("\n\nKept for")[0].split("\n\nRules:")[0].split("\n\nNo rule")[0]
    draft = read_draft(text, title="", by="")
    assert draft is not None
    return {rule.text for rule, _ in findings(draft, rules, stamped)}


COUNT = 100 if campaign() else 6


@pytest.mark.campaign
@pytest.mark.parametrize("count", [COUNT])
async def test_one_brief_brought_again_and_again_with_kills_and_retries_gives_one_post(
    postgres_server: PostgresServer, installation_template: str, tmp_path, count
):
    name, dice = new_test_name(), random.Random(count)
    url, home = postgres_server.make(name, template=installation_template), tmp_path / "office"
    kills = max(2, count // 10)
    left = count
    for _ in range(kills):
        async with open_office(home, url, settings=WATCHFUL) as office:
            await office.control("site", apply_then_timeout_next=dice.choice([0, 1]))
            share = -(-count // kills)
            for _ in range(min(share, left)):
                await office.ask("content", BRIEF, channel=CHANNEL)
                left -= 1
            await _push(office, dice, seconds=0.3 + dice.random())
            office.cut_off()
    async with open_office(home, url, settings=WATCHFUL) as office:
        await _push(office, dice, seconds=20)
        runs = await office.runs_of("content")
        assert len(runs) == count
        states = {run.state for run in runs}
        assert states <= {RunState.DONE, RunState.REFUSED}, states
        assert sum(run.state is RunState.DONE for run in runs) == 1
        log = await office.log("site")
        assert log["count"] == 1
    postgres_server.drop(name)


async def _push(office: Office, dice: random.Random, *, seconds: float) -> None:
    """Paste, agree and approve wherever a run waits for it, until all have ended or the time is over."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                runs = [run for run in await office.runs_of("content") if run.finished_at is None]
                if not runs:
                    return
                for run in runs:
                    kinds = {waiting.kind for waiting in run.waiting}
                    if "reply" in kinds:
                        await office.say(run.run_id, dice.choice([TEXT, "publish anyway", "publish anyway"]))
                    if "approval" in kinds:
                        await office.approve(run.run_id)
                await asyncio.sleep(0.05)
    except TimeoutError:
        return
