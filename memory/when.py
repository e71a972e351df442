"""From when on something is said to hold: "from Monday on", "as of 1 March", "since June", "until Friday"."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_YEAR = "january february march april may june july august september october november december"
_MONTHS = tuple(_YEAR.split())
_MONTH = "|".join(f"{name[:3]}(?:{name[3:]})?" if len(name) > 3 else name for name in _MONTHS)
_DATE = (
    r"(?P<{0}iso>\d{{4}}-\d{{2}}-\d{{2}})"
    r"|(?P<{0}near>today|tomorrow|yesterday|now|immediately|right away|next week|next month|this week|this month)"
    rf"|(?:(?P<{{0}}which>next|this|last)\s+)?(?P<{{0}}day>{'|'.join(_DAYS)})"
    rf"|(?P<{{0}}d>\d{{{{1,2}}}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<{{0}}m>{_MONTH})\.?(?:,?\s+(?P<{{0}}y>\d{{{{4}}}}))?"
    rf"|(?P<{{0}}m2>{_MONTH})\.?\s+(?P<{{0}}d2>\d{{{{1,2}}}})(?:st|nd|rd|th)?(?!\d)(?:,?\s+(?P<{{0}}y2>\d{{{{4}}}}))?"
    rf"|(?P<{{0}}m3>{_MONTH})(?:\s+(?P<{{0}}y3>\d{{{{4}}}}))?"
)
_FROM = r"(?P<how>(?:effective\s+)?(?:from|starting|beginning|as of|as from|effective|since|with effect from))"
_ONWARDS = r"(?:\s+(?:on|onwards?|forward))?"
_BEGINS = re.compile(rf"(?<!\w){_FROM}\s+(?:on\s+)?(?:{_DATE.format('f')})\b{_ONWARDS}\s*,?\s*", re.IGNORECASE)
_ENDS = re.compile(rf"\s*,?\s*(?<!\w)(?:until|till|through)\s+(?:{_DATE.format('u')})\b", re.IGNORECASE)
#: A date said without its year is taken to be at most so long ago.
_LOOKS_BACK = timedelta(days=90)


@dataclass(frozen=True)
class Timed:
    """What is left of a sentence without its words about time, and what these say."""

    text: str
    begins: datetime | None
    ends: datetime | None


def timed(sentence: str, said_at: datetime, zone: tzinfo = UTC) -> Timed:
    """The sentence without "from … on" and "until …", and the instants they name, days beginning in `zone`."""
    begins = ends = None
    found = _BEGINS.search(sentence)
    if found:
        begins = _instant(found, "f", said_at, zone, back=found["how"].casefold() == "since")
        if begins is not None:
            sentence = _without(sentence, found)
    found = _ENDS.search(sentence)
    if found:
        ends = _instant(found, "u", said_at, zone, back=False)
        if ends is not None:
            sentence = _without(sentence, found)
    return Timed(sentence.strip(" ,"), begins, ends)


def _without(sentence: str, found: re.Match[str]) -> str:
    return f"{sentence[: found.start()].rstrip()} {sentence[found.end() :].lstrip()}".strip()


def _instant(found: re.Match[str], part: str, said_at: datetime, zone: tzinfo, *, back: bool) -> datetime | None:
    named = {name[1:]: value.casefold() for name, value in found.groupdict().items() if value and name[0] == part}
    today = said_at.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    if named.get("near") in ("now", "immediately", "right away"):
        return said_at
    try:
        day = _day(named, today, back=back)
    except ValueError:
        # Such as 31 February.
        return None
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _day(named: dict[str, str], today: datetime, *, back: bool) -> datetime:
    if "iso" in named:
        return datetime.fromisoformat(named["iso"])
    if "near" in named:
        return _near(named["near"], today)
    if "day" in named:
        return _weekday(_DAYS.index(named["day"]), named.get("which", ""), today, back=back)
    month = next(named[name] for name in ("m", "m2", "m3") if name in named)
    number = next(place for place, name in enumerate(_MONTHS, 1) if name.startswith(month[:3]))
    day = int(named.get("d") or named.get("d2") or 1)
    year = named.get("y") or named.get("y2") or named.get("y3")
    if year:
        return datetime(int(year), number, day)  # noqa: DTZ001 -- a day; its zone is added by whoever asked
    this = today.replace(month=number, day=day, tzinfo=None)
    plain = today.replace(tzinfo=None)
    if back:
        return this if this <= plain else this.replace(year=this.year - 1)
    return this if this >= plain - _LOOKS_BACK else this.replace(year=this.year + 1)


def _near(word: str, today: datetime) -> datetime:
    if word in ("today", "this week", "this month"):
        return today
    if word in ("tomorrow", "yesterday"):
        return today + timedelta(days=1 if word == "tomorrow" else -1)
    if word == "next week":
        return today + timedelta(days=7 - today.weekday())
    return (today.replace(day=1) + timedelta(days=32)).replace(day=1)


def _weekday(number: int, which: str, today: datetime, *, back: bool) -> datetime:
    ahead = (number - today.weekday()) % 7
    if back or which == "last":
        return today - timedelta(days=(7 - ahead) % 7 or (7 if which == "last" else 0))
    return today + timedelta(days=ahead or (0 if which == "this" else 7))
