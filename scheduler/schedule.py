"""A standing order to start a workflow: its rule in time, and which of its fires are owed; no clock, no database."""

import re
from calendar import monthrange
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import Protocol
from zoneinfo import ZoneInfo

from core.errors import CountersignError
from core.ids import ScheduleId
from core.outbox import Conversation

#: How far ahead a next fire is looked for: the longest wait of any cron is for the next 29 February.
_HORIZON = timedelta(days=366 * 9)


class ScheduleInvalid(CountersignError):
    """A rule in time that cannot be understood, or that never comes true."""


class CatchUp(StrEnum):
    """What happens to missed fires."""

    SKIP = "skip"
    LATEST = "latest"
    ALL = "all"


class Overlap(StrEnum):
    """What happens to a fire while the run of the one before still goes."""

    SKIP = "skip"
    QUEUE = "queue"
    ALLOW = "allow"


@dataclass(frozen=True)
class Schedule:
    """A standing order to start a workflow."""

    schedule_id: ScheduleId
    workspace: str
    workflow: str
    text: str
    """What is asked of the workflow, after its name."""
    cron: str
    """Minute, hour, day, month, weekday; a sixth field in front counts seconds (people cannot ask for it)."""
    zone: str
    """The IANA name of the zone whose wall clock counts."""
    owner: str
    """Slack user id of the person on whose behalf it runs."""
    conversation: Conversation
    paused: bool = False
    catch_up: CatchUp = CatchUp.LATEST
    overlap: Overlap = Overlap.SKIP
    max_late: timedelta = timedelta(hours=6)
    """How late a fire still counts."""
    version: int = 1
    """Rises with every pause, resume and removal."""
    created_at: datetime | None = None
    """Set by the store."""


class Times(Protocol):
    """Computes the instants a cron means."""

    def __call__(self, cron: str, zone: str, after: datetime, until: datetime) -> Iterator[datetime]:
        """The instants in UTC, in order, later than `after` and not later than `until`."""
        ...


def follows_the_wall(cron: str) -> bool:
    """True when `cron` names hours, so that each wall time counts once; with any hour (`*`) real hours count."""
    return "*" not in cron.split()[-4]


def fire_key(schedule: Schedule, due: datetime) -> str:
    """The name of one due occurrence: the local wall time where hours are named, else the instant in UTC.

    A wall time that comes twice in autumn is one fire; an hour that comes twice is two.
    """
    if follows_the_wall(schedule.cron):
        return due.astimezone(ZoneInfo(schedule.zone)).replace(tzinfo=None).isoformat()
    return due.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def due_between(schedule: Schedule, after: datetime, until: datetime, *, times: Times) -> list[datetime]:
    """When `schedule` is due, later than `after` and not later than `until`, once per fire key."""
    return list(_once_each(schedule, times(schedule.cron, schedule.zone, after, until)))


def next_due(schedule: Schedule, after: datetime, n: int, *, times: Times) -> list[datetime]:
    """The next `n` instants at which `schedule` is due; fewer where nine years do not hold as many."""
    return list(islice(_once_each(schedule, times(schedule.cron, schedule.zone, after, after + _HORIZON)), n))


def _once_each(schedule: Schedule, dues: Iterator[datetime]) -> Iterator[datetime]:
    before = ""
    for due in dues:
        key = fire_key(schedule, due)
        # In autumn the repeated hour comes again as a whole, so a key may return after others: text order tells.
        if key > before:
            before = key
            yield due


@dataclass(frozen=True)
class Reckoning:
    """What becomes of fires that nobody fired in time."""

    start: tuple[datetime, ...] = ()
    missed: tuple[datetime, ...] = ()
    """Passed over by the catch-up policy."""
    late: tuple[datetime, ...] = ()
    """Later than the schedule allows."""


def reckon(schedule: Schedule, missing: Sequence[datetime], now: datetime) -> Reckoning:
    """Divide `missing` fires, oldest first, by the schedule's catch-up policy and by how late it allows."""
    late = tuple(due for due in missing if now - due > schedule.max_late)
    rest = tuple(missing[len(late) :])
    match schedule.catch_up:
        case CatchUp.ALL:
            return Reckoning(start=rest, late=late)
        case CatchUp.LATEST:
            return Reckoning(start=rest[-1:], missed=rest[:-1], late=late)
        case CatchUp.SKIP:
            return Reckoning(missed=rest, late=late)


