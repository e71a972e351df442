"""Slack's message timestamps: one instant each, never twice, never backwards."""

from core.clock import Clock


class Timestamps:
    """Gives timestamps that grow, also past those of an earlier process."""

    def __init__(self, clock: Clock, *, after: str) -> None:
        self._clock = clock
        self._last = _micros(after)

    def next(self) -> str:
        """A timestamp later than every one before: seconds, a dot, six digits."""
        now = round(self._clock.now().timestamp() * 1_000_000)
        self._last = max(now, self._last + 1)
        return f"{self._last // 1_000_000}.{self._last % 1_000_000:06d}"


def _micros(ts: str) -> int:
    seconds, _, rest = ts.partition(".")
    return int(seconds) * 1_000_000 + int(rest or 0)
