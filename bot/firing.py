"""A fire of a schedule becomes a run, at most one, if its owner may still start it."""

from collections.abc import Callable
from dataclasses import dataclass

from actions.policy import Rules
from core.clock import Clock
from core.db import Connection
from core.errors import Refused
from core.ids import RunId, new_card_id, new_run_id
from core.metrics import Metrics
from core.outbox import Conversation
from graphs.dispatch import Dispatcher
from graphs.run import Request
from graphs.store import RunStore
from graphs.workflow import Workflow, Workflows
from scheduler.fires import Fire, Fires, Runs
from scheduler.store import ScheduleStore
from scheduler.ticker import cron_times


@dataclass(frozen=True)
class Starting:
    """What starting a run for a schedule needs."""

    runs: RunStore
    dispatcher: Dispatcher
    workflows: Workflows
    rules: Callable[[], Rules]
    metrics: Metrics


def fires_of(schedules: ScheduleStore, given: Starting, clock: Clock) -> Fires:
    """What fires of these schedules start."""
    return Fires(schedules, runs_for_fires(given), times=cron_times, clock=clock, metrics=given.metrics)


def runs_for_fires(given: Starting) -> Runs:
    """How a fire starts its run, at most one."""

    async def start(conn: Connection, fire: Fire) -> str:
        workflow = _startable(given, fire)
        run_id, request = new_run_id(), _request_of(given, fire)
        conversation = _thread_of_its_own(fire.schedule.conversation)
        made = await given.runs.create(
            conn, request, conversation=conversation, workflow_version=workflow.version, run_id=run_id
        )
        if not made:
            raise Refused("This fire started its run before, so it starts no second one.")
        await given.dispatcher.wake(run_id, conn)
        given.metrics.runs_started.labels(workflow.name, request.origin).inc()
        return run_id

    async def still_running(conn: Connection, run_id: str) -> bool:
        return await given.runs.goes_on(conn, RunId(run_id))

    return Runs(start=start, still_running=still_running)


def _startable(given: Starting, fire: Fire) -> Workflow:
    schedule = fire.schedule
    workflow = given.workflows.get(schedule.workflow)
    if workflow is None or not workflow.offered:
        raise Refused(f"{schedule.workflow} is not installed here, so its schedule starts nothing.")
    if not given.rules().team.may_start(schedule.owner):
        raise Refused(f"{schedule.owner} may not start runs any more, so this schedule starts nothing.")
    if given.rules().team.teammate(schedule.workflow, schedule.conversation.channel) is None:
        raise Refused(f"No teammate runs {schedule.workflow} there any more, so this schedule starts nothing.")
    return workflow


def _request_of(given: Starting, fire: Fire) -> Request:
    schedule = fire.schedule
    return Request(
        workspace=schedule.workspace,
        enterprise=given.rules().team.enterprise,
        requester=schedule.owner,
        origin="schedule",
        workflow=schedule.workflow,
        text=schedule.text,
        delivery_id=fire.delivery_id,
    )


def _thread_of_its_own(conversation: Conversation) -> Conversation:
    """Each fire of a schedule opens its own thread in the channel where the schedule was made."""
    return Conversation(conversation.workspace, conversation.channel, conversation.thread_ts, new_card_id())
