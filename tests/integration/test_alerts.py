"""A week of alerts with planted hosts, over real Postgres and the sandbox: who is proposed, isolated and let back."""

import json
from collections.abc import AsyncGenerator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from bot.company import settle_sample_company
from bot.local.sandbox.database import connect, database_path
from bot.sample.alerts import DECOYS, KNOWN, sample_week
from graphs.case_store import touched_by
from graphs.run import RunState
from graphs.run_guard import RunGuard
from graphs.workflows import alerts
from tests.support.clicks import campaign
from tests.support.company import ADA, CLEO
from tests.support.watching import Desk, open_desk

pytest_plugins = ["tests.support.migrated"]

ALERTS, PLANTED = 500, 4


@pytest.fixture
async def desk(tmp_path: Path, installation_url: str, redis_url: str) -> AsyncGenerator[Desk]:
    """A desk with a week of alerts in which four hosts were planted."""
    week = sample_week(alerts=ALERTS, planted=PLANTED, seed=7)
    async with open_desk(tmp_path, week, database_url=installation_url, redis_url=redis_url) as made:
        yield made


async def proposed(desk: Desk) -> list[str]:
    """The hosts that somebody is asked to isolate."""
    rows = await desk.rows(
        "select r.record -> 'args' ->> 'host_id' as host from actions.intent i"
        " join actions.revision r using (intent_id) where i.action = 'host.isolate' order by 1"
    )
    return [row["host"] for row in rows]


async def test_every_planted_host_is_proposed_and_no_other_with_two_trusted_records(desk: Desk) -> None:
    run = await desk.ask("alerts")
    assert run.state is RunState.DONE, run.outcome
    asked = await desk.advance_all("contain")
    assert await proposed(desk) == [f"ws-{17 + place}" for place in range(PLANTED)]
    assert not set(DECOYS) & set(await proposed(desk))
    assert all(each.state is RunState.WAITING for each in asked)
    async with desk.installation.database.connection() as conn:
        critical = [case for case in await touched_by(conn, run.run_id) if case.containment_run]
    for case in critical:
        assert {each.source for each in case.data.evidence} == {"inventory", "sandbox feed"}
        assert not any("SAMPLE" in each.says for each in case.data.evidence), "nothing of an alert's words"
    assert await desk.isolated() == []


async def test_lines_are_read_once_also_when_the_run_is_advanced_again_and_when_two_runs_read_at_once(
    desk: Desk,
) -> None:
    first = await desk.ask("alerts")
    before = await desk.rows("select sum((data ->> 'alerts')::int) as alerts from graphs.alert_case")
    assert before[0]["alerts"] == ALERTS
    await desk.advance(first.run_id)
    second = await desk.ask("alerts")
    assert second.state is RunState.REFUSED
    assert await desk.rows("select sum((data ->> 'alerts')::int) as alerts from graphs.alert_case") == before


async def test_a_run_that_died_right_after_it_had_stored_its_cases_stores_them_once(desk: Desk) -> None:
    run = await desk.installation.runs.begin(await desk.create("alerts"))
    assert run is not None
    context = desk.installation.runner._surroundings.make_context(  # pyright: ignore[reportPrivateUsage]
        run, RunGuard(run.run_id, run.epoch)
    )
    facts = await alerts.gather("", context)
    first = await alerts.plan(facts, context)
    assert await alerts.plan(facts, context) == first
    [row] = await desk.rows("select sum((data ->> 'alerts')::int) as alerts from graphs.alert_case")
    assert row["alerts"] == ALERTS
    assert len(await desk.rows("select from graphs.run where workflow = 'contain'")) == PLANTED


async def test_a_campaign_that_was_silent_for_a_day_is_over_and_what_comes_after_is_another_case(desk: Desk) -> None:
    await desk.ask("alerts")
    over = await desk.rows("select case_id from graphs.alert_case where not is_open")
    assert over, "what was planted early in the week has ended by its end"
    await _call_again(desk, "ws-17", at="2026-02-01T09:00:00+00:00")
    await desk.ask("alerts")
    rows = await desk.rows(
        "select is_open, data -> 'alerts' as alerts from graphs.alert_case where case_key = 'host:ws-17'"
    )
    assert [(row["is_open"], row["alerts"]) for row in rows if row["is_open"]] == [(True, 1)]
    assert len(rows) == 2


