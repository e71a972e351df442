"""What the command line and the doctor say of the outside systems: which kinds there are, and how ours are."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

from actions.connecting import Configured, Kind, Kinds, open_connections
from bot.outside import connections_of
from bot.settings import Settings
from core.clock import Clock
from core.errors import CountersignError

_HEALTH_SECONDS = 10.0


class Unhealthy(CountersignError):
    """A connector that is configured cannot be used now; the message says what to do."""


async def connector_rows(settings: Settings, clock: Clock) -> list[dict[str, Any]]:
    """One row for each connector that is configured, then one for each kind that is not."""
    configured = connections_of(settings)
    health = await _health(configured, settings, clock)
    used = {each.kind.name for each in configured}
    others = [kind for kind in Kinds.scan().all() if kind.name not in used]
    return [_configured_row(each, settings, health) for each in configured] + [_kind_row(kind) for kind in others]


def _configured_row(each: Configured, settings: Settings, health: Mapping[str, bool]) -> dict[str, Any]:
    missing = each.missing(settings.named_secrets())
    return {
        **_kind_row(each.kind),
        "connector": each.name,
        "configured": True,
        "account": each.connection.account or "",
        "region": each.region,
        "rate": str(each.rate or ""),
        "secrets": not missing,
        "healthy": health.get(each.name),
        "missing": list(missing.values()),
    }


def _kind_row(kind: Kind) -> dict[str, Any]:
    return {
        "connector": kind.gives,
        "kind": kind.name,
        "configured": False,
        "account": "",
        "settles": kind.settles.value if kind.settles else "",
        "region": kind.region,
        "rate": str(kind.rate or ""),
        "secrets": None,
        "healthy": None,
        "missing": [],
        "needs": [*kind.secrets, *(f"{name} (if any)" for name in kind.may_need)],
        "reads": list(kind.reads),
        "summary": kind.summary,
    }


async def describe_connections(settings: Settings, clock: Clock) -> str:
    """How the configured connectors are, in one line; raises Unhealthy naming those that cannot be used."""
    configured = connections_of(settings)
    if not configured:
        return "none configured" + (": the sandbox stands in for them" if settings.is_local else "")
    secrets = settings.named_secrets()
    wrong = [f"{each.name}: {text}" for each in configured for text in each.missing(secrets).values()]
    health = await _health(configured, settings, clock)
    wrong += [f"{name} does not answer. Check its address and its secret." for name, ok in health.items() if not ok]
    if wrong:
        raise Unhealthy(" ".join(wrong))
    return f"{', '.join(each.name for each in configured)}: secrets are there, and what can be asked answers"


async def _health(configured: list[Configured], settings: Settings, clock: Clock) -> dict[str, bool]:
    async with AsyncExitStack() as stack:
        reached = await open_connections(
            configured, settings.named_secrets(), stack, clock=clock, window=settings.window
        )
        answers = await asyncio.gather(*map(_is_well, reached.health.values()))
        return dict(zip(reached.health, answers, strict=True))


async def _is_well(is_healthy: Callable[[], Awaitable[bool]]) -> bool:
    try:
        async with asyncio.timeout(_HEALTH_SECONDS):
            return await is_healthy()
    except (CountersignError, OSError, TimeoutError):
        return False
