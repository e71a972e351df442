"""The sandbox misbehaves as it is told, and keeps what it acknowledged whatever happens to its process."""

import asyncio
import os
import shutil
import signal
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest

from bot.local.home import HomeUnwritable
from bot.local.sandbox.database import SandboxUnusable, connect, payments_path
from bot.local.sandbox.server import Sandbox, SandboxOptions, open_sandbox, serve
from bot.sample.shop import seed_sample
from core.clock import SystemClock
from tests.support.sandbox import CHAIR, SandboxClient


def options(home: Path, port: int = 0) -> SandboxOptions:
    return SandboxOptions(port=port, home=home, clock=SystemClock())


@pytest.fixture(scope="module")
def seeded(tmp_path_factory):
    home = tmp_path_factory.mktemp("seeded")
    seed_sample(home)
    return home


@pytest.fixture
def home(seeded, tmp_path):
    return Path(shutil.copytree(seeded, tmp_path / "home"))


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def client(home, session):
    async with open_sandbox(options(home)) as sandbox:
        yield SandboxClient(session, sandbox.url)


# Misbehaviour


async def test_apply_then_timeout_applies_and_then_drops_the_connection(client):
    await client.control("payments", apply_then_timeout_next=1)

    with pytest.raises(aiohttp.ClientConnectionError):
        await client.refund("key-1")

    log = await client.log()
    assert (log["count"], log["refunds"][0]["key"]) == (1, "key-1")
    assert (await client.get("/control/payments"))[1]["apply_then_timeout_next"] == 0
    status, again, _ = await client.refund("key-1")
    assert (status, again["refund"]["refund_id"]) == (200, log["refunds"][0]["refund_id"])


async def test_a_refused_refund_does_not_use_up_a_timeout(client):
    await client.control("payments", apply_then_timeout_next=1)

    assert (await client.refund("key-1", amount_minor=38901))[0] == 402

    assert (await client.get("/control/payments"))[1]["apply_then_timeout_next"] == 1


async def test_the_shop_too_applies_and_then_drops_the_connection(client):
    await client.control("shop", apply_then_timeout_next=1)

    with pytest.raises(aiohttp.ClientConnectionError):
        await client.give_back(key="key-1")

    assert (await client.order("#W1001"))["status"] == "return requested"
    assert (await client.get("/shop/returns?key=key-1"))[0] == 200


async def test_fail_next_fails_that_many_effects_and_applies_none_of_them(client):
    await client.control("payments", fail_next=2)

    for _ in range(2):
        found = await client.get("/payments/refunds?metadata_key=mark-1")
        assert (found[0], found[1]["refunds"]) == (200, [])
        status, failure, _ = await client.refund("key-1")
        assert (status, failure["error"]) == (500, "internal_error")
    assert (await client.refund("key-1"))[0] == 201


async def test_a_system_that_is_down_answers_nothing_and_the_other_one_does_not_notice(client):
    await client.control("payments", down=True)

    assert (await client.refund("key-1"))[0] == 503
    assert (await client.get("/payments/log"))[0] == 503
    assert (await client.get("/shop/orders/%23W1002"))[0] == 200
    await client.control("payments", down=False)
    assert (await client.log())["count"] == 0


async def test_a_slow_system_answers_late(client):
    await client.control("payments", delay_seconds=0.2)
    asked_at = time.monotonic()

    status, _, _ = await client.refund("key-1")

    assert status == 201
    assert time.monotonic() - asked_at >= 0.2


async def test_a_slow_system_has_applied_long_before_it_answers(client, home):
    await client.control("payments", delay_seconds=60)
    pending = asyncio.create_task(client.refund("key-1"))

    with closing(sqlite3.connect(payments_path(home))) as provider:
        async with asyncio.timeout(30):
            while provider.execute("SELECT count(*) FROM refund_log").fetchone() == (0,):
                await asyncio.sleep(0.01)

    assert not pending.done()
    pending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pending


async def test_the_controls_are_remembered_each_by_its_own_system(client):
    await client.control("payments", honour_keys=False, fail_next=3)
    changed = await client.control("payments", delay_seconds=0.01)

    expected = {
        "sandbox": True,
        "honour_keys": False,
        "delay_seconds": 0.01,
        "fail_next": 3,
        "apply_then_timeout_next": 0,
        "down": False,
    }
    assert changed == expected
    assert (await client.get("/control/payments"))[1] == expected
    assert (await client.get("/control/shop"))[1]["honour_keys"] is True


