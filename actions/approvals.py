"""Approvals as stored: asked, answered once by the entitled, expired, shown."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from actions import grants
from actions.action import Catalogue
from actions.approval import (
    ADMINS,
    Answer,
    ApprovalState,
    ApprovalView,
    Click,
    Open,
    Refusal,
    Standing,
    beneficiary_of,
    refusal_of,
    state_after,
)
from actions.approval_views import may_still_answer, read_views
from actions.intent import Intent
from actions.policy import Decision, Rules
from actions.withdrawal import supersede_asked
from core import audit
from core.db import Connection, Database, Row, jsonb
from core.ids import ApprovalId, RunId, new_approval_id
from core.metrics import Metrics
from core.outbox import Conversation, move_cards, refresh_cards, show_card

#: Why a grant ends when somebody says no to the same action.
_REJECTED = "somebody rejected the same action"


@dataclass(frozen=True)
class Asked:
    """One approval as the gateway needs it."""

    approval_id: ApprovalId
    state: ApprovalState
    revision: int
    digest: str
    decision: Decision
    decided_by: str | None
    reason: str


async def ask(
    conn: Connection,
    intent: Intent,
    decision: Decision,
    conversation: Conversation,
    *,
    in_place_of: str | None = None,
) -> ApprovalId:
    """Ask people about exactly this revision, in the conversation and in the approvals channel if policy names one.

    With `in_place_of`, the cards of that approval become this one's.
    """
    approval_id = new_approval_id()
    approvers = decision.approvers or ADMINS
    await conn.execute(
        """
        insert into actions.approval (approval_id, intent_id, revision, digest, decision, quorum, expires_at)
        values (%s, %s, %s, %s, %s, %s, core.now() + %s)
        """,
        (
            approval_id,
            intent.intent_id,
            intent.revision,
            intent.digest,
            jsonb(decision.to_json()),
            approvers.quorum,
            decision.expires_in,
        ),
    )
    if in_place_of is not None:
        await move_cards(conn, "approval", in_place_of, approval_id)
        return approval_id
    await show_card(conn, "approval", approval_id, conversation)
    if decision.approvals_channel and decision.approvals_channel != conversation.channel:
        await show_card(conn, "approval", approval_id, Conversation(conversation.workspace, decision.approvals_channel))
    return approval_id


async def latest(conn: Connection, intent: Intent) -> Asked:
    """The newest approval of this intent."""
    cursor = await conn.execute(
        "select * from actions.approval where intent_id = %s order by revision desc, asked_at desc limit 1",
        (intent.intent_id,),
    )
    row = await cursor.fetchone()
    assert row is not None
    return Asked(
        ApprovalId(row["approval_id"]),
        ApprovalState(row["state"]),
        row["revision"],
        row["digest"],
        Decision.from_json(row["decision"]),
        row["decided_by"],
        row["reason"],
    )


async def last_of(conn: Connection, intent: Intent) -> str:
    """The id of the newest approval of this intent, or an empty string where nobody was asked."""
    cursor = await conn.execute(
        "select approval_id from actions.approval where intent_id = %s order by revision desc, asked_at desc limit 1",
        (intent.intent_id,),
    )
    row = await cursor.fetchone()
    return "" if row is None else str(row["approval_id"])


async def is_decided(conn: Connection, approval_id: str) -> bool:
    """True when nobody needs to answer this any more, for whatever reason."""
    cursor = await conn.execute(
        "select 1 from actions.approval where approval_id = %s and state <> 'pending'", (approval_id,)
    )
    return await cursor.fetchone() is not None


async def supersede(conn: Connection, approval_id: ApprovalId) -> None:
    """Take an approval out of force because policy asks for more today."""
    await supersede_asked(conn, approval_id)
    await refresh_cards(conn, "approval", approval_id)


async def list_recent(conn: Connection, limit: int) -> list[dict[str, Any]]:
    """The newest approvals, as plain data for listings."""
    cursor = await conn.execute(
        """
        select a.approval_id, i.run_id, i.step, i.action, a.state, r.summary, a.revision, a.digest, a.quorum,
               a.asked_at::text, a.expires_at::text, a.decided_at::text, a.decided_by, a.reason, i.requester, a.decision
        from actions.approval a join actions.intent i using (intent_id)
        join actions.revision r on r.intent_id = a.intent_id and r.revision = a.revision
        order by a.asked_at desc limit %s
        """,
        (limit,),
    )
    return [dict(row) for row in await cursor.fetchall()]


class Approvals:
    """What people were asked, and the one place where an answer takes effect."""

    def __init__(
        self,
        database: Database,
        catalogue: Catalogue,
        rules: Callable[[], Rules],
        *,
        wake: Callable[[RunId, Connection], Awaitable[None]],
        metrics: Metrics,
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._rules = rules
        self._wake = wake
        self._metrics = metrics

    async def decide(self, click: Click, standing: Standing | None) -> Answer:
        """Let this click decide once if this person is entitled; every other click changes nothing and is audited."""
        async with self._database.transaction() as conn:
            return await self.decide_in(conn, click, standing)

    async def decide_in(self, conn: Connection, click: Click, standing: Standing | None) -> Answer:
        """As `decide`, as part of the transaction that marks the click's delivery handled."""
        row = await _lock(conn, click.approval_id)
        answer = await (self._unknown(conn, click) if row is None else self._judge(conn, click, standing, row))
        if answer.refusal:
            self._metrics.clicks_refused.labels(answer.refusal).inc()
        return answer

    async def refused(self, conn: Connection, click: Click, standing: Standing | None) -> Answer | None:
        """Why this person may do nothing about this approval, audited; None, and the approval locked, when they may.

        Who has voted may still ask or change something: that is no second vote.
        """
        row = await _lock(conn, click.approval_id)
        if row is None:
            return await self._unknown(conn, click)
        approval = replace(self._open(row), votes={})
        refusal = refusal_of(click, standing, self._rules().team, approval)
        return None if refusal is None else await self._refuse(conn, click, row, refusal)

    async def _unknown(self, conn: Connection, click: Click) -> Answer:
        await audit.append(
            conn,
            self._rules().team.workspace,
            "approval.click_refused",
            actor=_clicker(click),
            subject={"approval_id": click.approval_id, "delivery_id": click.delivery_id},
            detail={"refused": "unknown", "rules_version": self._rules().version},
        )
        text = "I do not know this approval: the card is not of this installation, or very old."
        return Answer(False, text, "", "unknown")

    async def _judge(self, conn: Connection, click: Click, standing: Standing | None, row: Row) -> Answer:
        approval = self._open(row)
        refusal = refusal_of(click, standing, self._rules().team, approval)
        if refusal is not None:
            if await _counted(conn, click):
                # The same delivery handled again after a crash: say what stands, refuse nothing.
                return Answer(True, "Your answer is noted.", approval.state)
            return await self._refuse(conn, click, row, refusal)
        votes = {**approval.votes, click.user_id: click.verdict}
        approvals = sum(1 for verdict in votes.values() if verdict == "approve")
        state = state_after(click.verdict, approvals, approval.quorum)
        if state is not ApprovalState.PENDING and not await _settle(conn, click, state):
            expired = Refusal("expired", "This approval has expired just now, which is not a rejection.")
            return await self._refuse(conn, click, row, expired)
        await conn.execute(
            "insert into actions.vote (approval_id, person, verdict, reason, delivery_id) values (%s, %s, %s, %s, %s)",
            (click.approval_id, click.user_id, click.verdict, click.reason, click.delivery_id),
        )
        await self._after_vote(conn, click, row, state)
        return _answer(state, approvals, approval.quorum, row["pause"] is not None)

    def _open(self, row: Row) -> Open:
        return Open(
            state=ApprovalState(row["state"]),
            revision=row["revision"],
            digest=row["digest"],
            requester=row["requester"],
            approvers=Decision.from_json(row["decision"]).approvers or ADMINS,
            quorum=row["quorum"],
            votes=row["votes"],
            elapsed=row["elapsed"],
            decided_by=row["decided_by"],
            authored_by=row["authored_by"],
            beneficiary=beneficiary_of(self._catalogue.get(row["action"]), row["record"]["args"]),
        )

    async def _refuse(self, conn: Connection, click: Click, row: Row, refusal: Refusal) -> Answer:
        await self._audit(conn, click, row, "approval.click_refused", {"refused": refusal.word})
        return Answer(False, refusal.text, row["state"], refusal.word)

    async def _after_vote(self, conn: Connection, click: Click, row: Row, state: ApprovalState) -> None:
        if state is ApprovalState.PENDING:
            await refresh_cards(conn, "approval", click.approval_id)
            await self._audit(conn, click, row, "approval.voted", {"verdict": click.verdict, "reason": click.reason})
            return
        # The run first, then its cards: the order in which the gateway locks them.
        await self._wake(RunId(row["run_id"]), conn)
        await refresh_cards(conn, "approval", click.approval_id)
        ended = await self._trust_less(conn, row) if state is ApprovalState.REJECTED else []
        self._metrics.approvals.labels(row["action"], state).inc()
        self._metrics.approval_seconds.labels(row["action"]).observe(row["waited"].total_seconds())
        event = "approval.granted" if state is ApprovalState.APPROVED else "approval.rejected"
        await self._audit(conn, click, row, event, {"reason": click.reason})
        await grants.tell_taken_back(conn, row["workspace"], ended, _REJECTED)

    async def _trust_less(self, conn: Connection, row: Row) -> list[str]:
        return await grants.take_back(conn, row["workspace"], row["action"], _REJECTED)

    async def _audit(self, conn: Connection, click: Click, row: Row, event: str, detail: dict[str, Any]) -> None:
        await audit.append(
            conn,
            row["workspace"],
            event,
            actor=_clicker(click),
            subject={
                "run_id": row["run_id"],
                "step": row["step"],
                "intent_id": row["intent_id"],
                "approval_id": click.approval_id,
                "revision": row["revision"],
                "delivery_id": click.delivery_id,
            },
            detail={**detail, "digest": row["digest"], "rules_version": self._rules().version},
        )

    async def expire_due(self) -> int:
        """End every approval whose time has run out as expired, and wake its run; returns how many."""
        async with self._database.transaction() as conn:
            cursor = await conn.execute(
                """
                update actions.approval a set state = 'expired', decided_at = core.now() from actions.intent i
                where a.intent_id = i.intent_id and a.state = 'pending' and a.expires_at <= core.now()
                returning a.approval_id, a.digest, i.run_id, i.step, i.intent_id, i.workspace, i.action
                """
            )
            expired = await cursor.fetchall()
            for row in expired:
                await self._wake(RunId(row["run_id"]), conn)
                await refresh_cards(conn, "approval", row["approval_id"])
                self._metrics.approvals.labels(row["action"], ApprovalState.EXPIRED).inc()
            for row in expired:
                subject = {name: row[name] for name in ("run_id", "step", "intent_id", "approval_id")}
                await audit.append(
                    conn,
                    row["workspace"],
                    "approval.expired",
                    actor=audit.CODE,
                    subject=subject,
                    detail={"digest": row["digest"], "rules_version": self._rules().version},
                )
        return len(expired)

    async def view(self, approval_id: str) -> ApprovalView | None:
        """Everything a card of this approval shows, or None when there is no such approval."""
        found = await self.views([approval_id])
        return found[0] if found else None

    async def views(self, approval_ids: Sequence[str] | None = None) -> list[ApprovalView]:
        """Everything that cards of these approvals show, or of all that are pending, oldest first."""
        async with self._database.connection() as conn:
            return await read_views(conn, self._catalogue, self._rules().team, approval_ids)

    async def waiting_for(self, user_id: str) -> list[ApprovalView]:
        """The approvals this person could answer now, oldest first."""
        team = self._rules().team
        return [view for view in await self.views() if may_still_answer(view, user_id, team)]


