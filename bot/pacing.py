"""How fast one channel may be written to: small bursts at once, then one message a second."""

from dataclasses import dataclass

from core.clock import Clock

BURST = 3
SECONDS_EACH = 1.0


@dataclass
class _Bucket:
    tokens: float
    at: float


class Pacing:
    """Tells how long to wait before the next message of a lane."""

    def __init__(self, clock: Clock, *, burst: int = BURST, seconds_each: float = SECONDS_EACH) -> None:
        self._clock = clock
        self._burst = burst
        self._seconds_each = seconds_each
        self._buckets: dict[str, _Bucket] = {}

    def take(self, lane: str) -> float:
        """Take the lane's next turn, and say in how many seconds it is."""
        now = self._clock.monotonic()
        bucket = self._buckets.setdefault(lane, _Bucket(self._burst, now))
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) / self._seconds_each)
        bucket.at = now
        bucket.tokens -= 1
        return max(0.0, -bucket.tokens * self._seconds_each)

    def forget_idle(self) -> None:
        """Drop what is known of lanes that have been quiet long enough to burst again."""
        full = self._burst * self._seconds_each
        now = self._clock.monotonic()
        idle = [lane for lane, bucket in self._buckets.items() if now - bucket.at > 2 * full]
        for lane in idle:
            del self._buckets[lane]
