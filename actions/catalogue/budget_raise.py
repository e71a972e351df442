"""budget.raise: lets a budget that was reached have more, once people agree."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from actions.action import Call, Effect, action

_Name = Annotated[str, Field(min_length=1, max_length=200)]
Unit = Literal["US cents", "tokens", "steps", "actions", "minutes"]


class Raise(BaseModel):
    """So much more for one budget of one day or month, or of one run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    budget: Literal["run", "workflow", "teammate", "person", "day", "workspace"]
    whose: _Name
    """The run, workflow, teammate, person or workspace."""
    period: Annotated[str, Field(pattern=r"^(\d{4}-\d\d(-\d\d)?)?$")] = ""
    """The day or month it is about; empty for the life of a run."""
    amount: Annotated[int, Field(ge=1, le=1_000_000_000)]
    unit: Unit


class Raised(BaseModel):
    """That the budget has more now."""

    model_config = ConfigDict(frozen=True)

    key: str


@action(
    "budget.raise",
    connector="budgets",
    effect=Effect.IRREVERSIBLE,
    summary="Raise the budget of {budget} {whose} {period} by {amount} {unit}",
    target="whose",
)
async def raise_budget(args: Raise, call: Call) -> Raised:
    """Raise it once; what was reached before has room again."""
    del args
    return Raised(key=(await call.send())["key"])


@raise_budget.attested
def raised_by_word(args: Raise, reference: str) -> Raised:
    """What a person's word gives where no receipt was left."""
    del args
    return Raised(key=reference)


# What was spent within the raise is spent; no action brings it back.
BY_HAND = raise_budget.by_hand("Stop what should not use the raised budget of {budget} {whose} {period}.")
