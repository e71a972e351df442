"""Threat intelligence from TAXII 2.1 collections and a catalogue of exploited vulnerabilities, kept for a while."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Generic, Self, TypeVar, cast

from aiohttp import ClientError, ClientSession, ClientTimeout
from aiohttp.helpers import encode_basic_auth
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from actions.connecting import Kind, Opened, Opening
from actions.connectors.kev import KevCatalogue
from actions.connectors.private import PrivateUrl
from actions.connectors.stix import as_compared, sightings_in
from actions.connectors.wire import own_session
from actions.intelligence import INTELLIGENCE, Exploited, Indicator, IntelligenceUnavailable, Sighting
from actions.rule_file import Duration
from core.clock import Clock

_T = TypeVar("_T")
_TAXII = "application/taxii+json;version=2.1"
_MOST_BYTES = 64_000_000
_MOST_PAGES = 500
_MOST_OBJECTS = 500_000


class Collection(BaseModel):
    """One TAXII collection."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    api_root: PrivateUrl
    """Its API root, such as https://taxii.example/api1/."""
    collection: str = Field(pattern=r"^[A-Za-z0-9-]{1,100}$")
    user: str | None = None
    """Whose password the secret of this feed's name is; without it the secret is a token."""


class FeedsOptions(BaseModel):
    """Which feeds are read, and how old what they said may be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    taxii: dict[str, Collection] = {}
    kev_url: PrivateUrl | None = None
    kev_file: Path | None = None
    refresh: Duration = timedelta(hours=1)
    stale_after: Duration = timedelta(days=1)
    """A feed that is down is believed as it was for so long."""

    @model_validator(mode="after")
    def _reads_something(self) -> Self:
        if not self.taxii and self.kev_url is None and self.kev_file is None:
            raise ValueError("name at least one feed: under taxii, kev_url or kev_file.")
        return self


Known = Mapping[tuple[Indicator, str], list[Sighting]]


class _Kept(Generic[_T]):
    """What a feed said when it was last read."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.read_at: datetime | None = None
        self.what: _T | None = None


