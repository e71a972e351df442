"""The page as files: a fixed list, read from the package, nothing else."""

from pathlib import Path

from aiohttp import web

_FOLDER = Path(__file__).parent / "page"
_KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class PageFiles:
    """Serves the page and the scripts and styles beside it."""

    def __init__(self) -> None:
        self._names = frozenset(path.name for path in _FOLDER.iterdir() if path.suffix in _KINDS)

    async def index(self, request: web.Request) -> web.Response:
        """The page itself, whatever conversation the address names."""
        del request
        return self._file("index.html")

    async def file(self, request: web.Request) -> web.Response:
        """A script or a style of the page."""
        name = request.match_info["name"]
        if name not in self._names:
            raise web.HTTPNotFound(text="The page has no such file.")
        return self._file(name)

    def _file(self, name: str) -> web.Response:
        path = _FOLDER / name
        return web.Response(
            body=path.read_bytes(),
            content_type=_KINDS[path.suffix],
            charset="utf-8",
            headers={"Cache-Control": "no-cache"},
        )
