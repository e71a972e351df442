"""What thinks: five typed skills, each answer saying who gave it, how sure it is and what it cost."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel

Value = TypeVar("Value")
Schema = TypeVar("Schema", bound=BaseModel)


@dataclass(frozen=True)
class Thought(Generic[Value]):
    """One answer of a skill, with its provenance."""

    value: Value
    reasoner: Literal["rules", "model"]
    model: str | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: Decimal | None = Decimal(0)
    """What the call cost in USD, exact (calls cost fractions of a cent); None where the price is unknown."""
    certain: bool = True
    """False where a person should look before anything is built on it."""
    note: str = ""
    """What a person should know about this answer, in words."""

    @property
    def reasoned_by(self) -> str:
        """Who gave this answer, in words."""
        return "rules" if self.model is None else f"model {self.model}"


@dataclass(frozen=True)
class Example:
    """A sentence with the label it deserves."""

    label: str
    text: str


@dataclass(frozen=True)
class Choice:
    """Something a plan may contain."""

    name: str
    purpose: str


@dataclass(frozen=True)
class Wanted(Generic[Schema]):
    """What to extract from a text: its shape, what it is, and how to find it without a model."""

    schema: type[Schema]
    description: str
    by_rules: Callable[[str], Schema | None]
    """Finds it by pattern, or says None; the workflow checks what is found against trusted records."""


class Reasoner(Protocol):
    """Thinks; never raises because it could not: it falls back, or honestly says that it does not know."""

    async def classify(self, text: str, examples: Sequence[Example]) -> Thought[str | None]:
        """The label `text` deserves among those of `examples`; None when it fits none well enough."""
        ...

    async def extract(self, text: str, wanted: Wanted[Schema]) -> Thought[Schema | None]:
        """What is wanted, found in `text`; None when it is not there."""
        ...

    async def draft(self, template: str, facts: Mapping[str, str]) -> Thought[str]:
        """`template` (with `$name` where a fact belongs) written out; not certain where a person must fill in."""
        ...

    async def summarise(self, texts: Sequence[str], *, sentences: int = 3) -> Thought[str]:
        """What `texts` say, in at most `sentences` sentences."""
        ...

    async def plan(self, goal: str, choices: Sequence[Choice]) -> Thought[tuple[str, ...]]:
        """The names of the choices that reach `goal`, in order; empty and not certain when none does."""
        ...

    async def close(self) -> None:
        """Let go of connections; nothing is asked afterwards."""
        ...
