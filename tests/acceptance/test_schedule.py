"""Standing orders as people give them, and a due time that starts one run however many schedulers there are."""

import asyncio
import re
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from bot.local.embedded import EmbeddedPostgres, EmbeddedValkey
from core.clock import SystemClock
from tests.support.asking import rows, told
from tests.support.company import ADA, BEN, RITA, ROOT, Company, Json, open_company
from tests.support.nursery import Nursery

pytestmark = pytest.mark.asyncio(loop_scope="session")

APPROVALS = "C0APPROVALS"
DAILY = "returns every weekday at 09:00: sweep"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def company(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> AsyncGenerator[Company]:
    """One started sample company for all of these."""
    async with open_company(tmp_path_factory.mktemp("schedule") / "var", nursery) as started:
        yield started


async def test_a_schedule_is_added_listed_paused_resumed_and_removed(company: Company) -> None:
    added = await told(company, RITA, f"schedule add {DAILY}", says="Scheduled: `sch_")
    assert "Europe/Copenhagen" in added, "the zone is the owner's own"
    assert "Next: " in added
    schedule = _id_in(added)

    assert "(paused)" not in await told(company, RITA, "schedule list", says=schedule)
    await told(company, RITA, f"schedule pause {schedule}", says="is paused.")
    assert "(paused)" in await told(company, RITA, "schedules", says=schedule)
    await told(company, RITA, f"schedule resume {schedule}", says="is resumed.")
    await told(company, RITA, f"schedule remove {schedule}", says="is removed.")
    assert schedule not in await told(company, RITA, "schedule list", says="chedules")
    await told(company, RITA, f"schedule remove {schedule}", says=f"There is no schedule `{schedule}`")


async def test_only_its_owner_an_operator_or_an_admin_changes_a_schedule(company: Company) -> None:
    schedule = _id_in(await told(company, RITA, f"schedule add {DAILY}", says="Scheduled: `sch_"))
    await told(company, BEN, f"schedule remove {schedule}", says="Only a schedule's owner, an operator or an admin")
    await told(company, ADA, f"schedule remove {schedule}", says="is removed.")


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("returns", "Say it like this: `/team schedule add"),
        ("retruns every day at 9: sweep", "Did you mean *returns*?"),
        ("returns sometimes: sweep", "I cannot tell when “sometimes: sweep” is."),
        ("returns every 7 minutes: sweep", "Choose a divisor of 60, such as 15."),
        ("returns every day at 25:00: sweep", "25:00 is not a time of day."),
        ("returns every day at 9:00 in Mars/Base: sweep", "“Mars/Base” is not a time zone I know."),
        ('returns "0 9 * *": sweep', "has 4 fields; a cron has five"),
        ('returns "0 0 30 2 *": sweep', "never comes true"),
    ],
)
async def test_a_rule_that_means_no_time_is_refused_with_an_example(company: Company, asked: str, says: str) -> None:
    before = await rows(company, "schedules")
    assert "'" not in await told(company, RITA, f"schedule add {asked}", says=says)
    assert await rows(company, "schedules") == before


async def test_a_due_time_starts_one_sweep_with_three_schedulers_one_of_them_killed(company: Company) -> None:
    async with schedulers(company, 2) as (doomed, _):
        if _seconds_to_the_minute() < 15:
            await asyncio.sleep(_seconds_to_the_minute())
        added = [
            await told(company, RITA, f"schedule add returns every minute: {what}", says="`sch_")
            for what in ("sweep", "#W1001 water bottle")
        ]
        await asyncio.sleep(_seconds_to_the_minute())
        doomed.kill()
        await company.until(lambda: _scheduled_runs(company), "both schedules have started their run")
        for said in added:
            await told(company, RITA, f"schedule remove {_id_in(said)}", says="is removed.")
        await asyncio.sleep(2)
        assert await _schedules_that_fired(company) == sorted(map(_id_in, added))
    await _small_ones_ran_alone_larger_ones_wait_and_forbidden_ones_are_named(company)


async def _small_ones_ran_alone_larger_ones_wait_and_forbidden_ones_are_named(company: Company) -> None:
    asked = await company.until(lambda: _asked(company), "the larger requests wait")
    # 1006 came back defective and nobody has seen it: that asks, however small it is.
    assert set(asked) == {"#W1006", "#W1007", "#W1010"}
    assert await _refunded(company) == ["#W1001", "#W1005"]

    for card in asked.values():
        assert (await company.click(BEN, card, "approval.approve"))["ok"]
    swept = await company.run_card(containing="#W1007", state="✅ done")
    assert await _refunded(company) == ["#W1001", "#W1005", "#W1006", "#W1007", "#W1010"]
    told_at_the_end = str(await company.messages(thread=swept["ts"]))
    assert "#W1008 (request RR-1004) is left out" in told_at_the_end
    assert "(rule delivered-only)" in told_at_the_end
    assert "#W1009 names no items; somebody must read it" in told_at_the_end


async def _asked(company: Company) -> dict[str, Json] | None:
    """The approval card of each order that waits, in the channel of approvals; None until there are three."""
    cards = [each for each in await company.messages(channel=APPROVALS) if "Approval needed" in each["text"]]
    found = {order: card for card in cards for order in re.findall(r"for order (#W\d+)", card["text"])}
    return found if len(found) == 3 else None


async def _refunded(company: Company) -> list[str]:
    return sorted(each["order_id"] for each in await company.refunds())


async def _scheduled_runs(company: Company) -> list[Json]:
    audit = await rows(company, "audit")
    started = [each["subject"]["run_id"] for each in audit if (each["detail"] or {}).get("origin") == "schedule"]
    found = [each for each in await rows(company, "runs") if each["run_id"] in started]
    return found if len(found) >= 2 else []


async def _schedules_that_fired(company: Company) -> list[str]:
    """The schedule of each run that a fire started, as its delivery names it."""
    audit = await rows(company, "audit")
    fired = [each["detail"]["delivery_id"] for each in audit if (each["detail"] or {}).get("origin") == "schedule"]
    return sorted(re.findall(r"sch_\w+", " ".join(fired)))


def _seconds_to_the_minute() -> float:
    now = datetime.now(UTC)
    return 60 - now.second - now.microsecond / 1e6


def _id_in(said: str) -> str:
    found = re.search(r"`(sch_\w+)`", said)
    assert found is not None
    return found.group(1)


@asynccontextmanager
async def schedulers(company: Company, count: int) -> AsyncGenerator[Sequence[asyncio.subprocess.Process]]:
    """`count` more scheduler processes of the same installation, as in production."""
    clock = SystemClock()
    env = {
        **company.environment,
        "DATABASE_URL": await EmbeddedPostgres(company.home, clock=clock).start(),
        "REDIS_URL": await EmbeddedValkey(company.home, clock=clock).start(),
        "COUNTERSIGN_HEALTH_PORT": "0",
    }
    command = (sys.executable, "-m", "bot.cli", "serve", "--roles", "scheduler")
    pipe = asyncio.subprocess.PIPE
    found = [await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=env, stdout=pipe) for _ in range(count)]
    try:
        for process in found:
            assert process.stdout is not None
            while b"ready: scheduler" not in (line := await process.stdout.readline()):
                assert line, "the scheduler ended before it was ready"
        yield found
    finally:
        for process in found:
            if process.returncode is None:
                process.kill()
            await process.communicate()