class Feeds:
    """Looks things up in what the feeds said when they were last read, and reads them again when that is old."""

    def __init__(
        self, session: ClientSession, options: FeedsOptions, secrets: Mapping[str, SecretStr], *, clock: Clock
    ) -> None:
        self._session = session
        self._options = options
        self._secrets = secrets
        self._clock = clock
        self._collections = {name: _Kept[Known]() for name in options.taxii}
        self._catalogue = _Kept[Mapping[str, Exploited]]()

    async def about(self, kind: Indicator, value: str) -> list[Sighting]:
        """What the feeds have seen of this value; raises IntelligenceUnavailable when one of them cannot say."""
        key = (kind, as_compared(kind, value))
        found: list[Sighting] = []
        for name, kept in self._collections.items():
            found += (await self._fresh(kept, lambda name=name: self._read_collection(name))).get(key, [])
        return found

    async def exploited(self, cve: str) -> Exploited | None:
        """The catalogue's entry for this CVE, or None; raises IntelligenceUnavailable."""
        if self._options.kev_url is None and self._options.kev_file is None:
            raise IntelligenceUnavailable("No catalogue of exploited vulnerabilities is configured. Name kev_url.")
        return (await self._fresh(self._catalogue, self._read_catalogue)).get(cve.strip().upper())

    async def is_healthy(self) -> bool:
        """True when every feed can be read now."""
        try:
            for name in self._collections:
                await self._page(name, {"limit": "1"})
            if self._options.kev_url is not None or self._options.kev_file is not None:
                await self._read_catalogue()
        except IntelligenceUnavailable:
            return False
        return True

    async def _fresh(self, kept: "_Kept[_T]", read: Callable[[], Awaitable[_T]]) -> _T:
        async with kept.lock:
            now = self._clock.now()
            age = None if kept.read_at is None else now - kept.read_at
            if kept.what is not None and age is not None and age < self._options.refresh:
                return kept.what
            try:
                kept.what, kept.read_at = await read(), now
            except IntelligenceUnavailable:
                if kept.what is None or age is None or age > self._options.stale_after:
                    raise
            return kept.what

    async def _read_collection(self, name: str) -> Known:
        known: dict[tuple[Indicator, str], list[Sighting]] = {}
        number = 0
        async for found in self._objects(name):
            number += 1
            if number > _MOST_OBJECTS:
                raise IntelligenceUnavailable(
                    f"The feed {name} has more than {_MOST_OBJECTS} objects. Take a smaller one."
                )
            for key, sighting in sightings_in(found, name):
                known.setdefault(key, []).append(sighting)
        return known

    async def _objects(self, name: str) -> AsyncGenerator[Any]:
        query = {"match[type]": "indicator", "limit": "1000"}
        for _ in range(_MOST_PAGES):
            page = await self._page(name, query)
            objects: Any = page.get("objects") or []
            if not isinstance(objects, list):
                raise IntelligenceUnavailable(f"The feed {name} says nothing that can be understood.")
            for found in cast(list[Any], objects):
                yield found
            if not page.get("more") or not page.get("next"):
                return
            query = {**query, "next": str(page["next"])}
        raise IntelligenceUnavailable(f"The feed {name} does not end. Look at its server.")

    async def _page(self, name: str, query: Mapping[str, str]) -> dict[str, Any]:
        feed = self._options.taxii[name]
        url = f"{feed.api_root.rstrip('/')}/collections/{feed.collection}/objects/"
        return await self._json(name, url, query, {"Accept": _TAXII, **self._shown(name, feed)})

    def _shown(self, name: str, feed: Collection) -> dict[str, str]:
        if name not in self._secrets:
            return {}
        secret = self._secrets[name].get_secret_value()
        return {"Authorization": encode_basic_auth(feed.user, secret) if feed.user else f"Bearer {secret}"}

    async def _read_catalogue(self) -> Mapping[str, Exploited]:
        path, url = self._options.kev_file, self._options.kev_url
        try:
            if path is not None:
                found: Any = json.loads(await asyncio.to_thread(path.read_bytes))
            else:
                found = await self._json("the catalogue", url or "", {}, {"Accept": "application/json"})
            catalogue = KevCatalogue.model_validate(found)
        except (OSError, ValueError, ValidationError, RecursionError) as error:
            raise IntelligenceUnavailable(
                "The catalogue of exploited vulnerabilities cannot be read. Check kev_url or kev_file."
            ) from error
        return {each.cve.upper(): each.exploited() for each in catalogue.vulnerabilities}

    async def _json(self, name: str, url: str, query: Mapping[str, str], headers: Mapping[str, str]) -> dict[str, Any]:
        within = ClientTimeout(total=60)
        try:
            async with self._session.get(
                url, params=query or None, headers=headers, timeout=within, allow_redirects=False
            ) as response:
                body = bytearray()
                async for part in response.content.iter_any():
                    body += part
                    if len(body) > _MOST_BYTES:
                        raise IntelligenceUnavailable(f"The feed {name} sends too much at once. Take a smaller one.")
            if response.status != 200:
                raise IntelligenceUnavailable(f"The feed {name} answers HTTP {response.status}. Check its address.")
            found: Any = json.loads(body)
        except (ClientError, OSError) as error:
            what = type(error).__name__
            raise IntelligenceUnavailable(f"The feed {name} does not answer ({what}). Try again later.") from error
        except (ValueError, RecursionError) as error:
            raise IntelligenceUnavailable(f"The feed {name} says nothing that can be understood.") from error
        if not isinstance(found, dict):
            raise IntelligenceUnavailable(f"The feed {name} says nothing that can be understood.")
        return cast(dict[str, Any], found)


async def _open(options: FeedsOptions, opening: Opening) -> Opened:
    session = await own_session(opening.stack)
    feeds = Feeds(session, options, opening.secrets, clock=opening.clock)
    return Opened(sources={INTELLIGENCE: feeds}, is_healthy=feeds.is_healthy)


def _secrets_of(options: BaseModel) -> tuple[str, ...]:
    assert isinstance(options, FeedsOptions)
    return tuple(name for name, feed in options.taxii.items() if feed.user is not None)


FEEDS = Kind(
    name="feeds",
    gives="intelligence",
    summary="Reads threat intelligence from TAXII collections and a catalogue of exploited vulnerabilities.",
    options=FeedsOptions,
    open=_open,
    settles=None,
    secrets_of=_secrets_of,
    reads=("intelligence",),
)