@dataclass(frozen=True)
class When:
    """A rule in time as a person wrote it."""

    cron: str
    zone: str | None
    """None when the person named no zone."""
    rest: str = ""
    """What they wrote after it."""


_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_DAY_NAMES = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_STEP = r"\*(?:/(\d+))?"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAY = r"(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?s?"
_AT = r"\s+at\s+(?P<hour>\d{1,2})(?::(?P<minute>\d{2}))?(?:\s*(?P<half>am|pm))?\b"
_FORMS = (
    re.compile(r"(?P<quote>[\"'`“])(?P<cron>[^\"'`”]*)[\"'`”]"),
    re.compile(rf"every\s+(?P<days>weekday|day|{_DAY}(?:(?:\s*,\s*|\s+and\s+|\s*,\s*and\s+){_DAY})*)s?{_AT}", re.I),
    re.compile(r"every\s+(?:(?P<count>\d+)\s+)?(?P<unit>minute|hour)s?\b", re.I),
)
_ZONE = re.compile(r"\s+in\s+(?P<zone>[\w/+\-]+)")
_HELP = 'Write for example `every weekday at 09:00`, `every 15 minutes` or `"0 9 * * mon-fri"`, and `in Europe/Berlin`.'


def parse_when(text: str) -> When:
    """The rule in time that `text` begins with, and what follows it; raises ScheduleInvalid."""
    text = text.strip()
    for form in _FORMS:
        found = form.match(text)
        if found is not None:
            break
    else:
        raise ScheduleInvalid(f"I cannot tell when “{text[:80]}” is. {_HELP}")
    cron = checked_cron(_cron_of(found.groupdict()))
    zone = _ZONE.match(text, found.end())
    rest = text[zone.end() if zone else found.end() :].lstrip(" ,:;")
    return When(cron, checked_zone(zone["zone"]) if zone else None, rest)


def in_words(cron: str) -> str:
    """How people write this cron, so that `parse_when` understands it again; empty where they have no words for it."""
    minute, hour, *_, weekday = cron.split()
    daily = re.fullmatch(r"(\d+) (\d+) \* \* \S+", cron)
    if daily is not None:
        named = {"*": "day", "mon,tue,wed,thu,fri": "weekday"}.get(weekday)
        *others, last = [_DAY_NAMES[_WEEKDAYS.index(day)] for day in weekday.split(",")] if named is None else [named]
        days = f"{', '.join(others)} and {last}" if others else last
        return f"every {days} at {int(hour):02}:{int(minute):02}"
    for form, unit in ((rf"{_STEP} \* \* \* \*", "minute"), (rf"0 {_STEP} \* \* \*", "hour")):
        found = re.fullmatch(form, cron)
        if found is not None:
            return f"every {found[1]} {unit}s" if found[1] else f"every {unit}"
    return ""


def _cron_of(found: dict[str, str | None]) -> str:
    if found.get("cron") is not None:
        return str(found["cron"])
    if unit := found.get("unit"):
        return _every(int(found.get("count") or 1), unit.lower())
    hour, minute = _time_of_day(str(found["hour"]), found.get("minute"), found.get("half"))
    days = str(found["days"]).lower()
    named = {"day": "*", "weekday": "mon-fri"}.get(days)
    return f"{minute} {hour} * * {named or ','.join(day[:3] for day in re.findall(_DAY, days))}"


def _every(count: int, unit: str) -> str:
    whole = 60 if unit == "minute" else 24
    if count < 1 or whole % count:
        raise ScheduleInvalid(
            f"Every {count} {unit}s does not divide {whole} {unit}s evenly. Choose a divisor of {whole}, such as"
            f" {'15' if whole == 60 else '6'}."
        )
    step = "*" if count == 1 else f"*/{count}"
    return f"{step} * * * *" if unit == "minute" else f"0 {step} * * *"


