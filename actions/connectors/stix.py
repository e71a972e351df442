"""What a STIX 2.1 indicator says of single values; a pattern that needs more than one value says nothing of any."""

import re
from collections.abc import Iterator
from datetime import datetime
from ipaddress import ip_address
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from actions.intelligence import Indicator, Sighting

_KINDS = {
    "ipv4-addr:value": Indicator.ADDRESS,
    "ipv6-addr:value": Indicator.ADDRESS,
    "domain-name:value": Indicator.DOMAIN,
    "url:value": Indicator.URL,
}
_EQUALS = re.compile(r"\s*([a-z0-9-]+:(?:[a-zA-Z_]+|hashes\.'?[A-Za-z0-9-]+'?))\s*=\s*'((?:[^'\\]|\\.)*)'\s*")
_LONGEST = 10_000


class _StixIndicator(BaseModel):
    id: str
    pattern: str = Field(max_length=_LONGEST)
    pattern_type: str = "stix"
    name: str = ""
    description: str = ""
    confidence: int | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    revoked: bool = False


def sightings_in(found: Any, feed: str) -> Iterator[tuple[tuple[Indicator, str], Sighting]]:
    """The values that this object of a feed speaks of, each with what it says; none where it is no indicator."""
    try:
        indicator = _StixIndicator.model_validate(found)
    except ValidationError:
        return
    if indicator.revoked or indicator.pattern_type != "stix" or found.get("type") != "indicator":
        return
    sighting = Sighting(
        sighting_id=indicator.id,
        feed=feed,
        says=indicator.name or indicator.description[:200],
        confidence=50 if indicator.confidence is None else indicator.confidence,
        valid_from=indicator.valid_from,
        valid_until=indicator.valid_until,
    )
    for kind, value in values_of(indicator.pattern):
        yield (kind, value), sighting


def values_of(pattern: str) -> list[tuple[Indicator, str]]:
    """Each value that alone fulfils this pattern: `[a = 'x' OR b = 'y']` has two, anything with AND has none."""
    found: list[tuple[Indicator, str]] = []
    # Observations may be joined by OR too; every other joint wants several of them.
    for observation in re.split(r"(?<=\])\s+OR\s+(?=\[)", pattern.strip()):
        if not (observation.startswith("[") and observation.endswith("]")):
            return []
        rest = observation[1:-1]
        while rest:
            equals = _EQUALS.match(rest)
            if equals is None:
                return []
            kind = _KINDS.get(equals[1]) or (Indicator.HASH if equals[1].startswith("file:hashes.") else None)
            if kind is not None:
                found.append((kind, as_compared(kind, re.sub(r"\\(.)", r"\1", equals[2]))))
            rest = rest[equals.end() :]
            if rest and not rest.startswith("OR "):
                return []
            rest = rest[3:]
    return found


def as_compared(kind: Indicator, value: str) -> str:
    """A value in the one form in which values of its kind are compared."""
    text = value.strip()
    if kind is Indicator.ADDRESS:
        try:
            return str(ip_address(text))
        except ValueError:
            return text
    if kind is Indicator.URL:
        return text
    return text.rstrip(".").lower() if kind is Indicator.DOMAIN else text.lower()
