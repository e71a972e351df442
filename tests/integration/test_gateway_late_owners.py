"""A process that comes too late, or lost its run, sends nothing and writes nothing."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from actions.connector import EffectClass
from actions.outcome import Done
from core.db import DatabaseError, is_fenced
from tests.support.ledger import (
    Outside,
    Stalling,
    a_house,
)

pytest_plugins = ["tests.support.migrated"]


@pytest.fixture
def house(common_installation):
    return a_house(common_installation)


# -- late processes -----------------------------------------------------------------------------------------------


def wall_clock_jumps(house):
    house.clock.set(house.clock.now() + timedelta(seconds=8))


def process_freezes(house):
    house.clock.advance(timedelta(seconds=8))


def only_monotonic_passes(house):
    at = house.clock.now()
    house.clock.advance(timedelta(seconds=8))
    house.clock.set(at)


@pytest.mark.parametrize("pause", [wall_clock_jumps, process_freezes, only_monotonic_passes])
async def test_a_process_paused_between_committing_and_sending_sends_nothing(common_installation, pause):
    house = a_house(Stalling(common_installation), outside=Outside(settles=EffectClass.PROBEABLE))
    caller = await house.caller()

    def once():
        house.database.after_commit = lambda: None
        pause(house)

    house.database.after_commit = once
    outcome = await house.refund(caller)
    assert await house.states(caller) == ["unsent", "done"]
    assert isinstance(outcome, Done)
    assert len(house.outside.sent) == 1


async def test_a_frozen_owner_that_wakes_after_its_successor_settled_sends_nothing_more(common_installation):
    """SIGSTOP right after the attempt was committed; the successor finds nothing there and sends; then SIGCONT."""
    house = a_house(Freezing(common_installation), outside=Outside(settles=EffectClass.PROBEABLE))
    caller = await house.caller()
    successor = a_house(common_installation, outside=house.outside)
    house.database.is_armed = True
    task = asyncio.create_task(house.refund(caller))
    async with asyncio.timeout(10):
        await house.database.frozen.wait()
    assert isinstance(await successor.refund(await house.next_owner(caller)), Done)
    house.clock.advance(timedelta(seconds=30))
    house.database.thaw.set()
    with pytest.raises(DatabaseError) as error:
        await task
    assert is_fenced(error.value)
    assert len(house.outside.sent) == 1


class Freezing(Stalling):
    """A database after whose next commit the process is stopped until the test lets it go on."""

    def __init__(self, database):
        super().__init__(database)
        self.frozen, self.thaw, self.is_armed = asyncio.Event(), asyncio.Event(), False

    @asynccontextmanager
    async def transaction(self):
        async with super().transaction() as conn:
            yield conn
        if self.is_armed:
            self.is_armed = False
            self.frozen.set()
            await self.thaw.wait()


async def test_an_owner_that_lost_the_run_begins_nothing(house):
    caller = await house.caller()
    await house.next_owner(caller)
    with pytest.raises(DatabaseError) as error:
        await house.refund(caller)
    assert is_fenced(error.value)
    assert not house.outside.sent
    assert not await house.has_wished(caller)


async def test_an_owner_that_lost_the_run_asks_nobody_and_takes_back_nothing(house):
    caller = await house.caller()
    await house.asked(caller)
    await house.next_owner(caller)
    for late in (house.refund(caller, "120 USD"), house.consent(caller, "120 USD")):
        with pytest.raises(DatabaseError) as error:
            await late
        assert is_fenced(error.value)
    assert await house.approval_states(caller) == ["pending"]


@pytest.mark.parametrize("mode", ["ok", "rejected", "unreachable", "lost_unknown"])
async def test_an_owner_that_lost_the_run_during_the_call_writes_nothing_about_it(house, mode):
    caller = await house.caller()
    house.outside.modes = [mode]
    original = house.outside.send

    async def send_while_fenced_off(outbound, *, timeout):
        await house.next_owner(caller)
        return await original(outbound, timeout=timeout)

    house.outside.send = send_while_fenced_off  # type: ignore[method-assign]
    with pytest.raises(DatabaseError) as error:
        await house.refund(caller)
    assert is_fenced(error.value)
    assert await house.states(caller) == ["executing"]
    assert (await house.intent(caller))["state"] == "executing"