def _time_of_day(hour: str, minute: str | None, half: str | None) -> tuple[int, int]:
    at = int(hour)
    if half is not None:
        if not 1 <= at <= 12:
            raise ScheduleInvalid(f"There is no {at} {half.lower()}. Write a time such as 9:00 or 6:30 pm.")
        at = at % 12 + (12 if half.lower() == "pm" else 0)
    if at > 23 or int(minute or 0) > 59:
        raise ScheduleInvalid(f"{hour}:{minute or '00'} is not a time of day. Write a time from 0:00 to 23:59.")
    return at, int(minute or 0)


def checked_zone(name: str) -> str:
    """`name` if it is a zone of the IANA database; raises ScheduleInvalid."""
    try:
        return ZoneInfo(name).key
    except (LookupError, ValueError, OSError) as error:
        raise ScheduleInvalid(
            f"“{name}” is not a time zone I know. Write an IANA name, such as Europe/Berlin."
        ) from error


_ITEM = re.compile(r"(?P<first>\*|\w+)(?:-(?P<last>\w+))?(?:/(?P<step>\d+))?$")


def checked_cron(cron: str) -> str:
    """A five-field cron in one unambiguous spelling (weekdays by name); raises ScheduleInvalid."""
    fields = cron.lower().split()
    if len(fields) != 5:
        raise ScheduleInvalid(
            f"“{cron}” has {len(fields)} fields; a cron has five: minute, hour, day, month, weekday. {_HELP}"
        )
    minute, hour, day, month, weekday = fields
    _values(minute, "minute", 0, 59)
    _values(hour, "hour", 0, 23)
    days, months = _values(day, "day", 1, 31), _values(month, "month", 1, 12, _MONTHS)
    weekdays = _values(weekday, "weekday", 0, 7, _WEEKDAYS)
    if "*" not in (day, weekday):
        raise ScheduleInvalid(
            f"“{cron}” names days and weekdays, which crons read differently. Make two schedules of it."
        )
    # 2024 is a leap year: 29 February comes true now and then, 30 February never.
    if min(days) > max(monthrange(2024, number)[1] for number in months):
        raise ScheduleInvalid(f"“{cron}” never comes true: none of its months has that day.")
    # Numbers mean other weekdays elsewhere (0 is Sunday to cron, Monday to others); names mean one.
    named = "*" if weekday == "*" else ",".join(_WEEKDAYS[n] for n in sorted({n % 7 for n in weekdays}))
    return f"{minute} {hour} {day} {month} {named}"


def _values(field: str, name: str, low: int, high: int, names: Sequence[str] = ()) -> list[int]:
    values: list[int] = []
    for item in field.split(","):
        found = _ITEM.match(item)
        if found is None:
            raise _wrong(field, name, low, high)
        values += _item_values(found, name, (low, high), names)
    return values


def _item_values(found: re.Match[str], name: str, bounds: tuple[int, int], names: Sequence[str]) -> list[int]:
    low, high = bounds
    offset = 0 if name == "weekday" else 1
    known = {word: number + offset for number, word in enumerate(names)}
    first_text, last_text, step_text = found.group("first", "last", "step")

    def number(text: str) -> int:
        value = known.get(text, int(text) if text.isdecimal() else -1)
        if not low <= value <= high:
            raise _wrong(found.string, name, low, high)
        return value

    whole = first_text == "*"
    first = low if whole else number(first_text)
    last = number(last_text) if last_text else (high if whole or step_text else first)
    step = int(step_text or 1)
    if (whole and last_text) or first > last or not 1 <= step <= max(last - first, 1):
        raise _wrong(found.string, name, low, high)
    return list(range(first, last + 1, step))


def _article(name: str) -> str:
    return "an" if name == "hour" else "a"


def _wrong(field: str, name: str, low: int, high: int) -> ScheduleInvalid:
    return ScheduleInvalid(
        f"“{field}” is not {_article(name)} {name} of a cron: use numbers from {low} to {high}, `*`, lists,"
        " ranges (`a-b`) or steps (`*/n`)."
    )
