"""Things that go wrong on purpose: what Slack and networks do, on demand and countable."""

from dataclasses import dataclass, field, fields
from typing import Any

from bot.local.workspace.json_value import Json, as_object
from bot.local.workspace.refusal import Refusal


@dataclass
class Faults:
    """The faults in force; counts go down as they are used, `delay_ms` stays until it is cleared."""

    #: The next n envelopes are sent twice.
    duplicate: int = 0
    #: The next n envelopes are overtaken by those after them.
    reorder: int = 0
    #: Every envelope waits so many milliseconds.
    delay_ms: int = 0
    #: The next n acknowledgements are lost.
    drop_acks: int = 0
    #: The next n calls of a method (`*`: of any) are answered 429.
    rate_limit: dict[str, int] = field(default_factory=dict[str, int])
    #: What the 429 asks the caller to wait, in seconds.
    retry_after: int = 1
    #: The next n calls of a method are applied, and their answer is lost.
    lose_answer: dict[str, int] = field(default_factory=dict[str, int])
    #: The next n calls of a method are answered 500, not applied.
    fail: dict[str, int] = field(default_factory=dict[str, int])

    def in_force(self) -> Json:
        """The faults as they stand."""
        return {name: getattr(self, name) for name in _NAMES}

    def clear(self) -> None:
        """No fault any more."""
        fresh = Faults()
        for name in _NAMES:
            setattr(self, name, getattr(fresh, name))

    def change(self, wanted: Json) -> None:
        """Put the named faults in force; raises Refusal for a name or a value it does not know."""
        checked = {name: _checked(name, value) for name, value in wanted.items()}
        for name, value in checked.items():
            setattr(self, name, value)

    def spend(self, name: str) -> bool:
        """Whether a countable fault strikes now; if so it counts down."""
        left: int = getattr(self, name)
        if left > 0:
            setattr(self, name, left - 1)
        return left > 0

    def strikes(self, name: str, method: str) -> bool:
        """Whether a fault that is counted per method strikes this call; if so it counts down."""
        table: dict[str, int] = getattr(self, name)
        for key in (method, "*"):
            if table.get(key, 0) > 0:
                table[key] -= 1
                return True
        return False


_NAMES = frozenset(each.name for each in fields(Faults))
_PER_METHOD = frozenset({"rate_limit", "lose_answer", "fail"})


def _checked(name: str, value: Any) -> int | dict[str, int]:
    if name not in _NAMES:
        raise Refusal("unknown_fault", f"there is no fault {name}; there are {', '.join(sorted(_NAMES))}")
    if name not in _PER_METHOD:
        return _count(name, value)
    table = as_object(value)
    if table is None:
        raise Refusal("invalid_fault", f"{name} must be an object of method names and counts")
    return {method: _count(f"{name}/{method}", count) for method, count in table.items()}


def _count(name: str, value: Any) -> int:
    count = int(value) if isinstance(value, bool) else value
    if not isinstance(count, int) or count < 0:
        raise Refusal("invalid_fault", f"{name} must be a whole number from 0")
    return count
