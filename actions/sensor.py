"""What a sensor wrote down, line by line: read from a position, so that nothing is read twice or passed over."""

import json
from dataclasses import dataclass
from typing import Protocol

from actions.records import RecordsUnavailable
from actions.source import Source


class SensorUnavailable(RecordsUnavailable):
    """The sensor's log cannot be read now."""


@dataclass(frozen=True)
class Reading:
    """Some lines of the log as they stand there; nothing of them has been understood yet."""

    lines: list[str]
    position: int
    """How many lines lie before the first of these."""

    @property
    def end(self) -> int:
        """Where the next reading begins."""
        return self.position + len(self.lines)


class Sensor(Protocol):
    """Reads a sensor's log; raises SensorUnavailable when it cannot."""

    name: str
    """Which log it is, the same after every restart."""

    async def after(self, position: int, limit: int) -> Reading:
        """Up to `limit` lines that follow the first `position` ones."""
        ...


SENSOR: Source[Sensor] = Source("sensor")

_SPACE = " \t\r\n"


def lines_of(text: str) -> list[str]:
    """The records in `text`, each as it stands there: one a line, or the members of one JSON array.

    What follows a member of an array that cannot be read is one record, for nobody can tell where it ends.
    """
    start = text.lstrip(_SPACE)
    if not start.startswith("["):
        return [line for line in text.split("\n") if line.strip()]
    return _members(start)


def _members(text: str) -> list[str]:
    found: list[str] = []
    place, decoder = _skip(text, 1), json.JSONDecoder()
    while place < len(text) and text[place] != "]":
        try:
            _, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            return [*found, text[place:]]
        found.append(text[place:end])
        place = _skip(text, end)
        if place < len(text) and text[place] == ",":
            place = _skip(text, place + 1)
    return found


def _skip(text: str, place: int) -> int:
    while place < len(text) and text[place] in _SPACE:
        place += 1
    return place
