"""A sensor's log as a file of this machine: Suricata's eve.json, or one JSON record of anything else a line."""

import asyncio
import hashlib
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from actions.connecting import Kind, Opened, Opening
from actions.sensor import SENSOR, Reading, SensorUnavailable, lines_of

#: A whole array is read at once, and so may not be larger.
_LARGEST_ARRAY = 64 * 2**20
_MOST_AT_ONCE = 32 * 2**20


class EveFileOptions(BaseModel):
    """Where the log is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path


class EveFile:
    """Reads a log that only grows; one that was begun anew has another name, and is read from its first line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # Where reading stopped: which log, how many lines, at which byte. Forgotten with the process, and found again.
        self._mark = ("", 0, 0)

    @property
    def name(self) -> str:
        """The log that stands there now, by its first record; raises SensorUnavailable."""
        try:
            with self._path.open("rb") as log:
                return f"{self._path.name}:{hashlib.sha256(log.readline(4096)).hexdigest()[:16]}"
        except OSError as error:
            raise self._away(error) from error

    async def after(self, position: int, limit: int) -> Reading:
        """Up to `limit` whole lines that follow the first `position` ones; raises SensorUnavailable."""
        try:
            return Reading(await asyncio.to_thread(self._read, position, limit), position)
        except OSError as error:
            raise self._away(error) from error

    def _read(self, position: int, limit: int) -> list[str]:
        with self._path.open("rb") as log:
            if log.read(1) == b"[":
                return self._members()[position : position + limit]
            log.seek(0)
            name, lines, place = self._mark
            if name == self.name and lines <= position:
                log.seek(place)
            else:
                lines = 0
            while lines < position and log.readline():
                lines += 1
            found, size = list[str](), 0
            while len(found) < limit and size < _MOST_AT_ONCE:
                line = log.readline()
                # What does not end yet is still being written.
                if not line.endswith(b"\n"):
                    break
                found.append(line.decode("utf-8", "replace").rstrip("\r\n"))
                size += len(line)
                self._mark = (self.name, position + len(found), log.tell())
            return found

    def _members(self) -> list[str]:
        if self._path.stat().st_size > _LARGEST_ARRAY:
            megabytes = _LARGEST_ARRAY // 2**20
            raise SensorUnavailable(f"{self._path} is an array larger than {megabytes} MB. Have one record a line.")
        return lines_of(self._path.read_text(encoding="utf-8", errors="replace"))

    def _away(self, error: OSError) -> SensorUnavailable:
        return SensorUnavailable(f"The sensor's log {self._path} cannot be read ({error.strerror}).")


async def _open(options: EveFileOptions, opening: Opening) -> Opened:
    del opening
    return Opened(sources={SENSOR: EveFile(options.path)})


EVE_FILE = Kind(
    name="eve_file",
    gives="sensor",
    summary="Reads a sensor's alerts from a log of this machine, such as Suricata's eve.json.",
    options=EveFileOptions,
    open=_open,
    settles=None,
    region="this machine",
    reads=("sensor",),
)
