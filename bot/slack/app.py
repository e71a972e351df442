"""The connection to Slack: nothing is acknowledged before it is kept, and wrong tokens are named at the start."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import ClientSession, ClientTimeout
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.delivery import Delivery
from bot.slack import listeners
from bot.slack.call import TRANSPORT_ERRORS, code_of
from bot.slack.channel import SlackChannel
from bot.slack.links import Links
from bot.slack.listeners.buttons import LoadApproval
from core.errors import CountersignError
from core.metrics import Metrics

#: Slack gives 3 s for an acknowledgement; keeping the delivery may take a third of it.
COMMIT_WITHIN = 1.0

_CALL_WITHIN = ClientTimeout(total=10)
_CLOSE_WITHIN = 2.0
_PING_SECONDS = 5
_WATCH_SECONDS = 5.0
_DOWN_CHECKS = 4

log = logging.getLogger(__name__)

#: Registers the listeners of one kind of modal that talks back while it is open.
Dialog = Callable[[AsyncApp, AsyncWebClient], None]


class SlackRefused(CountersignError):
    """Slack does not let us in; the message says which token is wrong and what to do."""


class Keeper(Protocol):
    """Keeps deliveries."""

    async def commit(self, delivery: Delivery) -> bool:
        """Keep it for good; False for a repeat."""
        ...


@dataclass(frozen=True)
class SlackOptions:
    """How to reach a workspace; `local` is the local one, which no proxy may stand before."""

    bot_token: str
    app_token: str
    base_url: str | None
    command: str
    connections: int = 2
    local: bool = False
    link_hosts: Collection[str] = ()
    """The hosts that links in messages may lead to."""


@dataclass(frozen=True)
class Identity:
    """Who we are there."""

    workspace: str
    enterprise: str | None
    bot_id: str
    bot_user_id: str
    name: str


class Connections:
    """The Socket Mode connections; one that stays down is replaced, for the SDK may retry a dead address forever."""

    def __init__(self, app: AsyncApp, options: SlackOptions) -> None:
        self._app = app
        self._options = options
        self._handlers: list[AsyncSocketModeHandler] = []

    async def open(self) -> None:
        """Connect all; raises SlackRefused when that takes longer than 15 s."""
        self._handlers = [self._handler() for _ in range(self._options.connections)]
        try:
            async with asyncio.timeout(15):
                await asyncio.gather(*(handler.connect_async() for handler in self._handlers))
        except TimeoutError as error:
            raise SlackRefused(
                "Slack gave no Socket Mode connection within 15 s. Check the network, and that Socket Mode is on."
            ) from error

    def _handler(self) -> AsyncSocketModeHandler:
        handler = AsyncSocketModeHandler(self._app, self._options.app_token, ping_interval=_PING_SECONDS)
        if self._options.local:
            handler.client.proxy = None
        return handler

    async def is_connected(self) -> bool:
        """True when at least one connection is up."""
        return any([await handler.client.is_connected() for handler in self._handlers])

    async def watch(self) -> None:
        """Replace connections that stay down, until cancelled."""
        down = [0] * len(self._handlers)
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            for place, handler in enumerate(self._handlers):
                down[place] = 0 if await handler.client.is_connected() else down[place] + 1
                if down[place] >= _DOWN_CHECKS:
                    log.warning("a Socket Mode connection stayed down, replacing it")
                    await self._replace(place)
                    down[place] = 0

    async def _replace(self, place: int) -> None:
        await _close(self._handlers[place])
        self._handlers[place] = self._handler()
        try:
            async with asyncio.timeout(_CALL_WITHIN.total):
                await self._handlers[place].connect_async()
        except TimeoutError:
            log.warning("Slack still gives no Socket Mode connection")

    async def close(self) -> None:
        """Close all, waiting at most 2 s for each."""
        for handler in self._handlers:
            await _close(handler)


async def _close(handler: AsyncSocketModeHandler) -> None:
    client: Any = handler.client
    try:
        async with asyncio.timeout(_CLOSE_WITHIN):
            await handler.close_async()
    except TimeoutError:
        log.warning("a Socket Mode connection did not close in %s s", _CLOSE_WITHIN)
    finally:
        await _cancel(client.message_processor, client.current_session_monitor, client.message_receiver)
        await client.aiohttp_client_session.close()


async def _cancel(*tasks: "asyncio.Future[Any] | None") -> None:
    running = [task for task in tasks if task is not None]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


@dataclass(frozen=True)
class SlackSide:
    """A live connection to one workspace."""

    client: AsyncWebClient
    channel: SlackChannel
    identity: Identity
    connections: Connections

    async def is_connected(self) -> bool:
        """True when Slack can reach us now."""
        return await self.connections.is_connected()


@asynccontextmanager
async def open_slack(
    options: SlackOptions,
    deliveries: Keeper,
    load_approval: LoadApproval,
    metrics: Metrics,
    *,
    dialogs: Sequence[Dialog] = (),
) -> AsyncGenerator[SlackSide]:
    """Connected to Slack inside the block; raises SlackRefused when a token is wrong or Slack is not there."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(ClientSession(timeout=_CALL_WITHIN))
        client = _client(options, session)
        identity = await preflight(client, options)
        app = build_app(client, identity, deliveries, metrics)
        register_all(app, client, options.command, load_approval, dialogs=dialogs)
        connections = Connections(app, options)
        stack.push_async_callback(connections.close)
        await connections.open()
        watcher = asyncio.create_task(connections.watch(), name="slack.watch")
        stack.push_async_callback(_cancel, watcher)
        channel = SlackChannel(client, identity.bot_user_id, Links(options.link_hosts))
        yield SlackSide(client, channel, identity, connections)


