"""Starting and stopping runs for people: who may, where its card stands, and what is written when they do."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Protocol

from actions.team import Team
from bot.channel import Channel
from bot.delivery import Delivery
from bot.intake import Effect
from bot.slack.blocks import answers
from bot.slack.blocks.run_card import is_alive
from core import audit
from core.db import Connection
from core.ids import RunId, new_card_id, new_run_id
from core.metrics import Metrics
from core.outbox import Conversation
from graphs.run import Request, Run, RunState, Sight
from graphs.workflow import Workflow, Workflows

_STOPPERS = frozenset({"admin", "operator"})
_LATEST = 10


class Runs(Protocol):
    """The stored runs, as far as people's wishes need them."""

    async def create(
        self, conn: Connection, request: Request, *, conversation: Conversation, workflow_version: int, run_id: RunId
    ) -> bool:
        """Store a new run; False when this request's delivery made one already."""
        ...

    async def get(self, run_id: RunId) -> Run | None:
        """The run as it stands."""
        ...

    async def recent(self, limit: int, seen: Sight) -> list[Run]:
        """The newest runs that are seen so."""
        ...

    async def request_stop(self, conn: Connection, run_id: RunId) -> RunState | None:
        """Ask a run to stop, and give its state."""
        ...


@dataclass(frozen=True)
class Engine:
    """What makes runs go: their store, the bell that wakes one, and the workflows there are."""

    runs: Runs
    wake: Callable[[RunId, Connection], Awaitable[None]]
    workflows: Workflows

    def purposes(self) -> dict[str, str]:
        """Each workflow with what it is for."""
        found = (self.workflows.get(name) for name in self.workflows.names())
        return {each.name: each.purpose for each in found if each is not None}


def say(text: str) -> Effect:
    """An effect that writes nothing but the answer."""

    async def only_answer(conn: Connection) -> str:
        del conn
        return text

    return only_answer


def refuse(delivery: Delivery, event: str, run_id: str, why: str) -> Effect:
    """An effect that tells the person `why`, and the audit log that they tried."""

    async def told(conn: Connection) -> str:
        await audit.append(
            conn,
            delivery.workspace,
            event,
            actor=audit.person(delivery.sender.user_id),
            subject={"run_id": run_id, "delivery_id": delivery.delivery_id},
            detail={"why": why},
        )
        return why

    return told


class RunDesk:
    """Starts and stops runs as people ask."""

    def __init__(
        self, engine: Engine, channel: Channel, team: Callable[[], Team], *, name: str, metrics: Metrics
    ) -> None:
        self.engine = engine
        self.team = team
        self._channel = channel
        self._name = name
        self._metrics = metrics

    def is_ours(self, delivery: Delivery) -> bool:
        """True when the sender belongs to the workspace whose team this is, and is on it."""
        team = self.team()
        return delivery.sender.team_id == team.workspace and team.member(delivery.sender.user_id) is not None

    async def start_problem(self, delivery: Delivery, workflow: str) -> str:
        """Why this person cannot have this workflow started here, as a sentence; empty when they can."""
        if not (self.is_ours(delivery) and self.team().may_start(delivery.sender.user_id)):
            return answers.may_not_start()
        names = self.engine.workflows.names()
        if workflow not in names:
            close = get_close_matches(workflow, names, n=1, cutoff=0.6)
            return answers.unknown_workflow(workflow, close[0] if close else None, names)
        if self.team().teammate(workflow, delivery.channel) is None:
            return answers.no_teammate(workflow, self.team().where(workflow))
        # Spoken to, we are there; a slash command works in channels we have never seen.
        if delivery.kind == "command" and not await self._channel.reaches(delivery.channel):
            return answers.not_in_channel(self._name)
        return ""

    async def start(self, delivery: Delivery, name: str, text: str, *, dry: bool = False) -> Effect:
        """Start a run of this workflow, live or dry, or say why not."""
        problem = await self.start_problem(delivery, name)
        workflow = self.engine.workflows.get(name)
        if problem or workflow is None:
            return say(problem)
        request = Request(
            workspace=delivery.workspace,
            enterprise=delivery.sender.enterprise_id,
            requester=delivery.sender.user_id,
            origin="command" if delivery.kind == "command" else "mention",
            workflow=name,
            text=text,
            delivery_id=delivery.delivery_id,
            dry=dry,
        )

        async def create(conn: Connection) -> str:
            await self._create(conn, request, workflow, _conversation(delivery))
            return ""

        return create

    async def _create(self, conn: Connection, request: Request, workflow: Workflow, conversation: Conversation) -> None:
        run_id = new_run_id()
        made = await self.engine.runs.create(
            conn, request, conversation=conversation, workflow_version=workflow.version, run_id=run_id
        )
        if made:
            await self.engine.wake(run_id, conn)
            self._metrics.runs_started.labels(workflow.name, request.origin).inc()

    async def stop(self, delivery: Delivery, run_id: str) -> Effect:
        """Stop a run, or say why not."""
        run = await self.engine.runs.get(RunId(run_id))
        if run is None:
            return say(answers.no_such_run(run_id))
        if not self.may_change(delivery, run):
            return refuse(delivery, "run.stop_refused", run.run_id, answers.may_not_stop())
        if not is_alive(run):
            return say(answers.already_ended(run))

        async def request_stop(conn: Connection) -> str:
            await self.engine.runs.request_stop(conn, run.run_id)
            await self.engine.wake(run.run_id, conn)
            await audit.append(
                conn,
                delivery.workspace,
                "run.stop_requested",
                actor=audit.person(delivery.sender.user_id),
                subject={"run_id": run.run_id, "delivery_id": delivery.delivery_id},
            )
            return answers.stopping(run.run_id)

        return request_stop

    async def latest(self, delivery: Delivery) -> str:
        """The newest runs of those that this person may see where the answer stands."""
        seen = self.sight(delivery)
        found = await self.engine.runs.recent(_LATEST, seen)
        return answers.latest_runs(found) if found or seen.everything else answers.no_runs_here()

    async def status(self, delivery: Delivery, run_id: str) -> str:
        """How a run stands; the same sentence for one that there is not and for one that is not theirs to see."""
        run, seen = await self.engine.runs.get(RunId(run_id)), self.sight(delivery)
        if run is not None and seen.has(run.request.requester, run.conversation.channel):
            return answers.status_of(run)
        return answers.no_such_run(run_id) if seen.everything else answers.no_such_run_here(run_id)

    def sight(self, delivery: Delivery) -> Sight:
        """What this person may be shown where the answer stands."""
        team, person = self.team(), delivery.sender.user_id
        if delivery.kind == "event" and not delivery.channel.startswith("D"):
            # Everybody there reads the answer.
            return Sight(channel=delivery.channel)
        everything = self.is_ours(delivery) and team.oversees(person)
        return Sight(everything=everything, requester=person, channel=delivery.channel)

    def may_change(self, delivery: Delivery, run: Run) -> bool:
        """True for whoever asked for this run, an operator or an admin."""
        member = self.team().member(delivery.sender.user_id)
        if member is None or not self.is_ours(delivery):
            return False
        return run.request.requester == delivery.sender.user_id or bool(member.roles & _STOPPERS)


def _conversation(delivery: Delivery) -> Conversation:
    """Where the run lives: the thread they spoke in, or one that its own card opens."""
    if delivery.kind == "command":
        return Conversation(delivery.workspace, delivery.channel, root=new_card_id())
    return Conversation(delivery.workspace, delivery.channel, delivery.thread_ts)
