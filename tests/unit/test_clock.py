"""Two clocks, one of which tests can move."""

import asyncio
from datetime import UTC, datetime, timedelta

from core.clock import SettableClock, SystemClock

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


def test_the_system_clock_is_aware_and_in_utc():
    assert SystemClock().now().utcoffset() == timedelta(0)


async def test_the_monotonic_clock_never_goes_back():
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(0)
    assert clock.monotonic() >= before


async def test_a_settable_clock_stands_still_until_it_is_moved():
    clock = SettableClock(NOON)
    await asyncio.sleep(0)
    assert (clock.now(), clock.monotonic()) == (NOON, 0)
    clock.advance(timedelta(minutes=1))
    assert (clock.now(), clock.monotonic()) == (NOON + timedelta(minutes=1), 60)


def test_setting_the_wall_clock_back_leaves_the_monotonic_one_alone():
    clock = SettableClock(NOON)
    clock.advance(timedelta(seconds=5))
    clock.set(NOON - timedelta(days=1))
    assert (clock.now(), clock.monotonic()) == (NOON - timedelta(days=1), 5)


async def test_sleeping_on_a_settable_clock_passes_its_time_and_lets_others_run():
    clock, ran = SettableClock(NOON), asyncio.Event()
    asyncio.get_running_loop().call_soon(ran.set)
    await clock.sleep(3600)
    assert clock.now() == NOON + timedelta(hours=1)
    assert ran.is_set()
