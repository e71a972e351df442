"""One execution of a workflow, from its request to an end state."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from core.errors import CountersignError
from core.ids import RunId
from core.outbox import Conversation


class RunState(StrEnum):
    """Where a run stands."""

    READY = "ready"
    """Runnable, or being advanced right now."""
    WAITING = "waiting"
    """Checkpointed; nobody works on it until something it waits for happens."""
    DONE = "done"
    REFUSED = "refused"
    """A rule, a policy or a person said no; nothing that was asked for has happened."""
    FAILED = "failed"
    STOPPED = "stopped"
    NEEDS_ATTENTION = "needs_attention"
    """Advanced again and again without progress; an operator must look."""
    NEEDS_PERSON = "needs_person"
    """Ended, with something left that only a person can put right."""


#: Each state with those it may follow.
FOLLOWS: Mapping[RunState, frozenset[RunState]] = {
    RunState.READY: frozenset({RunState.WAITING, RunState.NEEDS_ATTENTION, RunState.READY}),
    RunState.WAITING: frozenset({RunState.READY}),
    RunState.DONE: frozenset({RunState.READY, RunState.NEEDS_PERSON}),
    RunState.REFUSED: frozenset({RunState.READY}),
    RunState.FAILED: frozenset({RunState.READY, RunState.NEEDS_PERSON}),
    RunState.STOPPED: frozenset({RunState.READY, RunState.WAITING, RunState.NEEDS_ATTENTION}),
    RunState.NEEDS_ATTENTION: frozenset({RunState.READY}),
    RunState.NEEDS_PERSON: frozenset({RunState.READY}),
}

ENDED = frozenset({RunState.DONE, RunState.REFUSED, RunState.FAILED, RunState.STOPPED, RunState.NEEDS_PERSON})


class RunStopped(CountersignError):
    """Somebody stopped this run; it may finish what is in flight and start nothing new."""


class Undoing(BaseModel):
    """Which run is taken back, and which of its steps; all of them where none is named."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    steps: list[str] | None = None


class Request(BaseModel):
    """Something asked of the team, with the delivery id that makes repeats harmless."""

    model_config = ConfigDict(frozen=True)

    workspace: str
    enterprise: str | None = None
    requester: str
    """Slack user id of who asked; for a schedule, of its owner."""
    origin: Literal["command", "mention", "schedule", "cli", "run"]
    workflow: str
    text: str = ""
    """What the person wrote after the workflow's name; a member's words, never instructions to code."""
    delivery_id: str
    """Unique; a second request with the same id is the same request."""
    undoes: Undoing | None = None
    """What is taken back, where the run is an undoing."""
    dry: bool = False
    """True for a dry run: the same walk, and nothing of it asks anybody or leaves."""
    promotes: str | None = None
    """The dry run that this run does for real, where it does."""


class StepState(StrEnum):
    """How far one step of the plan has come."""

    PLANNED = "planned"
    WAITING = "waiting"
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    IN_DOUBT = "in_doubt"
    SKIPPED = "skipped"
    UNDONE = "undone"
    """It happened, and was taken back."""
    REHEARSED = "rehearsed"
    """Of a dry run: it would happen, or would wait for somebody first."""
    BY_HAND = "by_hand"
    """It happened, and a person must put it right."""


class Payload(BaseModel):
    """Exactly what a dry run found would be sent for one step."""

    digest: str
    method: str
    path: str
    body: str
    request_sha256: str
    changes: list[tuple[str, str, str]] = []
    """What it would change: a label, before, after."""
    away: str = ""
    """Why that cannot be told, where it cannot."""


class StepView(BaseModel):
    """One line of the plan as people see it."""

    key: str
    action: str
    summary: str
    effect: str
    verdict: str
    """`allow`, `require_approval` or `deny`, as policy saw it when the plan was verified."""
    who: str = ""
    """Who must agree, in words, where somebody must."""
    state: StepState = StepState.PLANNED
    note: str = ""
    """The receipt, the reason, or what it waits for, in words."""
    payload: Payload | None = None
    """In a dry run: what would be sent."""


class Waiting(BaseModel):
    """What a parked run waits for."""

    kind: Literal["approval", "delivery", "in_doubt", "paused", "reply"]
    subject_id: str
    """The approval, the intent, the pause, or the place of the reply."""
    text: str
    """For people: what, and for whom."""


@dataclass(frozen=True)
class Sight:
    """Which runs and schedules somebody sees: all, or those asked for by one person or in one channel."""

    everything: bool = False
    requester: str = ""
    channel: str = ""

    def has(self, requester: str, channel: str) -> bool:
        """True when what this person asked for there is seen."""
        return self.everything or channel == self.channel or (bool(self.requester) and requester == self.requester)


EVERYTHING = Sight(everything=True)


class Remembered(BaseModel):
    """What of a recall bears on a run, by number: no checkpoint and no row holds a text that may have to go."""

    recall_id: str
    names: dict[int, str]
    """By item, what of the run it names."""
    vouched: list[int] = []
    """Those of them that a member said: only they are counted as used."""


@dataclass(frozen=True)
class Run:
    """One stored run."""

    run_id: RunId
    workflow: str
    workflow_version: int
    state: RunState
    epoch: int
    wakes: int
    """Rises with every wake; a run that was woken while being advanced is not parked."""
    stalls: float
    """What went wrong since it last got any further: 1 for each error, shares for workers that died."""
    stop_requested: bool
    request: Request
    conversation: Conversation
    steps: list[StepView]
    plan_summary: str
    waiting: list[Waiting]
    outcome: str
    """How it ended, in words."""
    reasoned_by: str
    """Which reasoner and model understood the request."""
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    sandbox: bool = False
    """True when its effects only reach sandbox connectors."""
    predicted: str = ""
    """Predicted time and cost in words, or `no history yet`."""
    figures: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Tokens and cost so far."""
    promoted_to: RunId | None = None
    """The run that does for real what this dry run showed."""
    remembered: Remembered | None = None
    """What of memory stands on its card."""
