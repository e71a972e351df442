"""What may be read outside, by the port that gives it: reading is apart from acting and needs no gateway."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from core.errors import CountersignError

Port = TypeVar("Port")


class SourceMissing(CountersignError):
    """This installation has nothing that this could be read from."""


@dataclass(frozen=True)
class Source(Generic[Port]):
    """Names one port for reading, such as a mailbox: `MAILBOX: Source[Mailbox] = Source("mailbox")`."""

    name: str
    """The connector of connectors.yml that gives it."""


class Sources:
    """Everything this installation can read outside."""

    def __init__(self, found: Mapping[Source[Any], object] | None = None) -> None:
        self._found = dict(found or {})

    def get(self, source: Source[Port]) -> Port:
        """The port of that name; raises SourceMissing where this installation has none."""
        try:
            return cast(Port, self._found[source])
        except KeyError as error:
            raise SourceMissing(
                f"This installation has no {source.name} to read. Add one to connectors.yml and start again."
            ) from error

    def joined_by(self, more: Mapping[Source[Any], object]) -> "Sources":
        """These, with others in their place or beside them."""
        return Sources({**self._found, **more})

    def has(self, source: Source[Any]) -> bool:
        """True when it can be read here."""
        return source in self._found
