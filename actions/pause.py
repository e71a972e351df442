"""What the kill switch says: what is paused, by whom and why; and when it trips by itself."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from actions.rule_file import Duration

Kind = Literal["workspace", "workflow", "action", "connector"]
KINDS: tuple[Kind, ...] = ("workspace", "workflow", "action", "connector")
Cause = Literal["person", "cli", "audit", "cap", "in_doubt"]

MOST_BECAUSE = 300

_TRIPPED: dict[str, str] = {
    "audit": "the kill switch itself: the audit log cannot be trusted",
    "cap": "the kill switch itself: a cap was run into again and again",
    "in_doubt": "the kill switch itself: too many effects are in doubt",
}


class Trip(BaseModel):
    """How often something may happen within a window before the kill switch trips."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    more_than: Annotated[int, Field(ge=0, le=100_000, strict=True)]
    within: Duration


class Trips(BaseModel):
    """When the kill switch trips by itself. That the audit log fails trips it always."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    in_doubt: Trip = Trip(more_than=10, within=timedelta(hours=1))
    """Effects through one connector whose outcome is still not known; pauses that connector."""
    cap_breaches: Trip = Trip(more_than=4, within=timedelta(hours=1))
    """Times that one action ran into a cap that denies; pauses that action."""


@dataclass(frozen=True)
class Scope:
    """What one effect belongs to."""

    workspace: str
    workflow: str
    action: str
    connector: str


@dataclass(frozen=True)
class Pause:
    """One pause in force."""

    pause_id: str
    workspace: str
    kind: str
    name: str
    cause: str
    because: str
    paused_by: str | None

    @property
    def what(self) -> str:
        """What is paused, as the beginning of a sentence."""
        return "Everything" if self.kind == "workspace" else f"The {self.kind} {self.name}"


#: The pause that stands in for a switch nobody can read.
UNREADABLE = "unreadable"

#: The name of a person by user id, as the team knows it.
NameOf = Callable[[str], str]


def paused_words(pause: Pause, name_of: NameOf) -> str:
    """By whom and why, such as `paused by Ada: wrong prices`."""
    said = f": {pause.because}" if pause.because else ""
    return f"paused by {_who(pause, name_of)}{said}"


def pause_sentence(pause: Pause, name_of: NameOf) -> str:
    """What is paused, by whom and why, in one sentence without its full stop."""
    return f"{pause.what} is {paused_words(pause, name_of)}"


def _who(pause: Pause, name_of: NameOf) -> str:
    if pause.paused_by:
        return name_of(pause.paused_by)
    if pause.cause == "cli":
        return "an operator on the command line"
    return _TRIPPED.get(pause.cause, "the kill switch itself")
