"""The sandbox twins of the containment endpoint, the inventory, the sensor, the feeds and the competitors' pages."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeVar

from aiohttp import ClientError, ClientSession, ClientTimeout
from pydantic import BaseModel, ValidationError

from actions.assets import ASSETS, AssetsUnavailable, Host
from actions.catalogue.host_isolate import Isolated, Isolation, Release, Released
from actions.connectors.kev import KevCatalogue
from actions.connectors.keyed import Form, KeyedConnector
from actions.connectors.shop_prices import ShopProducts
from actions.connectors.wire import NoAnswer, NotThere, Wire
from actions.intelligence import INTELLIGENCE, Exploited, Indicator, IntelligenceUnavailable, Sighting
from actions.pages import PAGES, Page, PageUnavailable
from actions.products import PRODUCTS
from actions.records import RecordsUnavailable
from actions.sensor import SENSOR, Reading, SensorUnavailable
from actions.source import Source
from core.clock import Clock

_WINDOW = timedelta(seconds=10)
#: A larger page is not read to its end.
_LARGEST_PAGE = 2 * 2**20
_Entry = TypeVar("_Entry", bound=BaseModel)


class SandboxHosts(KeyedConnector):
    """Cuts hosts off that do not exist, and lets them back."""

    name = "hosts"
    title = "The containment endpoint"
    forms: ClassVar = {
        "host.isolate": Form("/isolations", Isolation, Isolated, "isolation"),
        "host.release": Form("/releases", Release, Released, "release"),
    }


class _Host(BaseModel):
    host: Host


class _Hosts(BaseModel):
    hosts: dict[str, Host]


class SandboxInventory:
    """Reads the sandbox's inventory at `base_url`."""

    def __init__(self, session: ClientSession, base_url: str) -> None:
        self._session = session
        self._base_url = base_url
        self._wire = Wire("The inventory", session, base_url)

    async def host(self, host_id_or_ip: str) -> Host | None:
        """The host with this id or address, or None; raises AssetsUnavailable."""
        try:
            found = await self._wire.ask(f"/inventory/{host_id_or_ip}", {}, timeout=_WINDOW)
        except NotThere as error:
            if error.code == "host_not_found":
                return None
            raise AssetsUnavailable(str(error)) from error
        except NoAnswer as error:
            raise AssetsUnavailable(str(error)) from error
        return _understood(_Host, found, AssetsUnavailable, "The inventory").host

    async def hosts(self, addresses: Collection[str]) -> Mapping[str, Host]:
        """Those of these addresses that are ours; raises AssetsUnavailable."""
        within, body = ClientTimeout(_WINDOW.total_seconds()), {"addresses": list(addresses)}
        try:
            async with self._session.put(f"{self._base_url}/inventory", json=body, timeout=within) as response:
                found = await response.json() if response.status == 200 else None
        except (ClientError, OSError, ValueError) as error:
            raise AssetsUnavailable(f"The inventory does not answer ({error}). Try again in a moment.") from error
        return _understood(_Hosts, found, AssetsUnavailable, "The inventory").hosts


def _understood(
    model: type[_Entry], found: Any, unavailable: type[RecordsUnavailable | IntelligenceUnavailable], who: str
) -> _Entry:
    try:
        return model.model_validate(found)
    except ValidationError as error:
        raise unavailable(f"{who}'s answer cannot be understood. Check that its address is right.") from error


class _Lines(BaseModel):
    lines: list[str]


class SandboxSensor:
    """Reads the sandbox sensor's log at `base_url`."""

    name = "sandbox"

    def __init__(self, session: ClientSession, base_url: str) -> None:
        self._wire = Wire("The sensor", session, base_url)

    async def after(self, position: int, limit: int) -> Reading:
        """Up to `limit` lines that follow the first `position` ones; raises SensorUnavailable."""
        query = {"after": str(position), "limit": str(limit)}
        try:
            found = await self._wire.ask("/sensor", query, timeout=_WINDOW)
        except (NoAnswer, NotThere) as error:
            raise SensorUnavailable(str(error)) from error
        return Reading(_understood(_Lines, found, SensorUnavailable, "The sensor").lines, position)


class _Indicator(BaseModel):
    id: str
    kind: Indicator
    value: str
    says: str
    confidence: int
    valid_from: datetime
    valid_until: datetime | None = None


class _Indicators(BaseModel):
    feed: list[_Indicator]


class _Vulnerabilities(BaseModel):
    feed: KevCatalogue


class SandboxFeeds:
    """Looks things up in the sandbox's two feeds at `base_url`: known addresses, and exploited vulnerabilities."""

    def __init__(self, session: ClientSession, base_url: str) -> None:
        self._wire = Wire("The threat feed", session, base_url)

    async def about(self, kind: Indicator, value: str) -> list[Sighting]:
        """What the feed has seen of this value; raises IntelligenceUnavailable."""
        found = _understood(_Indicators, await self._feed("indicators"), IntelligenceUnavailable, "The threat feed")
        return [_sighting(each) for each in found.feed if each.kind is kind and each.value == value]

    async def exploited(self, cve: str) -> Exploited | None:
        """The catalogue's entry for this CVE, or None; raises IntelligenceUnavailable."""
        found = _understood(_Vulnerabilities, await self._feed("kev"), IntelligenceUnavailable, "The catalogue")
        return next((each.exploited() for each in found.feed.vulnerabilities if each.cve == cve), None)

    async def _feed(self, name: str) -> Mapping[str, Any]:
        try:
            return await self._wire.ask(f"/feeds/{name}", {}, timeout=_WINDOW)
        except (NoAnswer, NotThere) as error:
            raise IntelligenceUnavailable(str(error)) from error


def _sighting(found: _Indicator) -> Sighting:
    return Sighting(
        sighting_id=found.id,
        feed="sandbox feed",
        says=found.says,
        confidence=found.confidence,
        valid_from=found.valid_from,
        valid_until=found.valid_until,
    )


class SandboxPages:
    """The pages of the sandbox's competitors at `base_url`, under the addresses they would have outside."""

    def __init__(self, session: ClientSession, base_url: str, clock: Clock) -> None:
        self._session = session
        self._base_url = base_url
        self._clock = clock

    async def get(self, url: str) -> Page:
        """The page at `url`, whatever status it has; raises PageUnavailable."""
        within = ClientTimeout(_WINDOW.total_seconds())
        try:
            async with self._session.get(f"{self._base_url}/page", params={"url": url}, timeout=within) as response:
                raw = await response.content.read(_LARGEST_PAGE)
                while len(raw) <= _LARGEST_PAGE and (more := await response.content.read(65536)):
                    raw += more
                status, kind = response.status, response.content_type
        except (ClientError, OSError) as error:
            raise PageUnavailable(f"{url} does not answer ({error or 'no answer in time'}).") from error
        if len(raw) > _LARGEST_PAGE:
            raise PageUnavailable(f"{url} is larger than {_LARGEST_PAGE:,} bytes, so it was not read.")
        return Page(url, status, kind, raw.decode("utf-8", "replace"), self._clock.now())


def sandbox_watched(session: ClientSession, url: str, clock: Clock) -> Mapping[Source[Any], object]:
    """What prices and alerts read, from the sandbox at `url`, by the ports they ask for."""
    return {
        PRODUCTS: ShopProducts(session, f"{url}/shop"),
        PAGES: SandboxPages(session, f"{url}/competitors", clock),
        ASSETS: SandboxInventory(session, f"{url}/hosts"),
        SENSOR: SandboxSensor(session, f"{url}/hosts"),
        INTELLIGENCE: SandboxFeeds(session, f"{url}/hosts"),
    }
