"""A rate is kept on our side: calls wait for their turn inside the window, or are not made."""

from datetime import UTC, datetime, timedelta

import pytest

from actions.connector import EffectClass, Inconclusive, Outbound, Unreachable
from actions.connectors.paced import Bucket, Paced
from actions.rate import Rate
from core.clock import SettableClock

RATE = Rate.model_validate({"calls": 5, "per": "1m"})


class Receiver:
    name, account, sandbox, settles, key_retention = "shop", "main", False, EffectClass.KEYED, None
    window = timedelta(seconds=10)

    def __init__(self):
        self.calls = []

    def request(self, record, receiver_key):
        return Outbound("POST", "/", b"{}", {})

    async def send(self, outbound, *, timeout):
        self.calls.append(timeout)
        return {}

    async def find(self, record, receiver_key):
        return None

    async def is_healthy(self):
        return True


@pytest.fixture
def clock():
    return SettableClock(datetime(2026, 11, 27, tzinfo=UTC))


async def test_no_more_than_the_rate_leaves_in_any_stretch_after_the_first_burst(clock):
    bucket, left = Bucket(RATE, clock), []
    for _ in range(40):
        assert await bucket.take(timedelta(minutes=5))
        left.append(clock.monotonic())
    assert left[:5] == [0.0] * 5
    assert all(later - earlier >= 60 for earlier, later in zip(left[4:], left[9:], strict=False))


async def test_a_call_waits_for_its_turn_inside_its_window_and_keeps_the_rest_for_itself(clock):
    receiver = Receiver()
    paced = Paced(receiver, Bucket(RATE, clock), clock)
    for _ in range(6):
        await paced.send(Outbound("POST", "/", b"", {}), timeout=timedelta(seconds=30))
    assert receiver.calls == [timedelta(seconds=30)] * 5 + [timedelta(seconds=18)]


async def test_a_call_whose_turn_comes_too_late_is_not_made_and_may_be_tried_again(clock):
    receiver = Receiver()
    paced = Paced(receiver, Bucket(RATE, clock), clock)
    for _ in range(5):
        await paced.send(Outbound("POST", "/", b"", {}), timeout=timedelta(seconds=10))
    with pytest.raises(Unreachable, match="takes 5 calls in 60 s"):
        await paced.send(Outbound("POST", "/", b"", {}), timeout=timedelta(seconds=10))
    with pytest.raises(Inconclusive):
        await paced.find(None, "key")
    assert len(receiver.calls) == 5
    clock.advance(timedelta(seconds=12))
    await paced.send(Outbound("POST", "/", b"", {}), timeout=timedelta(seconds=10))
    assert len(receiver.calls) == 6


async def test_a_process_that_was_frozen_while_it_waited_does_not_send(clock):
    class Freezing(SettableClock):
        async def sleep(self, seconds):
            self.advance(timedelta(seconds=seconds + 60))

    frozen, receiver = Freezing(datetime(2026, 11, 27, tzinfo=UTC)), Receiver()
    paced = Paced(receiver, Bucket(RATE, frozen), frozen)
    for _ in range(5):
        await paced.send(Outbound("POST", "/", b"", {}), timeout=timedelta(seconds=30))
    with pytest.raises(Unreachable):
        await paced.send(Outbound("POST", "/", b"", {}), timeout=timedelta(seconds=30))
    assert len(receiver.calls) == 5
