"""The only place where things are put together."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from aiohttp import ClientSession

from actions.absence import Absences
from actions.action import Catalogue
from actions.approvals import Approvals
from actions.batches import Batches
from actions.doubts import Doubts
from actions.edits import Edits
from actions.errands import Errands
from actions.gateway import Gateway
from actions.grants import Grants
from actions.ground import Ground
from actions.judging import Judge
from actions.killswitch import KillSwitch
from actions.outcome import Wake
from actions.policy import Rules
from actions.questions import Questions
from actions.reopening import Reopening
from actions.rules_keeper import Offer, RulesKeeper
from actions.source import Sources
from actions.wishes import Wishes
from bot.extending import catalogue_of, workflows_of
from bot.firing import Starting, fires_of
from bot.groups import Groups
from bot.keeping import Keeping, open_keeping
from bot.models import read_models
from bot.outside import Outside, reach_outside
from bot.releasing import Releasing
from bot.remembering import Memory, open_memory
from bot.rules_watch import read_offer, tell_of_looser_rules
from bot.settings import Settings
from bot.slack.blocks import batch_card
from bot.slack.blocks.approval_card import answered_text, asked_text
from bot.switch import telling_of_trips
from bot.talk import Talk, make_talk
from bot.undo_failed import UndoFailed, ending_by_hand
from core.cache import Cache, open_cache
from core.clock import Clock
from core.db import Connection, Database, open_database
from core.errors import SettingsInvalid
from core.ids import RunId
from core.metrics import Metrics
from core.migrate import Migrations, Setup, grant, migrate
from core.secrets import FileWrappingKey
from core.subjects import Vault
from graphs.budgeting import for_person, within_budgets
from graphs.checkpoints import set_up_checkpoints
from graphs.context import RunContext
from graphs.dispatch import Dispatcher, EngineOptions, set_up_engine
from graphs.model_calls import ModelCalls, forget_answers
from graphs.models import open_reasoner
from graphs.reasoner import Example, Reasoner
from graphs.run import Run, Waiting
from graphs.run_guard import RunGuard
from graphs.runner import Runner, Surroundings
from graphs.store import RunStore
from graphs.workflow import Workflow, Workflows
from scheduler.fires import Fires
from scheduler.store import ScheduleStore

MIGRATIONS: Sequence[Migrations | Setup] = (
    Migrations("core"),
    Setup("langgraph", set_up_checkpoints),
    Setup("engine", set_up_engine),
    Migrations("actions"),
    Migrations("memory"),
    Migrations("graphs"),
    Migrations("scheduler"),
    Migrations("bot"),
)


@dataclass(frozen=True)
class Presence:
    """Who is there to be asked, and what is asked again."""

    groups: Groups
    absences: Absences
    reopening: Reopening


@dataclass(frozen=True)
class Installation:
    """Everything of one process, put together."""

    settings: Settings
    clock: Clock
    metrics: Metrics
    database: Database
    cache: Cache
    catalogue: Catalogue
    rules: RulesKeeper
    gateway: Gateway
    approvals: Approvals
    batches: Batches
    edits: Edits
    switch: KillSwitch
    questions: Questions
    grants: Grants
    errands: Errands
    releasing: Releasing
    presence: Presence
    doubts: Doubts
    talk: Talk
    workflows: Workflows
    runs: RunStore
    dispatcher: Dispatcher
    runner: Runner
    reasoner: Reasoner
    model_calls: ModelCalls
    schedules: ScheduleStore
    fires: Fires
    keeping: Keeping
    memory: Memory
    sources: Sources

    async def choose_workflow(self, text: str, requester: str) -> str | None:
        """The workflow that free text asks for, or None when none fits well enough."""
        workflows = [self.workflows.get(name) for name in self.workflows.names()]
        examples = [Example(each.name, text) for each in workflows if each is not None for text in each.examples]
        reasoner = for_person(self.reasoner, self.model_calls, self.rules(), requester)
        if not examples:
            return None
        thought = await reasoner.classify(text, examples)
        # A model may plan what no workflow is for; rules cannot, and then that is said at once.
        plans = any("ask" in mate.workflows for mate in self.rules().team.teammates)
        return thought.value or ("ask" if plans and thought.reasoner == "model" else None)


async def migrate_database(settings: Settings, database_url: str) -> None:
    """Bring the database to this release's shape, with the owner's role where one is configured."""
    if settings.database_owner_url is None:
        await migrate(database_url, MIGRATIONS)
        return
    owner_url = settings.database_owner_url.get_secret_value()
    await migrate(owner_url, MIGRATIONS)
    await grant(owner_url, database_url, MIGRATIONS)


@asynccontextmanager
async def open_installation(settings: Settings, clock: Clock, metrics: Metrics) -> AsyncGenerator[Installation]:
    """An installation whose database is migrated and whose rules are read; raises CountersignError saying why not."""
    if settings.database_url is None or settings.redis_url is None:
        raise SettingsInvalid("DATABASE_URL and REDIS_URL are needed here; `countersign up` sets both for local use.")
    catalogue = catalogue_of(settings.company)
    offer = read_offer(settings.company, catalogue.names())
    database_url = settings.database_url.get_secret_value()
    await migrate_database(settings, database_url)
    async with AsyncExitStack() as stack:
        vault = open_vault(settings)
        database = await stack.enter_async_context(open_database(database_url, vault=vault))
        cache = await stack.enter_async_context(open_cache(settings.redis_url.get_secret_value()))
        session = await stack.enter_async_context(ClientSession())
        outside = await stack.enter_async_context(reach_outside(settings, database, session, offer.rules, clock))
        catalogue.take_in(outside.actions)
        rules = await _rules_in_force(settings, database, offer, catalogue)
        opening = open_memory(settings, database, cache, vault, rules=rules, clock=clock, metrics=metrics)
        memory = await stack.enter_async_context(opening)
        embed, secrets = memory.by_meaning, settings.secrets()
        reasoner = open_reasoner(read_models(settings), metrics, clock=clock, secrets=secrets, embed=embed)
        stack.push_async_callback(reasoner.close)
        ground = _Ground(database, cache, catalogue, rules, outside, reasoner, memory)
        yield _put_together(settings, clock, metrics, ground)


async def _rules_in_force(settings: Settings, database: Database, offer: Offer, catalogue: Catalogue) -> RulesKeeper:
    """What Postgres says is in force once the files have been offered; looser files wait for people."""
    accepted = settings.accept_looser_rules
    keeper = RulesKeeper(database, offer, catalogue.names(), tell=tell_of_looser_rules, accepted=accepted)
    if not keeper.accepts(offer.rules.version):
        await keeper.follow()
    await keeper.offer(offer)
    await keeper.follow()
    return keeper


def open_vault(settings: Settings) -> Vault:
    """What seals the texts of people, with the wrapping key made at the first start; raises SecretUnfit."""
    return Vault(FileWrappingKey(settings.wrapping_key))


@dataclass(frozen=True)
class _Ground:
    """What everything else stands on."""

    database: Database
    cache: Cache
    catalogue: Catalogue
    rules: RulesKeeper
    outside: Outside
    reasoner: Reasoner
    memory: Memory


def _put_together(settings: Settings, clock: Clock, metrics: Metrics, ground: _Ground) -> Installation:
    rules, database, catalogue, runs = ground.rules, ground.database, ground.catalogue, RunStore(ground.database)
    dispatcher = Dispatcher(database, runs, clock=clock, options=engine_options(settings))

    async def wake(run_id: RunId, conn: Connection, at: datetime | None = None) -> None:
        await dispatcher.wake(run_id, conn, at=at)

    presence = Presence(Groups(), Absences(rules), Reopening(rules, wake=wake))
    doors = _doors(ground, rules, runs, presence, wake=wake, clock=clock, metrics=metrics)
    workflows = Workflows(_workflows(settings, ground.outside.connectors))
    schedules = ScheduleStore(database)
    talk = make_talk(database, runs, workflows, wake=dispatcher.wake, vault=open_vault(settings))
    make_context = _contexts(ground, runs, doors.gateway, talk, workflows, clock)
    surroundings = _surroundings(doors.gateway, make_context, UndoFailed(runs, dispatcher, metrics), talk)
    return Installation(
        settings=settings,
        clock=clock,
        metrics=metrics,
        database=database,
        cache=ground.cache,
        catalogue=catalogue,
        rules=rules,
        gateway=doors.gateway,
        approvals=doors.approvals,
        questions=Questions(database, doors.approvals, rules, asked=asked_text, answered=answered_text),
        edits=doors.edits,
        doubts=doors.doubts,
        talk=talk,
        switch=doors.switch,
        batches=Batches(database, doors.approvals, catalogue, rules, fits=batch_card.fits),
        grants=Grants(database, rules),
        errands=Errands(database, catalogue, rules),
        releasing=Releasing(database, catalogue, runs, dispatcher, presence.reopening, metrics),
        presence=presence,
        workflows=workflows,
        runs=runs,
        dispatcher=dispatcher,
        runner=Runner(database, runs, workflows=workflows, surroundings=surroundings, metrics=metrics),
        reasoner=ground.reasoner,
        model_calls=ModelCalls(database),
        schedules=schedules,
        fires=fires_of(schedules, Starting(runs, dispatcher, workflows, rules, metrics), clock),
        keeping=open_keeping(settings, database, ground.cache, open_vault(settings), ground.reasoner, rules, metrics),
        memory=ground.memory,
        sources=ground.outside.sources,
    )


def _contexts(
    ground: _Ground, runs: RunStore, gateway: Gateway, talk: Talk, workflows: Workflows, clock: Clock
) -> Callable[[Run, RunGuard], RunContext]:
    outside = ground.outside

    def make_context(run: Run, guard: RunGuard) -> RunContext:
        context = RunContext(
            run,
            guard,
            ground.database,
            runs,
            gateway,
            ground.catalogue,
            ground.rules(),
            outside.records,
            ground.reasoner,
            sources=outside.sources,
            memory=ground.memory,
            hand_over=talk.hand_over,
            dialogue=talk.dialogue,
            playbook=talk.playbook,
        )
        return within_budgets(context, workflows.get(run.workflow, run.workflow_version), clock)

    return make_context


@dataclass(frozen=True)
class _Doors:
    """Through which effects leave, and where people answer about them."""

    switch: KillSwitch
    gateway: Gateway
    approvals: Approvals
    edits: Edits
    doubts: Doubts


def _doors(
    ground: _Ground,
    rules: Callable[[], Rules],
    runs: RunStore,
    presence: Presence,
    *,
    wake: Wake,
    clock: Clock,
    metrics: Metrics,
) -> _Doors:
    database, catalogue = ground.database, ground.catalogue
    switch, gateway = _door(ground, rules, wake, clock=clock, metrics=metrics)

    async def wake_now(run_id: RunId, conn: Connection) -> None:
        await wake(run_id, conn, None)

    members = presence.groups.members
    approvals = Approvals(database, catalogue, rules, wake=wake_now, metrics=metrics, members=members)
    known = (database, catalogue, rules, gateway.preview)
    doubts = Doubts(*known, wake=wake_now, goes_on=runs.goes_on, metrics=metrics, members=members)
    return _Doors(
        switch,
        gateway,
        approvals,
        _edits(approvals, ground, rules, wake=wake_now, metrics=metrics),
        doubts,
    )


def _edits(
    approvals: Approvals,
    ground: _Ground,
    rules: Callable[[], Rules],
    *,
    wake: Callable[[RunId, Connection], Awaitable[None]],
    metrics: Metrics,
) -> Edits:
    return Edits(
        ground.database,
        approvals,
        catalogue=ground.catalogue,
        wishes=Wishes(ground.catalogue, ground.outside.connectors),
        judge=Judge(rules, metrics),
        rules=rules,
        wake=wake,
        metrics=metrics,
    )


def _door(
    ground: _Ground, rules: Callable[[], Rules], wake: Wake, *, clock: Clock, metrics: Metrics
) -> tuple[KillSwitch, Gateway]:
    """The one door through which effects leave, and the switch that shuts it."""

    async def wake_now(run_id: RunId, conn: Connection) -> None:
        await wake(run_id, conn, None)

    switch = KillSwitch(
        ground.database,
        lambda: rules().team,
        trips=lambda: rules().policy.trips,
        wake=wake_now,
        metrics=metrics,
        tell=telling_of_trips(rules),
    )
    gateway = Gateway(
        ground.database,
        ground.catalogue,
        ground.outside.connectors,
        rules,
        wake=wake,
        clock=clock,
        metrics=metrics,
        on_audit_failure=switch.trip_on_audit,
        ground=Ground(ground.outside.records, lambda: rules().rulebook, ground.outside.sources),
        missing=ground.outside.missing,
    )
    return switch, gateway


def _workflows(settings: Settings, connectors: Mapping[str, object]) -> list[Workflow]:
    """The workflows whose outside systems are there: one that could only fail is not offered."""
    return [each for each in workflows_of(settings.company) if connectors.keys() >= each.needs]


def engine_options(settings: Settings) -> EngineOptions:
    """How patient the engine is, as configured."""
    return EngineOptions(
        heartbeat=settings.heartbeat_seconds, stalled=settings.stalled_seconds, poll=settings.poll_seconds
    )


def _surroundings(
    gateway: Gateway, make_context: Callable[[Run, RunGuard], RunContext], undo: UndoFailed, talk: Talk
) -> Surroundings:
    async def is_settled(waiting: Waiting) -> bool:
        if waiting.kind == "reply":
            return await talk.dialogue.is_answered(waiting.subject_id)
        return await gateway.is_settled(waiting.kind, waiting.subject_id)

    async def on_ended(conn: Connection, run_id: RunId) -> None:
        await gateway.cancel_run(conn, run_id)
        await forget_answers(conn, run_id)

    return Surroundings(
        make_context=make_context,
        is_settled=is_settled,
        on_ended=on_ended,
        undo=undo,
        by_hand=ending_by_hand,
    )
