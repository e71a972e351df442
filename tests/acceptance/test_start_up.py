"""What cannot start says so in one sentence that tells what to do, exits with 78, and leaves nothing running."""

import asyncio
import os
import re
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from actions.action import Catalogue
from actions.rule_file import PolicyInvalid
from bot.company import read_company, settle_sample_company
from tests.support.company import ROOT, Company
from tests.support.ports import free_ports
from tests.support.postgres import PostgresServer, new_test_name

REFUSED = 78
NOBODY = 65534


@asynccontextmanager
async def refused(home: Path, **env: str) -> AsyncGenerator[tuple[Company, str]]:
    """What the console says of an `up` that ended with 78; it has left no process behind."""
    company = Company(home, env=env)
    try:
        code, out, error = await asyncio.wait_for(company.countersign("up"), 60)
        said = out + error
        assert code == REFUSED, said
        assert "Traceback" not in said
        assert company.pids() == []
        yield company, said
    finally:
        await company.forget()
        await company.close()


def company_with(folder: Path, file: str, right: str, wrong: str) -> None:
    """The sample company's files with one mistake in them."""
    settle_sample_company(folder)
    text = (folder / file).read_text()
    assert right in text
    (folder / file).write_text(text.replace(right, wrong, 1))


async def test_a_mistake_in_the_policy_stops_everything_and_is_told_once(tmp_path: Path) -> None:
    company_with(tmp_path / "var" / "company", "policy.yml", "verdict: allow", "verdict: alow")
    async with refused(tmp_path / "var") as (_, said):
        (sentence,) = [line.split("countersign: ")[1] for line in said.splitlines() if "countersign: " in line]
        assert re.match(r"policy\.yml line \d+: rule refund-small: verdict: 'alow' is not one of", sentence)
        assert "refused its configuration, so everything is stopped." in said
        assert "is ready" not in said


@pytest.mark.parametrize(
    ("file", "right", "wrong", "says"),
    [
        ("policy.yml", "expect: allow\n    by: refund-small", "expect: deny", "a refund of exactly 50 USD runs alone"),
        ("policy.yml", "version: 1", "version: [", "policy.yml line"),
        ("team.yml", "roles: [auditor]", "roles: [king]", "king"),
        ("rulebook.yml", "statuses: [delivered]", "statuses: []", "delivered-only"),
    ],
)
def test_a_mistake_in_any_of_the_companys_files_is_named_with_file_line_and_reason(
    tmp_path: Path, file: str, right: str, wrong: str, says: str
) -> None:
    company_with(tmp_path, file, right, wrong)
    with pytest.raises(PolicyInvalid) as refusal:
        read_company(tmp_path, Catalogue.scan())
    assert re.match(rf"{file} line \d+: ", str(refusal.value))
    assert says in str(refusal.value)


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"COUNTERSIGN_PORT": "lots"}, "COUNTERSIGN_PORT has to be a port from 1 to 65533, such as 8765, not “lots”."),
        ({"COUNTERSIGN_PORT": "70000"}, "COUNTERSIGN_PORT has to be a port from 1 to 65533"),
        ({"SLACK_BOT_TOKEN": "xoxb-1"}, "SLACK_APP_TOKEN is missing: a real workspace needs both tokens."),
        ({"SLACK_APP_TOKEN": "xapp-1"}, "SLACK_BOT_TOKEN is missing: a real workspace needs both tokens."),
        (
            {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1"},
            "COUNTERSIGN_ADMIN is missing: name the member id",
        ),
        (
            {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1", "COUNTERSIGN_ADMIN": "ada"},
            "COUNTERSIGN_ADMIN has to be a member id that begins with U or W",
        ),
        ({"COUNTERSIGN_HEARTBEAT_SECONDS": "soon"}, "COUNTERSIGN_HEARTBEAT_SECONDS has to be a number above 0"),
        ({"COUNTERSIGN_STALLED_SECONDS": "1"}, "COUNTERSIGN_STALLED_SECONDS must be at least twice"),
        ({"COUNTERSIGN_MODEL_PRICES": "cheap"}, "COUNTERSIGN_MODEL_PRICES has to be JSON such as"),
    ],
)
async def test_a_setting_that_cannot_be_is_named_before_anything_is_written(
    tmp_path: Path, env: Mapping[str, str], says: str
) -> None:
    code, out, refusal = await Company(tmp_path / "var", env=env).countersign("up")
    assert (code, out) == (REFUSED, "")
    assert says in refusal
    assert len(refusal.splitlines()) == 1
    assert not (tmp_path / "var").exists()


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port somebody else listens on, with two free ones on each side of it."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", free_ports(5) + 2))
        other.listen()
        yield other.getsockname()[1]


