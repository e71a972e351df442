"""What the command line lists: runs, approvals, the ledger, schedules, audit events, actions, connectors."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

from actions import approval_views, pauses
from actions import store as ledger
from actions.action import Catalogue
from bot import action_page
from bot.extending import catalogue_of
from bot.outside import reach_anywhere, reach_here
from bot.settings import Settings
from bot.up import running_stores
from core.audit import recent as recent_audit
from core.clock import Clock
from core.db import Database, DatabaseError, connect, is_untouched, open_database
from graphs import model_calls
from graphs.store import RunStore
from scheduler.store import ScheduleStore

Rows = list[dict[str, Any]]


async def rows_of(name: str, settings: Settings, clock: Clock, *, limit: int) -> Rows:
    """The rows of one listing, newest first, as plain data."""
    if name == "actions":
        return await _actions(settings)
    if name == "connectors":
        # Loads every connector there is, which no other listing needs.
        from bot.connections import connector_rows

        return (await connector_rows(settings, clock))[:limit]
    async with running_stores(settings, clock) as stores:
        # A pool would try for a while and complain meanwhile; a person wants to know at once.
        async with connect(stores.database_url):
            pass
        async with open_database(stores.database_url, min_size=1) as database:
            return await _read(name, database, settings, limit)


async def _read(name: str, database: Database, settings: Settings, limit: int) -> Rows:
    try:
        return await _READERS[name](database, settings, limit)
    except DatabaseError as error:
        if not is_untouched(error):
            raise
        # Nothing was ever started on this database, so there is nothing to list yet.
        return []


async def _actions(settings: Settings) -> Rows:
    return action_page.rows_of(catalogue_of(settings.company), await reach_here(settings))


def page_of_actions() -> str:
    """The page of the docs about every action that is shipped."""
    return action_page.page_of(Catalogue.scan(), reach_anywhere())


async def _runs(database: Database, settings: Settings, limit: int) -> Rows:
    return [
        {
            "run_id": run.run_id,
            "workflow": run.workflow,
            "dry": run.request.dry,
            "state": run.state.value,
            "requester": run.request.requester,
            "created_at": run.created_at.isoformat(),
            "finished_at": run.finished_at.isoformat() if run.finished_at else None,
            "outcome": run.outcome,
            "predicted": run.predicted,
            "figures": dict(run.figures),
            "steps": [step.model_dump(mode="json") for step in run.steps],
            "waiting": [waiting.model_dump(mode="json") for waiting in run.waiting],
        }
        for run in await RunStore(database).recent(limit)
    ]


async def _approvals(database: Database, settings: Settings, limit: int) -> Rows:
    async with database.connection() as conn:
        return await approval_views.list_recent(conn, limit)


async def _ledger(database: Database, settings: Settings, limit: int) -> Rows:
    async with database.connection() as conn:
        return await ledger.recent_effects(conn, limit=limit)


async def _pauses(database: Database, settings: Settings, limit: int) -> Rows:
    async with database.connection() as conn:
        return await pauses.list_recent(conn, limit)


async def _schedules(database: Database, settings: Settings, limit: int) -> Rows:
    found = await ScheduleStore(database).all()
    return [{**asdict(schedule), "conversation": schedule.conversation.to_json()} for schedule in found[:limit]]


async def _audit(database: Database, settings: Settings, limit: int) -> Rows:
    async with database.connection() as conn:
        return await recent_audit(conn, limit)


async def _calls(database: Database, settings: Settings, limit: int) -> Rows:
    async with database.connection() as conn:
        return await model_calls.list_recent(conn, limit)


async def _cost(database: Database, settings: Settings, limit: int) -> Rows:
    async with database.connection() as conn:
        return (await model_calls.list_spend(conn))[:limit]


_READERS: Mapping[str, Callable[[Database, Settings, int], Awaitable[Rows]]] = {
    "runs": _runs,
    "approvals": _approvals,
    "ledger": _ledger,
    "pauses": _pauses,
    "schedules": _schedules,
    "audit": _audit,
    "calls": _calls,
    "cost": _cost,
}
