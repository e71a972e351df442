"""The one door through which effects leave: each happens once, or somebody is asked."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from pydantic import BaseModel

from actions import approvals, store
from actions.action import AnyAction, Catalogue
from actions.approval import ApprovalState, is_stricter
from actions.connector import (
    Connector,
    EffectClass,
    Inconclusive,
    Outbound,
    OutcomeUnknown,
    Rejected,
    Reply,
    StillOpen,
    Unreachable,
)
from actions.intent import Intent, IntentKey, IntentState, Origin, Record
from actions.policy import Considered, Decision, Rules, Verdict, decide
from core import audit
from core.clock import Clock
from core.db import Connection, Database
from core.errors import CountersignError
from core.ids import ApprovalId, RunId
from core.metrics import Metrics
from core.outbox import Conversation, refresh_cards

log = logging.getLogger(__name__)

#: A request that was already on the wire when its sender died may still land this long after its deadline.
LANDING = timedelta(seconds=2)
#: How often a call that never left is tried again before the run is parked.
TRIES = 3
#: When a parked run asks again after an outside system that is away or cannot say.
ASK_AGAIN = timedelta(seconds=15)


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


@dataclass(frozen=True)
class Done:
    """The effect has happened; `result` is the action's typed result as JSON."""

    result: Mapping[str, Any]
    text: str


@dataclass(frozen=True)
class Parked:
    """The run must wait: for people, for a delivery, or until an unknown outcome is settled."""

    kind: Literal["approval", "delivery", "in_doubt"]
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
class Agreed:
    """Policy and people permit it, as far as is known now; nothing has been sent."""


Outcome = Done | Parked | Declined | Failed
Consent = Agreed | Parked | Declined
Wake = Callable[[RunId, Connection, datetime | None], Awaitable[None]]


class ArgumentsChanged(CountersignError):
    """A step asked again with other arguments after something had been sent for it."""


@dataclass(frozen=True)
class Wish:
    """What the caller wants, resolved and judged, before any row is touched."""

    action: AnyAction
    connector: Connector
    caller: Caller
    key: IntentKey
    revision: store.NewRevision
    decision: Decision


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


