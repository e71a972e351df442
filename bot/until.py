"""Until when, as people say it: a date, a weekday, a time of day; understood in their own time zone."""

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_FORM = re.compile(r"(?P<day>\d{4}-\d{2}-\d{2}|[a-z]+)?\s*(?:at\s+)?(?P<time>\d{1,2}:\d{2})?", re.IGNORECASE)


def until(said: str, now: datetime, zone: str) -> datetime | None:
    """The instant that is meant, in UTC, or None: a day lasts to its end, and a weekday is the next one there is."""
    found = _FORM.fullmatch(said.strip().rstrip("."))
    if found is None or not (found["day"] or found["time"]):
        return None
    here = now.astimezone(ZoneInfo(zone))
    day = _day(found["day"], here.date()) if found["day"] else here.date()
    hour = _time(found["time"]) if found["time"] else time(23, 59)
    if day is None or hour is None:
        return None
    # Of an hour that the clock shows twice, the second: nobody comes back too early.
    return datetime.combine(day, hour.replace(fold=1), ZoneInfo(zone)).astimezone(UTC)


def _day(said: str, today: date) -> date | None:
    word = said.lower()
    if word in ("today", "tonight"):
        return today
    if word == "tomorrow":
        return today + timedelta(days=1)
    named = [number for number, name in enumerate(_WEEKDAYS) if len(word) >= 3 and name.startswith(word)]
    if named:
        return today + timedelta(days=(named[0] - today.weekday() - 1) % 7 + 1)
    try:
        return date.fromisoformat(word)
    except ValueError:
        return None


def _time(said: str) -> time | None:
    hour, minute = map(int, said.split(":"))
    return time(hour, minute) if hour < 24 and minute < 60 else None
