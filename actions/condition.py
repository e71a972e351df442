"""What policy looks at, and the conditions a rule may put; one that cannot be told is neither true nor false."""

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from actions.rule_file import Amount
from actions.team import Role
from core.money import Money


@dataclass(frozen=True)
class Considered:
    """One effect that somebody wants, as policy sees it; an empty text or set means that it is not known."""

    action: str
    effect: str
    connector: str
    sandbox: bool
    workflow: str
    requester_roles: frozenset[str]
    amount: Money | None
    unendorsed: tuple[str, ...]
    """Target, amount or recipient that come from outside and that no trusted record endorses."""


@dataclass(frozen=True)
class Finding:
    """Whether one condition holds (None: it cannot be told), in words."""

    holds: bool | None
    words: str


class Conditions(BaseModel):
    """When a rule matches: all that are written must hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    amount_at_most: Amount | None = None
    amount_above: Amount | None = None
    workflow: str | None = None
    connector: str | None = None
    requester_role: Role | None = None
    unendorsed: bool | None = None
    sandbox: bool | None = None

    def findings(self, considered: Considered) -> Iterator[Finding]:
        """What each written condition finds."""
        if self.amount_at_most is not None:
            yield _against(considered.amount, self.amount_at_most, above=False)
        if self.amount_above is not None:
            yield _against(considered.amount, self.amount_above, above=True)
        if self.workflow is not None:
            yield is_named("the workflow", considered.workflow, self.workflow)
        if self.connector is not None:
            yield is_named("the connector", considered.connector, self.connector)
        if self.requester_role is not None:
            yield _has_role(considered.requester_roles, self.requester_role)
        if self.unendorsed is not None:
            words = "a value comes from outside and is not endorsed" if considered.unendorsed else "all is endorsed"
            yield Finding(bool(considered.unendorsed) == self.unendorsed, words)
        if self.sandbox is not None:
            words = "the connector only pretends" if considered.sandbox else "the connector is a real one"
            yield Finding(considered.sandbox == self.sandbox, words)


def is_named(what: str, found: str, wanted: str) -> Finding:
    """Whether `what` is called as wanted; not known where it has no name."""
    if not found:
        return Finding(None, f"{what} is not known")
    return Finding(found == wanted, f"{what} is {found}")


def _against(amount: Money | None, limit: Money, *, above: bool) -> Finding:
    if amount is None:
        return Finding(None, f"the amount is not known, so the limit of {limit} cannot be checked")
    if amount.currency != limit.currency or amount.minor < 0:
        return Finding(None, f"{amount} cannot be compared with the limit of {limit}")
    exceeds = amount > limit
    return Finding(exceeds is above, f"{amount} is {'above' if exceeds else 'at most'} {limit}")


def _has_role(roles: frozenset[str], wanted: str) -> Finding:
    if not roles:
        return Finding(None, "the requester's role is not known")
    return Finding(wanted in roles, f"the requester is {', '.join(sorted(roles))}")
