"""What one wish comes to inside one transaction: written down, asked about, declined, or an attempt committed."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from actions import approvals, compensation, history, pauses, reservations, store
from actions.approval import ApprovalState, is_stricter
from actions.asked import Asked, latest
from actions.caps import Standing, as_asked, permitted_by, reserve_for, with_caps
from actions.connector import Rejected
from actions.escalation import lapse
from actions.history import Verdicts
from actions.intent import Intent, IntentState
from actions.judging import Judge, Judged
from actions.outcome import Agreed, Declined, Go, Moment, Outcome, Parked, Wish, ended_as, scope_of, subject_of
from actions.pause import Pause, paused_words
from actions.policy import Decision, Rules, Verdict
from actions.rehearsal import rehearse
from actions.wishes import Wishes
from core import audit
from core.db import Connection
from core.errors import CountersignError
from core.outbox import refresh_cards


class ArgumentsChanged(CountersignError):
    """A step asked again with other arguments after something had been sent for it."""


class Admission:
    """Decides under the intent's lock whether an effect may begin; every write is the caller's transaction's."""

    def __init__(
        self, wishes: Wishes, judge: Judge, rules: Callable[[], Rules], *, moment: Callable[[], Moment]
    ) -> None:
        self._wishes = wishes
        self._judge = judge
        self._rules = rules
        self._moment = moment

    async def take(self, conn: Connection, wish: Wish, *, begin: bool) -> Outcome | Go | Agreed:
        """How this wish stands now; with `begin`, an attempt is committed where nothing is in the way any more."""
        if begin:
            await self._take_part(conn, wish)
        await wish.caller.guard.fence(conn)
        stored = await self._written_down(conn, wish)
        ended = ended_as(stored)
        if ended is not None:
            return ended
        intent = stored.intent
        if intent.digest != wish.revision.digest and intent.state in {IntentState.PREPARED, IntentState.AWAITING}:
            wish = self._wishes.about_newest(wish, stored)
        if intent.state is IntentState.PREPARED:
            cause, why = await compensation.obstacle(conn, self._wishes.catalogue, wish.caller)
            if cause:
                return await self._decline(conn, wish, intent, cause, why)
            judged = await self._judge.judge(conn, wish, holding=not wish.caller.dry)
            if wish.caller.dry:
                return await self._rehearse(conn, judged, intent, begin=begin)
            return await self._decide(conn, judged, intent, begin=begin)
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
            caller.compensates,
            dry=caller.dry,
        )

    async def _revise(self, conn: Connection, wish: Wish, intent: Intent) -> None:
        if await store.had_digest(conn, intent, wish.revision.digest):
            return
        if intent.state not in {IntentState.PREPARED, IntentState.AWAITING}:
            if wish.action.version != intent.record.action_version:
                # Another release asks: what was begun is carried to its end as it was written down.
                return
            raise ArgumentsChanged(
                f"Step {wish.key.step} of {wish.key.run_id} asked for {wish.action.name} with other arguments after it"
                " had begun. Give a changed effect a step of its own."
            )
        await store.add_revision(conn, intent, wish.revision)
        await refresh_cards(conn, "approval", await approvals.last_of(conn, intent))

    async def _decide(self, conn: Connection, wish: Judged, intent: Intent, *, begin: bool) -> Outcome | Go | Agreed:
        match wish.decision.verdict:
            case Verdict.DENY:
                return await self._deny(conn, wish, intent)
            case Verdict.REQUIRE_APPROVAL:
                return await self._ask(conn, wish, intent)
            case Verdict.ALLOW:
                return await self._begin(conn, wish, intent, None) if begin else Agreed()

    async def _rehearse(self, conn: Connection, wish: Judged, intent: Intent, *, begin: bool) -> Outcome | Agreed:
        """A dry run learns the verdict and the bytes; it asks nobody, reserves nothing and begins nothing."""
        if wish.decision.verdict is Verdict.DENY:
            because, decision = " ".join(wish.decision.reasons), wish.decision.to_json()
            return await self._decline(conn, wish, intent, "denied", because, decision=decision, dry=True)
        if not begin:
            return Agreed()
        try:
            outbound = wish.connector.request(intent.record, intent.receiver_key)
        except Rejected as error:
            return await self._decline(conn, wish, intent, "denied", str(error), dry=True)
        return await rehearse(conn, wish, intent, outbound, self._rules())

    async def _ask(self, conn: Connection, wish: Judged, intent: Intent) -> Parked:
        await store.move(conn, intent, IntentState.AWAITING)
        await self._note(conn, wish, intent)
        approval_id = await approvals.ask(conn, intent, wish.decision, wish.caller.conversation, rules=self._rules())
        await audit.append(
            conn,
            wish.caller.workspace,
            "approval.asked",
            actor=audit.CODE,
            subject=subject_of(intent, approval_id=approval_id),
            detail={"digest": intent.digest, "decision": wish.decision.to_json()},
        )
        return self._parked(wish, wish.decision, approval_id)

    def _parked(self, wish: Wish, decision: Decision, approval_id: str) -> Parked:
        approvers = decision.approvers
        who = self._rules().team.describe(approvers) if approvers else "an admin"
        return Parked("approval", approval_id, f"{wish.revision.summary}: waits for {who}")

    async def _check_approval(
        self, conn: Connection, wish: Wish, intent: Intent, *, begin: bool
    ) -> Outcome | Go | Agreed:
        asked = await latest(conn, intent)
        match asked.state:
            case ApprovalState.PENDING:
                return self._parked(wish, asked.decision, asked.approval_id)
            case ApprovalState.REJECTED:
                said = f": {asked.reason}" if asked.reason else "."
                return await self._decline(conn, wish, intent, "rejected", f"<@{asked.decided_by}> rejected it{said}")
            case ApprovalState.EXPIRED if asked.parked:
                text = f"{wish.revision.summary}: nobody decided in time. Ask again if it is still wanted"
                return Parked("approval", asked.approval_id, text)
            case ApprovalState.EXPIRED:
                text = "Nobody decided in time, and nobody asked again. That is not a rejection."
                return await self._decline(conn, wish, intent, "expired", text)
            case ApprovalState.SUPERSEDED | ApprovalState.CANCELLED:
                return await self._decline(conn, wish, intent, "cancelled", "It is no longer asked for.")
            case ApprovalState.APPROVED:
                return await self._go_on_approved(conn, wish, intent, asked, begin=begin)

    async def _go_on_approved(
        self, conn: Connection, wish: Wish, intent: Intent, asked: Asked, *, begin: bool
    ) -> Outcome | Go | Agreed:
        """What ran is what was approved: the digest and the policy are checked again where the attempt begins."""
        if asked.revision != intent.revision or asked.digest != intent.digest:
            raise CountersignError(f"The approval of {intent.intent_id} is about other arguments; nothing was sent.")
        judged = await self._judge.judge(conn, wish, holding=True)
        if judged.decision.verdict is Verdict.DENY:
            return await self._deny(conn, judged, intent)
        asks = judged.decision.verdict is Verdict.REQUIRE_APPROVAL
        if asks and asked.stale:
            return await self._ask_lapsed(conn, judged, intent, asked)
        rules = self._rules()
        now = as_asked(judged.decision, asked.decision, rules.policy, rules.team)
        stricter = is_stricter(now, asked.decision) or permitted_by(now) - permitted_by(asked.decision)
        if stricter or (asks and not asked.is_carried(rules.team)):
            return await self._ask_anew(conn, judged, intent, asked)
        return await self._begin(conn, judged, intent, asked) if begin else Agreed()

    async def _ask_anew(self, conn: Connection, wish: Judged, intent: Intent, asked: Asked) -> Parked:
        await approvals.supersede(conn, asked.approval_id)
        await store.move(conn, intent, IntentState.PREPARED)
        return await self._ask(conn, wish, intent)

    async def _at_cap(
        self, conn: Connection, wish: Judged, intent: Intent, asked: Asked | None, stands: Standing
    ) -> Outcome:
        """A limit has no room: never automatic, and never by an approval that did not know of it."""
        rules = self._rules()
        wish = replace(wish, decision=with_caps(wish.decision, stands.reached, rules.policy, rules.team))
        if wish.decision.verdict is Verdict.DENY:
            return await self._deny(conn, wish, intent)
        if asked is not None:
            return await self._ask_anew(conn, wish, intent, asked)
        return await self._ask(conn, wish, intent)

    async def _ask_lapsed(self, conn: Connection, wish: Judged, intent: Intent, asked: Asked) -> Parked:
        """Agreed to so long ago that it no longer counts: ask again about the same revision."""
        await lapse(conn, asked.approval_id)
        await store.move(conn, intent, IntentState.PREPARED)
        parked = await self._ask(conn, wish, intent)
        await audit.append(
            conn,
            wish.caller.workspace,
            "approval.lapsed",
            actor=audit.CODE,
            subject=subject_of(intent, approval_id=asked.approval_id),
            detail={"digest": intent.digest, "asked_again": parked.subject_id},
        )
        return parked

    async def _note(self, conn: Connection, wish: Judged, intent: Intent) -> None:
        decision = wish.decision
        noted = Verdicts(
            decision.policy_version, decision.verdict, decision.rules, decision.reasons, wish.considered.to_json()
        )
        await history.note_judgement(conn, intent, wish.subject, noted)

    async def _deny(self, conn: Connection, wish: Judged, intent: Intent) -> Declined:
        await self._note(conn, wish, intent)
        for limit_id in sorted(permitted_by(wish.decision)):
            await reservations.note_breach(
                conn, wish.caller.workspace, limit_id, wish.action.name, intent_id=intent.intent_id
            )
        return await self._decline(
            conn, wish, intent, "denied", " ".join(wish.decision.reasons), decision=wish.decision.to_json()
        )

    async def _decline(
        self, conn: Connection, wish: Wish, intent: Intent, cause: str, text: str, **detail: Any
    ) -> Declined:
        to = IntentState.CANCELLED if cause == "cancelled" else IntentState.REFUSED
        await store.move(conn, intent, to, outcome=text, cause=cause)
        await refresh_cards(conn, "approval", await approvals.last_of(conn, intent))
        await audit.append(
            conn,
            wish.caller.workspace,
            f"effect.{cause}",
            actor=audit.CODE,
            subject=subject_of(intent),
            detail={"digest": intent.digest, "text": text, "rules_version": self._rules().version, **detail},
            whose=wish.caller.requester,
        )
        return Declined(cause, text)

    async def _take_part(self, conn: Connection, wish: Wish) -> None:
        """Before any row is locked: who lifts a pause wakes runs while nobody else has the switch."""
        await pauses.share(conn, wish.caller.workspace)

    async def _paused(self, conn: Connection, wish: Wish) -> Pause | None:
        """What keeps this from beginning until the transaction ends; taking back is never kept from it."""
        return None if wish.caller.is_compensation else await pauses.covering(conn, scope_of(wish))

    async def _hold(self, conn: Connection, wish: Wish, pause: Pause) -> Parked:
        await pauses.hold_run(conn, wish.caller.run_id, pause)
        words = paused_words(pause, self._rules().team.name_of)
        return Parked("paused", pause.pause_id, f"{wish.revision.summary}: {words}")

    async def _reserve(
        self, conn: Connection, wish: Judged, permitted: frozenset[str]
    ) -> list[reservations.Held] | Standing:
        return await reserve_for(conn, wish.charge, wish.limits, permitted)

    async def _begin(self, conn: Connection, wish: Judged, intent: Intent, asked: Asked | None) -> Outcome | Go:
        await wish.caller.guard.may_start(conn)
        pause = await self._paused(conn, wish)
        if pause is not None:
            return await self._hold(conn, wish, pause)
        cause, why = await compensation.obstacle(conn, self._wishes.catalogue, wish.caller)
        if cause:
            return await self._decline(conn, wish, intent, cause, why)
        try:
            outbound = wish.connector.request(intent.record, intent.receiver_key)
        except Rejected as error:
            return await self._decline(conn, wish, intent, "denied", str(error))
        permitted = frozenset[str]() if asked is None else permitted_by(asked.decision)
        held = await self._reserve(conn, wish, permitted)
        if isinstance(held, Standing):
            return await self._at_cap(conn, wish, intent, asked, held)
        since, approval_id = self._moment(), None if asked is None else asked.approval_id
        attempt = await store.begin_attempt(
            conn,
            intent,
            window=wish.connector.window,
            request_sha256=outbound.sha256,
            policy=(wish.decision.policy_version, wish.decision.verdict),
            approval_id=approval_id,
        )
        await reservations.hold(conn, wish.caller.workspace, attempt.attempt_id, held)
        await history.note_attempt(conn, attempt.attempt_id, wish.subject, wish.considered.amount)
        await self._note(conn, wish, intent)
        await store.move(conn, intent, IntentState.EXECUTING)
        await audit.append(
            conn,
            wish.caller.workspace,
            "attempt.started",
            actor=audit.CODE,
            subject=subject_of(intent, attempt_id=attempt.attempt_id, approval_id=approval_id),
            detail={
                "attempt": attempt.number,
                "digest": intent.digest,
                "request_sha256": outbound.sha256,
                "decision": wish.decision.to_json(),
            },
        )
        return Go(intent, attempt, is_new=True, since=since)
