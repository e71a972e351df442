"""Runs the roles of one process until it is told to stop: the bot, the worker, the scheduler."""

import asyncio
import logging
import signal
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

from actions.team import Team
from bot.answering import AwaitedReplies, EditDesk, QuestionDesk
from bot.autonomy import AutonomyDesk, AutonomyVerb
from bot.batches import BatchDesk, offers_of, render_batch
from bot.bootstrap import Installation, open_installation
from bot.channel import Message
from bot.company import settle_first_company
from bot.costs import CostVerb
from bot.desks import ClickDesk, CommandDesk
from bot.doubts import DoubtDesk
from bot.guiding import guiding_cards, make_guiding
from bot.health import open_health
from bot.intake import Desk, Intake
from bot.key_watch import LOOK_SECONDS as KEYS_SECONDS
from bot.linking import link_hosts
from bot.memory_desk import EditSuggestions, MemoryDesk, MemoryVerb, memory_cards
from bot.pacing import Pacing
from bot.presence import PresenceDesk, presence_verbs
from bot.recalling import RecallDesk, recall_verbs
from bot.rehearsal import PromotionDesk
from bot.releasing import LAPSE_SECONDS
from bot.remembered import runs_shown
from bot.remembering import EMBED_SECONDS, Upkeep
from bot.rules_watch import RulesDesk, RulesWatch
from bot.runs import Engine, RunDesk
from bot.schedules import ScheduleDesk
from bot.sealing import Sealing
from bot.sender import Sender
from bot.settings import LOCAL_APP_TOKEN, LOCAL_BOT_TOKEN, Settings
from bot.slack.app import SlackOptions, SlackRefused, SlackSide, identify, open_slack
from bot.slack.blocks import answers
from bot.slack.blocks.approval_card import approval_card
from bot.slack.blocks.autonomy_card import autonomy_card
from bot.slack.blocks.case_card import cases_shown
from bot.slack.blocks.doubt_card import doubt_card
from bot.slack.blocks.errand_card import errand_card
from bot.slack.blocks.reminder import reminders
from bot.slack.blocks.rules_card import rules_card
from bot.slack.blocks.run_card import payload_card
from bot.slack.listeners.edits import EditDialog
from bot.slack.listeners.talk import Talk
from bot.slack.people import People
from bot.slack.renderer import Render, Renderer, shown
from bot.slack.rooms import Rooms
from bot.store import Deliveries
from bot.switch import SwitchDesk, names_of
from bot.talk import Replies
from bot.tidying import TIDY_SECONDS, Tidying
from bot.undelivered import Undelivered
from bot.undo import ErrandDesk, UndoDesk
from bot.why import WhyDesk
from core.clock import Clock
from core.db import DatabaseError
from core.errors import CountersignError, SettingsInvalid
from core.ids import RunId
from core.metrics import Metrics
from core.seals import ORIGIN, SealFolder
from core.secrets import Signer
from graphs.run import Run
from scheduler.ticker import Ticker, cron_times

log = logging.getLogger(__name__)

ROLES = ("bot", "worker", "scheduler")

Job = Callable[[], Coroutine[Any, Any, None]]

#: How often it is looked whether people could be asked less.
AUTONOMY_SECONDS = 600.0
#: How often it is looked what can be approved together.
BATCH_SECONDS = 1.0
#: How often it is looked which approvals are due: for a reminder, for others to be asked, for their end.
EXPIRY_SECONDS = 2.0
#: How often it is looked whether the kill switch must trip.
WATCH_SECONDS = 2.0

#: How often it is looked which calls of models died with their process.
LOST_SECONDS = 60.0
#: How long the local workspace may take to come up beside us.
_LOCAL_START_SECONDS = 30


