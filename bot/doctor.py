"""Checks everything an installation stands on, and says for each what to do."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import yaml
from aiohttp import ClientError, ClientSession, ClientTimeout

from bot.company import MANIFEST, read_company
from bot.connections import describe_connections
from bot.extending import catalogue_of
from bot.models import read_models
from bot.serve import slack_options
from bot.settings import Settings
from bot.slack.app import granted_scopes
from bot.up import running_stores
from core.cache import open_cache
from core.clock import Clock
from core.db import connect, where
from core.errors import CountersignError
from core.migrate import OLDEST_PGVECTOR
from graphs.chat import OPENAI, ModelOptions

#: Slack refuses nothing for a wrong clock over Socket Mode, but deadlines and schedules would be wrong.
MOST_SKEW = timedelta(seconds=30)


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    what: str
    ok: bool
    text: str


async def examine(settings: Settings, clock: Clock) -> list[Finding]:
    """Look at everything; each finding that is not ok says what to do."""
    findings = [await _try("rules", lambda: _rules(settings))]
    async with running_stores(settings, clock) as stores:
        findings.append(await _try("database", lambda: _database(stores.database_url)))
        findings.append(await _try("audit", lambda: _audit_owner(settings, stores.database_url)))
        if stores.redis_url:
            findings.append(await _try("redis", lambda: _redis(stores.redis_url)))
        findings.append(await _try("clock", lambda: _clock_agrees(stores.database_url, clock)))
    findings.append(await _try("connectors", lambda: describe_connections(settings, clock)))
    findings.append(await _try("slack", lambda: _slack(settings)))
    findings.append(await _try("model", lambda: _model(settings)))
    return findings


async def _try(what: str, look: Callable[[], Awaitable[str]]) -> Finding:
    try:
        return Finding(what, True, await look())
    except (CountersignError, OSError, TimeoutError) as error:
        return Finding(what, False, str(error) or type(error).__name__)


class Unwell(CountersignError):
    """Something is not as it should be; the message says what to do."""


async def _rules(settings: Settings) -> str:
    if not settings.company.exists():
        return f"{settings.company} is not there yet; the first start writes it"
    rules = read_company(settings.company, catalogue_of(settings.company))
    return (
        f"{len(rules.policy.rules)} rules, {len(rules.policy.tests)} tests inside passed, version {rules.version[:12]}"
    )


async def _database(url: str) -> str:
    async with connect(url) as conn:
        cursor = await conn.execute("select current_setting('server_version') as server, current_setting('fsync') as f")
        server = await cursor.fetchone()
        cursor = await conn.execute("select extversion from pg_extension where extname = 'vector'")
        vector = await cursor.fetchone()
    assert server is not None
    if vector is None or tuple(map(int, vector["extversion"].split("."))) < OLDEST_PGVECTOR:
        raise Unwell(
            f"{where(url)} has no pgvector {'.'.join(map(str, OLDEST_PGVECTOR))} or newer. Install it on the server and"
            ' run "create extension vector" as a superuser.'
        )
    if server["f"] != "on":
        raise Unwell(f"{where(url)} runs with fsync off: a power cut would lose receipts. Turn it on.")
    return f"Postgres {server['server']} with pgvector {vector['extversion']} at {where(url)}"


async def _audit_owner(settings: Settings, url: str) -> str:
    async with connect(url) as conn:
        cursor = await conn.execute(
            "select bool_or(pg_has_role(current_user, relowner, 'member')) as own from pg_class"
            " where oid in (to_regclass('core.audit'), to_regclass('core.audit_head'), to_regclass('core.subject_key'))"
        )
        row = await cursor.fetchone()
    if row is None or row["own"] is None:
        return "no audit table yet; the first start makes it"
    if not row["own"]:
        return "the app's role cannot alter the audit log"
    if settings.database_url is None:
        return "embedded Postgres: the app's role owns its tables, which is for one machine and for trying out"
    raise Unwell(
        "The app's role owns the audit log and could alter it. Set DATABASE_OWNER_URL to another role that owns the"
        " tables, and start again."
    )


async def _redis(url: str) -> str:
    async with open_cache(url) as cache:
        if not await cache.answers():
            raise Unwell(
                "Redis does not answer. Nothing is lost without it, only slower; start it or correct REDIS_URL."
            )
    return "Redis answers"


async def _clock_agrees(url: str, clock: Clock) -> str:
    async with connect(url) as conn:
        cursor = await conn.execute("select clock_timestamp() as now")
        row = await cursor.fetchone()
    assert row is not None
    skew = abs(row["now"] - clock.now())
    if skew > MOST_SKEW:
        raise Unwell(f"This machine and the database differ by {skew.total_seconds():.0f} s. Set both clocks by NTP.")
    return f"this machine and the database differ by {skew.total_seconds():.1f} s"


async def _slack(settings: Settings) -> str:
    if settings.is_local:
        return "no tokens: the local workspace stands in for Slack"
    identity, granted = await granted_scopes(slack_options(settings))
    missing = sorted(scopes_wanted(MANIFEST) - granted)
    if missing:
        raise Unwell(
            f"The app in {identity.workspace} lacks the scopes {', '.join(missing)}. Paste manifest.yml under App"
            " Manifest on your app's page, then install it again."
        )
    return f"both tokens work; {identity.name} in workspace {identity.workspace} with all {len(granted)} scopes"


def scopes_wanted(manifest: Path) -> set[str]:
    """The bot scopes that manifest.yml asks for."""
    return set(yaml.safe_load(manifest.read_text(encoding="utf-8"))["oauth_config"]["scopes"]["bot"])


async def _model(settings: Settings) -> str:
    models = read_models(settings).options
    if not models:
        return "none configured: the team works on rules and says so"
    return "; ".join([await _answers(name, options) for name, options in models.items()])


async def _answers(name: str, options: ModelOptions) -> str:
    base = (options.base_url or OPENAI).rstrip("/")
    try:
        async with (
            ClientSession(timeout=ClientTimeout(total=10)) as session,
            session.get(f"{base}/models", headers={"Authorization": f"Bearer {options.api_key or 'none'}"}) as answer,
        ):
            if answer.status >= 400:
                raise Unwell(f"{base} answers {answer.status}. Correct the key or the address of the model {name}.")
    except ClientError as error:
        raise Unwell(f"{base} does not answer ({type(error).__name__}). Correct the address of {name}.") from error
    price = "" if options.price else ", without a price: its cost is unknown, and only budgets of tokens hold it"
    return f"{base} answers; {options.model} is used{price}"
