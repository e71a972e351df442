"""Approvals as cards show them, read from stored rows only."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from actions import pauses
from actions.action import Catalogue
from actions.approval import ApprovalView, Question, amount_of, beneficiary_of, endorsements_of, fields_of
from actions.chain import Circle, answerers
from actions.escalation import asked_of
from actions.policy import Decision
from actions.preview import Preview
from actions.team import Approvers, Team
from core.db import Connection, Row
from core.outbox import Conversation


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


async def read_rows(conn: Connection, approval_ids: Sequence[str] | None = None) -> list[Row]:
    """The rows of these approvals, or of all that are pending, oldest first."""
    cursor = await conn.execute(
        """
        select a.*, i.run_id, i.step, i.workspace, i.workflow, i.requester, i.conversation, i.action, i.effect,
               i.connector, i.sandbox, i.state as intent_state, i.outcome, r.record, r.summary, r.evidence,
               r.origins, r.edited_by, r.authored_by, r.changes, r.preview, actions.pause_over(i.intent_id) as pause,
               coalesce((select jsonb_agg(jsonb_build_array(v.person, v.verdict) order by v.at)
                         from actions.vote v where v.approval_id = a.approval_id), '[]') as votes,
               coalesce((select jsonb_object_agg(v.person, v.in_place_of) from actions.vote v
                         where v.approval_id = a.approval_id and v.in_place_of is not null), '{}') as stood_in_for,
               coalesce((select jsonb_agg(jsonb_build_array(q.asked_by, q.question, q.answered_by, q.answer)
                                          order by q.asked_at)
                         from actions.question q where q.approval_id = a.approval_id), '[]') as questions
        from actions.approval a
        join actions.intent i using (intent_id)
        join actions.revision r on r.intent_id = a.intent_id and r.revision = a.revision
        where a.approval_id = any(%(ids)s) or (%(ids)s::text[] is null and a.state = 'pending')
        order by a.asked_at, a.approval_id
        """,
        {"ids": None if approval_ids is None else list(approval_ids)},
    )
    return await cursor.fetchall()


def may_still_answer(view: ApprovalView, user_id: str, team: Team) -> bool:
    """True when this person's answer is one that this approval waits for."""
    involved = {view.requester, view.beneficiary, view.authored_by}
    return user_id in view.eligible and (team.solo or user_id not in involved) and user_id not in dict(view.votes)


def view_of(row: Row, catalogue: Catalogue, team: Team, circle: Circle) -> ApprovalView:
    """What a card of this approval shows, with who is around now."""
    asked = asked_of(row)
    view = _recorded(row, catalogue, team, asked[0])
    involved = {each for each in (view.requester, view.beneficiary, view.authored_by) if each}
    who = answerers(team, asked, involved, circle)
    return replace(
        view,
        eligible=list(who.in_place_of),
        told=who.told(circle),
        asked_too=" or ".join(team.describe(each) for each in asked[1:]),
    )


def _recorded(row: Row, catalogue: Catalogue, team: Team, approvers: Approvers) -> ApprovalView:
    decision = Decision.from_json(row["decision"])
    action, args = catalogue.get(row["action"]), row["record"]["args"]
    return ApprovalView(
        approval_id=row["approval_id"],
        run_id=row["run_id"],
        step=row["step"],
        revision=row["revision"],
        digest=row["digest"],
        state=row["state"],
        workspace=row["workspace"],
        workflow=row["workflow"],
        action=row["action"],
        effect=row["effect"],
        sandbox=row["sandbox"],
        connector=row["connector"],
        account=row["record"]["account"],
        summary=row["summary"],
        fields=fields_of(action, args),
        evidence=[*row["evidence"], *endorsements_of(row["origins"])],
        reasons=list(decision.reasons),
        rule=", ".join(decision.rules),
        who=team.describe(approvers),
        eligible=[],
        stood_in_for=row["stood_in_for"],
        stage=row["stage"],
        parked_until=row["parked_until"],
        reopened_by=row["reopened_by"],
        quorum=row["quorum"],
        votes=[(person, verdict) for person, verdict in row["votes"]],
        requester=row["requester"],
        conversation=Conversation.from_json(row["conversation"]),
        asked_at=row["asked_at"],
        expires_at=row["expires_at"],
        decided_at=row["decided_at"],
        decided_by=row["decided_by"],
        reason=row["reason"],
        outcome=row["outcome"],
        outcome_state=row["intent_state"],
        paused=pauses.words_of(row["pause"], team.name_of),
        beneficiary=beneficiary_of(action, args),
        edited_by=row["edited_by"],
        authored_by=row["authored_by"],
        changes=[(label, before, after) for label, before, after in row["changes"]],
        questions=[Question(*each) for each in row["questions"]],
        approvers=approvers,
        amount=amount_of(action, args),
        preview=Preview.from_json(row["preview"]),
    )