def slack_options(settings: Settings) -> SlackOptions:
    """How to reach the workspace: the configured Slack, or the local one."""
    if settings.slack_bot_token is None or settings.slack_app_token is None:
        return SlackOptions(
            bot_token=LOCAL_BOT_TOKEN,
            app_token=LOCAL_APP_TOKEN,
            base_url=f"http://127.0.0.1:{settings.port}/api/",
            command=settings.command,
            local=True,
        )
    return SlackOptions(
        bot_token=settings.slack_bot_token.get_secret_value(),
        app_token=settings.slack_app_token.get_secret_value(),
        base_url=None,
        command=settings.command,
    )


async def serve(settings: Settings, clock: Clock, roles: Sequence[str]) -> None:
    """Do the work of `roles` until SIGTERM or SIGINT; raises CountersignError when it cannot begin."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    metrics = Metrics()
    options = slack_options(settings)
    if not settings.is_local:
        await _settle_company(settings, options)
    async with AsyncExitStack() as stack:
        installation = await stack.enter_async_context(open_installation(settings, clock, metrics))
        checks = {"database": _database_answers(installation), "cache": installation.cache.answers}
        sealing = _sealing(installation)
        checks["audit"] = sealing.healthy
        watch = _watch(installation)
        jobs: list[Job] = [lambda: sealing.run(stop), lambda: watch.run(stop)]
        if "bot" in roles:
            side = await stack.enter_async_context(_open_slack(options, installation, clock))
            checks["slack"] = side.is_connected
            jobs += _bot_jobs(installation, side, stop)
            if settings.memory_port:
                await stack.enter_async_context(_open_memory_server(installation))
        if "worker" in roles:
            jobs.append(
                lambda: installation.dispatcher.run_worker(installation.runner.advance, stop=stop, metrics=metrics)
            )
        if "scheduler" in roles:
            jobs.append(lambda: Ticker(installation.schedules, installation.fires, clock).run(stop))
        await stack.enter_async_context(
            open_health(
                settings.status_port,
                checks,
                metrics,
                paused=_paused(installation),
                warnings=lambda: [*watch.warnings(), *installation.memory.keys.warnings()],
            )
        )
        log.info("ready: %s", ", ".join(roles))
        async with asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(job())


def _sealing(installation: Installation) -> Sealing:
    settings = installation.settings
    signer = Signer(settings.signing_key, ORIGIN)
    folder, switch = SealFolder(settings.seals), installation.switch
    return Sealing(installation.database, folder, signer, installation.clock, on_fault=switch.trip_on_audit)


async def _settle_company(settings: Settings, options: SlackOptions) -> None:
    """On a real workspace, write the first company's files before anything reads them."""
    if settings.admin is None:
        raise SettingsInvalid("COUNTERSIGN_ADMIN is missing: name the member id (U…) who administers this.")
    identity = await identify(options)
    settle_first_company(settings.company, workspace=identity.workspace, admin=settings.admin)


@asynccontextmanager
async def _open_slack(options: SlackOptions, installation: Installation, clock: Clock) -> AsyncGenerator[SlackSide]:
    """Connected to Slack inside the block; the local workspace is given time to come up."""
    deadline = clock.monotonic() + (_LOCAL_START_SECONDS if options.local else 0)
    deliveries = AwaitedReplies(Deliveries(installation.database), _replies(installation))
    options = replace(options, link_hosts=link_hosts(installation.settings))
    async with AsyncExitStack() as stack:
        while True:
            opening = open_slack(
                options,
                deliveries,
                installation.approvals.view,
                installation.metrics,
                dialogs=[Talk(installation.memory).register, EditDialog(installation.edits, deliveries).register],
            )
            try:
                side = await stack.enter_async_context(opening)
                break
            except SlackRefused:
                if clock.monotonic() > deadline:
                    raise
                await clock.sleep(0.1)
        yield side


