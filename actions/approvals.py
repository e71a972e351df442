"""Approvals as stored: asked, answered once by the entitled, expired, shown."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
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
    answer_to,
    beneficiary_of,
    refusal_of,
    state_after,
    supporters,
)
from actions.approval_views import may_still_answer, read_rows, view_of
from actions.chain import Chain, Circle
from actions.circle import Circles, Groups, Members, nobody_known
from actions.escalation import Escalation, asked_of, chain_for
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


async def ask(
    conn: Connection,
    intent: Intent,
    decision: Decision,
    conversation: Conversation,
    *,
    rules: Rules,
    in_place_of: str | None = None,
) -> ApprovalId:
    """Ask people about exactly this revision, in the conversation and in the approvals channel if policy names one.

    With `in_place_of`, the cards of that approval become this one's.
    """
    approval_id = new_approval_id()
    approvers = decision.approvers or ADMINS
    chain = chain_for(rules, decision)
    now = (await (await conn.execute("select core.now() as now")).fetchone() or {})["now"]
    # An older question about this wish that expired is overtaken: it can no longer be asked again.
    await conn.execute("update actions.approval set parked_until = null where intent_id = %s", (intent.intent_id,))
    await conn.execute(
        """
        insert into actions.approval (approval_id, intent_id, revision, digest, decision, quorum, expires_at, chain,
                                      asked_at, next_at)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            approval_id,
            intent.intent_id,
            intent.revision,
            intent.digest,
            jsonb(decision.to_json()),
            approvers.quorum,
            rules.policy.approvals.calendar.after(now, decision.expires_in),
            jsonb(chain.to_json()),
            now,
            # Looked at once right away: nobody may be there at all.
            None if chain == Chain() else now,
        ),
    )
    if in_place_of is not None:
        await move_cards(conn, "approval", in_place_of, approval_id)
        return approval_id
    await show_card(conn, "approval", approval_id, conversation)
    if decision.approvals_channel and decision.approvals_channel != conversation.channel:
        await show_card(conn, "approval", approval_id, Conversation(conversation.workspace, decision.approvals_channel))
    return approval_id


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
    return cursor.rowcount > 0


