"""Each guard, taken away in turn: the same death then doubles an effect, and with the guard it does not."""

import asyncio
import signal
from pathlib import Path

import pytest

from tests.support.ground import PROBEABLE, Ground, judge, open_ground
from tests.support.nursery import Nursery, Process
from tests.support.traps import APPLIED, COMMITTED, PLANNED

pytest_plugins = ["tests.support.migrated", "tests.support.nursery_fixture"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

ORDER = "#guarded"


def _with_and_without(guard: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("control", "effects"), [("", 1), (guard, 2)], ids=["whole product", guard])


@_with_and_without("forgetful ledger")
async def test_a_death_before_the_reply(
    tmp_path: Path, installation_url: str, control: str, effects: int, nursery: Nursery
) -> None:
    async with open_ground(tmp_path, installation_url, PROBEABLE, nursery) as ground:
        await ground.receiver.plan(ORDER, "answer slowly")
        run_id = await ground.request([(ORDER, "10 USD")])
        for point in (APPLIED, ""):
            await _to_its_end(await ground.start("hand", run_id=run_id, die_at=point, control=control))
        assert (await judge(ground, run_id, ORDER)).effects == effects


@_with_and_without("no window check")
async def test_an_owner_that_stood_still_before_it_sent(
    tmp_path: Path, installation_url: str, control: str, effects: int, nursery: Nursery
) -> None:
    async with open_ground(tmp_path, installation_url, PROBEABLE, nursery) as ground:
        run_id = await ground.request([(ORDER, "10 USD")])
        frozen = await _frozen(ground, run_id, COMMITTED, control)
        await _to_its_end(await ground.start("hand", run_id=run_id))
        frozen.signal(signal.SIGCONT)
        await _to_its_end(frozen)
        assert (await judge(ground, run_id, ORDER)).effects == effects


@_with_and_without("unfenced saver")
async def test_an_owner_that_wakes_with_an_old_plan(
    tmp_path: Path, installation_url: str, control: str, effects: int, nursery: Nursery
) -> None:
    async with open_ground(tmp_path, installation_url, PROBEABLE, nursery) as ground:
        run_id = await ground.request([(ORDER, "10 USD"), ("#asked", "60 USD")])
        frozen = await _frozen(ground, run_id, PLANNED, control)
        after_the_first = "after the question is committed"
        await _to_its_end(await ground.start("hand", run_id=run_id, die_at=after_the_first, control=control))
        frozen.signal(signal.SIGCONT)
        await _to_its_end(frozen)
        await _to_its_end(await ground.start("hand", run_id=run_id, control=control))
        assert (await judge(ground, run_id, ORDER)).effects == effects


@_with_and_without("no landing margin")
async def test_a_server_error_whose_effect_lands_late(
    tmp_path: Path, installation_url: str, control: str, effects: int, nursery: Nursery
) -> None:
    async with open_ground(tmp_path, installation_url, PROBEABLE, nursery, landing=2, late=2.2) as ground:
        await ground.receiver.plan(ORDER, "500, apply late")
        run_id = await ground.request([(ORDER, "10 USD")])
        await _to_its_end(await ground.start("hand", run_id=run_id, control=control))
        await asyncio.sleep(1.5)
        assert (await judge(ground, run_id, ORDER)).effects == effects


async def _frozen(ground: Ground, run_id: str, point: str, control: str) -> Process:
    """An owner that stands still at `point`, as long as we like."""
    stopped = asyncio.Event()
    process = await ground.start("hand", run_id=run_id, stop_at=point, control=control)
    process.on_stopped = lambda _: stopped.set()
    async with asyncio.timeout(30):
        await stopped.wait()
    return process


async def _to_its_end(process: Process) -> None:
    async with asyncio.timeout(60):
        await process.ended