@pytest.mark.parametrize(
    "change",
    [{"honor_keys": True}, {"fail_next": -1}, {"down": "yes"}, {"delay_seconds": -1}, b'{"delay_seconds": NaN}'],
)
async def test_a_control_that_does_not_exist_or_makes_no_sense_is_refused(client, change):
    status, refusal, _ = await client.post("/control/payments", change)

    assert (status, refusal["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("headers", [{"Host": "shop.example"}, {"Origin": "http://127.0.0.1:1"}])
async def test_a_web_page_cannot_reach_the_sandbox(client, headers):
    status, refusal, _ = await client.post("/payments/refunds", CHAIR, headers=headers)

    assert (status, refusal["error"]) == (403, "forbidden")
    assert (await client.log())["count"] == 0


# The process


async def test_a_restart_keeps_refunds_returns_and_controls(home, session):
    async with open_sandbox(options(home)) as sandbox:
        client = SandboxClient(session, sandbox.url)
        first = await client.refund("key-1")
        await client.give_back(key="key-2")
        await client.control("payments", fail_next=1)

    async with open_sandbox(options(home)) as sandbox:
        client = SandboxClient(session, sandbox.url)
        assert (await client.order("#W1001"))["status"] == "return requested"
        assert (await client.refund("key-1"))[0] == 500
        status, again, _ = await client.refund("key-1")
        assert (status, again) == (200, first[1])


_SERVER = """
import asyncio, sys
from pathlib import Path
from bot.local.sandbox.server import SandboxOptions, open_sandbox
from core.clock import SystemClock

async def main():
    async with open_sandbox(SandboxOptions(0, Path(sys.argv[1]), SystemClock())) as sandbox:
        print(sandbox.port, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_kill_loses_no_refund_that_was_acknowledged(home, session):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _SERVER, str(home), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        client = SandboxClient(session, Sandbox(int(await process.stdout.readline())).url)
        acknowledged = [(await client.refund(f"key-{n}", amount_minor=n))[1]["refund"] for n in range(1, 6)]
    finally:
        os.kill(process.pid, signal.SIGKILL)
        await process.communicate()

    async with open_sandbox(options(home)) as sandbox:
        log = await SandboxClient(session, sandbox.url).log()
    assert [row["refund_id"] for row in log["refunds"]] == [refund["refund_id"] for refund in acknowledged]


def test_every_commit_is_written_through_to_the_disk(tmp_path):
    with closing(connect(tmp_path / "any.sqlite3", "")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL


async def test_a_port_in_use_is_said_so_with_what_to_do(home, tmp_path_factory):
    async with open_sandbox(options(home)) as sandbox:
        with pytest.raises(SandboxUnusable, match=rf"{sandbox.port}.*choose another port"):
            async with open_sandbox(options(tmp_path_factory.mktemp("other"), sandbox.port)):
                pass


async def test_a_home_that_cannot_be_used_is_said_so(tmp_path):
    (tmp_path / "sandbox").write_text("in the way")

    with pytest.raises(HomeUnwritable, match="sandbox"):
        async with open_sandbox(options(tmp_path)):
            pass


async def test_a_file_that_is_no_database_is_said_so(tmp_path):
    payments_path(tmp_path).parent.mkdir()
    payments_path(tmp_path).write_text("this is no database, it is a letter" * 100)

    with pytest.raises(SandboxUnusable, match=r"payments\.sqlite3"):
        async with open_sandbox(options(tmp_path)):
            pass


async def test_serving_ends_when_cancelled(home):
    serving = asyncio.create_task(serve(options(home)))
    await asyncio.sleep(0.1)

    serving.cancel()

    with pytest.raises(asyncio.CancelledError):
        await serving


async def test_seeding_leaves_a_shop_that_has_something_alone(home, session):
    async with open_sandbox(options(home)) as sandbox:
        client = SandboxClient(session, sandbox.url)
        await client.give_back(key="key-1")

        with closing(sqlite3.connect(payments_path(home))) as provider, provider:
            provider.execute("DELETE FROM charge WHERE order_id = '#W1002'")

        assert seed_sample(home) is False

        assert (await client.order("#W1001"))["status"] == "return requested"
        assert (await client.refund())[1]["error"] == "unknown_charge"


async def test_seeding_completes_what_a_kill_left_half_done(home):
    payments_path(home).unlink()

    assert seed_sample(home) is True

    with closing(sqlite3.connect(payments_path(home))) as connection:
        assert connection.execute("SELECT count(*) FROM charge").fetchone() == (150,)
