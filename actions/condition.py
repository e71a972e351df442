"""What policy looks at, and the conditions a rule may put; one that cannot be told is neither true nor false."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from actions.exchange import Exchange
from actions.rule_file import Amount, misplaced
from actions.team import Role
from actions.window import Counted, Counts, Finding, Hours, Summed, Sums, Tally, Window
from core.money import Money

__all__ = ["Conditions", "Considered", "Finding", "is_named"]


@dataclass(frozen=True)
class Considered:
    """One effect that somebody wants, as policy sees it; an empty text or set, or None, means that it is not known."""

    action: str
    effect: str
    connector: str
    sandbox: bool
    workflow: str
    requester_roles: frozenset[str]
    amount: Money | None
    unendorsed: tuple[str, ...]
    """Target, amount or recipient that come from outside and that no trusted record endorses."""
    label: str = ""
    """The lowest trust label among target, amount and recipient."""
    at: datetime | None = None
    first_time_recipient: bool | None = None
    """True when no earlier effect of this action reached this recipient."""
    near_limit: bool | None = None
    """True when four fifths of a limit that covers this, or more, are used already."""
    is_unseen: bool = False
    """True for a tool of another system that nobody has agreed to yet as it describes itself now."""
    windows: Mapping[Window, Tally] = field(default_factory=dict[Window, Tally])
    """What the ledger says of each window that the rules ask about; one that is missing is not known."""

    def to_json(self) -> dict[str, Any]:
        """This as plain data, as it is kept with a decision."""
        plain = {
            name: getattr(self, name) for name in ("action", "effect", "connector", "sandbox", "workflow", "label")
        }
        return {
            **plain,
            "requester_roles": sorted(self.requester_roles),
            "amount": None if self.amount is None else [self.amount.minor, self.amount.currency],
            "unendorsed": list(self.unendorsed),
            "at": None if self.at is None else self.at.isoformat(),
            "first_time_recipient": self.first_time_recipient,
            "near_limit": self.near_limit,
            "is_unseen": self.is_unseen,
            "windows": [[*window.to_json(), *tally.to_json()] for window, tally in self.windows.items()],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Considered":
        """What `to_json` wrote down."""
        names = ("action", "effect", "connector", "sandbox", "workflow", "label", "first_time_recipient", "near_limit")
        return cls(
            **{name: data[name] for name in names},
            requester_roles=frozenset(data["requester_roles"]),
            amount=None if data["amount"] is None else Money(*data["amount"]),
            unendorsed=tuple(data["unendorsed"]),
            at=None if data["at"] is None else datetime.fromisoformat(data["at"]),
            is_unseen=data.get("is_unseen", False),
            windows={Window.from_json(entry[:3]): Tally.from_json(entry[3:]) for entry in data["windows"]},
        )


#: Whether one condition holds for an effect, in words; made once for each rule.
Check = Callable[[Considered, Exchange], Finding]


def _as_names(value: object) -> object:
    return [value] if isinstance(value, str) else value


class Conditions(BaseModel):
    """When a rule matches: all that are written must hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    amount_at_most: Amount | None = None
    amount_above: Amount | None = None
    currency: (
        Annotated[list[Annotated[str, Field(pattern="^[A-Z]{3}$")]], BeforeValidator(_as_names), Field(min_length=1)]
        | None
    ) = None
    count: Counts = []
    sum: Sums = []
    workflow: str | None = None
    connector: str | None = None
    requester_role: Role | None = None
    unendorsed: bool | None = None
    label: Literal["operator", "member", "external"] | None = None
    first_time_recipient: bool | None = None
    near_limit: bool | None = None
    hours: Hours | None = None
    outside_hours: Hours | None = None
    sandbox: bool | None = None

    @model_validator(mode="after")
    def _can_hold(self) -> Self:
        low, high = self.amount_above, self.amount_at_most
        if low is not None and high is not None and low.currency == high.currency and low >= high:
            raise misplaced(f"no amount is above {low} and at most {high}. Correct one.", "amount_above")
        return self

    @property
    def limits(self) -> Iterator[tuple[tuple[str | int, ...], Money]]:
        """Every amount of money written here, with its place."""
        for name in ("amount_at_most", "amount_above"):
            limit: Money | None = getattr(self, name)
            if limit is not None:
                yield (name,), limit
        for position, each in enumerate(self.sum):
            for name in ("above", "at_most"):
                limit = getattr(each, name)
                if limit is not None:
                    yield ("sum", position, name), limit

    def windows(self, covers: str) -> Iterator[Window]:
        """The windows these conditions look at, for a rule that covers these actions."""
        for each in (*self.count, *self.sum):
            yield each.window(covers)

    def checks(self, covers: str) -> Iterator[Check]:
        """One check for each condition that is written, in the order in which its words are told."""
        yield from self._about_money()
        for count in self.count:
            yield partial(_counted, count, count.window(covers))
        for total in self.sum:
            yield partial(_summed, total, total.window(covers))
        yield from self._about_source()
        yield from self._about_time_and_habit()

    def _about_money(self) -> Iterator[Check]:
        if self.amount_at_most is not None:
            yield partial(_against, self.amount_at_most, False)
        if self.amount_above is not None:
            yield partial(_against, self.amount_above, True)
        if self.currency is not None:
            yield partial(_in_currency, frozenset(self.currency))

    def _about_source(self) -> Iterator[Check]:
        if self.workflow is not None:
            yield _named("the workflow", "workflow", self.workflow)
        if self.connector is not None:
            yield _named("the connector", "connector", self.connector)
        if self.requester_role is not None:
            yield partial(_has_role, self.requester_role)
        if self.unendorsed is not None:
            yield partial(_unendorsed, self.unendorsed)
        if self.label is not None:
            yield _named("the lowest trust label", "label", self.label)
        if self.sandbox is not None:
            yield partial(_pretends, self.sandbox)

    def _about_time_and_habit(self) -> Iterator[Check]:
        if self.first_time_recipient is not None:
            yield partial(_is_new, self.first_time_recipient)
        if self.near_limit is not None:
            yield partial(_is_near, self.near_limit)
        if self.hours is not None:
            yield partial(_at, self.hours, True)
        if self.outside_hours is not None:
            yield partial(_at, self.outside_hours, False)


