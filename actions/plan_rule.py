"""When people are asked about a plan as a whole, also about those steps of it that would run alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from actions.rule_file import Amount
from actions.team import Approvers

PLAN = "built-in:plan"


@dataclass(frozen=True)
class Planned:
    """A plan as these rules look at it."""

    workflow: str
    steps: int
    most_micro: int | None
    """What it may cost at most by prediction, in millionths of a dollar; None where that is not known."""


class PlanRule(BaseModel):
    """One condition under which a plan is asked about; all that is written must hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    because: Annotated[str, Field(min_length=1, max_length=300)]
    workflows: list[str] = []
    """The workflows whose plans are meant; all, where none is named."""
    steps_above: Annotated[int, Field(ge=0, strict=True)] | None = None
    cost_above: Amount | None = None
    """Met also where the cost cannot be predicted."""
    approvers: Approvers = Approvers()

    def asks(self, plan: Planned) -> bool:
        """True when this rule asks about this plan."""
        if self.workflows and plan.workflow not in self.workflows:
            return False
        if self.steps_above is not None and plan.steps <= self.steps_above:
            return False
        most = self.cost_above
        return most is None or plan.most_micro is None or plan.most_micro > most.minor * 10_000


def rule_for(rules: Sequence[PlanRule], plan: Planned) -> int | None:
    """The place of the first rule that asks about this plan; None where none does."""
    return next((place for place, rule in enumerate(rules) if rule.asks(plan)), None)
