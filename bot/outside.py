"""The outside systems of this installation: what effects go to, and what is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import ClientSession

from actions.connector import Connector, EffectClass
from actions.connectors.budgets import BudgetsConnector
from actions.connectors.outbox_channel import OutboxChannel
from actions.connectors.payments import PaymentsConnector
from actions.connectors.sandbox_office import SandboxMailbox, SandboxMailReader, SandboxOutgoing, SandboxSite
from actions.connectors.sandbox_watch import SandboxHosts, sandbox_watched
from actions.connectors.shop import ShopRecords
from actions.connectors.shop_prices import PricedShop
from actions.mailbox import MAILBOX
from actions.policy import Rules
from actions.records import Records
from actions.source import Sources
from bot.settings import Settings
from core.clock import SystemClock
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
    missing: Mapping[str, str] = field(default_factory=dict[str, str])
    """Connectors that are named and not there for want of a secret, with that secret's name."""


def reach_outside(settings: Settings, database: Database, session: ClientSession, rules: Rules) -> Outside:
    """The outside systems this installation may reach; raises LiveConnectorRefused beside the local workspace."""
    records = ShopRecords(session, f"{sandbox_url(settings)}/shop")
    return Outside(connectors_of(settings, database, session, rules), records, sources_of(settings, session))


def sources_of(settings: Settings, session: ClientSession) -> Sources:
    """What is read outside besides the shop's records."""
    if not settings.is_local:
        return Sources()
    url = sandbox_url(settings)
    mailbox = SandboxMailReader(session, f"{url}/mailbox", window=settings.window)
    return Sources({MAILBOX: mailbox, **sandbox_watched(session, url, SystemClock())})


def connectors_of(
    settings: Settings, database: Database, session: ClientSession, rules: Rules
) -> Mapping[str, Connector]:
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
        raise LiveConnectorRefused(
            f"{', '.join(live)} would reach a real system from the local workspace, where anybody can press Approve."
            " Connect your Slack, or remove that connector."
        )
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
