"""What a wish for an effect is made of, and what it can come to."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from actions import store
from actions.action import AnyAction
from actions.connector import Connector
from actions.intent import Intent, IntentKey, IntentState
from actions.pause import Scope
from core.db import Connection
from core.ids import IntentId, RunId
from core.outbox import Conversation


class Guard(Protocol):
    """Keeps a late owner of a run from writing."""

    async def fence(self, conn: Connection) -> None:
        """Fail the transaction when the run has a newer owner."""
        ...

    async def may_start(self, conn: Connection) -> None:
        """Like fence, and raise when the run has been told to stop: nothing new may begin."""
        ...


@dataclass(frozen=True)
class Caller:
    """On whose behalf an effect is wished for, and where people hear of it."""

    run_id: RunId
    workspace: str
    workflow: str
    requester: str
    conversation: Conversation
    guard: Guard
    is_compensation: bool = False
    """True for taking back what was done: it passes the kill switch."""
    compensates: IntentId | None = None
    """The effect that is taken back by what is wished for, where it is."""
    dry: bool = False
    """True in a dry run: everything is judged and written down, nobody is asked, nothing is sent."""
    plan_rule: int | None = None
    """Which rule of the policy asks about the plan this belongs to, where one does."""


@dataclass(frozen=True)
class Done:
    """The effect has happened; `result` is the action's typed result as JSON."""

    result: Mapping[str, Any]
    text: str
    changed: str = ""
    """What people changed when they approved it, in words; empty where it happened as it was asked for."""


@dataclass(frozen=True)
class Parked:
    """The run must wait: for people, a delivery, the settling of an unknown outcome, or the end of a pause."""

    kind: Literal["approval", "delivery", "in_doubt", "paused"]
    subject_id: str
    text: str


@dataclass(frozen=True)
class Declined:
    """The effect will not happen, and this is the true cause: denied, rejected, expired or cancelled."""

    cause: str
    text: str


@dataclass(frozen=True)
class Failed:
    """The other side refused definitely; nothing happened there."""

    text: str


@dataclass(frozen=True)
class Rehearsed:
    """Nothing has happened: what would be sent, whom it would wait for, and under which digest."""

    text: str
    verdict: str
    """`allow` or `require_approval`, as policy saw it."""
    digest: str
    method: str
    path: str
    body: str
    request_sha256: str
    """SHA-256 of the body, hex."""
    policy_version: str
    preview: Mapping[str, Any] | None = None
    """What it would change."""


@dataclass(frozen=True)
class Agreed:
    """Policy and people permit it, as far as is known now; nothing has been sent."""


Outcome = Done | Parked | Declined | Failed | Rehearsed
Consent = Agreed | Parked | Declined
Wake = Callable[[RunId, Connection, datetime | None], Awaitable[None]]


@dataclass(frozen=True)
class Wish:
    """What the caller wants, validated and resolved, before any row is touched."""

    action: AnyAction
    connector: Connector
    caller: Caller
    key: IntentKey
    revision: store.NewRevision


@dataclass(frozen=True)
class Moment:
    """One instant by both of this process's clocks."""

    wall: datetime
    monotonic: float


@dataclass(frozen=True)
class Go:
    """An attempt is committed: send now, or first settle what an earlier one left behind."""

    intent: Intent
    attempt: store.Attempt
    is_new: bool
    since: Moment
    """Before the attempt's window was reckoned: whatever passes after it counts against the window."""


def ended_as(stored: store.StoredIntent) -> Done | Failed | Declined | Rehearsed | None:
    """The outcome that the ledger has, or None while it has none."""
    match stored.intent.state:
        case IntentState.DONE:
            return Done(stored.result or {}, stored.outcome, stored.intent.changed)
        case IntentState.FAILED:
            return Failed(stored.outcome)
        case IntentState.COMPENSATED:
            return Declined("compensated", "It was done, and has been taken back since.")
        case IntentState.REHEARSED:
            return Rehearsed(stored.outcome, digest=stored.intent.digest, **(stored.rehearsal or {}))
        case IntentState.REFUSED | IntentState.CANCELLED:
            return Declined(stored.cause, stored.outcome)
        case _:
            return None


def scope_of(wish: Wish) -> Scope:
    """What the kill switch knows this wish by."""
    return Scope(wish.caller.workspace, wish.caller.workflow, wish.action.name, wish.connector.name)


def subject_of(intent: Intent, **more: str | None) -> dict[str, Any]:
    """The intent as audit events name it."""
    return {
        "run_id": intent.key.run_id,
        "step": intent.key.step,
        "intent_id": intent.intent_id,
        "revision": intent.revision,
        "action": intent.record.action,
        **{name: value for name, value in more.items() if value is not None},
    }
