"""Each guard, taken away in turn: the same death then doubles an effect, and with the guard it does not."""

import asyncio
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest
import pytest_asyncio

from core.ids import RunId
from tests.support.ground import PROBEABLE, Ground, judge, open_ground
from tests.support.nursery import Nursery, Process
from tests.support.traps import APPLIED, COMMITTED, PLANNED

pytest_plugins = ["tests.support.migrated", "tests.support.nursery_fixture"]
pytestmark = pytest.mark.asyncio(loop_scope="session")

#: Asks for the refund of this order, under this control, and has happen what the guard is for.
Death = Callable[[Ground, str, str], Awaitable[RunId]]
Effects = dict[str, tuple[int, int]]


async def _dies_before_the_reply(ground: Ground, order_id: str, control: str) -> RunId:
    await ground.receiver.plan(order_id, "answer slowly")
    run_id = await ground.request([(order_id, "10 USD")])
    for point in (APPLIED, ""):
        await _to_its_end(await ground.start("hand", run_id=run_id, die_at=point, control=control))
    return run_id


async def _stands_still_before_it_sends(ground: Ground, order_id: str, control: str) -> RunId:
    run_id = await ground.request([(order_id, "10 USD")])
    frozen = await _frozen(ground, run_id, COMMITTED, control)
    await _to_its_end(await ground.start("hand", run_id=run_id))
    frozen.signal(signal.SIGCONT)
    await _to_its_end(frozen)
    return run_id


async def _wakes_with_an_old_plan(ground: Ground, order_id: str, control: str) -> RunId:
    run_id = await ground.request([(order_id, "10 USD"), (f"{order_id}-asked", "60 USD")])
    frozen = await _frozen(ground, run_id, PLANNED, control)
    after_the_first = "after the question is committed"
    await _to_its_end(await ground.start("hand", run_id=run_id, die_at=after_the_first, control=control))
    frozen.signal(signal.SIGCONT)
    await _to_its_end(frozen)
    await _to_its_end(await ground.start("hand", run_id=run_id, control=control))
    return run_id


async def _lands_late(ground: Ground, order_id: str, control: str) -> RunId:
    await ground.receiver.plan(order_id, "500, apply late")
    run_id = await ground.request([(order_id, "10 USD")])
    await _to_its_end(await ground.start("hand", run_id=run_id, landing=2, control=control))
    await asyncio.sleep(1.5)
    return run_id


DEATHS: dict[str, Death] = {
    "forgetful ledger": _dies_before_the_reply,
    "no window check": _stands_still_before_it_sends,
    "unfenced saver": _wakes_with_an_old_plan,
    "no landing margin": _lands_late,
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def effects(
    tmp_path_factory: pytest.TempPathFactory, common_installation_url: str, nursery: Nursery
) -> AsyncGenerator[Effects]:
    """For each guard how often a refund was made with it and without it; all at once, for they mostly wait."""
    home = tmp_path_factory.mktemp("controls")
    async with open_ground(home, common_installation_url, PROBEABLE, nursery, late=2.2) as ground:

        async def tried(guard: str, control: str) -> int:
            order_id = f"#{guard}-{control}"
            run_id = await DEATHS[guard](ground, order_id, control)
            return (await judge(ground, run_id, order_id)).effects

        pairs = [asyncio.gather(tried(guard, ""), tried(guard, guard)) for guard in DEATHS]
        yield dict(zip(DEATHS, [(whole, without) for whole, without in await asyncio.gather(*pairs)], strict=True))


@pytest.mark.parametrize("guard", DEATHS)
async def test_the_same_death_doubles_an_effect_without_the_guard_alone(effects: Effects, guard: str) -> None:
    assert effects[guard] == (1, 2)


async def _frozen(ground: Ground, run_id: RunId, point: str, control: str) -> Process:
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
