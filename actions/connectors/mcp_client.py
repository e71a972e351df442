"""MCP: any configured server's tools as actions, each called on a connection of its own after a last look at it."""

import asyncio
import json
import logging
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self, cast

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from actions.action import AnyAction, ArgumentsInvalid
from actions.connecting import Kind, Opened, Opening
from actions.connector import EffectClass, Inconclusive, Outbound, OutcomeUnknown, Rejected, Reply, Unreachable
from actions.connectors.mcp_tools import MOST_TEXT, Offered, actions_of
from actions.connectors.private import PrivateUrl
from actions.connectors.wire import compact
from actions.intent import Record
from actions.rate import Rate
from core.errors import CountersignError

if TYPE_CHECKING:
    from mcp.client.client import Client

log = logging.getLogger(__name__)

#: How long a server may take at our start to say which tools it has.
_LISTING = timedelta(seconds=10)
_MOST_PAGES = 20
#: JSON-RPC's codes for a call that was not even begun: no such method, no such arguments, no such request.
_NEVER_BEGUN = frozenset({-32601, -32602, -32600, -32700})


class McpOptions(BaseModel):
    """Where one MCP server is, and which of its tools are offered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: PrivateUrl | None = None
    """Of a server that speaks streamable HTTP; the secret `token` is shown to it, any other is a header."""
    command: list[str] | None = Field(None, min_length=1, max_length=50)
    """Of a server that is a program on this machine; each secret is a variable of its environment."""
    tools: list[str] | None = None
    """Only these, by their own names; all of them where this is left out."""

    @model_validator(mode="after")
    def _is_one_place(self) -> Self:
        if (self.url is None) == (self.command is None):
            raise ValueError("write either url or command: where the server is, or which program it is.")
        return self


class McpConnector:
    """Calls the tools of one server; nothing tells afterwards what a call that broke off has done."""

    sandbox = False
    settles = EffectClass.OPAQUE
    key_retention: timedelta | None = None

    def __init__(
        self, name: str, options: McpOptions, secrets: Mapping[str, SecretStr], *, account: str, window: timedelta
    ) -> None:
        self.name = name
        self.account = account
        self.window = window
        self._options = options
        self._secrets = secrets
        self._known: dict[str, tuple[AnyAction, Offered]] = {}

    @property
    def actions(self) -> list[AnyAction]:
        """What the server offered when it was last asked."""
        return [action for action, _ in self._known.values()]

    async def learn(self) -> None:
        """Ask the server which tools it has; raises Unreachable."""
        try:
            async with asyncio.timeout(_LISTING.total_seconds()), self._visit() as client:
                self._known = actions_of(await self._offered(client), self.name)
        except Exception as error:
            # The client of a server raises what it likes, wrapped in groups: what counts is that it is not there.
            raise Unreachable(
                f"The MCP server {self.name} does not say which tools it has ({_kind(error)})."
            ) from error

    def request(self, record: Record, receiver_key: str) -> Outbound:
        """The tool and its arguments, purely; no key of ours goes along, for no tool has a place for one."""
        del receiver_key
        action, tool = self._known.get(record.action, (None, None))
        if action is None or tool is None or action.version != record.action_version:
            raise Rejected(
                f"{record.action} is not what it was when this was asked for, so it was not called. Ask for it anew.",
                code="tool_changed",
            )
        try:
            args = action.parse(record.args).model_dump(mode="json")
        except ArgumentsInvalid as error:
            raise Rejected(str(error), code="not_expressible") from error
        return Outbound("CALL", tool.name, compact(args), {"fingerprint": tool.fingerprint})

    async def send(self, outbound: Outbound, *, timeout: timedelta) -> Reply:
        """Call the tool once; raises Rejected, Unreachable, or OutcomeUnknown once it was called."""
        called: list[str] = []
        try:
            async with asyncio.timeout(timeout.total_seconds()), self._visit() as client:
                await self._look_again(client, outbound)
                called.append(outbound.path)
                return await self._call(client, outbound)
        except CountersignError:
            raise
        except Exception as error:
            ours = _ours(error)
            if ours is not None:
                raise ours from error
            if called:
                why = f"The tool {outbound.path} broke off ({_kind(error)})."
                raise OutcomeUnknown(f"{why} Whether it did anything is open.") from error
            raise Unreachable(f"The MCP server {self.name} cannot be reached ({_kind(error)}).") from error

    async def find(self, record: Record, receiver_key: str) -> Reply | None:
        """Never an answer: MCP has no question for it; raises Inconclusive."""
        raise Inconclusive("An MCP server cannot be asked what its tools have done. Look there.")

    async def is_healthy(self) -> bool:
        """True when the server answers now and says which tools it has."""
        try:
            async with asyncio.timeout(_LISTING.total_seconds()), self._visit() as client:
                await self._offered(client)
        except Exception:  # noqa: BLE001 -- see `learn`
            return False
        return True

    async def _look_again(self, client: "Client", outbound: Outbound) -> None:
        """What people agreed to is the tool as it described itself then, to the last word."""
        now = {tool.name: tool for tool in await self._offered(client)}.get(outbound.path)
        if now is None or now.fingerprint != outbound.headers["fingerprint"]:
            raise Rejected(
                f"{self.name} describes {outbound.path} in other words than when this was asked for, so it was not"
                " called. Start Countersign again and ask for it anew.",
                code="tool_changed",
            )

    async def _call(self, client: "Client", outbound: Outbound) -> Reply:
        from mcp.shared.exceptions import MCPError

        try:
            result = await client.call_tool(outbound.path, json.loads(outbound.body))
        except MCPError as error:
            if error.code in _NEVER_BEGUN:
                raise Rejected(f"{self.name} does not take this call: {str(error)[:200]}", code="refused") from error
            raise
        text = "\n".join(str(getattr(part, "text", f"[{part.type}]")) for part in result.content)
        if result.is_error:
            # Some tools fail before they have done anything and some in the middle; they say which to people only.
            raise OutcomeUnknown(
                f"The tool {outbound.path} says that it failed: {text[:300]} Whether it did anything is open."
            )
        structured = result.structured_content
        kept = structured if len(json.dumps(structured, default=str)) <= MOST_TEXT else None
        return {"text": text[:MOST_TEXT], "structured": kept}

    async def _offered(self, client: "Client") -> list[Offered]:
        found: list[Offered] = []
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            page = await client.list_tools(cursor=cursor)
            for tool in page.tools:
                hints: dict[str, Any] = tool.annotations.model_dump(mode="json") if tool.annotations else {}
                words = " ".join(filter(None, (tool.title, tool.description)))
                found.append(Offered(tool.name, words, tool.input_schema, hints))
            cursor = page.next_cursor
            if cursor is None:
                break
        wanted = self._options.tools
        return [tool for tool in found if wanted is None or tool.name in wanted]

    @asynccontextmanager
    async def _visit(self) -> "AsyncGenerator[Client]":
        # MCP's client takes a second to load, which only those wait for who use it.
        from mcp.client.client import Client
        from mcp.client.stdio import StdioServerParameters, stdio_client
        from mcp.client.streamable_http import streamable_http_client
        from mcp.shared._httpx_utils import create_mcp_http_client

        held = {name: secret.get_secret_value() for name, secret in self._secrets.items()}
        async with AsyncExitStack() as stack:
            if self._options.url is not None:
                shown = {name: value for name, value in held.items() if name != "token"}
                shown |= {"Authorization": f"Bearer {held['token']}"} if "token" in held else {}
                http = await stack.enter_async_context(create_mcp_http_client(headers=shown))
                transport = streamable_http_client(self._options.url, http_client=http)
            else:
                command, *arguments = self._options.command or [""]
                # What the program says of itself goes nowhere: it may repeat the secrets that it holds.
                nowhere = await asyncio.to_thread(open, os.devnull, "w")
                stack.callback(nowhere.close)
                program = StdioServerParameters(command=command, args=arguments, env=held)
                transport = stdio_client(program, errlog=nowhere)
            yield await stack.enter_async_context(Client(transport, cache=None))


def _ours(error: BaseException) -> CountersignError | None:
    """Our own error inside the groups in which the client wraps whatever passes through it."""
    if isinstance(error, BaseExceptionGroup):
        inner = cast(BaseExceptionGroup[BaseException], error)
        return next((found for each in inner.exceptions if (found := _ours(each)) is not None), None)
    return error if isinstance(error, CountersignError) else None


def _kind(error: BaseException) -> str:
    """The kind of the innermost error: its words may repeat what was sent."""
    if isinstance(error, BaseExceptionGroup):
        return _kind(cast(BaseExceptionGroup[BaseException], error).exceptions[0])
    return type(error).__name__


async def _open(options: McpOptions, opening: Opening) -> Opened:
    connector = McpConnector(opening.name, options, opening.secrets, account=opening.account, window=opening.window)
    try:
        await connector.learn()
    except Unreachable as error:
        log.warning("%s Its actions are left out until the next start.", error)
    return Opened(connector, actions=connector.actions)


MCP = Kind(
    name="mcp",
    gives="mcp.*",
    summary="Offers the tools of an MCP server as actions; each asks, and each version of its words asks once more.",
    options=McpOptions,
    open=_open,
    settles=EffectClass.OPAQUE,
    rate=Rate(calls=60, per=timedelta(minutes=1)),
)