async def test_a_dry_run_stores_nothing_and_asks_nobody(desk: Desk) -> None:
    run = await desk.ask("alerts", dry=True)
    assert run.state is RunState.DONE
    for table in ("alert_case", "alert_batch"):
        assert await desk.rows(f"select from graphs.{table}") == []
    assert await desk.advance_all("contain") == []


async def test_containment_asked_for_by_hand_obeys_the_same_rules(desk: Desk) -> None:
    await desk.ask("alerts")
    [low] = await desk.rows("select case_id from graphs.alert_case where case_key = 'host:ws-16'")
    refused = await desk.ask("contain", f"{low['case_id']} the administrator said so")
    assert refused.state is RunState.REFUSED
    assert "(rule two-trusted-records)" in refused.outcome
    assert "There is no case" in (await desk.ask("contain", "case_00000000")).outcome
    assert "Say which case" in (await desk.ask("contain", "dc-01 now")).outcome


async def test_three_are_cut_off_within_an_hour_and_the_fourth_asks_who_answers_for_everything(desk: Desk) -> None:
    await desk.ask("alerts")
    runs = await desk.advance_all("contain")
    await desk.approve(by=CLEO)
    done = [await desk.advance(run.run_id) for run in runs]
    assert [run.state for run in done].count(RunState.DONE) == 3
    assert len(await desk.isolated()) == 3
    await desk.approve(by=CLEO)
    [left] = [run for run in done if run.state is RunState.WAITING]
    assert (await desk.advance(left.run_id)).state is RunState.WAITING, "tier 2 is not enough above the cap"
    await desk.approve(by=ADA)
    assert (await desk.advance(left.run_id)).state is RunState.DONE
    assert len(await desk.isolated()) == 4


async def test_a_host_that_has_become_protected_is_not_isolated_whatever_was_approved(desk: Desk) -> None:
    await desk.ask("alerts")
    runs = await desk.advance_all("contain")
    await desk.approve()
    with closing(connect(database_path(desk.home, "hosts"), "")) as hosts:
        hosts.execute("UPDATE main.host SET is_protected = 1")
    outcomes = [(await desk.advance(run.run_id)).outcome for run in runs]
    assert all("is protected by the inventory" in outcome for outcome in outcomes), outcomes
    assert await desk.isolated() == []


async def test_an_isolation_is_released_by_itself_once_also_when_the_endpoint_is_silent(desk: Desk) -> None:
    await desk.ask("alerts")
    [first, *_] = await desk.advance_all("contain")
    await desk.approve()
    assert (await desk.advance(first.run_id)).state is RunState.DONE
    await desk.installation.releasing.look()
    assert not await desk.advance_all("undo"), "not before its time"
    await desk.pass_time(timedelta(minutes=61))
    await desk.control("hosts", apply_then_timeout_next=1)
    await desk.installation.releasing.look()
    await desk.installation.releasing.look()
    [undoing] = await desk.advance_all("undo")
    undoing = await desk.advance(undoing.run_id)
    assert undoing.state is RunState.DONE, undoing.outcome
    log = await desk.get("/hosts/log")
    assert [each["host_id"] for each in log["releases"]] == await desk.isolated()
    await desk.installation.releasing.look()
    assert not await desk.advance_all("undo")


