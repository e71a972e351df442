"""What an action's own checks may read: trusted records and the rulebook, never what somebody wrote."""

from collections.abc import Callable
from dataclasses import dataclass, field

from actions.records import Records
from actions.rulebook import Rulebook
from actions.source import Sources


@dataclass(frozen=True)
class Ground:
    """The trusted ground on which an effect is looked at before it is sent."""

    records: Records
    current: Callable[[], Rulebook]
    sources: Sources = field(default_factory=Sources)
    """What else may be read outside, by its port."""

    @property
    def rulebook(self) -> Rulebook:
        """The rulebook in force at this moment."""
        return self.current()