class Gateway:
    """Performs actions: validate, decide, ask, commit the attempt, send, keep the receipt, tell."""

    def __init__(
        self,
        database: Database,
        catalogue: Catalogue,
        connectors: Mapping[str, Connector],
        rules: Callable[[], Rules],
        *,
        wake: Wake,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._connectors = connectors
        self._rules = rules
        self._wake = wake
        self._clock = clock
        self._metrics = metrics

    async def perform(
        self,
        name: str,
        args: BaseModel,
        *,
        step: str,
        caller: Caller,
        origins: Mapping[str, Origin] | None = None,
        evidence: list[str] | None = None,
    ) -> Outcome:
        """Make this effect happen once for (run, step), or say what it waits for or why it will not happen."""
        wish = self._wish(name, args, step, caller, origins or {}, evidence or [])
        if isinstance(wish, Declined):
            return wish
        for attempt in range(TRIES):
            if attempt:
                self._metrics.retries.labels("attempt").inc()
                await self._clock.sleep(0.5 * 2**attempt)
            outcome = await self._once(wish)
            if outcome is not None:
                return outcome
        return await self._ask_again_later(wish, f"{wish.connector.name} cannot be reached; I keep trying.")

    async def consent(
        self,
        name: str,
        args: BaseModel,
        *,
        step: str,
        caller: Caller,
        origins: Mapping[str, Origin] | None = None,
        evidence: list[str] | None = None,
    ) -> Consent:
        """Put the question to whom it concerns, if it has not been put, and say how it stands; never sends anything."""
        wish = self._wish(name, args, step, caller, origins or {}, evidence or [])
        if isinstance(wish, Declined):
            return wish
        if wish.decision.verdict is Verdict.ALLOW:
            return Agreed()
        async with self._database.transaction() as conn:
            found = await self._take(conn, wish, begin=False)
        return found if isinstance(found, Parked | Declined) else Agreed()

    def preview(
        self, name: str, args: BaseModel, *, caller: Caller, origins: Mapping[str, Origin] | None = None
    ) -> Decision:
        """What policy says to this wish, without writing anything."""
        wish = self._wish(name, args, "preview", caller, origins or {}, [])
        if isinstance(wish, Declined):
            version = self._rules().version
            return Decision(Verdict.DENY, ("built-in:unregistered",), (wish.text,), None, timedelta(0), None, version)
        return wish.decision

    def only_pretends(self, names: Iterable[str]) -> bool:
        """True when every one of these actions reaches a sandbox and nothing else."""
        return all(self._only_pretends(self._catalogue.get(name)) for name in names)

    def _only_pretends(self, action: AnyAction | None) -> bool:
        connector = None if action is None else self._connectors.get(action.connector)
        return connector is not None and connector.sandbox

    async def is_settled(self, kind: str, subject_id: str) -> bool:
        """True when a run that waits for this may go on and ask again."""
        if kind != "approval":
            return True
        async with self._database.connection() as conn:
            return await approvals.is_decided(conn, subject_id)

    async def receipt_arrived(self, conn: Connection, receiver_key: str) -> None:
        """Wake the run whose effect under this receiver's key has just been completed by the other side."""
        run_id = await store.run_of_receiver_key(conn, receiver_key)
        if run_id is not None:
            await self._wake(run_id, conn, None)

    async def cancel_run(self, conn: Connection, run_id: RunId) -> None:
        """Take back what a stopped run still waits for; what has been sent stays as it is."""
        for approval_id in await store.cancel_intents(conn, run_id):
            self._metrics.approvals.labels("", ApprovalState.CANCELLED).inc()
            await refresh_cards(conn, "approval", approval_id)

    async def ask_again(self, conn: Connection, run_id: RunId) -> None:
        """Have a run that found an outside system away look again in a while."""
        await self._wake(run_id, conn, self._clock.now() + ASK_AGAIN)

    # -- from a wish to a committed attempt ------------------------------------------------------------------------

    def _wish(
        self,
        name: str,
        args: BaseModel,
        step: str,
        caller: Caller,
        origins: Mapping[str, Origin],
        evidence: list[str],
    ) -> Wish | Declined:
        action = self._catalogue.get(name)
        if action is None:
            return Declined("denied", f"Nobody registered an action called {name}, so it cannot run.")
        connector = self._connectors.get(action.connector)
        if connector is None:
            return Declined("denied", f"{name} needs the connector {action.connector}, which is not configured here.")
        plain = args.model_dump(mode="json")
        typed = action.parse(plain)
        record = Record(action.name, action.version, connector.account, typed.model_dump(mode="json"), caller.requester)
        rules = self._rules()
        decision = decide(
            rules.policy, self._considered(action, connector, caller, plain, origins=origins), rules.version
        )
        self._metrics.decisions.labels(action.name, decision.verdict).inc()
        revision = store.NewRevision(record, record.digest(), action.summarise(record.args), origins, evidence)
        return Wish(action, connector, caller, IntentKey(caller.run_id, step), revision, decision)

    def _considered(
        self,
        action: AnyAction,
        connector: Connector,
        caller: Caller,
        args: Mapping[str, Any],
        *,
        origins: Mapping[str, Origin],
    ) -> Considered:
        member = self._rules().team.member(caller.requester)
        return Considered(
            action=action.name,
            effect=action.effect,
            connector=connector.name,
            sandbox=connector.sandbox,
            workflow=caller.workflow,
            requester_roles=member.roles if member else frozenset(),
            amount=action.amount_of(args),
            unendorsed=tuple(name for name in action.guarded if name not in origins or not origins[name].is_trusted),
        )

    async def _once(self, wish: Wish) -> Outcome | None:
        """One pass: None means nothing was sent and it may be tried again at once."""
        async with self._database.transaction() as conn:
            step = await self._take(conn, wish, begin=True)
        if isinstance(step, Agreed):
            raise CountersignError("A wish that may begin has not begun.")
        if not isinstance(step, Go):
            return step
        if step.is_new:
            return await self._send(wish, step)
        return await self._settle(wish, step)

    async def _take(self, conn: Connection, wish: Wish, *, begin: bool) -> Outcome | Go | Agreed:
        await wish.caller.guard.fence(conn)
        stored = await self._written_down(conn, wish)
        ended = _ended(stored)
        if ended is not None:
            return ended
        intent = stored.intent
        if intent.digest != wish.revision.digest:
            wish = self._about_newest(wish, stored)
        if intent.state is IntentState.PREPARED:
            return await self._decide(conn, wish, intent, begin=begin)
        if intent.state is IntentState.AWAITING:
            return await self._check_approval(conn, wish, intent, begin=begin)
        since, attempt = self._moment(), await store.open_attempt(conn, intent)
        assert attempt is not None
        return Go(intent, attempt, is_new=False, since=since)

    async def _written_down(self, conn: Connection, wish: Wish) -> store.StoredIntent:
        """The intent under the wish's key, locked: made for this wish, revised by it, or as it was."""
        found = await store.lock_intent(conn, wish.key)
        if found is None:
            await store.insert_intent(conn, self._new_intent(wish), wish.revision)
            found = await store.lock_intent(conn, wish.key)
            assert found is not None
        if found.intent.digest != wish.revision.digest:
            await self._revise(conn, wish, found.intent)
            found = await store.lock_intent(conn, wish.key)
            assert found is not None
        return found

    def _about_newest(self, wish: Wish, stored: store.StoredIntent) -> Wish:
        """Asked with an earlier revision's arguments, policy still judges what would be sent: the newest ones."""
        rules, intent = self._rules(), stored.intent
        considered = self._considered(
            wish.action, wish.connector, wish.caller, intent.record.args, origins=stored.origins
        )
        decision = decide(rules.policy, considered, rules.version)
        revision = store.NewRevision(intent.record, intent.digest, intent.summary, stored.origins, [])
        return replace(wish, revision=revision, decision=decision)

    def _moment(self) -> Moment:
        return Moment(self._clock.now(), self._clock.monotonic())

    def _new_intent(self, wish: Wish) -> store.NewIntent:
        caller = wish.caller
        return store.NewIntent(
            wish.key,
            caller.workspace,
            caller.workflow,
            caller.requester,
            caller.conversation.to_json(),
            wish.action.effect,
            wish.connector.name,
            wish.connector.sandbox,
        )

    async def _revise(self, conn: Connection, wish: Wish, intent: Intent) -> None:
        if await store.had_digest(conn, intent, wish.revision.digest):
            return
        if intent.state not in {IntentState.PREPARED, IntentState.AWAITING}:
            raise ArgumentsChanged(
                f"Step {wish.key.step} of {wish.key.run_id} asked for {wish.action.name} with other arguments after it"
                " had begun. Give a changed effect a step of its own."
            )
        await store.add_revision(conn, intent, wish.revision)
        await refresh_cards(conn, "approval", await approvals.last_of(conn, intent))

    async def _decide(self, conn: Connection, wish: Wish, intent: Intent, *, begin: bool) -> Outcome | Go | Agreed:
        match wish.decision.verdict:
            case Verdict.DENY:
                return await self._decline(conn, wish, intent, "denied", " ".join(wish.decision.reasons))
            case Verdict.REQUIRE_APPROVAL:
                return await self._ask(conn, wish, intent)
            case Verdict.ALLOW:
                return await self._begin(conn, wish, intent, None) if begin else Agreed()

    async def _ask(self, conn: Connection, wish: Wish, intent: Intent) -> Parked:
        await store.move(conn, intent, IntentState.AWAITING)
        approval_id = await approvals.ask(conn, intent, wish.decision, wish.caller.conversation)
        await audit.append(
            conn,
            wish.caller.workspace,
            "approval.asked",
            actor=audit.CODE,
            subject=_subject(intent, approval_id=approval_id),
            detail={"digest": intent.digest, "decision": wish.decision.to_json()},
        )
        return self._parked(wish, approval_id)

    def _parked(self, wish: Wish, approval_id: str) -> Parked:
        approvers = wish.decision.approvers
        who = self._rules().team.describe(approvers) if approvers else "an admin"
        return Parked("approval", approval_id, f"{wish.revision.summary}: waits for {who}")

    async def _check_approval(
        self, conn: Connection, wish: Wish, intent: Intent, *, begin: bool
    ) -> Outcome | Go | Agreed:
        asked = await approvals.latest(conn, intent)
        match asked.state:
            case ApprovalState.PENDING:
                return self._parked(wish, asked.approval_id)
            case ApprovalState.REJECTED:
                said = f": {asked.reason}" if asked.reason else "."
                return await self._decline(conn, wish, intent, "rejected", f"<@{asked.decided_by}> rejected it{said}")
            case ApprovalState.EXPIRED:
                text = "Nobody decided in time. That is not a rejection: ask again if it is still needed."
                return await self._decline(conn, wish, intent, "expired", text)
            case ApprovalState.SUPERSEDED | ApprovalState.CANCELLED:
                return await self._decline(conn, wish, intent, "cancelled", "It is no longer asked for.")
            case ApprovalState.APPROVED:
                return await self._go_on_approved(conn, wish, intent, asked, begin=begin)

    async def _go_on_approved(
        self, conn: Connection, wish: Wish, intent: Intent, asked: approvals.Asked, *, begin: bool
    ) -> Outcome | Go | Agreed:
        """What ran is what was approved: the digest and the policy are checked again where the attempt begins."""
        if asked.revision != intent.revision or asked.digest != intent.digest:
            raise CountersignError(f"The approval of {intent.intent_id} is about other arguments; nothing was sent.")
        if wish.decision.verdict is Verdict.DENY:
            return await self._decline(conn, wish, intent, "denied", " ".join(wish.decision.reasons))
        if is_stricter(wish.decision, asked.decision):
            await approvals.supersede(conn, asked.approval_id)
            await store.move(conn, intent, IntentState.PREPARED)
            return await self._ask(conn, wish, intent)
        return await self._begin(conn, wish, intent, asked.approval_id) if begin else Agreed()

    async def _decline(self, conn: Connection, wish: Wish, intent: Intent, cause: str, text: str) -> Declined:
        to = IntentState.CANCELLED if cause == "cancelled" else IntentState.REFUSED
        await store.move(conn, intent, to, outcome=text, cause=cause)
        await refresh_cards(conn, "approval", await approvals.last_of(conn, intent))
        await audit.append(
            conn,
            wish.caller.workspace,
            f"effect.{cause}",
            actor=audit.CODE,
            subject=_subject(intent),
            detail={"digest": intent.digest, "text": text, "decision": wish.decision.to_json()},
        )
        return Declined(cause, text)

    async def _begin(
        self, conn: Connection, wish: Wish, intent: Intent, approval_id: ApprovalId | None
    ) -> Outcome | Go:
        await wish.caller.guard.may_start(conn)
        try:
            outbound = wish.connector.request(intent.record, intent.receiver_key)
        except Rejected as error:
            return await self._decline(conn, wish, intent, "denied", str(error))
        since = self._moment()
        attempt = await store.begin_attempt(
            conn,
            intent,
            window=wish.connector.window,
            request_sha256=outbound.sha256,
            policy=(wish.decision.policy_version, wish.decision.verdict),
            approval_id=approval_id,
        )
        await store.move(conn, intent, IntentState.EXECUTING)
        await audit.append(
            conn,
            wish.caller.workspace,
            "attempt.started",
            actor=audit.CODE,
            subject=_subject(intent, attempt_id=attempt.attempt_id, approval_id=approval_id),
            detail={"digest": intent.digest, "request_sha256": outbound.sha256, "decision": wish.decision.to_json()},
        )
        return Go(intent, attempt, is_new=True, since=since)

    # -- from a committed attempt to a receipt -----------------------------------------------------------------------

    async def _send(self, wish: Wish, go: Go) -> Outcome | None:
        outbound = wish.connector.request(go.intent.record, go.intent.receiver_key)
        call = _Sending(wish.connector, outbound, self._clock, left=go.attempt.left, since=go.since)
        try:
            with self._metrics.effect_seconds.labels(wish.action.name).time():
                result = await wish.action.handler(wish.action.parse(go.intent.record.args), call)
        except (Unreachable, WindowClosed) as error:
            return await self._end_unsent(wish, go, str(error))
        except Rejected as error:
            return await self._end_failed(wish, go, str(error))
        except StillOpen as error:
            return Parked("delivery", go.intent.intent_id, str(error))
        except OutcomeUnknown as error:
            log.warning("%s left no receipt: %s", wish.action.name, error)
            await self._mark_in_doubt(wish, go, str(error))
            return await self._settle(wish, go)
        return await self._end_done(wish, go, result)

    async def _settle(self, wish: Wish, go: Go) -> Outcome | None:
        """An attempt started and left no receipt: find out, never try again blindly."""
        if self._may_repeat(wish.connector, go):
            return await self._send_again(wish, go)
        if wish.connector.settles is not EffectClass.OPAQUE:
            return await self._look_up(wish, go)
        await self._wait_for_landing(go.attempt)
        await self._mark_in_doubt(wish, go, "nobody but a person can tell whether it happened")
        return Parked("in_doubt", go.intent.intent_id, f"{go.intent.summary}: did it happen? Only you can tell.")

    def _may_repeat(self, connector: Connector, go: Go) -> bool:
        """True while the receiver knows our key, and for the very bytes that the attempt committed to."""
        kept = connector.key_retention is None or go.attempt.age < connector.key_retention
        if connector.settles is not EffectClass.KEYED or not kept:
            return False
        return connector.request(go.intent.record, go.intent.receiver_key).sha256 == go.attempt.request_sha256

    async def _look_up(self, wish: Wish, go: Go, *, refused: str = "") -> Outcome | None:
        """What the receiver's own record says; what is definitely absent there was `refused`, or never arrived."""
        await self._wait_for_landing(go.attempt)
        try:
            found = await wish.connector.find(go.intent.record, go.intent.receiver_key)
        except (Inconclusive, StillOpen) as error:
            await self._mark_in_doubt(wish, go, str(error))
            return await self._ask_again_later(wish, f"{go.intent.summary}: finding out whether it happened")
        if found is None and refused:
            return await self._end_failed(wish, go, refused)
        if found is None:
            return await self._end_unsent(wish, go, f"{wish.connector.name} has no record of it")
        result = await wish.action.handler(wish.action.parse(go.intent.record.args), _Found(found))
        return await self._end_done(wish, go, result)

    async def _send_again(self, wish: Wish, go: Go) -> Outcome | None:
        """The receiver honours our key, so the same bytes may be sent again; a busy receiver is asked later."""
        since = self._moment()
        async with self._database.transaction() as conn:
            await wish.caller.guard.fence(conn)
            attempt = await store.renew_attempt(conn, go.attempt, wish.connector.window)
        if attempt is None:
            return None
        outbound = wish.connector.request(go.intent.record, go.intent.receiver_key)
        call = _Sending(wish.connector, outbound, self._clock, left=attempt.left, since=since)
        again = Go(go.intent, attempt, is_new=False, since=since)
        try:
            result = await wish.action.handler(wish.action.parse(go.intent.record.args), call)
        except StillOpen as error:
            return Parked("delivery", go.intent.intent_id, str(error))
        except Rejected as error:
            # It refuses the repetition; that says nothing of the first sending.
            return await self._look_up(wish, go, refused=str(error))
        except (Unreachable, WindowClosed, OutcomeUnknown) as error:
            await self._mark_in_doubt(wish, again, str(error))
            return await self._ask_again_later(wish, f"{go.intent.summary}: {wish.connector.name} does not answer")
        return await self._end_done(wish, again, result)

    async def _wait_for_landing(self, attempt: store.Attempt) -> None:
        left = (attempt.left + LANDING).total_seconds()
        if left > 0:
            await self._clock.sleep(left)

    async def _end_done(self, wish: Wish, go: Go, result: BaseModel) -> Outcome:
        plain = result.model_dump(mode="json")
        text = f"{wish.action.summarise(go.intent.record.args)}: done"
        async with self._database.transaction() as conn:
            await wish.caller.guard.fence(conn)
            if not await store.end_attempt(conn, go.attempt, "done", receipt=plain):
                return await self._as_ended(conn, wish)
            await store.move(conn, go.intent, IntentState.DONE, result=plain, outcome=text)
            await refresh_cards(conn, "approval", await approvals.last_of(conn, go.intent))
            await self._tell(conn, wish, go, "effect.done", {"receipt": plain})
        self._metrics.effects.labels(wish.action.name, "done").inc()
        return Done(plain, text)

    async def _as_ended(self, conn: Connection, wish: Wish) -> Outcome:
        """The outcome that another task of the same owner wrote down first; raises IllegalTransition without one."""
        found = await store.lock_intent(conn, wish.key)
        ended = None if found is None else _ended(found)
        if ended is None:
            raise store.IllegalTransition(f"{wish.action.name} of {wish.key.run_id} has an answer nobody waits for.")
        return ended

    async def _end_failed(self, wish: Wish, go: Go, error: str) -> Outcome:
        async with self._database.transaction() as conn:
            await wish.caller.guard.fence(conn)
            if not await store.end_attempt(conn, go.attempt, "failed", error=error):
                return await self._as_ended(conn, wish)
            await store.move(conn, go.intent, IntentState.FAILED, outcome=error, cause="rejected_by_receiver")
            await refresh_cards(conn, "approval", await approvals.last_of(conn, go.intent))
            await self._tell(conn, wish, go, "effect.failed", {"error": error})
        self._metrics.effects.labels(wish.action.name, "failed").inc()
        return Failed(error)

    async def _end_unsent(self, wish: Wish, go: Go, why: str) -> None:
        """Nothing happened at the other side: the same approval covers the next attempt."""
        async with self._database.transaction() as conn:
            await wish.caller.guard.fence(conn)
            await store.end_attempt(conn, go.attempt, "unsent", error=why)
            await store.reopen(conn, go.intent)
            await self._tell(conn, wish, go, "attempt.unsent", {"error": why})
        self._metrics.effects.labels(wish.action.name, "unsent").inc()

    async def _mark_in_doubt(self, wish: Wish, go: Go, why: str) -> None:
        async with self._database.transaction() as conn:
            await wish.caller.guard.fence(conn)
            first = await store.enter_doubt(conn, go.intent, go.attempt, why)
            if first:
                await refresh_cards(conn, "approval", await approvals.last_of(conn, go.intent))
                await self._tell(conn, wish, go, "effect.in_doubt", {"error": why})
        if first:
            self._metrics.in_doubt.labels(wish.action.name).inc()

    async def _ask_again_later(self, wish: Wish, text: str) -> Parked:
        async with self._database.transaction() as conn:
            await wish.caller.guard.fence(conn)
            found = await store.lock_intent(conn, wish.key)
            assert found is not None
            await self.ask_again(conn, wish.caller.run_id)
        kind = "in_doubt" if found.intent.state is IntentState.IN_DOUBT else "delivery"
        return Parked(kind, found.intent.intent_id, text)

    async def _tell(self, conn: Connection, wish: Wish, go: Go, event: str, detail: Mapping[str, Any]) -> None:
        await audit.append(
            conn,
            wish.caller.workspace,
            event,
            actor=audit.CODE,
            subject=_subject(go.intent, attempt_id=go.attempt.attempt_id),
            detail={"attempt": go.attempt.number, "digest": go.intent.digest, **detail},
        )


class WindowClosed(CountersignError):
    """The process was paused past its attempt's window, so it did not send."""


class _Sending:
    """Sends the committed bytes once, unless the window has closed by any clock."""

    def __init__(
        self, connector: Connector, outbound: Outbound, clock: Clock, *, left: timedelta, since: Moment
    ) -> None:
        self._connector = connector
        self._outbound = outbound
        self._clock = clock
        self._left = left
        self._since = since
        self._is_begun = False
        self._reply: Reply | None = None

    async def send(self) -> Reply:
        """The other side's answer, the same however often it is asked for; raises WindowClosed, never sends late."""
        if self._reply is not None:
            return self._reply
        if self._is_begun:
            raise OutcomeUnknown("a handler asked to send again after its call had failed")
        monotonic = timedelta(seconds=self._clock.monotonic() - self._since.monotonic)
        remaining = self._left - max(monotonic, self._clock.now() - self._since.wall)
        # A frozen process wakes up with its window gone; half of it is kept for the call itself.
        if remaining < self._left / 2:
            raise WindowClosed("this process was paused too long to send safely")
        self._is_begun = True
        self._reply = await self._connector.send(self._outbound, timeout=remaining)
        return self._reply


class _Found:
    """Answers with what the other side's own record says of an earlier sending."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    async def send(self) -> Reply:
        """The answer of the effect that had already happened."""
        return self._reply


def _ended(stored: store.StoredIntent) -> Done | Failed | Declined | None:
    match stored.intent.state:
        case IntentState.DONE:
            return Done(stored.result or {}, stored.outcome)
        case IntentState.FAILED:
            return Failed(stored.outcome)
        case IntentState.REFUSED | IntentState.CANCELLED:
            return Declined(stored.cause, stored.outcome)
        case _:
            return None


def _subject(intent: Intent, **more: str | None) -> dict[str, Any]:
    return {
        "run_id": intent.key.run_id,
        "step": intent.key.step,
        "intent_id": intent.intent_id,
        "revision": intent.revision,
        "action": intent.record.action,
        **{name: value for name, value in more.items() if value is not None},
    }
