"""The outside systems of this installation: what effects go to, and what is read."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import NoReturn

from aiohttp import ClientSession

from actions.action import AnyAction
from actions.connecting import Configured, Kinds, open_connections, read_connections
from actions.connector import Connector, EffectClass
from actions.connectors.budgets import BudgetsConnector
from actions.connectors.outbox_channel import OutboxChannel
from actions.connectors.paced import Bucket, Paced
from actions.connectors.payments import PaymentsConnector
from actions.connectors.sandbox_office import SandboxMailbox, SandboxMailReader, SandboxOutgoing, SandboxSite
from actions.connectors.sandbox_watch import SandboxHosts, sandbox_watched
from actions.connectors.shop import ShopRecords
from actions.connectors.shop_prices import PricedShop
from actions.mailbox import MAILBOX
from actions.policy import Rules
from actions.rate import Rate
from actions.records import RECORDS, NoRecords, Records
from actions.source import Sources
from bot.action_page import Reach
from bot.settings import Settings
from core.clock import Clock
from core.db import Database
from core.errors import CountersignError
from graphs.budget import raise_ceiling, was_raised


class LiveConnectorRefused(CountersignError):
    """A connector to a real outside system was about to be registered beside the local workspace."""


@dataclass(frozen=True)
class Outside:
    """Where effects go, and where trusted records and everything else is read."""

    connectors: Mapping[str, Connector]
    records: Records
    sources: Sources
    actions: Sequence[AnyAction] = ()
    """Actions that only an outside system could tell of."""
    missing: Mapping[str, str] = field(default_factory=dict[str, str])
    """Connectors that are named and not there for want of a secret, with that secret's name."""


@asynccontextmanager
async def reach_outside(
    settings: Settings, database: Database, session: ClientSession, rules: Rules, clock: Clock
) -> AsyncGenerator[Outside]:
    """The outside systems this installation may reach; raises LiveConnectorRefused beside the local workspace."""
    configured = connections_of(settings)
    async with AsyncExitStack() as stack:
        reached = await open_connections(
            configured, settings.named_secrets(), stack, clock=clock, window=settings.window
        )
        rates = {each.name: each.rate for each in configured}
        live = [_paced(each, rates[each.name], clock) for each in reached.connectors]
        connectors = connectors_of(settings, database, session, rules) | {each.name: each for each in live}
        sources = sources_of(settings, session, clock).joined_by(reached.sources)
        records = sources.get(RECORDS) if sources.has(RECORDS) else _sandbox_records(settings, session)
        yield Outside(connectors, records, sources, reached.actions, reached.missing)


def _sandbox_records(settings: Settings, session: ClientSession) -> Records:
    """The sandbox shop's, beside the local workspace alone: a real team never trusts whoever listens on that port."""
    return ShopRecords(session, f"{sandbox_url(settings)}/shop") if settings.is_local else NoRecords()


def connections_of(settings: Settings) -> list[Configured]:
    """What connectors.yml connects; raises PolicyInvalid, or LiveConnectorRefused beside the local workspace."""
    configured = read_connections(settings.connections, Kinds.scan)
    if settings.is_local and configured:
        _refuse([each.name for each in configured])
    return configured


def _paced(connector: Connector, rate: Rate | None, clock: Clock) -> Connector:
    return connector if rate is None else Paced(connector, Bucket(rate, clock), clock)


def _refuse(live: Sequence[str]) -> NoReturn:
    raise LiveConnectorRefused(
        f"{', '.join(live)} would reach a real system from the local workspace, where anybody can press Approve."
        " Connect your Slack, or remove that connector."
    )


def sources_of(settings: Settings, session: ClientSession, clock: Clock) -> Sources:
    """What is read outside besides the shop's records."""
    if not settings.is_local:
        return Sources()
    url = sandbox_url(settings)
    mailbox = SandboxMailReader(session, f"{url}/mailbox", window=settings.window)
    return Sources({MAILBOX: mailbox, **sandbox_watched(session, url, clock)})


def connectors_of(settings: Settings, database: Database, session: ClientSession, rules: Rules) -> dict[str, Connector]:
    """What effects may go to; raises LiveConnectorRefused beside the local workspace."""
    local = settings.is_local
    account = rules.team.workspace
    found: list[Connector] = [
        OutboxChannel(database, account=account, sandbox=local),
        BudgetsConnector(database, raise_ceiling, was_raised, account=account, sandbox=local),
    ]
    if local:
        found += _sandbox(settings, session)
    live = [connector.name for connector in found if local and not connector.sandbox]
    if live:
        _refuse(live)
    return {connector.name: connector for connector in found}


def _sandbox(settings: Settings, session: ClientSession) -> list[Connector]:
    url, settles = sandbox_url(settings), EffectClass(settings.sandbox_settles)
    window = settings.window
    return [
        PaymentsConnector(session, f"{url}/payments", account="sandbox", sandbox=True, settles=settles, window=window),
        PricedShop(session, f"{url}/shop", account="sandbox", sandbox=True, settles=settles, window=window),
        SandboxMailbox(session, f"{url}/mailbox", account="sandbox", sandbox=True, settles=settles, window=window),
        SandboxOutgoing(session, f"{url}/mail", account="sandbox", sandbox=True, settles=settles, window=window),
        SandboxSite(session, f"{url}/site", account="sandbox", sandbox=True, settles=settles, window=window),
        SandboxHosts(session, f"{url}/hosts", account="sandbox", sandbox=True, settles=settles, window=window),
    ]


def sandbox_url(settings: Settings) -> str:
    """Where the sandbox systems answer."""
    return f"http://127.0.0.1:{settings.sandbox_port}"


async def reach_here(settings: Settings) -> Mapping[str, Reach]:
    """How each connector of this installation settles what left no receipt, and which secrets it needs."""
    if not settings.is_local:
        return reach_anywhere()
    async with ClientSession() as session:
        sandbox = {each.name: Reach(f"{each.settles.value} (sandbox)") for each in _sandbox(settings, session)}
    return {**sandbox, **_built_in()}


def reach_anywhere() -> Mapping[str, Reach]:
    """The same by every kind of connector that this release knows."""
    kinds = Kinds.scan()
    found = dict(_built_in())
    for kind in [each for each in map(kinds.get, kinds.names()) if each is not None and each.settles is not None]:
        known, needs = found.get(kind.gives), ", ".join(f"{secret} ({kind.name})" for secret in kind.secrets)
        settles = f"{kind.settles} ({kind.name})"
        if known is not None:
            settles, needs = f"{known.settles}, {settles}", ", ".join(filter(None, [known.needs, needs]))
        found[kind.gives] = Reach(settles, needs)
    return found


def _built_in() -> Mapping[str, Reach]:
    return {each.name: Reach(each.settles.value) for each in (OutboxChannel, BudgetsConnector)}