def _bot_jobs(installation: Installation, side: SlackSide, stop: asyncio.Event) -> list[Job]:
    sender = Sender(
        installation.database,
        side.channel,
        Renderer(_cards(installation)),
        clock=installation.clock,
        metrics=installation.metrics,
        on_receipt=installation.gateway.receipt_arrived,
        on_undelivered=Undelivered(installation.approvals.view, lambda: installation.rules().team),
        pacing=Pacing(installation.clock, seconds_each=installation.settings.post_seconds),
    )
    intake = _intake(installation, side)
    rounds = [*_rounds(installation), *_upkeep(installation, side).rounds()]
    regular = [partial(_regularly, do, stop, seconds=seconds) for do, seconds in rounds]
    return [lambda: sender.run(stop), lambda: intake.run(stop), *regular]


Round = Callable[[], Coroutine[Any, Any, object]]


def _rounds(installation: Installation) -> list[tuple[Round, float]]:
    """What is looked after again and again, and how many seconds lie between."""
    return [
        (installation.approvals.act_due, EXPIRY_SECONDS),
        (installation.batches.look, BATCH_SECONDS),
        (installation.switch.watch, WATCH_SECONDS),
        (installation.grants.look, AUTONOMY_SECONDS),
        *installation.keeping.rounds(),
        (installation.model_calls.give_up_lost, LOST_SECONDS),
        (installation.memory.embed, EMBED_SECONDS),
        (installation.memory.keys.look, KEYS_SECONDS),
        (installation.releasing.look, LAPSE_SECONDS),
        (Tidying(installation.database).look, TIDY_SECONDS),
    ]


def _upkeep(installation: Installation, side: SlackSide) -> Upkeep:
    return Upkeep(installation.memory, Rooms(side.client), People(side.client, installation.cache))


async def _regularly(do: Round, stop: asyncio.Event, *, seconds: float) -> None:
    """Do this again and again until told to stop; what fails, such as a database that is away, is tried anew."""
    while not stop.is_set():
        try:
            await do()
        except Exception as error:  # One row that nobody foresaw must not take the process down, now and at each start
            is_foreseen = isinstance(error, DatabaseError | CountersignError)
            log.warning("%s is done later: %s", do.__qualname__, error, exc_info=not is_foreseen)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await stop.wait()


def _paused(installation: Installation) -> Callable[[], Coroutine[Any, Any, list[str]]]:
    async def sentences() -> list[str]:
        try:
            return [installation.switch.sentence(pause) for pause in await installation.switch.in_force()]
        except DatabaseError:
            return ["Everything: the kill switch cannot be read"]

    return sentences


def _cards(installation: Installation) -> dict[str, Render]:
    """Every kind of card there is."""

    async def run(run_id: str) -> Run | None:
        return await installation.runs.get(RunId(run_id))

    async def payload(subject_id: str) -> Message | None:
        run_id, _, page = subject_id.partition("/")
        found = await run(run_id)
        return None if found is None else payload_card(found, int(page))

    return {
        "run": runs_shown(installation.runs, installation.memory),
        "payload": payload,
        "approval": shown(installation.approvals.view, approval_card),
        "reminder": reminders(installation.approvals.view),
        "batch": render_batch(installation.batches, installation.runs.get),
        "autonomy": shown(installation.grants.view, autonomy_card),
        "rules": shown(installation.rules.change, rules_card),
        "errand": shown(installation.errands.view, errand_card),
        "doubt": shown(installation.doubts.view, doubt_card),
        **memory_cards(installation.keeping),
        **guiding_cards(installation),
        "case": cases_shown(installation.database),
    }