async def test_a_port_in_use_is_named_with_what_it_was_meant_for(tmp_path: Path, taken_port: int) -> None:
    for offset, what in enumerate(("the local workspace", "the sandbox", "/healthz and /metrics")):
        company = Company(tmp_path / "var", env={"COUNTERSIGN_PORT": str(taken_port - offset)})
        code, _, refusal = await company.countersign("up")
        assert code == REFUSED
        assert f"Port {taken_port}, meant for {what}, is in use." in refusal
        assert "set COUNTERSIGN_PORT to a free one" in refusal


async def test_a_file_in_the_place_of_the_home_is_named(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("something else")
    code, _, refusal = await Company(tmp_path / "var").countersign("up")
    assert code == REFUSED
    assert f"cannot use {tmp_path / 'var'}: a file is in its place." in refusal
    assert "point COUNTERSIGN_HOME at one that it may write to." in refusal


AS_SOMEBODY_ELSE = f"""
import os, sys
import bot.cli, bot.up, bot.settings
if os.geteuid() == 0:
    os.setgroups([]); os.setresgid({NOBODY}, {NOBODY}, {NOBODY}); os.setresuid({NOBODY}, {NOBODY}, {NOBODY})
sys.argv = ["countersign", "up"]
bot.cli.main()
"""


def test_a_home_that_may_not_be_written_is_named_with_who_may_not(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    # Everything above has to be passable, else that would be what is refused.
    company = Company(Path("/proc/1/countersign") if os.geteuid() == 0 else tmp_path / "var")
    done = subprocess.run(
        [sys.executable, "-c", AS_SOMEBODY_ELSE],
        cwd=ROOT,
        env=company.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    tmp_path.chmod(0o755)
    assert done.returncode == REFUSED, done.stderr
    assert "cannot use " in done.stderr
    assert str(company.home) in done.stderr
    assert "Let that user own the folder, or point COUNTERSIGN_HOME at one" in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_database_that_cannot_be_reached_is_named_without_its_password(tmp_path: Path) -> None:
    url = "postgresql://app:very-secret@127.0.0.1:9/countersign"
    says = "Postgres at 127.0.0.1:9/countersign cannot be reached"
    async with refused(tmp_path / "var", DATABASE_URL=url) as (company, said):
        assert says in said
        assert "very-secret" not in said
        code, _, refusal = await company.countersign("runs")
        assert code == REFUSED
        assert says in refusal
        assert len(refusal.splitlines()) == 1


async def test_an_address_that_is_none_is_not_repeated_for_it_may_hold_a_password(tmp_path: Path) -> None:
    code, _, refusal = await Company(tmp_path / "var", env={"DATABASE_URL": "very-secret"}).countersign("runs")
    assert code == REFUSED
    assert "DATABASE_URL is no address of a Postgres. Write it like postgresql://" in refusal
    assert "very-secret" not in refusal


@pytest.fixture
def bare_database(postgres_server: PostgresServer) -> Iterator[str]:
    """A database whose owner may not add pgvector, which is not there."""
    name = new_test_name()
    yield postgres_server.make(name)
    postgres_server.drop(name)


async def test_a_database_without_pgvector_is_named_with_what_to_install(tmp_path: Path, bare_database: str) -> None:
    async with refused(tmp_path / "var", DATABASE_URL=bare_database) as (company, said):
        assert "has no pgvector extension and it could not be added" in said
        assert 'run "create extension vector" as a superuser.' in said
        code, out, _ = await company.countersign("doctor")
        assert code == 1
        assert "FAIL  database: " in out
        assert "has no pgvector 0.8.0 or newer" in out
