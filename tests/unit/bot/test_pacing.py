"""How fast a channel is written to."""

from datetime import UTC, datetime, timedelta

from bot.pacing import Pacing
from core.clock import SettableClock


def test_a_small_burst_goes_at_once_and_then_one_a_second() -> None:
    pacing = Pacing(SettableClock(datetime(2026, 1, 1, tzinfo=UTC)))
    assert [pacing.take("a") for _ in range(5)] == [0, 0, 0, 1, 2]


def test_one_channel_does_not_slow_another() -> None:
    pacing = Pacing(SettableClock(datetime(2026, 1, 1, tzinfo=UTC)))
    for _ in range(10):
        pacing.take("busy")
    assert pacing.take("quiet") == 0


def test_a_quiet_channel_may_burst_again_and_is_forgotten_meanwhile() -> None:
    clock = SettableClock(datetime(2026, 1, 1, tzinfo=UTC))
    pacing = Pacing(clock)
    for _ in range(3):
        pacing.take("a")
    pacing.forget_idle()
    assert pacing.take("a") == 1
    clock.advance(timedelta(seconds=60))
    pacing.forget_idle()
    assert [pacing.take("a") for _ in range(4)] == [0, 0, 0, 1]
