"""The one door through which effects leave: each happens once, or somebody is asked."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta

from pydantic import BaseModel

from actions import approvals, pauses, refusals, store
from actions.action import Catalogue
from actions.admission import Admission
from actions.approval import ApprovalState
from actions.attempts import Attempts
from actions.connector import Connector
from actions.ground import Ground
from actions.intent import IntentKey, Origin
from actions.judging import Judge
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
)
from actions.pause import UNREADABLE
from actions.pauses import SwitchUnreadable
from actions.policy import Decision, Rules, Verdict
from actions.preview import with_preview
from actions.wishes import Wishes
from core.audit import AuditUnwritable
from core.clock import Clock
from core.db import Connection, Database
from core.errors import CountersignError
from core.ids import RunId
from core.metrics import Metrics
from core.outbox import refresh_cards

#: How often a call that never left is tried again before the run is parked.
TRIES = 3
#: When a parked run asks again after an outside system that is away or cannot say, at first and after a long time:
#: whoever has waited long can wait a tenth of that, and does not fill the ledger with tries.
ASK_AGAIN = timedelta(seconds=15)
ASK_AGAIN_AT_LAST = timedelta(minutes=5)


class Gateway:
    """Performs actions: validate, decide, ask, commit the attempt, send, keep the receipt, tell."""

    def __init__(  # noqa: PLR0913 -- the one door; each is named where it is made
        self,
        database: Database,
        catalogue: Catalogue,
        connectors: Mapping[str, Connector],
        rules: Callable[[], Rules],
        *,
        wake: Wake,
        clock: Clock,
        metrics: Metrics,
        on_audit_failure: Callable[[str], Awaitable[None]] | None = None,
        ground: Ground | None = None,
        missing: Mapping[str, str] | None = None,
    ) -> None:
        """`missing` has the connectors that are not there for want of a secret, with that secret's name."""
        self._database = database
        self._rules = rules
        self._wake = wake
        self._on_audit_failure = on_audit_failure or _nothing_more
        self._clock = clock
        self._metrics = metrics
        self._ground = ground
        self._wishes = Wishes(catalogue, connectors, missing)
        self._judge = Judge(rules, metrics)
        self._attempts = Attempts(database, self.ask_again, rules=rules, clock=clock, metrics=metrics, ground=ground)
        self._admission = Admission(self._wishes, self._judge, rules, moment=self._attempts.moment)

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
        wish = self._wishes.make(name, args, step=step, caller=caller, origins=origins, evidence=evidence)
        if isinstance(wish, Declined):
            return await refusals.tell(self._database, caller, step, name, wish)
        wish = await with_preview(self._database, wish, self._ground)
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
        wish = self._wishes.make(name, args, step=step, caller=caller, origins=origins, evidence=evidence)
        if isinstance(wish, Declined):
            return await refusals.tell(self._database, caller, step, name, wish)
        async with self._database.connection() as conn:
            judged = await self._judge.judge(conn, wish, holding=False)
        if judged.decision.verdict is Verdict.ALLOW:
            return Agreed()
        wish = await with_preview(self._database, wish, self._ground)
        async with self._database.transaction() as conn:
            found = await self._admission.take(conn, wish, begin=False)
        return found if isinstance(found, Parked | Declined) else Agreed()

    async def settle(self, key: IntentKey, caller: Caller) -> Outcome:
        """How an effect of an ended run came out: one in doubt is looked for, and a person tells the rest."""
        async with self._database.transaction() as conn:
            await caller.guard.fence(conn)
            stored = await store.lock_intent(conn, key)
            assert stored is not None
            ended = ended_as(stored)
            if ended is not None:
                return ended
            since, attempt = self._attempts.moment(), await store.open_attempt(conn, stored.intent)
            wish = self._wishes.of_stored(stored, caller)
            if attempt is not None and wish is None:
                await self.ask_again(conn, caller.run_id)
        if attempt is None:
            return Declined("never_happened", f"{stored.intent.summary}: it was never begun")
        if wish is None:
            text = f"{stored.intent.summary}: it cannot be looked up here, for its action or connector is missing"
            return Parked("in_doubt", stored.intent.intent_id, text)
        return await self._attempts.find_out(wish, Go(stored.intent, attempt, is_new=False, since=since))

    async def preview(
        self, name: str, args: BaseModel, *, caller: Caller, origins: Mapping[str, Origin] | None = None
    ) -> Decision:
        """What policy says to this wish, without writing anything."""
        wish = self._wishes.make(name, args, step="preview", caller=caller, origins=origins)
        if isinstance(wish, Declined):
            version = self._rules().version
            return Decision(Verdict.DENY, ("built-in:unregistered",), (wish.text,), None, timedelta(0), None, version)
        async with self._database.connection() as conn:
            return (await self._judge.judge(conn, wish, holding=False)).decision

    def only_pretends(self, names: Iterable[str]) -> bool:
        """True when every one of these actions reaches a sandbox and nothing else."""
        return all(self._wishes.only_pretends(name) for name in names)

    def region_of(self, name: str) -> str | None:
        """Where data of this action goes, where its connector says so."""
        return self._wishes.region_of(name)

    async def is_settled(self, kind: str, subject_id: str) -> bool:
        """True when a run that waits for this may go on and ask again."""
        if kind not in {"approval", "paused"}:
            return True
        async with self._database.connection() as conn:
            if kind == "paused":
                return await pauses.is_lifted(conn, subject_id)
            return await approvals.is_decided(conn, subject_id)

    async def receipt_arrived(self, conn: Connection, receiver_key: str) -> None:
        """Wake the run whose effect under this receiver's key has just been completed by the other side."""
        run_id = await store.run_of_receiver_key(conn, receiver_key)
        if run_id is not None:
            await self._wake(run_id, conn, None)

    async def cancel_run(self, conn: Connection, run_id: RunId) -> None:
        """Take back what a stopped run still waits for; what has been sent stays as it is."""
        asked, decided = await store.cancel_intents(conn, run_id)
        self._metrics.approvals.labels("", ApprovalState.CANCELLED).inc(len(asked))
        for approval_id in (*asked, *decided):
            await refresh_cards(conn, "approval", approval_id)

    async def ask_again(
        self, conn: Connection, run_id: RunId, wait: timedelta | None = None, *, tried_for: timedelta = timedelta(0)
    ) -> None:
        """Have a run that found an outside system away look again in a while, or after what that system asked for."""
        patience = max(ASK_AGAIN, min(tried_for / 10, ASK_AGAIN_AT_LAST))
        await self._wake(run_id, conn, self._clock.now() + (wait or patience))

    async def _once(self, wish: Wish) -> Outcome | None:
        """One pass: None means nothing was sent and it may be tried again at once."""
        try:
            async with self._database.transaction() as conn:
                step = await self._admission.take(conn, wish, begin=True)
            if isinstance(step, Agreed):
                raise CountersignError("A wish that may begin has not begun.")
            return await self._attempts.carry(wish, step) if isinstance(step, Go) else step
        except SwitchUnreadable as error:
            return await self._wait_unread(wish, error)
        except AuditUnwritable as error:
            await self._on_audit_failure(str(error))
            raise

    async def _wait_unread(self, wish: Wish, error: SwitchUnreadable) -> Parked:
        async with self._database.transaction() as conn:
            await wish.caller.guard.fence(conn)
            await self.ask_again(conn, wish.caller.run_id)
        return Parked("paused", UNREADABLE, f"{wish.revision.summary}: {error}")


async def _nothing_more(because: str) -> None:
    del because
