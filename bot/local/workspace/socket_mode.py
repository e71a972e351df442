"""Socket Mode as Slack runs it: envelopes to any one connection, acknowledged or sent again."""

import asyncio
import json
import secrets
import uuid
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from bot.local.workspace.changes import Changes
from bot.local.workspace.faults import Faults
from bot.local.workspace.json_value import Json, as_object, dump
from bot.local.workspace.refusal import NoAnswer, Refusal
from bot.local.workspace.store import PendingEvent, Store
from core.clock import Clock

_MOST_CONNECTIONS = 10
_OVERTAKEN_SECONDS = 0.3
_RETIRED_SECONDS = 2.0
_NO_CONNECTION = "dispatch_failed"
_NO_ACK = "operation_timeout"


@dataclass(frozen=True)
class Terms:
    """Whose connections these are, and how many seconds an acknowledgement and each further try may take."""

    app_id: str
    ack: float = 3.0
    retries: tuple[float, ...] = (1.0, 60.0, 300.0)


@dataclass
class _Connection:
    socket: web.WebSocketResponse
    transport: asyncio.Transport | None
    retired: bool = field(default=False)

    @property
    def usable(self) -> bool:
        return not self.retired and not self.socket.closed


class SocketMode:
    """The app's connections, and what is under way on them."""

    def __init__(self, store: Store, faults: Faults, *, changes: Changes, clock: Clock, terms: Terms) -> None:
        self._store = store
        self._faults = faults
        self._changes = changes
        self._clock = clock
        self._terms = terms
        self._tickets: set[str] = set()
        self._connections: list[_Connection] = []
        self._connected = asyncio.Event()
        self._waiting: dict[str, asyncio.Future[Json]] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    @property
    def count(self) -> int:
        """How many connections the app has."""
        return sum(connection.usable for connection in self._connections)

    def ticket(self) -> str:
        """A name that opens one connection; raises Refusal when the app has as many as Slack allows."""
        if self.count >= _MOST_CONNECTIONS:
            raise Refusal("too_many_websockets")
        ticket = secrets.token_urlsafe(16)
        self._tickets.add(ticket)
        return ticket

    def resume(self) -> None:
        """Send again what an earlier process still owed to the app."""
        for event in self._store.pending_events():
            self._start(self._deliver(event, resumed=True))

    def publish(self, events: Sequence[PendingEvent]) -> None:
        """Send events in the background until each is acknowledged or given up."""
        for event in events:
            self._start(self._deliver(event, resumed=False))

    async def ask(self, kind: str, payload: Json, *, answerable: bool) -> Json:
        """Send a command or an interaction once; its acknowledgement's payload. Raises NoAnswer."""
        content: Json = {"type": kind, "accepts_response_payload": answerable, "payload": payload}
        return await self._attempt(content)

    async def disconnect(self, *, abrupt: bool) -> None:
        """End every connection: announced, as Slack does every few hours, or cut off."""
        for connection in list(self._connections):
            connection.retired = True
            if abrupt and connection.transport is not None:
                connection.transport.abort()
            else:
                notice = {"type": "disconnect", "reason": "refresh_requested", "debug_info": {"host": "local"}}
                await self._put(connection, notice)
                self._start(self._close_later(connection))
        self._note_connections()

    async def close(self) -> None:
        """Stop every delivery and close every connection."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        for connection in list(self._connections):
            await connection.socket.close()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One connection of the app, from its hello to its end."""
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            raise web.HTTPForbidden(text="This ticket opens no connection; ask apps.connections.open for one.")
        self._tickets.discard(ticket)
        socket = web.WebSocketResponse(autoping=True, heartbeat=20.0)
        await socket.prepare(request)
        connection = _Connection(socket, request.transport)
        self._connections.append(connection)
        try:
            await self._put(connection, self._hello())
            self._note_connections()
            async for frame in socket:
                if frame.type is WSMsgType.TEXT:
                    self._take(str(frame.data))
        finally:
            self._connections.remove(connection)
            self._note_connections()
        return socket

    def _hello(self) -> Json:
        debug = {"host": "local", "build_number": 1, "approximate_connection_time": 18060}
        return {
            "type": "hello",
            "num_connections": self.count,
            "debug_info": debug,
            "connection_info": {"app_id": self._terms.app_id},
        }

    def _note_connections(self) -> None:
        if self.count:
            self._connected.set()
        else:
            self._connected.clear()
        self._changes.tell("connections")

    def _take(self, frame: str) -> None:
        try:
            answer = as_object(json.loads(frame)) or {}
        except json.JSONDecodeError:
            answer = {}
        envelope_id = str(answer.get("envelope_id", ""))
        lost = self._faults.spend("drop_acks")
        self._changes.record("from the bot", "ack (lost on purpose)" if lost else "ack", content=answer)
        waiting = self._waiting.get(envelope_id)
        if waiting is not None and not waiting.done() and not lost:
            waiting.set_result(as_object(answer.get("payload")) or {})

    async def _deliver(self, event: PendingEvent, *, resumed: bool) -> None:
        """Send an event as often as Slack would; one the app could not be reached for goes on reconnection."""
        attempt, reason = event.attempt, "connection_failed" if resumed else ""
        if resumed:
            await self._pause(self._gap(attempt), until_connected=True)
        while attempt <= len(self._terms.retries):
            self._store.note_attempt(event.event_id, attempt + 1)
            try:
                await self._attempt(_event_envelope(event.body, attempt=attempt, reason=reason))
                break
            except NoAnswer as missed:
                unreachable = missed.code == _NO_CONNECTION
                reason = "connection_failed" if unreachable else "timeout"
            attempt += 1
            if attempt <= len(self._terms.retries):
                await self._pause(self._gap(attempt), until_connected=unreachable)
        else:
            self._changes.record("to the bot", "event given up", content=event.body)
        self._store.settle_event(event.event_id)

    def _gap(self, attempt: int) -> float:
        if attempt == 0:
            return self._terms.ack
        return self._terms.retries[min(attempt, len(self._terms.retries)) - 1]

    async def _pause(self, seconds: float, *, until_connected: bool) -> None:
        if not until_connected:
            await self._clock.sleep(seconds)
            return
        try:
            await asyncio.wait_for(self._connected.wait(), seconds)
        except TimeoutError:
            return

    async def _attempt(self, content: Json) -> Json:
        if self._faults.delay_ms:
            await self._clock.sleep(self._faults.delay_ms / 1000)
        if self._faults.spend("reorder"):
            await self._clock.sleep(_OVERTAKEN_SECONDS)
        copies = 2 if self._faults.spend("duplicate") else 1
        answers = [asyncio.ensure_future(self._send(content)) for _ in range(copies)]
        done = await asyncio.gather(*answers, return_exceptions=True)
        first = next((answer for answer in done if not isinstance(answer, BaseException)), done[0])
        if isinstance(first, BaseException):
            raise first
        return first

    async def _send(self, content: Json) -> Json:
        connection = self._choose()
        if connection is None:
            raise NoAnswer(_NO_CONNECTION)
        envelope_id = str(uuid.uuid4())
        answer: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._waiting[envelope_id] = answer
        try:
            await self._put(connection, {"envelope_id": envelope_id, **content})
            return await asyncio.wait_for(answer, self._terms.ack)
        except TimeoutError as error:
            raise NoAnswer(_NO_ACK) from error
        except ConnectionError as error:
            raise NoAnswer(_NO_CONNECTION) from error
        finally:
            del self._waiting[envelope_id]

    def _choose(self) -> _Connection | None:
        usable = [connection for connection in self._connections if connection.usable]
        if not usable:
            return None
        # The one used longest ago is next: every connection gets its share.
        self._connections.remove(usable[0])
        self._connections.append(usable[0])
        return usable[0]

    async def _put(self, connection: _Connection, frame: Json) -> None:
        self._changes.record("to the bot", str(frame["type"]), content=frame)
        await connection.socket.send_str(dump(frame))

    async def _close_later(self, connection: _Connection) -> None:
        await asyncio.sleep(_RETIRED_SECONDS)
        await connection.socket.close()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)


def _event_envelope(body: Json, *, attempt: int, reason: str) -> Json:
    return {
        "type": "events_api",
        "accepts_response_payload": False,
        "retry_attempt": attempt,
        "retry_reason": reason,
        "payload": body,
    }
