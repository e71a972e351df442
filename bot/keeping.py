"""Everything that keeps memory in order, put together: learning, digests, upkeep, forgetting, quarantine, exchange."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from actions.policy import Rules
from bot.erasing import DeliveryTraces
from bot.settings import Settings
from core.cache import Cache
from core.db import Connection, Database
from core.metrics import Metrics
from core.subjects import Vault
from graphs.budgeting import for_person
from graphs.distilling import ASKER, extractor
from graphs.erasing import CaseTraces, RunTraces
from graphs.model_calls import ModelCalls
from graphs.model_days import old_calls, prune_calls
from graphs.reasoner import Reasoner
from memory.chronicler import Chronicler
from memory.disputes import Disputes
from memory.distil import Distiller, Extract
from memory.exchange import Exchange
from memory.export_file import ExportFiles
from memory.facts import Facts
from memory.following import Following
from memory.forget import Forgetting, Kept, Receipt
from memory.holding import Quarantine
from memory.item import Scope, ScopeId, ScopeKind
from memory.leaving import forget_removed
from memory.logs import old_rows, prune_recalls, prune_rounds
from memory.measures import rates, show
from memory.playbook_store import StoredPlaybook
from memory.store import Store
from memory.upkeep import Upkeep

#: How often it is looked for what is to be learned, told, moved or forgotten.
DISTIL_SECONDS = 5.0
CHRONICLE_SECONDS = 300.0
UPKEEP_SECONDS = 3600.0
FORGET_SECONDS = 2.0
#: How often it is looked again for what could not be forgotten yet: each look reads whole tables and clears caches.
LEFT_SECONDS = 120.0
MEASURE_SECONDS = 600.0
PRUNE_SECONDS = 86_400.0
#: In one round a log is shortened so often at most; the next round goes on.
_MOST_PRUNES = 500


@dataclass(frozen=True)
class Keeping:
    """What keeps memory in order."""

    database: Database
    store: Store
    facts: Facts
    playbook: StoredPlaybook
    distiller: Distiller
    chronicler: Chronicler
    upkeep: Upkeep
    forgetting: Forgetting
    quarantine: Quarantine
    disputes: Disputes
    exchange: Exchange
    files: ExportFiles
    metrics: Metrics
    logs_kept: timedelta = timedelta(days=90)

    def rounds(self) -> list[tuple[Callable[[], Coroutine[Any, Any, object]], float]]:
        """What is looked after again and again, and how many seconds lie between."""
        return [
            (self.distiller.distil, DISTIL_SECONDS),
            (self.chronicler.look, CHRONICLE_SECONDS),
            (self.upkeep.look, UPKEEP_SECONDS),
            (self.forget, FORGET_SECONDS),
            (self.forgetting.work, LEFT_SECONDS),
            (self.measure, MEASURE_SECONDS),
            (self.prune, PRUNE_SECONDS),
        ]

    async def forget(self) -> list[Receipt]:
        """Fulfil what people have asked to forget, and what follows from channels and people that are gone."""
        async with self.database.transaction() as conn:
            await forget_removed(conn, self.forgetting)
        return await self.forgetting.begin()

    async def measure(self) -> None:
        """Put how well memory is kept on the metrics page."""
        async with self.database.transaction() as conn:
            show(await rates(conn), self.metrics)

    async def prune(self) -> None:
        """Shorten the logs to what is kept of them, a few thousand rows in a transaction."""
        for prune in (prune_rounds, prune_recalls, prune_calls):
            for _ in range(_MOST_PRUNES):
                async with self.database.transaction() as conn:
                    if not await prune(conn, self.logs_kept):
                        break

    async def to_prune(self) -> Mapping[str, int]:
        """How many rows of each log would go now."""
        async with self.database.transaction() as conn:
            calls = await old_calls(conn, self.logs_kept)
            return {**await old_rows(conn, self.logs_kept), "model calls": calls}


def make_keeping(
    database: Database,
    vault: Vault,
    *,
    clear_caches: Callable[[], Awaitable[bool]],
    owner_url: str | None = None,
    kept: Kept | None = None,
    metrics: Metrics | None = None,
    extract: Extract | None = None,
    most_calls_an_hour: int = 0,
) -> Keeping:
    """The parts over one database."""
    store = Store(vault, follow=Following(vault))
    facts = Facts(store, vault)
    playbook = StoredPlaybook(database, store, vault)
    disputes = Disputes(database, facts)
    files = ExportFiles(database)
    return Keeping(
        database=database,
        store=store,
        facts=facts,
        playbook=playbook,
        distiller=Distiller(
            database, store, facts, ask=disputes.ask, extract=extract, most_calls_an_hour=most_calls_an_hour
        ),
        chronicler=Chronicler(database, store, vault),
        upkeep=Upkeep(database, store, facts),
        forgetting=Forgetting(
            database,
            store,
            facts,
            vault,
            clear_caches=clear_caches,
            elsewhere=[RunTraces(), CaseTraces(), DeliveryTraces(), files],
            owner_url=owner_url,
            kept=kept,
        ),
        quarantine=Quarantine(database, store),
        disputes=disputes,
        exchange=Exchange(database, store, facts, playbook, vault),
        files=files,
        metrics=metrics or Metrics(),
    )


def open_keeping(
    settings: Settings,
    database: Database,
    cache: Cache,
    vault: Vault,
    reasoner: Reasoner,
    rules: Callable[[], Rules],
    metrics: Metrics,
) -> Keeping:
    """The parts as configured; a model is asked within the ceilings of a person who is nobody."""
    calls = ModelCalls(database)
    owner = settings.database_owner_url
    keeping = make_keeping(
        database,
        vault,
        clear_caches=lambda: cache.clear("memory."),
        owner_url=owner.get_secret_value() if owner else None,
        kept=Kept(timedelta(days=settings.wal_days), timedelta(days=settings.backup_days)),
        metrics=metrics,
        extract=extractor(lambda: for_person(reasoner, calls, rules(), ASKER)) if settings.memory_model_calls else None,
        most_calls_an_hour=settings.memory_model_calls,
    )
    return replace(keeping, logs_kept=timedelta(days=settings.log_days))


async def scopes_for(conn: Connection, workspace: str, person: str, *, is_guest: bool) -> dict[ScopeId, Scope]:
    """The scopes whose memory this person may see now."""
    cursor = await conn.execute(
        "select scope_id, kind, name from memory.visible_to(%s, %s, %s)", (workspace, person, is_guest)
    )
    return {
        ScopeId(row["scope_id"]): Scope(workspace, ScopeKind(row["kind"]), row["name"])
        for row in await cursor.fetchall()
    }


async def scope_here(conn: Connection, workspace: str, channel: str, person: str) -> Scope:
    """Whose memory what is said in this channel belongs to; a channel that is not known counts as private."""
    if channel.startswith("D"):
        return Scope(workspace, ScopeKind.PERSON, person)
    cursor = await conn.execute(
        "select kind from memory.scope where workspace = %s and name = %s", (workspace, channel)
    )
    row = await cursor.fetchone()
    return Scope(workspace, ScopeKind.PRIVATE if row is None else ScopeKind(row["kind"]), channel)


async def place_of(
    conn: Connection, keeping: Keeping, workspace: str, channel: str, person: str
) -> tuple[Scope, Sequence[Scope]]:
    """The scope here, and those whose rules count here: this one and the whole workspace's."""
    here = await scope_here(conn, workspace, channel, person)
    await keeping.store.scope_of(conn, here)
    return here, (here, Scope(workspace, ScopeKind.WORKSPACE))