def _counted(count: Counted, window: Window, considered: Considered, exchange: Exchange) -> Finding:
    del exchange
    return count.finding(considered.windows.get(window))


def _summed(total: Summed, window: Window, considered: Considered, exchange: Exchange) -> Finding:
    return total.finding(considered.windows.get(window), considered.amount, exchange)


def _named(what: str, field: str, wanted: str) -> Check:
    """A check that this field of the effect is called as wanted."""

    def check(considered: Considered, exchange: Exchange) -> Finding:
        del exchange
        return is_named(what, getattr(considered, field), wanted)

    return check


def is_named(what: str, found: str, wanted: str) -> Finding:
    """Whether `what` is called as wanted; not known where it has no name."""
    if not found:
        return Finding(None, f"{what} is not known")
    return Finding(found == wanted, f"{what} is {found}")


def _is_new(wanted: bool, considered: Considered, exchange: Exchange) -> Finding:
    del exchange
    found = considered.first_time_recipient
    words = {None: "whether this recipient is new is not known", True: "this recipient is new"}
    return _is(found, wanted, words.get(found, "this recipient is known"))


def _is_near(wanted: bool, considered: Considered, exchange: Exchange) -> Finding:
    del exchange
    found = considered.near_limit
    words = {None: "how close recent amounts came to a limit is not known", True: "recent amounts hug a limit"}
    return _is(found, wanted, words.get(found, "recent amounts keep away from the limits"))


def _is(found: bool | None, wanted: bool, words: str) -> Finding:
    return Finding(None if found is None else found is wanted, words)


def _at(hours: Hours, inside: bool, considered: Considered, exchange: Exchange) -> Finding:
    del exchange
    return hours.finding(considered.at, inside=inside)


def _against(limit: Money, above: bool, considered: Considered, exchange: Exchange) -> Finding:
    amount = considered.amount
    if amount is None:
        return Finding(None, f"the amount is not known, so the limit of {limit} cannot be checked")
    converted = exchange.in_base(amount)
    if converted is None or converted.currency != limit.currency or amount.minor < 0:
        return Finding(None, f"{amount} cannot be compared with the limit of {limit}")
    exceeds = converted > limit
    shown = f"{amount}" if amount.currency == limit.currency else f"{amount} (worth {converted})"
    return Finding(exceeds is above, f"{shown} is {'above' if exceeds else 'at most'} {limit}")


def _in_currency(wanted: frozenset[str], considered: Considered, exchange: Exchange) -> Finding:
    del exchange
    known = considered.amount
    words = "the currency is not known" if known is None else f"the currency is {known.currency}"
    return Finding(None if known is None else known.currency in wanted, words)


def _has_role(wanted: str, considered: Considered, exchange: Exchange) -> Finding:
    del exchange
    roles = considered.requester_roles
    if not roles:
        return Finding(None, "the requester's role is not known")
    return Finding(wanted in roles, f"the requester is {', '.join(sorted(roles))}")


def _unendorsed(wanted: bool, considered: Considered, exchange: Exchange) -> Finding:
    del exchange
    words = "a value comes from outside and is not endorsed" if considered.unendorsed else "all is endorsed"
    return Finding(bool(considered.unendorsed) == wanted, words)


def _pretends(wanted: bool, considered: Considered, exchange: Exchange) -> Finding:
    del exchange
    words = "the connector only pretends" if considered.sandbox else "the connector is a real one"
    return Finding(considered.sandbox == wanted, words)