def _intake(installation: Installation, side: SlackSide) -> Intake:
    settings, metrics = installation.settings, installation.metrics
    people = People(side.client, installation.cache)
    installation.presence.groups.ask(people)

    def team() -> Team:
        return installation.rules().team

    engine = Engine(installation.runs, installation.dispatcher.wake, installation.workflows)
    runs = RunDesk(engine, side.channel, team, name=side.identity.name, metrics=metrics)
    schedules = ScheduleDesk(
        installation.schedules, runs, zone_of=people.zone, times=cron_times, clock=installation.clock
    )
    presence = PresenceDesk(
        installation.presence.absences,
        installation.presence.reopening,
        side.channel,
        team=team,
        zone_of=people.zone,
        clock=installation.clock,
    )
    guiding = make_guiding(installation, runs, people)
    commands = CommandDesk(
        runs,
        schedules,
        installation.approvals,
        SwitchDesk(installation.switch, team, names_of(installation.catalogue, installation.workflows.names())),
        choose_workflow=installation.choose_workflow,
        command=settings.command,
        offers=offers_of(installation.batches),
        verbs={
            "autonomy": AutonomyVerb(installation.grants, runs),
            "cost": CostVerb(installation.database, runs),
            "why": WhyDesk(installation.database, installation.runs.get, team),
            "undo": UndoDesk(runs, installation.runs, command=settings.command, metrics=metrics),
            "memory": _memory_verb(installation, side),
            **presence_verbs(presence, settings.command),
            **guiding.verbs,
        },
    )
    others = {
        **_further_desks(installation, runs, people),
        **guiding.desks,
        "reopen": presence,
        "run": PromotionDesk(runs, installation.runs, metrics),
    }
    clicks = ClickDesk(runs, installation.approvals, people, others=others)
    return Intake(installation.database, commands=commands, clicks=clicks, gave_up=answers.gave_up(), metrics=metrics)


@asynccontextmanager
async def _open_memory_server(installation: Installation) -> AsyncGenerator[str]:
    # Only where it is wanted: the protocol's package takes most of a second to load.
    from bot.memory_server import MemoryTools, open_memory_server

    async def standing(person: str) -> bool | None:
        """As the team file has it now: whoever it does not name has no tools here."""
        member = installation.rules().team.member(person)
        return None if member is None else "guest" in member.roles

    tools = MemoryTools(installation.keeping, installation.memory.search, standing, installation.clock)
    async with open_memory_server(tools, installation.settings.memory_port) as address:
        yield address


def _memory_verb(installation: Installation, side: SlackSide) -> MemoryVerb:
    more = recall_verbs(installation.memory, _upkeep(installation, side))
    return MemoryVerb(installation.keeping, lambda: installation.rules().team, installation.clock, more=more)


def _further_desks(installation: Installation, runs: RunDesk, people: People) -> dict[str, Desk]:
    """One desk for each kind of card that has more than an approval's and a run's own buttons."""
    memory = MemoryDesk(installation.keeping, people, lambda: installation.rules().team)
    together = BatchDesk(installation.batches, installation.approvals, runs, people)
    return {
        "batch": together,
        "plan": together,
        "autonomy": AutonomyDesk(installation.grants, people),
        "rules": RulesDesk(installation.rules, people),
        "edit": EditSuggestions(
            EditDesk(installation.edits, people), installation.approvals.view, installation.keeping
        ),
        "recall": RecallDesk(installation.memory),
        **dict.fromkeys(("rule", "dispute", "quarantine"), memory),
        "question": QuestionDesk(installation.questions, people, _replies(installation)),
        "errand": ErrandDesk(installation.errands, people),
        "doubt": DoubtDesk(installation.doubts, people),
    }


def _replies(installation: Installation) -> Replies:
    return Replies(installation.questions, installation.talk, lambda: installation.rules().team)


def _watch(installation: Installation) -> RulesWatch:
    return RulesWatch(
        installation.rules,
        installation.database,
        installation.clock,
        company=installation.settings.company,
        actions=installation.catalogue.names(),
    )


def _database_answers(installation: Installation) -> Callable[[], Coroutine[Any, Any, bool]]:
    async def answers_now() -> bool:
        try:
            async with installation.database.connection() as conn:
                await conn.execute("select 1")
        except DatabaseError:
            return False
        return True

    return answers_now
