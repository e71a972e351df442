"""Fetches pages of the web within caps of time, size and hops, and never from an inner network."""

import asyncio
import codecs
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from aiohttp import ClientError, ClientResponse, ClientSession, DummyCookieJar, InvalidURL
from pydantic import BaseModel, ConfigDict, Field, IPvAnyNetwork
from yarl import URL

from actions.connecting import Kind, Opened, Opening
from actions.connectors.addresses import AddressRefused, Guard, Network, Resolve, ask_dns
from actions.pages import PAGES, Page, PageUnavailable
from core.text import decoded

_TEXTUAL = re.compile(r"text/[\w.+-]+|application/([\w.+-]+\+)?(json|xml)|application/(xhtml\+xml|yaml|x-yaml)|")
_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]{1,40})""", re.IGNORECASE)
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_LONGEST_URL = 2048


@dataclass(frozen=True)
class Caps:
    """How much one page may cost."""

    total: timedelta = timedelta(seconds=15)
    most_bytes: int = 2_000_000
    """Counted as it comes over the wire, and again as it is unpacked."""
    hops: int = 5
    ports: frozenset[int] = frozenset({80, 443})
    allowed_networks: Sequence[Network] = ()
    """Inner networks that may be fetched from all the same."""


class GuardedPages:
    """Reads pages over connections of its own, each to an address that was checked and for one request only."""

    def __init__(self, now: Callable[[], datetime], caps: Caps | None = None, *, resolve: Resolve = ask_dns) -> None:
        self._now = now
        self._caps = caps or Caps()
        self._guard = Guard(self._caps.allowed_networks, resolve=resolve)

    async def get(self, url: str) -> Page:
        """The page at `url` and where it came from in the end; raises PageUnavailable."""
        try:
            async with asyncio.timeout(self._caps.total.total_seconds()), self._session() as session:
                return await self._follow(session, url)
        except AddressRefused as error:
            raise PageUnavailable(f"{_shown(url)} was not fetched: {error}") from error
        except TimeoutError as error:
            seconds = f"{self._caps.total.total_seconds():g}"
            raise PageUnavailable(f"{_shown(url)} did not come within {seconds} s. Try again later.") from error
        except (InvalidURL, UnicodeError) as error:
            raise PageUnavailable(f"{_shown(url)} is not an address that can be fetched. Correct it.") from error
        except (ClientError, OSError) as error:
            what = type(error).__name__
            raise PageUnavailable(f"{_shown(url)} cannot be reached ({what}). Try again later.") from error

    def _session(self) -> ClientSession:
        return ClientSession(
            connector=self._guard.connector(),
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            headers={"User-Agent": "Countersign", "Accept-Encoding": "gzip"},
        )

    async def _follow(self, session: ClientSession, wanted: str) -> Page:
        url = self._checked(wanted)
        for _ in range(self._caps.hops + 1):
            async with session.get(url, allow_redirects=False) as response:
                location = response.headers.get("Location", "")
                if response.status not in _REDIRECTS or not location:
                    return await self._read(response)
            url = self._checked(location, seen_from=url)
        raise PageUnavailable(f"{_shown(wanted)} leads on and on. Find out where it really stands.")

    def _checked(self, text: str, *, seen_from: URL | None = None) -> URL:
        if len(text) > _LONGEST_URL:
            raise PageUnavailable(f"{_shown(text)} is too long for an address. Correct it.")
        try:
            url = URL(text) if seen_from is None else seen_from.join(URL(text))
            port = url.port
        except ValueError as error:
            raise PageUnavailable(f"{_shown(text)} is not an address that can be fetched. Correct it.") from error
        if url.scheme not in {"http", "https"} or not url.host:
            raise PageUnavailable(f"{_shown(text)} is not the address of a web page. It begins with https://.")
        if url.user is not None or url.password is not None:
            raise PageUnavailable(f"{_shown(text)} carries a name or a password, which is not sent. Take it out.")
        if port not in self._caps.ports:
            raise PageUnavailable(f"{_shown(text)} is on port {port}, which is not allowed under ports.")
        return url.with_fragment(None)

    async def _read(self, response: ClientResponse) -> Page:
        content_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if _TEXTUAL.fullmatch(content_type) is None:
            raise PageUnavailable(f"{_shown(str(response.url))} is {content_type}, not text. There is nothing to read.")
        body = self._unpacked(response, await self._taken(response))
        text = _decoded(body, response.charset)
        return Page(str(response.url), response.status, content_type, text, self._now())

    async def _taken(self, response: ClientResponse) -> bytes:
        taken = bytearray()
        async for part in response.content.iter_any():
            taken += part
            if len(taken) > self._caps.most_bytes:
                raise self._too_large(response)
        return bytes(taken)

    def _unpacked(self, response: ClientResponse, body: bytes) -> bytes:
        packing = response.headers.get("Content-Encoding", "").strip().lower()
        if packing in {"", "identity"}:
            return body
        if packing not in {"gzip", "x-gzip"}:
            raise PageUnavailable(f"{_shown(str(response.url))} is packed as {packing}, which was not asked for.")
        unpacker = zlib.decompressobj(wbits=31)
        try:
            unpacked = unpacker.decompress(body, self._caps.most_bytes + 1)
        except zlib.error as error:
            raise PageUnavailable(f"{_shown(str(response.url))} came broken. Try again later.") from error
        if len(unpacked) > self._caps.most_bytes:
            raise self._too_large(response)
        return unpacked

    def _too_large(self, response: ClientResponse) -> PageUnavailable:
        most = self._caps.most_bytes
        return PageUnavailable(
            f"{_shown(str(response.url))} is larger than {most} bytes, so it was not read to its end."
        )


class PagesOptions(BaseModel):
    """How much one page may cost, and which inner networks may be fetched from all the same."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: float = Field(15, gt=0, le=120)
    most_bytes: int = Field(2_000_000, ge=1000, le=50_000_000, strict=True)
    ports: list[Annotated[int, Field(ge=1, le=65535, strict=True)]] = [80, 443]
    allowed_networks: list[IPvAnyNetwork] = []


async def _open(options: PagesOptions, opening: Opening) -> Opened:
    caps = Caps(
        total=timedelta(seconds=options.seconds),
        most_bytes=options.most_bytes,
        ports=frozenset(options.ports),
        allowed_networks=options.allowed_networks,
    )
    return Opened(sources={PAGES: GuardedPages(opening.clock.now, caps)})


PAGES_KIND = Kind(
    name="pages",
    gives="pages",
    summary="Fetches pages of the web, and never from an inner network.",
    options=PagesOptions,
    open=_open,
    settles=None,
    reads=("pages",),
    region="wherever the page is",
)


def _decoded(body: bytes, named: str | None) -> str:
    """`body` as text: by its own mark, by what the server or the page says, or else as UTF-8; never an error."""
    marked = next((name for mark, name in _MARKS if body.startswith(mark)), None)
    meta = _CHARSET.search(body[:1024])
    for name in (marked, named, meta[1].decode("ascii") if meta else None):
        try:
            if name:
                return decoded(body, name, "replace")
        except (LookupError, UnicodeError):
            continue
    return body.decode("utf-8", errors="replace")


def _shown(url: str) -> str:
    """Enough of an address to recognise it, without what may be secret in it."""
    bare = re.sub(r"//[^/@]*@", "//", url.partition("?")[0].partition("#")[0])
    return bare if len(bare) <= 120 else f"{bare[:120]}…"
