"""The typed list of actions a run intends, checked before anything happens."""

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from actions.intent import Origin, TrustLabel


class Step(BaseModel):
    """One action of a plan, with every argument resolved and where each came from."""

    model_config = ConfigDict(extra="forbid")

    key: str
    """Names the effect within the run: asking twice under one key happens once."""
    action: str
    args: dict[str, Any]
    group: str = ""
    """Steps of one group depend on one another: when one does not happen, those after it are skipped."""
    origins: dict[str, tuple[TrustLabel, str | None]] = Field(default_factory=dict)
    evidence: list[str] = Field(default_factory=list)
    compensates: str = ""
    """The intent that this step takes back, where it does."""
    plan_rule: int | None = None
    """Which rule of the policy asks about the plan as a whole, where one does."""

    def origin_of(self) -> dict[str, Origin]:
        """Where each argument came from, as the gateway wants it."""
        return {name: Origin(label, endorsed_by) for name, (label, endorsed_by) in self.origins.items()}


class Plan(BaseModel):
    """What a run intends to do."""

    summary: str
    steps: list[Step]
    notes: list[str] = Field(default_factory=list)
    """What the plan leaves out and why, for the report."""

    @property
    def sha256(self) -> str:
        """What tells this plan from any other: a dropped step makes another plan."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()

    def without(self, key: str) -> "Plan":
        """This plan but for one step."""
        return self.model_copy(update={"steps": [step for step in self.steps if step.key != key]})


class NoPlan(Exception):
    """A workflow found that there is nothing it may or can do; `text` says so, naming the rule, and what to do."""

    def __init__(self, text: str, *, rule: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.rule = rule

    def __str__(self) -> str:
        return f"{self.text} (rule {self.rule})" if self.rule else self.text
