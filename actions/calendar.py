"""Business hours: which time counts while people are waited for, in one time zone with its summer time."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from actions.rule_file import misplaced

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
#: No waiting is longer than this, so a calendar that never opens again cannot keep anybody counting.
_FARTHEST = timedelta(days=3700)


def _clock_time(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d|24:00", value):
        return value
    if isinstance(value, int) and 0 <= value <= 24 * 60:
        # YAML reads 17:00 without quotes as a number of minutes.
        return f"{value // 60:02}:{value % 60:02}"
    raise ValueError(f"{value!r} is not a time of day. Write one such as 09:00.")


def _zone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError(f"{value!r} is not a time zone. Write one such as Europe/Stockholm.")
    return value


TimeOfDay = Annotated[str, BeforeValidator(_clock_time)]
ZoneName = Annotated[str, AfterValidator(_zone)]


class BusinessHours(BaseModel):
    """The hours of the week in which people can be expected to answer."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    days: Annotated[list[Day], Field(min_length=1)] = ["mon", "tue", "wed", "thu", "fri"]
    opens: Annotated[TimeOfDay, Field(alias="from")] = "09:00"
    closes: Annotated[TimeOfDay, Field(alias="to")] = "17:00"
    zone: ZoneName = "UTC"

    @model_validator(mode="after")
    def _opens_before_it_closes(self) -> Self:
        if self.opens >= self.closes:
            raise misplaced(f"no hour lies between {self.opens} and {self.closes} of one day. Correct one.", "to")
        return self


class Calendar(BaseModel):
    """Which time counts: business hours without holidays, or all of it where no hours are given."""

    model_config = ConfigDict(frozen=True)

    hours: BusinessHours | None = None
    holidays: frozenset[date] = frozenset()

    def after(self, start: datetime, counted: timedelta) -> datetime:
        """The instant at which `counted` time that counts has passed since `start`."""
        # Between two instants of one zone Python counts what the wall clock shows, not what has passed.
        start, left = start.astimezone(UTC), counted
        if self.hours is None:
            return start + counted
        for opens, closes in self._open_times(start):
            begin = max(start, opens)
            if closes - begin >= left:
                return begin + left
            left -= closes - begin
        return start + _FARTHEST

    def is_open(self, at: datetime) -> bool:
        """True when time counts at this instant."""
        return self.hours is None or any(opens <= at < closes for opens, closes in self._open_times(at, days=1))

    def _open_times(self, since: datetime, *, days: int = _FARTHEST.days) -> Iterator[tuple[datetime, datetime]]:
        """The stretches that count and end after `since`, in UTC and in order: real time, whatever clocks show."""
        assert self.hours is not None
        zone = ZoneInfo(self.hours.zone)
        first = since.astimezone(zone).date()
        for number in range(days):
            day = first + timedelta(days=number)
            if _DAYS[day.weekday()] not in self.hours.days or day in self.holidays:
                continue
            # An hour that a clock shows twice is open from its first showing to its second.
            opens, closes = (
                _instant(day, self.hours.opens, zone, fold=0),
                _instant(day, self.hours.closes, zone, fold=1),
            )
            if closes > since and closes > opens:
                yield opens, closes


def _instant(day: date, at: str, zone: ZoneInfo, *, fold: int) -> datetime:
    if at == "24:00":
        day, at = day + timedelta(days=1), "00:00"
    hour, minute = map(int, at.split(":"))
    return datetime.combine(day, time(hour, minute, fold=fold), zone).astimezone(UTC)
