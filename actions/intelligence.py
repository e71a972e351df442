"""What others have seen of an address, a name or a vulnerability: threat intelligence, read and never sent to."""

from datetime import date, datetime
from enum import StrEnum
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from actions.source import Source
from core.errors import CountersignError


class IntelligenceUnavailable(CountersignError):
    """A feed cannot be read now, or says something that cannot be understood."""


class Indicator(StrEnum):
    """What kind of thing may have been seen."""

    ADDRESS = "address"
    """An IPv4 or IPv6 address."""
    DOMAIN = "domain"
    URL = "url"
    HASH = "hash"
    """Of a file, in hex."""


class _Known(BaseModel):
    model_config = ConfigDict(frozen=True)


class Sighting(_Known):
    """One feed's word that something belongs to those who attack."""

    sighting_id: str
    """The feed's own name for it."""
    feed: str
    says: str
    """What the feed calls it, such as the name of a campaign; a feed's words."""
    confidence: int = 50
    """From 0 to 100, as the feed gives it."""
    valid_from: datetime | None = None
    valid_until: datetime | None = None


class Exploited(_Known):
    """A vulnerability that is known to be exploited."""

    cve: str
    name: str
    vendor: str
    product: str
    added_on: date
    for_ransom: bool = False
    """True where ransomware is known to use it."""


class Intelligence(Protocol):
    """Looks things up in the feeds; every method raises IntelligenceUnavailable when it cannot."""

    async def about(self, kind: Indicator, value: str) -> list[Sighting]:
        """What the feeds have seen of this value, exactly as written; empty when nothing."""
        ...

    async def exploited(self, cve: str) -> Exploited | None:
        """The entry for this CVE in the catalogue of exploited vulnerabilities, or None."""
        ...


INTELLIGENCE: Source[Intelligence] = Source("intelligence")
