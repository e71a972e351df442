"""The local workspace as one server on this machine: opened, served, closed."""

import asyncio
import errno
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from bot.local.workspace.changes import Changes
from bot.local.workspace.company import read_company
from bot.local.workspace.faults import Faults
from bot.local.workspace.interactions import Interactions
from bot.local.workspace.loopback import add_safety_headers, own_page_only
from bot.local.workspace.manifest import read_manifest
from bot.local.workspace.page_files import PageFiles
from bot.local.workspace.parts import Parts
from bot.local.workspace.people_api import PeopleApi
from bot.local.workspace.responses import Responses
from bot.local.workspace.socket_mode import SocketMode, Terms
from bot.local.workspace.store import Store
from bot.local.workspace.timeline import Ground, Timeline
from bot.local.workspace.views import Views
from bot.local.workspace.web_api import WebApi
from core.clock import Clock, SystemClock
from core.errors import CountersignError

_HOST = "127.0.0.1"
_MOST_BODY = 4_000_000


class PortInUse(CountersignError):
    """The port the workspace was to answer on is taken."""


def _no_roles() -> Mapping[str, Sequence[str]]:
    return {}


@dataclass(frozen=True)
class WorkspaceOptions:
    """How a workspace is set up: where it answers, what it remembers in, who is in it."""

    #: 0 takes any free port.
    port: int
    #: The SQLite file; made when missing.
    database: Path
    manifest: Path
    company: Path
    #: User id → names of the roles it holds in the team; shown beside the person, decides nothing.
    roles: Mapping[str, Sequence[str]] = field(default_factory=_no_roles)
    clock: Clock = field(default_factory=SystemClock)
    #: Seconds before each further try of an event that was not acknowledged.
    retry_seconds: tuple[float, ...] = (1.0, 60.0, 300.0)
    #: Seconds within which an envelope must be acknowledged.
    ack_seconds: float = 3.0


@dataclass(frozen=True)
class Workspace:
    """A workspace that answers."""

    port: int
    url: str

    @property
    def api_url(self) -> str:
        """The base address for a Slack client, with its closing slash."""
        return f"{self.url}/api/"


@asynccontextmanager
async def open_workspace(options: WorkspaceOptions) -> AsyncGenerator[Workspace, None]:
    """A workspace that answers until the block ends; raises PortInUse, SettingsInvalid or StoreUnusable."""
    where: list[str] = []
    parts = _parts(options, where)
    runner = web.AppRunner(_application(parts), access_log=None, shutdown_timeout=1.0)
    try:
        await runner.setup()
        port = await _listen(runner, options.port)
        where.append(f"http://{_HOST}:{port}")
        parts.socket.resume()
        yield Workspace(port=port, url=where[0])
    finally:
        parts.changes.close()
        await parts.socket.close()
        await runner.cleanup()
        parts.store.close()


async def serve(options: WorkspaceOptions) -> None:
    """Answer until cancelled; raises as open_workspace does."""
    async with open_workspace(options):
        await asyncio.Event().wait()


def _parts(options: WorkspaceOptions, where: list[str]) -> Parts:
    company, manifest = read_company(options.company), read_manifest(options.manifest)
    clock, changes, faults = options.clock, Changes(options.clock), Faults()
    store = Store(options.database)
    terms = Terms(company.bot.app_id, ack=options.ack_seconds, retries=options.retry_seconds)
    socket = SocketMode(store, faults, changes=changes, clock=clock, terms=terms)
    ground = Ground(company, manifest, store, changes, clock)
    return Parts(
        company=company,
        manifest=manifest,
        roles=options.roles,
        store=store,
        faults=faults,
        changes=changes,
        clock=clock,
        socket=socket,
        timeline=Timeline(ground, socket.publish),
        views=Views(company, store, changes=changes, clock=clock),
        url=lambda: where[0],
    )


def _application(parts: Parts) -> web.Application:
    responses = Responses(parts)
    web_api, page = WebApi(parts), PageFiles()
    people = PeopleApi(parts, Interactions(parts, responses))
    application = web.Application(middlewares=[own_page_only], client_max_size=_MOST_BODY)
    application.on_response_prepare.append(add_safety_headers)
    application.add_routes(
        [
            web.get("/", page.index),
            web.get("/archives/{channel}/{message}", page.index),
            web.get("/page/{name}", page.file),
            web.get("/api/{method}", web_api.handle),
            web.post("/api/{method}", web_api.handle),
            web.get("/files-pri/{id}", web_api.file),
            web.get("/link/", parts.socket.handle),
            web.post("/response/{id}", responses.handle),
            web.get("/local/api/changes", people.changes),
            web.get("/local/api/faults", people.faults),
            web.post("/local/api/faults", people.faults),
            web.get("/local/api/{what}", people.look),
            web.post("/local/api/{verb}", people.act),
        ]
    )
    return application


async def _listen(runner: web.AppRunner, port: int) -> int:
    site = web.TCPSite(runner, _HOST, port)
    try:
        await site.start()
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise PortInUse(
            f"Port {port} on this machine is taken ({error.strerror}). "
            "Stop what uses it, or set COUNTERSIGN_PORT to another one."
        ) from error
    return int(runner.addresses[0][1])
