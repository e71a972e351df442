"""From a committed attempt to a receipt: sent once, and settled where it left none."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from actions import approvals, compensation, doubts, history, pauses, store
from actions.connector import (
    Connector,
    Contested,
    EffectClass,
    Inconclusive,
    Outbound,
    OutcomeUnknown,
    Rejected,
    Reply,
    StillOpen,
    Unreachable,
)
from actions.ground import Ground
from actions.intent import IntentState
from actions.outcome import Declined, Done, Failed, Go, Moment, Outcome, Parked, Wish, ended_as, scope_of, subject_of
from actions.policy import Rules
from actions.records import RecordsUnavailable
from core import audit
from core.clock import Clock
from core.db import Connection, Database
from core.errors import CountersignError
from core.metrics import Metrics
from core.outbox import Conversation, refresh_cards

log = logging.getLogger(__name__)

#: A request that was already on the wire when its sender died may still land this long after its deadline.
LANDING = timedelta(seconds=2)


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


class Attempts:
    """Sends what an attempt has committed to, and finds out what became of those that left no receipt."""

    def __init__(
        self,
        database: Database,
        ask_again: Callable[..., Awaitable[None]],
        *,
        rules: Callable[[], Rules],
        clock: Clock,
        metrics: Metrics,
        ground: Ground | None = None,
    ) -> None:
        self._database = database
        self._ask_again = ask_again
        self._rules = rules
        self._ground = ground
        self._clock = clock
        self._metrics = metrics

    async def carry(self, wish: Wish, go: Go) -> Outcome | None:
        """What becomes of this attempt; None means that nothing was sent and it may be tried again at once."""
        return await (self._send(wish, go) if go.is_new else self._settle(wish, go))

    async def find_out(self, wish: Wish, go: Go) -> Outcome:
        """What became of an attempt that is about to be taken back: it is looked for, and never sent again."""
        if wish.connector.settles is EffectClass.OPAQUE:
            await self._settle(wish, go)
            return await self._ask_again_later(wish, f"{go.intent.summary}: did it happen? Only you can tell.")
        outcome = await self._look_up(wish, go)
        if outcome is not None:
            return outcome
        text = f"{go.intent.summary}: it never happened, so there is nothing to take back"
        async with self._database.transaction() as conn:
            await wish.caller.guard.fence(conn)
            await store.move(conn, go.intent, IntentState.CANCELLED, outcome=text, cause="never_happened")
            await self._tell(conn, wish, go, "effect.never_happened", {})
        return Declined("never_happened", text)

    async def park(self, wish: Wish, text: str) -> Parked:
        """Have the run look again in a while, because the other side is away or cannot say."""
        return await self._ask_again_later(wish, text)

    def moment(self) -> Moment:
        """Now, by both clocks."""
        return Moment(self._clock.now(), self._clock.monotonic())

    async def _send(self, wish: Wish, go: Go) -> Outcome | None:
        outbound = wish.connector.request(go.intent.record, go.intent.receiver_key)
        call = _Sending(wish.connector, outbound, self._clock, left=go.attempt.left, since=go.since)
        try:
            if (ended := await self._look_first(wish, go)) is not None:
                return ended
            with self._metrics.effect_seconds.labels(wish.action.name).time():
                result = await wish.action.handler(_typed(wish, go), call)
        except (Unreachable, WindowClosed) as error:
            await self._end_unsent(wish, go, str(error))
            wait = _wait_of(error)
            return None if wait is None else await self._ask_again_later(wish, _asks_to_wait(wish, wait), wait)
        except Rejected as error:
            return await self._end_failed(wish, go, str(error))
        except StillOpen as error:
            return await self._ask_again_later(wish, str(error))
        except OutcomeUnknown as error:
            log.warning("%s left no receipt: %s", wish.action.name, error)
            await self._mark_in_doubt(wish, go, str(error))
            contested = isinstance(error, Contested) and wish.connector.settles is not EffectClass.OPAQUE
            return await (self._look_up(wish, go, refused=str(error)) if contested else self._settle(wish, go))
        return await self._end_done(wish, go, result)

    async def _look_first(self, wish: Wish, go: Go) -> Outcome | None:
        """How this ends without being sent, where it must not or need not be sent after all; raises Unreachable."""
        why = await self._obstacle(wish, go)
        found = await self._found_after_all(wish, go, why)
        if found is not None:
            return await self._end_done(wish, go, await wish.action.handler(_typed(wish, go), _Found(found)))
        return await self._end_declined(wish, go, why) if why else None

    async def _obstacle(self, wish: Wish, go: Go) -> str:
        """Why this must not be sent after all, by the trusted records as they stand now; raises Unreachable."""
        check = wish.action.hooks.precheck
        if check is None:
            return ""
        if self._ground is None:
            raise Unreachable(f"{wish.action.name} looks at records before it is sent, and there are none here.")
        try:
            async with asyncio.timeout(go.attempt.left.total_seconds() / 3):
                return await check(_typed(wish, go), self._ground)
        except (RecordsUnavailable, TimeoutError) as error:
            raise Unreachable(str(error) or "The records did not answer in time, so nothing was sent.") from error

    async def _found_after_all(self, wish: Wish, go: Go, why: str) -> Reply | None:
        """What the receiver has on record of an earlier sending, where something speaks against sending again."""
        if go.attempt.number == 1 or wish.connector.settles is EffectClass.OPAQUE:
            return None
        async with self._database.connection() as conn:
            if not why and not await doubts.was_denied_by_a_person(conn, go.intent):
                return None
        try:
            return await wish.connector.find(go.intent.record, go.intent.receiver_key)
        except (Inconclusive, StillOpen) as error:
            raise Unreachable(str(error)) from error

    async def _settle(self, wish: Wish, go: Go) -> Outcome | None:
        """An attempt started and left no receipt: find out, never try again blindly."""
        if self._may_repeat(wish.connector, go):
            return await self._send_again(wish, go)
        if wish.connector.settles is not EffectClass.OPAQUE:
            return await self._look_up(wish, go)
        await self._wait_for_landing(go.attempt)
        await self._mark_in_doubt(wish, go, "nobody but a person can tell whether it happened", ask=True)
        return Parked("in_doubt", go.intent.intent_id, f"{go.intent.summary}: did it happen? Only a person can tell.")

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
            await self._mark_in_doubt(wish, go, str(error), ask=go.attempt.age > doubts.PATIENCE)
            return await self._ask_again_later(wish, f"{go.intent.summary}: finding out whether it happened")
        if found is None and refused:
            return await self._end_failed(wish, go, refused)
        if found is None:
            return await self._end_unsent(wish, go, f"{wish.connector.name} has no record of it")
        result = await wish.action.handler(_typed(wish, go), _Found(found))
        return await self._end_done(wish, go, result)

    async def _send_again(self, wish: Wish, go: Go) -> Outcome | None:
        """The receiver honours our key, so the same bytes may be sent again; a busy receiver is asked later."""
        since = self.moment()
        async with self._database.transaction() as conn:
            await pauses.share(conn, wish.caller.workspace)
            await wish.caller.guard.fence(conn)
            pause = None if wish.caller.is_compensation else await pauses.covering(conn, scope_of(wish))
            if pause is not None:
                await pauses.hold_run(conn, wish.caller.run_id, pause)
                words = "it left no receipt, and is not sent again while this is paused"
                return Parked("paused", pause.pause_id, f"{go.intent.summary}: {words}")
            attempt = await store.renew_attempt(conn, go.attempt, wish.connector.window)
            if attempt is not None:
                await self._tell(
                    conn,
                    wish,
                    go,
                    "attempt.repeated",
                    {"request_sha256": attempt.request_sha256, "cause": "no_receipt"},
                )
        if attempt is None:
            return None
        outbound = wish.connector.request(go.intent.record, go.intent.receiver_key)
        call = _Sending(wish.connector, outbound, self._clock, left=attempt.left, since=since)
        again = Go(go.intent, attempt, is_new=False, since=since)
        try:
            result = await wish.action.handler(_typed(wish, go), call)
        except StillOpen as error:
            return await self._ask_again_later(wish, str(error))
        except (Rejected, Contested) as error:
            # It refuses the repetition; that says nothing of the first sending.
            return await self._look_up(wish, go, refused=str(error))
        except (Unreachable, WindowClosed, OutcomeUnknown) as error:
            await self._mark_in_doubt(wish, again, str(error))
            text = f"{go.intent.summary}: {wish.connector.name} does not answer"
            return await self._ask_again_later(wish, text, _wait_of(error))
        return await self._end_done(wish, again, result)

    async def _wait_for_landing(self, attempt: store.Attempt) -> None:
        left = (attempt.left + LANDING).total_seconds()
        if left > 0:
            await self._clock.sleep(left)

    async def _end_done(self, wish: Wish, go: Go, result: BaseModel) -> Outcome:
        plain = result.model_dump(mode="json")
        changed = go.intent.changed
        text = f"{go.intent.summary}: done{f', approved with changes ({changed})' if changed else ''}"
        async with self._database.transaction() as conn:
            await wish.caller.guard.fence(conn)
            if not await store.end_attempt(conn, go.attempt, "done", receipt=plain):
                return await self._as_ended(conn, wish)
            await store.move(conn, go.intent, IntentState.DONE, result=plain, outcome=text)
            await doubts.close(conn, go.attempt)
            await refresh_cards(conn, "approval", await approvals.last_of(conn, go.intent))
            await compensation.mark_taken_back(conn, wish.caller, go.intent.intent_id)
            await self._tell(conn, wish, go, "effect.done", {"receipt": plain})
        self._metrics.effects.labels(wish.action.name, "done").inc()
        return Done(plain, text, changed)

    async def _as_ended(self, conn: Connection, wish: Wish) -> Outcome:
        """The outcome that another task of the same owner wrote down first; raises IllegalTransition without one."""
        found = await store.lock_intent(conn, wish.key)
        ended = None if found is None else ended_as(found)
        if ended is None:
            raise store.IllegalTransition(f"{wish.action.name} of {wish.key.run_id} has an answer nobody waits for.")
        return ended

    async def _end_failed(self, wish: Wish, go: Go, error: str) -> Outcome:
        async with self._database.transaction() as conn:
            await wish.caller.guard.fence(conn)
            if not await store.end_attempt(conn, go.attempt, "failed", error=error):
                return await self._as_ended(conn, wish)
            await store.move(conn, go.intent, IntentState.FAILED, outcome=error, cause="rejected_by_receiver")
            await doubts.close(conn, go.attempt)
            await refresh_cards(conn, "approval", await approvals.last_of(conn, go.intent))
            await self._tell(conn, wish, go, "effect.failed", {"error": error})
        self._metrics.effects.labels(wish.action.name, "failed").inc()
        return Failed(error)

    async def _end_declined(self, wish: Wish, go: Go, why: str) -> Outcome:
        """The state it was agreed in has gone: nothing is sent, now or later."""
        async with self._database.transaction() as conn:
            await wish.caller.guard.fence(conn)
            if not await store.end_attempt(conn, go.attempt, "unsent", error=why):
                return await self._as_ended(conn, wish)
            await store.reopen(conn, go.intent)
            await store.move(conn, go.intent, IntentState.REFUSED, outcome=why, cause="precheck")
            await refresh_cards(conn, "approval", await approvals.last_of(conn, go.intent))
            await self._tell(conn, wish, go, "precheck.failed", {"error": why})
        self._metrics.effects.labels(wish.action.name, "declined").inc()
        return Declined("precheck", why)

    async def _end_unsent(self, wish: Wish, go: Go, why: str) -> None:
        """Nothing happened at the other side: the same approval covers the next attempt."""
        async with self._database.transaction() as conn:
            await wish.caller.guard.fence(conn)
            if not await store.end_attempt(conn, go.attempt, "unsent", error=why):
                # Somebody else found that first; what they have begun since is not ours to take back.
                return
            await store.reopen(conn, go.intent)
            await doubts.close(conn, go.attempt)
            await self._tell(conn, wish, go, "attempt.unsent", {"error": why})
        self._metrics.effects.labels(wish.action.name, "unsent").inc()

    async def _mark_in_doubt(self, wish: Wish, go: Go, why: str, *, ask: bool = False) -> None:
        """Write down that it left no receipt; `ask` people once nothing of it can be under way any more."""
        async with self._database.transaction() as conn:
            await wish.caller.guard.fence(conn)
            first = await store.enter_doubt(conn, go.intent, go.attempt, why)
            if first:
                await refresh_cards(conn, "approval", await approvals.last_of(conn, go.intent))
            asked = ask and await doubts.ask(conn, go.intent, go.attempt, why, self._places(wish))
            if first:
                await self._tell(conn, wish, go, "effect.in_doubt", {"error": why})
            if asked:
                await self._tell(conn, wish, go, "doubt.asked", {"error": why})
        if first:
            self._metrics.in_doubt.labels(wish.action.name).inc()

    def _places(self, wish: Wish) -> list[Conversation]:
        own, channel = wish.caller.conversation, self._rules().policy.approvals.channel
        elsewhere = [Conversation(own.workspace, channel)] if channel and channel != own.channel else []
        return [own, *elsewhere]

    async def _ask_again_later(self, wish: Wish, text: str, wait: timedelta | None = None) -> Parked:
        async with self._database.transaction() as conn:
            await wish.caller.guard.fence(conn)
            found = await store.lock_intent(conn, wish.key)
            assert found is not None
            tried_for = await history.tried_for(conn, found.intent)
            await self._ask_again(conn, wish.caller.run_id, wait, tried_for=tried_for)
        kind = "in_doubt" if found.intent.state is IntentState.IN_DOUBT else "delivery"
        return Parked(kind, found.intent.intent_id, text)

    async def _tell(self, conn: Connection, wish: Wish, go: Go, event: str, detail: Mapping[str, Any]) -> None:
        await audit.append(
            conn,
            wish.caller.workspace,
            event,
            actor=audit.CODE,
            subject=subject_of(go.intent, attempt_id=go.attempt.attempt_id),
            detail={
                "attempt": go.attempt.number,
                "digest": go.intent.digest,
                "policy_version": go.attempt.policy_version,
                **detail,
            },
            whose=wish.caller.requester,
        )


def _wait_of(error: CountersignError) -> timedelta | None:
    """How long the other side asks us not to call it, where it does."""
    return error.wait if isinstance(error, Unreachable) else None


def _asks_to_wait(wish: Wish, wait: timedelta) -> str:
    return f"{wish.connector.name} asks to wait {wait.total_seconds():.0f} s; I ask it again then."


def _typed(wish: Wish, go: Go) -> BaseModel:
    return wish.action.parse(go.intent.record.args)
