"""The one door through which effects leave: each happens once, or somebody is asked."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from actions import approvals, store
from actions.action import AnyAction, Catalogue
from actions.approval import ApprovalState, is_stricter
from actions.attempts import Attempts
from actions.connector import Connector, Rejected
from actions.intent import Intent, IntentKey, IntentState, Origin, Record
from actions.outcome import (
    Agreed,
    Caller,
    Consent,
    Declined,
    Go,
    Outcome,
    Parked,
    Wake,
    Wish,
    ended_as,
    subject_of,
)
from actions.policy import Considered, Decision, Rules, Verdict, decide
from core import audit
from core.clock import Clock
from core.db import Connection, Database
from core.errors import CountersignError
from core.ids import ApprovalId, RunId
from core.metrics import Metrics
from core.outbox import refresh_cards

#: How often a call that never left is tried again before the run is parked.
TRIES = 3
#: When a parked run asks again after an outside system that is away or cannot say.
ASK_AGAIN = timedelta(seconds=15)


class ArgumentsChanged(CountersignError):
    """A step asked again with other arguments after something had been sent for it."""


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
        self._attempts = Attempts(database, self.ask_again, clock=clock, metrics=metrics)

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
        return await self._attempts.park(wish, f"{wish.connector.name} cannot be reached; I keep trying.")

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
        return await self._attempts.carry(wish, step)

    async def _take(self, conn: Connection, wish: Wish, *, begin: bool) -> Outcome | Go | Agreed:
        await wish.caller.guard.fence(conn)
        stored = await self._written_down(conn, wish)
        ended = ended_as(stored)
        if ended is not None:
            return ended
        intent = stored.intent
        if intent.digest != wish.revision.digest:
            wish = self._about_newest(wish, stored)
        if intent.state is IntentState.PREPARED:
            return await self._decide(conn, wish, intent, begin=begin)
        if intent.state is IntentState.AWAITING:
            return await self._check_approval(conn, wish, intent, begin=begin)
        since, attempt = self._attempts.moment(), await store.open_attempt(conn, intent)
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
            subject=subject_of(intent, approval_id=approval_id),
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
            subject=subject_of(intent),
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
        since = self._attempts.moment()
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
            subject=subject_of(intent, attempt_id=attempt.attempt_id, approval_id=approval_id),
            detail={"digest": intent.digest, "request_sha256": outbound.sha256, "decision": wish.decision.to_json()},
        )
        return Go(intent, attempt, is_new=True, since=since)