def _client(options: SlackOptions, session: ClientSession) -> AsyncWebClient:
    # No retry handlers: the SDK's would post again after a lost answer, without looking first.
    base_url = options.base_url or AsyncWebClient.BASE_URL
    client = AsyncWebClient(options.bot_token, base_url=base_url, session=session, retry_handlers=[])
    if options.local:
        client.proxy = None
    return client


async def preflight(client: AsyncWebClient, options: SlackOptions) -> Identity:
    """Who we are there, after both tokens were tried; raises SlackRefused."""
    who = await _tried(client.auth_test(), client.base_url, _BOT_REFUSED)
    await _tried(client.apps_connections_open(app_token=options.app_token), client.base_url, _APP_REFUSED)
    return Identity(
        workspace=who["team_id"],
        enterprise=who.get("enterprise_id"),
        bot_id=who.get("bot_id") or "",
        bot_user_id=who["user_id"],
        name=who.get("user") or "countersign",
    )


_BOT_REFUSED = (
    "SLACK_BOT_TOKEN is not accepted by Slack ({error}). Copy the Bot User OAuth Token, which begins with xoxb-, "
    "from your app's page under OAuth & Permissions; install the app to the workspace first."
)
_APP_REFUSED = (
    "SLACK_APP_TOKEN is not accepted by Slack ({error}). Create an App-Level Token, which begins with xapp-, with "
    "the scope connections:write on your app's page under Basic Information, and turn Socket Mode on."
)


async def _tried(doing: Awaitable[Any], base_url: str, help_text: str) -> Any:
    try:
        return await doing
    except SlackApiError as error:
        raise SlackRefused(help_text.format(error=code_of(error.response) or "no reason given")) from error
    except (SlackClientError, *TRANSPORT_ERRORS) as error:
        raise SlackRefused(
            f"Slack at {base_url} does not answer ({type(error).__name__}). Check the network, then start again."
        ) from error


def build_app(client: AsyncWebClient, identity: Identity, deliveries: Keeper, metrics: Metrics) -> AsyncApp:
    """A Bolt app whose one global middleware keeps each delivery before anything can acknowledge it."""

    async def authorize() -> AuthorizeResult:
        return AuthorizeResult(
            enterprise_id=identity.enterprise,
            team_id=identity.workspace,
            bot_id=identity.bot_id,
            bot_user_id=identity.bot_user_id,
            bot_token=client.token,
        )

    # `authorize` gives the token; a client that has one too makes Bolt warn at every start.
    bare = AsyncWebClient(base_url=client.base_url, session=client.session, retry_handlers=[])
    bare.proxy = client.proxy
    app = AsyncApp(
        name="countersign", client=bare, authorize=authorize, signing_secret="", process_before_response=False
    )
    app.use(_keep_first(deliveries, identity.bot_user_id, metrics))
    return app


def _keep_first(
    deliveries: Keeper, bot_user_id: str, metrics: Metrics
) -> Callable[[dict[str, Any], Callable[[], Awaitable[None]]], Awaitable[None]]:
    async def keep(body: dict[str, Any], next_: Callable[[], Awaitable[None]]) -> None:
        delivery = listeners.read(body, bot_user_id)
        if delivery is not None:
            # Raising here leaves the delivery unacknowledged: Slack sends events again and tells people.
            async with asyncio.timeout(COMMIT_WITHIN):
                new = await deliveries.commit(delivery)
            metrics.deliveries.labels(delivery.kind, "received" if new else "repeated").inc()
        await next_()

    return keep


def register_all(
    app: AsyncApp,
    client: AsyncWebClient,
    command: str,
    load_approval: LoadApproval,
    *,
    dialogs: Sequence[Dialog] = (),
) -> None:
    """Register every listener, those of `dialogs` first; the one that takes whatever is left comes last."""
    for register in dialogs:
        register(app, client)
    listeners.command.register(app, command)
    listeners.mention.register(app)
    listeners.buttons.register(app, client, load_approval)
    listeners.views.register(app)
    listeners.events.register(app)


def subscribed() -> Sequence[str]:
    """The events that are for us, by their names in the manifest."""
    return ("app_mention", "message.im", "message.channels", "message.groups")


async def identify(options: SlackOptions) -> Identity:
    """Who we are in that workspace, without connecting; raises SlackRefused when a token is wrong."""
    async with ClientSession(timeout=_CALL_WITHIN) as session:
        return await preflight(_client(options, session), options)


async def granted_scopes(options: SlackOptions) -> tuple[Identity, set[str]]:
    """Who we are there, and the scopes Slack says the bot token has; raises SlackRefused."""
    async with ClientSession(timeout=_CALL_WITHIN) as session:
        client = _client(options, session)
        identity = await preflight(client, options)
        said = await _tried(client.auth_test(), client.base_url, _BOT_REFUSED)
    headers = {str(name).lower(): value for name, value in said.headers.items()}
    scopes = headers.get("x-oauth-scopes", "")
    return identity, {scope.strip() for scope in str(scopes).split(",") if scope.strip()}
