"""When a host may be proposed for isolation, and for how long: the rulebook's section `containment`."""

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from actions.looseness import Looser
from actions.rule_file import Duration

#: The longest that one isolation may last, in minutes: a day. Whoever needs longer asks again.
LONGEST = 24 * 60


class ContainmentRules(BaseModel):
    """What must be known of a host before anybody is asked whether to isolate it."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=lambda name: name.replace("_", "-"))

    because: Annotated[str, Field(min_length=1, max_length=300), Looser.NEVER]
    isolate_for: Annotated[Duration, Looser.HIGHER]
    """After this time the host is released by itself."""
    confidence: Annotated[int, Field(ge=1, le=100, strict=True), Looser.LOWER]
    """From which confidence of a feed on its word counts as evidence."""
    contacts: Annotated[int, Field(ge=1, le=1000, strict=True), Looser.LOWER] = 2
    """How often the host must have talked to such an address: a page that embeds one picture makes one contact."""

    @field_validator("isolate_for")
    @classmethod
    def _within_a_day(cls, span: timedelta) -> timedelta:
        if span > timedelta(minutes=LONGEST):
            raise ValueError(f"a host is isolated for {LONGEST // 60} hours at most. Write less, such as 60m.")
        return span

    @property
    def minutes(self) -> int:
        """The time of isolation in whole minutes."""
        return int(self.isolate_for.total_seconds()) // 60
