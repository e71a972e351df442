"""How often an outside system may be called."""

from pydantic import BaseModel, ConfigDict, Field

from actions.rule_file import Duration


class Rate(BaseModel):
    """So many calls within some time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    calls: int = Field(ge=1, le=100_000, strict=True)
    per: Duration

    def __str__(self) -> str:
        return f"{self.calls} calls in {self.per.total_seconds():g} s"
