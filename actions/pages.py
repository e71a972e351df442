"""Pages of the web, fetched so that no address inside the installation's own network can be reached."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from actions.source import Source
from core.errors import CountersignError


class PageUnavailable(CountersignError):
    """A page cannot be fetched now, or must not be; the message says which."""


@dataclass(frozen=True)
class Page:
    """What a server outside answered: its words are `external`, whatever they say."""

    url: str
    """Where it came from in the end, after redirects."""
    status: int
    content_type: str
    """Without parameters, in small letters, such as `text/html`; empty where the server named none."""
    text: str
    fetched_at: datetime


class Pages(Protocol):
    """Reads pages of the web."""

    async def get(self, url: str) -> Page:
        """The page at `url`, whatever status it has; raises PageUnavailable."""
        ...


PAGES: Source[Pages] = Source("pages")
