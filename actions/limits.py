"""Caps on what effects may come to within a span of time, and what one effect would take from each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from actions.pattern import Pattern, covers
from actions.rule_file import Amount, Duration, misplaced
from actions.team import Approvers
from core.money import Money

Per = Literal["recipient", "requester", "customer", "workflow", "action", "workspace"]

#: A window is counted in so many slots: what was used counts for the whole window, and for one slot more at most.
SLOTS = 24
#: From this share of a cap on, the next effect is said to be near it.
NEAR = 0.8

_NAMED = {"m": 60, "h": 3600, "d": 86400}


class Limit(BaseModel):
    """A cap: how much, or how often, per whom and within which time; at the cap a person is asked, or nothing runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=60)]
    because: Annotated[str, Field(min_length=1, max_length=300)]
    """The reason, as a sentence for the people who read the card."""
    action: Pattern
    per: Per = "workspace"
    amount: Amount | None = None
    count: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] | None = None
    within: Duration
    at_cap: Literal["ask", "deny"] = "ask"
    approvers: Approvers | None = None
    """Who may permit one effect beyond the cap; an admin where nobody is named."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.amount is None and self.count is None:
            raise misplaced("a limit caps something. Add amount, count or both.", "amount")
        if self.amount is not None and self.amount.minor == 0:
            raise misplaced("a cap of nothing is a rule that denies. Write a rule, or a larger amount.", "amount")
        if self.at_cap == "deny" and self.approvers is not None:
            raise misplaced("a limit that denies asks nobody. Remove approvers.", "approvers")
        return self

    @property
    def rule(self) -> str:
        """How decisions name this limit."""
        return f"limit:{self.id}"

    @property
    def asks(self) -> Approvers:
        """Who may permit one effect beyond the cap."""
        return self.approvers or Approvers(role="admin")

    @property
    def slot(self) -> int:
        """The length of one slot in seconds."""
        return ceil(self.within.total_seconds() / SLOTS)


def check_limits(limits: Sequence[Limit], base_currency: str) -> None:
    """Refuse limits that share a name or are not in the base currency; raises the error of a misplaced entry."""
    seen: set[str] = set()
    for position, limit in enumerate(limits):
        if limit.id in seen:
            raise misplaced(f"two limits are called {limit.id!r}. Rename one.", "limits", position, "id")
        seen.add(limit.id)
        if limit.amount is not None and limit.amount.currency != base_currency:
            reason = f"{limit.amount} is not in the base currency. Write the cap in {base_currency}."
            raise misplaced(reason, "limits", position, "amount")


@dataclass(frozen=True)
class Charge:
    """One effect as limits see it; an empty text means that it is not known."""

    action: str
    workspace: str
    workflow: str
    requester: str
    recipient: str
    customer: str
    moves_money: bool
    amount: Money | None
    """In the base currency; None where it cannot be told."""

    def subject(self, per: Per) -> str:
        """What a limit per `per` counts this effect under."""
        return str(getattr(self, per))


@dataclass(frozen=True)
class Draw:
    """What one effect would take from one limit."""

    limit: Limit
    subject: str
    minor: int

    @property
    def cap_minor(self) -> int | None:
        """The cap in minor units, where there is one on money."""
        return None if self.limit.amount is None else self.limit.amount.minor


@dataclass(frozen=True)
class Used:
    """What a limit has used up before this effect."""

    minor: int
    effects: int


@dataclass(frozen=True)
class Reached:
    """A limit that one effect would exceed, or of which that cannot be told, in words."""

    limit: Limit
    words: str


def draws_of(limits: Sequence[Limit], charge: Charge) -> tuple[list[Draw], list[Reached]]:
    """What this effect takes from each limit that covers it, in one order for all; and those that cannot be told."""
    draws: list[Draw] = []
    untold: list[Reached] = []
    for limit in sorted(limits, key=lambda each: each.id):
        if not covers(limit.action, charge.action):
            continue
        subject, minor = charge.subject(limit.per), _minor(limit, charge)
        if subject and minor is not None:
            draws.append(Draw(limit, subject, minor))
        elif not subject:
            untold.append(Reached(limit, f"the {limit.per} is not known, so the cap cannot be checked"))
        else:
            untold.append(Reached(limit, "the amount cannot be compared with the cap"))
    return draws, untold


def _minor(limit: Limit, charge: Charge) -> int | None:
    """What counts against the cap on money; None where it cannot be told."""
    if limit.amount is None or not charge.moves_money:
        return 0
    amount = charge.amount
    if amount is None or amount.minor < 0 or amount.currency != limit.amount.currency:
        return None
    return amount.minor


def exceeded(draw: Draw, used: Used) -> Reached | None:
    """The limit in words, where this effect on top of what is used would exceed it."""
    limit, found = draw.limit, list[str]()
    if limit.amount is not None and used.minor + draw.minor > limit.amount.minor:
        before, more = Money(used.minor, limit.amount.currency), Money(draw.minor, limit.amount.currency)
        found.append(f"{before} of {limit.amount} used, this adds {more}")
    if limit.count is not None and used.effects + 1 > limit.count:
        found.append(f"{used.effects} of {limit.count} used, this adds one")
    return Reached(limit, "; ".join(found)) if found else None


def is_near(draw: Draw, used: Used) -> bool:
    """True when four fifths of the limit, or more, are used already."""
    limit = draw.limit
    money = limit.amount is not None and used.minor >= NEAR * limit.amount.minor
    return money or (limit.count is not None and used.effects >= NEAR * limit.count)


def span(within: timedelta) -> str:
    """A window in words."""
    seconds = int(within.total_seconds())
    for unit, each in reversed(_NAMED.items()):
        if seconds % each == 0:
            word = {"m": "minute", "h": "hour", "d": "day"}[unit]
            many = seconds // each
            return f"{many} {word}s" if many > 1 else f"a {word}" if unit != "h" else "an hour"
    return f"{seconds} seconds"


def reason_of(reached: Reached) -> str:
    """Why a limit stands in the way, as one sentence for the card."""
    limit = reached.limit
    per = "" if limit.per == "workspace" else f" per {limit.per}"
    return f"{limit.because.rstrip('.')} ({limit.rule}{per} within {span(limit.within)}: {reached.words})."