def _clicker(click: Click) -> dict[str, Any]:
    return {**audit.person(click.user_id), "team_id": click.team_id, "enterprise_id": click.enterprise_id}


async def _lock(conn: Connection, approval_id: str) -> Row | None:
    # Locked first, read afterwards: a statement that had to wait for the lock would miss the vote it waited for.
    await conn.execute("select 1 from actions.approval where approval_id = %s for update", (approval_id,))
    cursor = await conn.execute(
        """
        select a.*, i.run_id, i.step, i.workspace, i.requester, i.action, r.record, r.authored_by,
               a.expires_at <= core.now() as elapsed,
               core.now() - a.asked_at as waited,
               actions.pause_over(a.intent_id) as pause,
               coalesce((select jsonb_object_agg(v.person, v.verdict) from actions.vote v
                         where v.approval_id = a.approval_id), '{}') as votes
        from actions.approval a join actions.intent i using (intent_id)
        join actions.revision r on r.intent_id = a.intent_id and r.revision = a.revision
        where a.approval_id = %s
        """,
        (approval_id,),
    )
    return await cursor.fetchone()


async def _counted(conn: Connection, click: Click) -> bool:
    cursor = await conn.execute("select 1 from actions.vote where delivery_id = %s", (click.delivery_id,))
    return await cursor.fetchone() is not None


async def _settle(conn: Connection, click: Click, state: ApprovalState) -> bool:
    """End the approval in `state`: true for exactly one click, and only about what its card showed."""
    cursor = await conn.execute(
        """
        update actions.approval set state = %s, decided_at = core.now(), decided_by = %s, reason = %s
        where approval_id = %s and state = 'pending' and revision = %s and left(digest, 16) = %s
          and expires_at > core.now()
        returning approval_id
        """,
        (state, click.user_id, click.reason, click.approval_id, click.revision, click.digest16),
    )
    return await cursor.fetchone() is not None


def _answer(state: ApprovalState, approvals: int, quorum: int, paused: bool) -> Answer:
    if state is ApprovalState.REJECTED:
        return Answer(True, "Rejected. Nothing will be sent, and the run is told why.", state)
    if state is ApprovalState.APPROVED:
        when = "once the pause over it ends" if paused else "now"
        return Answer(True, f"Approved. It runs {when}, exactly as the card showed it.", state)
    return Answer(True, f"Your approval counts ({approvals} of {quorum}); another person must agree.", state)