async def supersede(conn: Connection, approval_id: ApprovalId) -> None:
    """Take an approval out of force because policy asks for more today."""
    await supersede_asked(conn, approval_id)
    await refresh_cards(conn, "approval", approval_id)


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
        members: Members = nobody_known,
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._rules = rules
        self._wake = wake
        self._metrics = metrics
        self._circles = Circles(rules, members)
        self._escalation = Escalation(database, rules, self._circles, wake=wake, metrics=metrics)

    async def decide(self, click: Click, standing: Standing | None) -> Answer:
        """Let this click decide once if this person is entitled; every other click changes nothing and is audited."""
        # Slack is asked at every click who is in a group, and before anything is locked.
        async with self._database.connection() as conn:
            groups = await self._groups(conn, click.approval_id)
        async with self._database.transaction() as conn:
            return await self.decide_in(conn, click, standing, groups=groups)

    async def _groups(self, conn: Connection, approval_id: str) -> Groups:
        if not self._rules().team.groups:
            return {}
        cursor = await conn.execute(
            "select decision, also from actions.approval where approval_id = %s", (approval_id,)
        )
        row = await cursor.fetchone()
        return {} if row is None else await self._circles.groups(asked_of(row), fresh=True)

    async def decide_in(
        self, conn: Connection, click: Click, standing: Standing | None, *, groups: Groups | None = None
    ) -> Answer:
        """As `decide`, as part of a larger transaction; of a group that is not given, nobody may answer."""
        row = await _lock(conn, click.approval_id)
        answer = await (
            self._unknown(conn, click) if row is None else self._judge(conn, click, standing, row, groups=groups or {})
        )
        if answer.refusal:
            self._metrics.clicks_refused.labels(answer.refusal).inc()
        return answer

    async def groups(self) -> Groups:
        """Who is in which group now; asked of Slack, so before anything is locked."""
        return await self._circles.every_group()

    async def refused(
        self, conn: Connection, click: Click, standing: Standing | None, *, groups: Groups
    ) -> Answer | None:
        """Why this person may do nothing about this approval, audited; None, and the approval locked, when they may.

        Who has voted may still ask or change something: that is no second vote.
        """
        row = await _lock(conn, click.approval_id)
        if row is None:
            return await self._unknown(conn, click)
        approval = replace(self._open(row), votes={}, stood_in_for={}, circle=await self.around(conn, groups))
        # How much they have decided counts for nothing here: a change is a second thought by itself.
        refusal = refusal_of(replace(click, confirmed=True), standing, self._rules().team, approval)
        return None if refusal is None else await self._refuse(conn, click, row, refusal)

    async def around(self, conn: Connection, groups: Groups) -> Circle:
        """Who is around, with these members in the groups."""
        return await self._circles.around(conn, groups)

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

    async def _judge(
        self, conn: Connection, click: Click, standing: Standing | None, row: Row, *, groups: Groups
    ) -> Answer:
        approval = replace(self._open(row), circle=await self._circles.around(conn, groups))
        refusal = refusal_of(click, standing, self._rules().team, approval)
        if refusal is not None:
            if await _counted(conn, click):
                # The same delivery handled again after a crash: say what stands, refuse nothing.
                return Answer(True, "Your answer is noted.", approval.state)
            return await self._refuse(conn, click, row, refusal)
        principal = approval.answerers(self._rules().team, involved=approval.involved).in_place_of[click.user_id]
        in_place_of = None if principal == click.user_id else principal
        votes = {**approval.votes, click.user_id: click.verdict}
        places = {**approval.stood_in_for, **({click.user_id: in_place_of} if in_place_of else {})}
        approvals = len(supporters(votes, places, asked_of(row), self._rules().team))
        state = state_after(click.verdict, approvals, approval.quorum)
        if state is not ApprovalState.PENDING and not await _settle(conn, click, state):
            expired = Refusal("expired", "This approval has expired just now, which is not a rejection.")
            return await self._refuse(conn, click, row, expired)
        await conn.execute(
            "insert into actions.vote (approval_id, person, verdict, reason, delivery_id, in_place_of)"
            " values (%s, %s, %s, %s, %s, %s)",
            (click.approval_id, click.user_id, click.verdict, click.reason, click.delivery_id, in_place_of),
        )
        self._metrics.votes.labels(click.user_id, click.verdict).inc()
        self._metrics.vote_seconds.labels(click.user_id).observe(row["waited"].total_seconds())
        await self._after_vote(conn, click, {**row, "in_place_of": in_place_of}, state)
        return answer_to(state, approvals, approval.quorum, row["pause"] is not None)

    def _open(self, row: Row) -> Open:
        asked = asked_of(row)
        return Open(
            state=ApprovalState(row["state"]),
            revision=row["revision"],
            digest=row["digest"],
            requester=row["requester"],
            approvers=asked[0],
            also=asked[1:],
            stood_in_for=row["stood_in_for"],
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
            detail = {"verdict": click.verdict, "reason": click.reason, **_place(row)}
            await self._audit(conn, click, row, "approval.voted", detail)
            return
        # The run first, then its cards: the order in which the gateway locks them.
        await self._wake(RunId(row["run_id"]), conn)
        await refresh_cards(conn, "approval", click.approval_id)
        ended = await self._trust_less(conn, row) if state is ApprovalState.REJECTED else []
        self._metrics.approvals.labels(row["action"], state).inc()
        self._metrics.approval_seconds.labels(row["action"]).observe(row["waited"].total_seconds())
        event = "approval.granted" if state is ApprovalState.APPROVED else "approval.rejected"
        await self._audit(conn, click, row, event, {"reason": click.reason, **_place(row)})
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
        return await self._escalation.expire_due()

    async def act_due(self) -> int:
        """Remind, escalate, expire and release whatever is due; returns how many steps were taken."""
        return await self._escalation.act_due()

    async def view(self, approval_id: str) -> ApprovalView | None:
        """Everything a card of this approval shows, or None when there is no such approval."""
        found = await self.views([approval_id])
        return found[0] if found else None

    async def views(self, approval_ids: Sequence[str] | None = None) -> list[ApprovalView]:
        """Everything that cards of these approvals show, or of all that are pending, oldest first."""
        async with self._database.connection() as conn:
            rows = await read_rows(conn, approval_ids)
            circle = await self._circles.around(conn, {})
        groups = await self._circles.groups([each for row in rows for each in asked_of(row)])
        circle, team = replace(circle, groups=groups), self._rules().team
        return [view_of(row, self._catalogue, team, circle) for row in rows]

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
                         where v.approval_id = a.approval_id), '{}') as votes,
               coalesce((select jsonb_object_agg(v.person, v.in_place_of) from actions.vote v
                         where v.approval_id = a.approval_id and v.in_place_of is not null), '{}') as stood_in_for
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
        update actions.approval set state = %s, decided_at = core.now(), decided_by = %s, reason = %s, next_at = null
        where approval_id = %s and state = 'pending' and revision = %s and left(digest, 16) = %s
          and expires_at > core.now()
        returning approval_id
        """,
        (state, click.user_id, click.reason, click.approval_id, click.revision, click.digest16),
    )
    return await cursor.fetchone() is not None


def _place(row: Row) -> dict[str, str]:
    """In whose place somebody answered, for the record; nothing where they answered for themselves."""
    return {"in_place_of": row["in_place_of"]} if row.get("in_place_of") else {}
