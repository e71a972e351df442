"""What an action's own checks may read: trusted records and the rulebook, never what somebody wrote."""

from collections.abc import Callable
from dataclasses import dataclass

from actions.records import Records
from actions.rulebook import Rulebook


@dataclass(frozen=True)
class Ground:
    """The trusted ground on which an effect is looked at before it is sent."""

    records: Records
    current: Callable[[], Rulebook]

    @property
    def rulebook(self) -> Rulebook:
        """The rulebook in force at this moment."""
        return self.current()
