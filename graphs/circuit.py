"""Keeps a model that fails again and again from being waited for: left alone for a while, then tried once."""

from dataclasses import dataclass, replace

#: So many failures in a row open the circuit.
FAILURES = 3
#: How long it stays open at first; twice as long each time a try after it fails, up to the longest.
FIRST_SECONDS = 15.0
LONGEST_SECONDS = 300.0
#: A try of which nothing was heard for so long no longer keeps others from trying.
FORGOTTEN_SECONDS = 120.0


@dataclass(frozen=True)
class Circuit:
    """How one model has done lately; every change gives a new one, and `now` is a monotonic clock's."""

    failures: int = 0
    opened_at: float | None = None
    openings: int = 0
    tried_at: float | None = None

    @property
    def seconds(self) -> float:
        """How long it stays open this time."""
        return min(FIRST_SECONDS * 2.0 ** max(self.openings - 1, 0), LONGEST_SECONDS)

    def admits(self, now: float) -> bool:
        """True when the model may be asked: while closed, and by one asker at a time once the wait is over."""
        if self.opened_at is None:
            return True
        if now < self.opened_at + self.seconds:
            return False
        return self.tried_at is None or now >= self.tried_at + FORGOTTEN_SECONDS

    def begun(self, now: float) -> "Circuit":
        """Somebody asks now."""
        return self if self.opened_at is None else replace(self, tried_at=now)

    def succeeded(self) -> "Circuit":
        """The model answered, whatever it said: all is forgotten."""
        return Circuit()

    def failed(self, now: float) -> "Circuit":
        """The model did not answer: after enough of that, or after a failed try, it is left alone."""
        failures = self.failures + 1
        if self.opened_at is None and failures < FAILURES:
            return replace(self, failures=failures)
        return Circuit(failures=failures, opened_at=now, openings=self.openings + 1)