async def test_a_host_whose_release_nobody_agrees_to_is_asked_about_again_and_again(
    tmp_path: Path, installation_url: str, redis_url: str
) -> None:
    company, allowed = (
        tmp_path / "company",
        "    action: host.release\n    when: {workflow: undo}\n    verdict: allow\n",
    )
    settle_sample_company(company)
    policy = (company / "policy.yml").read_text()
    asked = allowed.replace("allow", "require_approval") + "    approvers: {tier: 2}\n"
    expected = "given: {action: host.release, workflow: undo}\n    expect: "
    policy = policy.replace(allowed, asked).replace(f"{expected}allow", f"{expected}require_approval")
    (company / "policy.yml").write_text(policy)
    week = sample_week(alerts=100, planted=1, seed=7)
    async with open_desk(tmp_path, week, database_url=installation_url, redis_url=redis_url) as desk:
        await desk.ask("alerts")
        [run] = await desk.advance_all("contain")
        await desk.approve()
        assert (await desk.advance(run.run_id)).state is RunState.DONE
        await desk.pass_time(timedelta(minutes=61))
        await desk.installation.releasing.look()
        [undoing] = await desk.advance_all("undo")
        await desk.pass_time(timedelta(hours=5))
        await desk.installation.approvals.act_due()
        await desk.installation.releasing.look()
        await desk.installation.releasing.look()
        [undoing] = await desk.advance_all("undo")
        [told] = await desk.rows("select reopened_by from actions.approval where state = 'expired'")
        assert (undoing.state, told["reopened_by"]) == (RunState.WAITING, "Countersign")
        await desk.approve(verdict="reject")
        refused = await desk.advance(undoing.run_id)
        assert "it stands" in refused.outcome
        await desk.installation.releasing.look()
        assert not await desk.advance_all("undo"), "a no counts for a day"
        await desk.pass_time(timedelta(days=1, minutes=1))
        await desk.installation.releasing.look()
        await desk.installation.releasing.look()
        [again] = await desk.advance_all("undo")
        await desk.approve()
        assert (await desk.advance(again.run_id)).state is RunState.DONE
        assert len((await desk.get("/hosts/log"))["releases"]) == 1


async def test_a_host_that_goes_on_after_its_release_is_asked_about_again(desk: Desk) -> None:
    await desk.ask("alerts")
    runs = await desk.advance_all("contain")
    await desk.approve()
    for run in runs:
        await desk.advance(run.run_id)
    host = (await desk.isolated())[0]
    await _call_again(desk, host)
    await desk.ask("alerts")
    assert not await desk.advance_all("contain"), "while it is cut off nobody is asked again"
    await desk.pass_time(timedelta(minutes=61))
    await desk.installation.releasing.look()
    await desk.advance_all("undo")
    await _call_again(desk, host)
    await desk.ask("alerts")
    [again] = await desk.advance_all("contain")
    assert host in again.plan_summary


async def _call_again(desk: Desk, host: str, *, at: str = "2026-01-11T09:00:00+00:00") -> None:
    number = int(host.removeprefix("ws-"))
    record = {
        "timestamp": at,
        "event_type": "alert",
        "src_ip": f"10.20.1.{number}",
        "dest_ip": KNOWN[(number - 17) % len(KNOWN)],
        "alert": {"gid": 1, "signature_id": 1, "signature": "again", "severity": 1},
        "flow": {"pkts_toserver": 1, "pkts_toclient": 1},
    }
    await desk.put("/hosts/sensor", lines=[json.dumps(record)])


async def test_a_feed_that_is_down_or_malformed_is_said_and_nobody_is_asked_until_it_is_back(desk: Desk) -> None:
    with closing(connect(database_path(desk.home, "hosts"), "")) as hosts:
        hosts.execute("UPDATE main.feed SET body = ? WHERE name = 'indicators'", ('"nonsense"',))
    run = await desk.ask("alerts")
    assert run.state is RunState.DONE
    assert "answer cannot be understood" in run.outcome
    assert await desk.advance_all("contain") == []


@pytest.mark.campaign
async def test_a_generated_week_of_many_alerts_proposes_exactly_what_was_planted(
    tmp_path: Path, installation_url: str, redis_url: str
) -> None:
    size = 12_000 if campaign() else 2_500
    week = sample_week(alerts=size, planted=20, seed=11)
    async with open_desk(tmp_path, week, database_url=installation_url, redis_url=redis_url) as desk:
        run = await desk.ask("alerts")
        assert run.state is RunState.DONE, run.outcome
        await desk.advance_all("contain")
        assert await proposed(desk) == sorted(week.planted)
        assert await desk.isolated() == []
