"""The lines of an export: one JSON object each, versioned, checked one by one; what is not known is kept as it is."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, cast

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from core.errors import CountersignError
from core.trust import TrustLabel
from memory.item import ScopeKind
from memory.playbook import Check

VERSION = 1
FORMAT = "countersign memory"
#: A line that is longer is none of ours.
MOST_CHARACTERS = 1_000_000


class LineUnfit(CountersignError):
    """A line of an import cannot be used; the message says why."""


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")

    def unknown(self) -> dict[str, Any]:
        """What the line says that this release does not know."""
        return dict(self.model_extra or {})


class Header(_Line):
    """The first line: what this is, and of whom."""

    format: Literal["countersign memory"]
    v: Annotated[int, Field(ge=1)]
    workspace: str
    exported_at: AwareDatetime


class InScope(_Line):
    """A line about something that belongs to somebody."""

    scope: tuple[ScopeKind, str]
    """Its kind and name, as the scope has them."""


class EpisodeLine(InScope):
    """One message."""

    kind: Literal["episode"] = "episode"
    source: Annotated[str, Field(min_length=1, max_length=500)]
    author: Annotated[str, Field(min_length=1, max_length=200)]
    text: str
    said_at: AwareDatetime
    trust: TrustLabel
    conversation: str | None = None


class ClaimLine(InScope):
    """One claim, with the words that make it."""

    kind: Literal["claim"] = "claim"
    id: Annotated[str, Field(min_length=1, max_length=100)]
    source: str
    subject: Annotated[str, Field(min_length=1, max_length=1000)]
    relation: str
    object: Annotated[str, Field(max_length=5000)]
    valid_from: AwareDatetime
    said_at: AwareDatetime
    said_by: str
    trust: TrustLabel
    confidence: Annotated[float, Field(ge=0, le=1)]
    ends: bool = False
    span: tuple[int, int]
    words: str
    state: Literal["counted", "open", "accepted", "refused"] = "counted"


class RuleLine(InScope):
    """One rule of the playbook."""

    kind: Literal["rule"] = "rule"
    id: Annotated[str, Field(min_length=1, max_length=100)]
    rule_kind: Literal["style", "practice", "lesson"]
    text: str
    check: Annotated[Check, Field(discriminator="check")]
    state: Literal["suggested", "active", "dropped"]
    said_by: str
    source: str = ""


class FactLine(InScope):
    """One version of a fact: derived, so an import makes it anew from the claims."""

    kind: Literal["fact"] = "fact"
    id: str
    subject: str
    relation: str
    object: str
    valid_from: AwareDatetime
    valid_to: AwareDatetime | None
    recorded_at: AwareDatetime
    retired_at: AwareDatetime | None
    trust: TrustLabel
    confidence: float
    claims: list[str]
    subjects: list[str] = []
    """Whose words it was made of."""


class DigestLine(InScope):
    """One digest: derived, so an import makes it anew from the messages."""

    kind: Literal["digest"] = "digest"
    digest_kind: str
    name: str
    sentences: list[dict[str, Any]]
    subjects: list[str] = []


class UnknownLine(_Line):
    """A line of a kind that this release does not know: kept as it is."""

    kind: str


Line = EpisodeLine | ClaimLine | RuleLine | FactLine | DigestLine
_KNOWN: TypeAdapter[Line] = TypeAdapter(Annotated[Line, Field(discriminator="kind")])
_KINDS = frozenset({"episode", "claim", "rule", "fact", "digest"})


@dataclass(frozen=True)
class Problem:
    """Why one line was not imported."""

    line: int
    text: str


def read_line(text: str) -> Header | Line | UnknownLine:
    """What one line says; raises LineUnfit."""
    if len(text) > MOST_CHARACTERS:
        raise LineUnfit(f"it has more than {MOST_CHARACTERS:,} characters")
    try:
        data = json.loads(text)
    except ValueError as error:
        raise LineUnfit(f"it is not JSON ({error})") from error
    if not isinstance(data, dict):
        raise LineUnfit("it is not a JSON object")
    return read_data(cast(dict[str, Any], data))


def read_data(data: Mapping[str, Any]) -> Header | Line | UnknownLine:
    """As `read_line`, of what was read already."""
    try:
        if "format" in data:
            header = Header.model_validate(data)
            if header.v > VERSION:
                raise LineUnfit(f"it was written by a newer release (format {header.v}, this one knows {VERSION})")
            return header
        if data.get("kind") in _KINDS:
            return _KNOWN.validate_python(data)
        return UnknownLine.model_validate(data)
    except ValidationError as error:
        raise LineUnfit("; ".join(_mistake(dict(mistake)) for mistake in error.errors()[:3])) from error


def _mistake(mistake: Mapping[str, Any]) -> str:
    place = ".".join(str(part) for part in mistake["loc"] if part not in _KINDS)
    return f"{place or 'the line'}: {str(mistake['msg']).lower()}"


def as_json(line: BaseModel) -> str:
    """The line as it stands in a file, with all that is not known in it."""
    return json.dumps(line.model_dump(mode="json"), ensure_ascii=False, sort_keys=True)


def header(workspace: str, at: datetime) -> Header:
    """The first line of an export."""
    return Header(format=FORMAT, v=VERSION, workspace=workspace, exported_at=at)
