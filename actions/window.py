"""Counts and sums of earlier effects that a rule may ask about, and the hours in which it speaks."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Annotated, Any, Literal, Self, TypeVar
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from actions.exchange import Exchange
from actions.rule_file import Amount, Duration, misplaced
from core.money import Money

Per = Literal["recipient", "requester", "customer", "workflow", "workspace"]


@dataclass(frozen=True)
class Finding:
    """Whether one condition holds (None: it cannot be told), in words."""

    holds: bool | None
    words: str


@dataclass(frozen=True)
class Window:
    """Which earlier effects count together: of these actions, for the same recipient (or …), within this time."""

    covers: str
    """An action, a family such as `payment.*`, or `*`."""
    per: Per
    within: timedelta

    def to_json(self) -> list[Any]:
        """This as plain data."""
        return [self.covers, self.per, int(self.within.total_seconds())]

    @classmethod
    def from_json(cls, data: Sequence[Any]) -> "Window":
        """What `to_json` wrote down."""
        return cls(data[0], data[1], timedelta(seconds=data[2]))


@dataclass(frozen=True)
class Tally:
    """The earlier effects of one window, without the one that is judged: how many, and what each currency sums to."""

    count: int
    moved: tuple[Money, ...] = ()

    def to_json(self) -> list[Any]:
        """This as plain data."""
        return [self.count, [[money.minor, money.currency] for money in self.moved]]

    @classmethod
    def from_json(cls, data: Sequence[Any]) -> "Tally":
        """What `to_json` wrote down."""
        return cls(data[0], tuple(Money(minor, currency) for minor, currency in data[1]))


class _Limited(BaseModel):
    """One limit over a window; the effect that is judged counts as one of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    per: Per
    within: Duration

    def window(self, covers: str) -> Window:
        """The window this looks at, for a rule that covers these actions."""
        return Window(covers, self.per, self.within)

    @cached_property
    def _where(self) -> str:
        return f"for this {self.per} within {_in_words(self.within)}"


Limited = TypeVar("Limited", bound=_Limited)


class Counted(_Limited):
    """How many effects, this one included."""

    above: Annotated[int, Field(ge=0, le=1_000_000, strict=True)] | None = None
    at_most: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] | None = None

    @model_validator(mode="after")
    def _has_one_limit(self) -> Self:
        return _with_one_limit(self, self.above, self.at_most)

    def finding(self, tally: Tally | None) -> Finding:
        """Whether this limit is kept or exceeded once this effect is counted too."""
        limit = self.above if self.above is not None else self.at_most
        if tally is None or limit is None:
            return Finding(None, f"how many there were {self._where} is not known")
        exceeds = tally.count + 1 > limit
        words = f"this is number {tally.count + 1} {self._where}, {'above' if exceeds else 'at most'} {limit}"
        return Finding(exceeds is (self.above is not None), words)


class Summed(_Limited):
    """How much money, this effect's included, in the base currency."""

    above: Amount | None = None
    at_most: Amount | None = None

    @model_validator(mode="after")
    def _has_one_limit(self) -> Self:
        return _with_one_limit(self, self.above, self.at_most)

    def finding(self, tally: Tally | None, amount: Money | None, exchange: Exchange) -> Finding:
        """Whether this limit is kept or exceeded once this effect's amount is added."""
        limit = self.above if self.above is not None else self.at_most
        if tally is None or limit is None:
            return Finding(None, f"how much was moved {self._where} is not known")
        if amount is None or amount.minor < 0:
            return Finding(None, f"the amount is not known, so the sum {self._where} cannot be told")
        total = Money(0, limit.currency)
        for part in (*tally.moved, amount):
            converted = exchange.in_base(part)
            if converted is None or converted.currency != limit.currency:
                return Finding(None, f"{part.currency} cannot be added to the sum {self._where}")
            total += converted
        exceeds = total > limit
        words = f"{total} {self._where} is {'above' if exceeds else 'at most'} {limit}"
        return Finding(exceeds is (self.above is not None), words)


def _with_one_limit(made: Limited, above: object, at_most: object) -> Limited:
    if (above is None) is (at_most is None):
        raise misplaced("a window needs one limit. Write above or at_most, and not both.", "within")
    return made


def _in_words(span: timedelta) -> str:
    minutes = int(span.total_seconds()) // 60
    for unit, size in (("d", 1440), ("h", 60)):
        if minutes % size == 0:
            return f"{minutes // size}{unit}"
    return f"{minutes}m"


def as_list(value: object) -> object:
    """One entry written without its list."""
    return [value] if isinstance(value, dict | BaseModel) else value  # pyright: ignore[reportUnknownVariableType]


Counts = Annotated[list[Counted], BeforeValidator(as_list)]
Sums = Annotated[list[Summed], BeforeValidator(as_list)]

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _days(value: object) -> object:
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"([a-z]{3})(?:-([a-z]{3}))?", value)
    if found is None or not {found[1], found[2] or found[1]} <= set(_DAYS):
        raise ValueError(f"{value!r} is not a day or a span of days. Write such as mon-fri, or [mon, wed].")
    first, last = _DAYS.index(found[1]), _DAYS.index(found[2] or found[1])
    return [_DAYS[place % 7] for place in range(first, last + 1 if last >= first else last + 8)]


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{value!r} is not a time zone. Write one such as Europe/Berlin or UTC.") from error
    return value


def _between(value: object) -> object:
    found = re.fullmatch(r"(\d\d):(\d\d)-(\d\d):(\d\d)", value) if isinstance(value, str) else None
    if found is None:
        return value
    hours = [int(part) for part in found.groups()]
    start, end = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
    if hours[1] > 59 or hours[3] > 59 or start >= 1440 or end > 1440 or start == end:
        raise ValueError(f"{value!r} is not a span of hours. Write one such as 09:00-18:00.")
    return value


class Hours(BaseModel):
    """A span of the day on days of the week, in one time zone; what passes midnight belongs to its first day."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    between: Annotated[str, BeforeValidator(_between), Field(pattern=r"^\d\d:\d\d-\d\d:\d\d$")]
    days: Annotated[list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]], BeforeValidator(_days)] = list(
        _DAYS
    )
    zone: Annotated[str, AfterValidator(_zone)] = "UTC"

    @cached_property
    def _span(self) -> tuple[int, int]:
        start, end = (int(part[:2]) * 60 + int(part[3:]) for part in self.between.split("-"))
        return start, end

    def holds(self, at: datetime) -> bool:
        """True when `at` falls into these hours; the first minute belongs to them, the last one does not."""
        return self._holds(at.astimezone(ZoneInfo(self.zone)))

    def _holds(self, local: datetime) -> bool:
        start, end = self._span
        minute, today, before = local.hour * 60 + local.minute, local.weekday(), (local.weekday() - 1) % 7
        if start < end:
            return _DAYS[today] in self.days and start <= minute < end
        return (_DAYS[today] in self.days and minute >= start) or (_DAYS[before] in self.days and minute < end)

    def finding(self, at: datetime | None, *, inside: bool) -> Finding:
        """Whether `at` is inside (or outside) of these hours."""
        if at is None:
            return Finding(None, "the time is not known")
        local = at.astimezone(ZoneInfo(self.zone))
        return Finding(self._holds(local) is inside, f"it is {_DAYS[local.weekday()]} {local:%H:%M} in {self.zone}")
