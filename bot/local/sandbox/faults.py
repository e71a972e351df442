"""How the outside systems of the sandbox misbehave on purpose: down, failing, slow, or silent once applied."""

from dataclasses import asdict, dataclass
from typing import Generic, Protocol, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from bot.local.sandbox.answers import Declined, answer
from bot.local.sandbox.control_store import Control, ControlChange, ControlStore
from bot.local.sandbox.database import Lane
from bot.local.sandbox.received import read_body
from core.clock import Clock

_UNANSWERED = web.RequestKey("unanswered", bool)


class Controlled(Protocol):
    """A store with a control row."""

    @property
    def control(self) -> ControlStore:
        """The control row."""
        ...

    def close(self) -> None:
        """Close the store."""
        ...


System = TypeVar("System", bound=Controlled)


def leave_unanswered(request: web.Request) -> None:
    """Let the caller of this request, whose effect was applied, never hear of it."""
    request[_UNANSWERED] = True


@dataclass(frozen=True, slots=True)
class Faults(Generic[System]):
    """The misbehaviour of one outside system, and the routes that set it."""

    lane: Lane[System]
    clock: Clock

    def middleware(self) -> Middleware:
        """What stands before every call: a slow system applies at once and answers late."""

        @web.middleware
        async def misbehave(request: web.Request, handler: Handler) -> web.StreamResponse:
            effect = request.method == "POST"
            admission = await self.lane.run(lambda store: store.control.admit(effect=effect))
            if admission.down:
                raise Declined(503, "unavailable", "This system is down; nothing was applied.")
            if admission.failing:
                raise Declined(500, "internal_error", "This system failed; nothing was applied.")
            response = await handler(request)
            if admission.delay_seconds > 0:
                await self.clock.sleep(admission.delay_seconds)
            if request.get(_UNANSWERED) and request.transport is not None:
                request.transport.abort()
            return response

        return misbehave

    def add_to(self, app: web.Application, path: str) -> None:
        """Put the routes that show and change the misbehaviour into `app` at `path`."""
        app.router.add_get(path, self.show)
        app.router.add_post(path, self.change)

    async def show(self, _request: web.Request) -> web.Response:
        """How the system behaves at present."""
        return _shown(await self.lane.run(lambda store: store.control.read()))

    async def change(self, request: web.Request) -> web.Response:
        """Keep the named behaviours for good; unknown names and wrong values are refused (400)."""
        change = await read_body(request, ControlChange)
        return _shown(await self.lane.run(lambda store: store.control.change(change)))


def _shown(control: Control) -> web.Response:
    return answer(asdict(control))
