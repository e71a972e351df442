"""The web pages of the sandbox's competitors, each under the address it would have outside."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from bot.local.sandbox.answers import Declined, answer
from bot.local.sandbox.control_store import CONTROL_SCHEMA, ControlStore
from bot.local.sandbox.database import Lane, connect, database_path, writing
from bot.local.sandbox.received import read_body
from core.clock import Clock

_SCHEMA = """
CREATE TABLE IF NOT EXISTS page (
    url TEXT PRIMARY KEY, status INTEGER NOT NULL, content_type TEXT NOT NULL, text TEXT NOT NULL
);
"""


class PageEntry(BaseModel):
    """One page as its server would give it."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    url: Annotated[str, Field(pattern=r"^https?://", max_length=500)]
    text: str
    content_type: str = "text/html"
    status: Annotated[int, Field(ge=200, le=599)] = 200


class CompetitorsStore:
    """The pages that stand there."""

    def __init__(self, home: Path) -> None:
        self._connection = connect(database_path(home, "competitors"), _SCHEMA + CONTROL_SCHEMA)
        self.control = ControlStore(self._connection)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def page(self, url: str) -> PageEntry:
        """The page at that address; raises Declined (404)."""
        row = self._connection.execute("SELECT * FROM main.page WHERE url = ?", (url,)).fetchone()
        if row is None:
            raise Declined(404, "page_not_found", f"No competitor has a page {url}.")
        return PageEntry(url=row["url"], text=row["text"], content_type=row["content_type"], status=row["status"])

    def put(self, pages: list[PageEntry], *, only_if_empty: bool = False) -> None:
        """Have these pages stand there, instead of what stood under the same addresses."""
        with writing(self._connection):
            if only_if_empty and self._connection.execute("SELECT EXISTS (SELECT 1 FROM main.page)").fetchone()[0]:
                return
            self._connection.executemany(
                "INSERT OR REPLACE INTO main.page VALUES (?, ?, ?, ?)",
                [(page.url, page.status, page.content_type, page.text) for page in pages],
            )


@dataclass(frozen=True, slots=True)
class Competitors:
    """The HTTP interface over the pages."""

    lane: Lane[CompetitorsStore]
    clock: Clock

    def add_to(self, app: web.Application) -> None:
        """Put the routes into `app`."""
        app.router.add_get("/page", self.show)
        app.router.add_put("/page", self.put)

    async def show(self, request: web.Request) -> web.Response:
        """The page at `url`, as its own server would answer."""
        url = request.query.get("url", "")
        page = await self.lane.run(lambda store: store.page(url))
        return web.Response(status=page.status, text=page.text, content_type=page.content_type)

    async def put(self, request: web.Request) -> web.Response:
        """Have a page stand there, whatever it holds."""
        page = await read_body(request, PageEntry)
        await self.lane.run(lambda store: store.put([page]))
        return answer({"url": page.url})
