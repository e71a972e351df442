"""Ceilings on what work may use: money for models, tokens, steps, actions, time."""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from actions.rule_file import Amount, Duration, misplaced
from core.money import Money

#: Prices of models are in this currency, so ceilings on their cost are too.
CURRENCY = "USD"

_Count = Annotated[int, Field(ge=1, strict=True)]


class Budget(BaseModel):
    """Ceilings; what is not named is not limited."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cost: Amount | None = None
    """What models may cost, in USD. A model without a known price is held to `tokens` alone."""
    tokens: _Count | None = None
    steps: _Count | None = None
    actions: _Count | None = None
    time: Duration | None = None
    """Time at work; waiting for people is not counted."""

    @model_validator(mode="after")
    def _is_in_dollars(self) -> Self:
        if self.cost is not None and self.cost.currency != CURRENCY:
            raise misplaced(f"models are paid in {CURRENCY}. Write the cost in {CURRENCY}.", "cost")
        return self

    @property
    def ceilings(self) -> dict[str, int]:
        """Each ceiling that there is, in its smallest unit."""
        found = {
            "micro": None if self.cost is None else self.cost.minor * 10_000,
            "tokens": self.tokens,
            "steps": self.steps,
            "actions": self.actions,
            "milliseconds": None if self.time is None else int(self.time.total_seconds() * 1000),
        }
        return {name: value for name, value in found.items() if value is not None}

    def is_within(self, other: "Budget") -> bool:
        """True when whatever this allows, the other allows too."""
        mine = self.ceilings
        return all(name in mine and mine[name] <= most for name, most in other.ceilings.items())


class Budgets(BaseModel):
    """The ceilings of an installation; days and months are those of UTC."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: Budget = Budget()
    """Of each run."""
    workflow: Budget = Budget()
    """Of all runs of one workflow in a day."""
    person: Budget = Budget()
    """Of all that one person asks for in a day."""
    day: Budget = Budget()
    """Of the whole workspace in a day."""
    workspace: Budget = Budget()
    """Of the whole workspace in a month."""

    def is_within(self, other: "Budgets") -> bool:
        """True when whatever these allow, the others allow too."""
        names = type(self).model_fields
        return all(getattr(self, name).is_within(getattr(other, name)) for name in names)


#: What a workflow's runs may use where nobody says otherwise.
USUAL = Budget(cost=Money(100, CURRENCY), tokens=400_000, steps=60, actions=60, time=timedelta(hours=1))
