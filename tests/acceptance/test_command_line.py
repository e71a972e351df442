"""The command line beside a running installation and after it: it lists and explains, and refuses in one sentence."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.asking import Orders, asked_for_approval, rows, told
from tests.support.company import BEN, RITA, Company, open_company
from tests.support.nursery import Nursery

pytestmark = pytest.mark.asyncio(loop_scope="session")

LISTINGS = {
    "runs": {"run_id", "workflow", "state", "requester", "outcome", "steps", "waiting"},
    "approvals": {"approval_id", "run_id", "action", "state", "summary", "digest", "decided_by"},
    "ledger": {"run_id", "action", "receipt", "receiver_key", "request_sha256"},
    "schedules": {"schedule_id", "workflow", "cron", "zone", "owner", "paused"},
    "audit": {"event", "actor", "subject", "detail"},
    "actions": {"action", "version", "effect", "connector"},
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def company(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> AsyncGenerator[Company]:
    """A started sample company in which one refund was approved and one schedule made."""
    async with open_company(tmp_path_factory.mktemp("line") / "var", nursery) as started:
        card = await asked_for_approval(started, Orders())
        await started.click(BEN, card, "approval.approve")
        await started.run_card(containing=card["order"], state="✅ done")
        await told(started, RITA, "schedule add returns every weekday at 09:00: sweep", says="Scheduled")
        yield started


async def test_each_listing_is_a_table_for_people_and_json_for_programs(company: Company) -> None:
    for name, wanted in LISTINGS.items():
        (code, table, told_off), listed = await asyncio.gather(company.countersign(name), rows(company, name))
        assert (code, told_off) == (0, "")
        assert listed, name
        assert wanted <= listed[0].keys(), name
        head, *lines = table.splitlines()
        assert head.split()[0] == next(iter(listed[0])), name
        assert len(lines) == min(len(listed), 20)
        assert "None" not in table


async def test_json_says_what_the_table_says(company: Company) -> None:
    assert await company.cli("ledger", "list") == json.loads(json.dumps(await rows(company, "ledger"), default=str))


async def test_a_listing_is_as_long_as_asked_for(company: Company) -> None:
    assert len(await company.cli("audit", "--limit", "1")) == 1
    code, _, refusal = await company.countersign("audit", "--limit", "-1")
    assert code == 2
    assert "“-1” is not a number from 1 to 100000" in refusal


async def test_the_doctor_finds_nothing_wrong_and_says_what_stands_in(company: Company) -> None:
    code, out, error = await company.countersign("doctor")
    assert (code, error) == (0, ""), out
    assert "FAIL" not in out
    for finding in (
        " tests inside passed",
        "with pgvector",
        "slack: no tokens: the local workspace stands in for Slack",
        "model: none configured: the team works on rules and says so",
    ):
        assert finding in out


async def test_memory_is_looked_after_beside_a_running_installation(company: Company) -> None:
    code, out, error = await company.countersign("memory", "report")
    assert (code, error) == (0, "")
    assert "Upkeep would now move" in out
    assert await company.is_ready()


async def test_a_second_up_or_a_reset_is_refused_and_what_runs_goes_on(company: Company) -> None:
    for verb in ("up", "reset"):
        code, _, refusal = await company.countersign(verb)
        assert code == 78
        assert "is in use. Stop what uses it (another `make up`?)" in refusal
    assert await company.is_ready()
    await told(company, RITA, "status", says="The latest runs")


async def test_stopped_and_started_again_it_lists_and_knows_the_same(company: Company) -> None:
    running = {name: await company.cli(name) for name in ("runs", "ledger")}
    assert await company.stop() == 0
    assert {name: await company.cli(name) for name in running} == running
    await company.start()
    assert {name: await company.cli(name) for name in running} == running


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("frobnicate",), 2, "invalid choice: 'frobnicate' (choose from 'up', 'serve'"),
        ((), 2, "the following arguments are required: COMMAND"),
        (("serve", "--roles", "nonsense"), 78, "--roles nonsense: choose from bot, worker, scheduler."),
        (("serve", "--roles", ","), 78, "choose from bot, worker, scheduler."),
        (("serve",), 78, "DATABASE_URL and REDIS_URL are needed here; `countersign up` sets both"),
        (("import", "shop", "/nowhere/at/all"), 78, "Name a folder that holds users.json, products.json"),
        (("import", "warehouse", "."), 2, "invalid choice: 'warehouse'"),
    ],
)
async def test_a_command_that_cannot_be_is_refused_in_a_sentence(
    tmp_path: Path, nursery: Nursery, arguments: tuple[str, ...], code: int, says: str
) -> None:
    company = Company(tmp_path / "var", nursery)
    found, out, refusal = await company.countersign(*arguments)
    assert (found, out) == (code, "")
    assert says in refusal
    assert "Traceback" not in refusal
    assert not (tmp_path / "var").exists()


async def test_a_shop_with_a_mistake_in_it_is_refused_whole(company: Company, tmp_path: Path) -> None:
    order = {"order_id": "#W1", "user_id": "nobody", "items": [], "status": "delivered", "payment_history": []}
    files = {"users": {}, "products": {}, "orders": {"#W1": order}}
    for name, content in files.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    code, _, refusal = await company.countersign("import", "shop", str(tmp_path))
    assert code == 78
    assert "orders.json" in refusal
    assert "#W1" in refusal
    assert "Correct the file and import it again." in refusal
    await told(company, RITA, "run returns #W1003 backpack", says="(rule delivered-only)")


async def test_before_the_first_start_there_is_nothing_to_list_and_nothing_wrong(
    tmp_path: Path, nursery: Nursery
) -> None:
    company = Company(tmp_path / "var", nursery)
    try:
        assert await company.countersign("runs") == (0, "Nothing yet.\n", "")
        code, out, _ = await company.countersign("audit", "--json")
        assert (code, json.loads(out)) == (0, [])
        code, out, _ = await company.countersign("reset")
        assert (code, out) == (0, "Everything stored here is forgotten. `make up` starts anew.\n")
        assert not (tmp_path / "var").exists()
    finally:
        await company.forget()
