"""Edit & approve: an approver changes the arguments, policy judges them anew, and they become one new revision."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from actions import approvals, history, store
from actions.action import ArgumentsInvalid, Catalogue
from actions.approval import Answer, ApprovalState, Click, Standing, beneficiary_of, state_after
from actions.approvals import Approvals
from actions.chain import answerers
from actions.circle import Groups
from actions.connector import Rejected
from actions.escalation import asked_of
from actions.forms import Field, Filled, Typed, form_of, read
from actions.history import Verdicts
from actions.intent import Intent, IntentKey, IntentState, Origin, TrustLabel
from actions.judging import Judge, Judged
from actions.outcome import Caller, Declined, Wish, subject_of
from actions.policy import Approvers, Decision, Rules, Verdict
from actions.wishes import Wishes
from core import audit
from core.db import Connection, Database, Row, jsonb
from core.errors import CountersignError
from core.ids import RunId
from core.metrics import Metrics
from core.outbox import Conversation, refresh_cards


@dataclass(frozen=True)
class Form:
    """What somebody who may answer this approval can change, as it stands now."""

    summary: str
    revision: int
    digest: str
    fields: list[Field]
    who_cannot: str = ""
    """Why this person cannot change it, as far as can be told before they submit; empty when they can."""


@dataclass(frozen=True)
class _Found:
    """The approval's intent, locked, with what its first revision was wished with."""

    stored: store.StoredIntent
    row: Row
    groups: Groups
    """Who was in which group before anything was locked."""

    @property
    def intent(self) -> Intent:
        return self.stored.intent


@dataclass(frozen=True)
class _Proposal:
    """The changed arguments, judged."""

    filled: Filled
    wish: Judged
    decision: Decision
    """As people are asked under it: policy may let the changed arguments run alone."""
    authored: bool
    """True where the editor's own agreement is not enough: they chose where it goes, or more of it."""


class Edits:
    """Changes arguments on behalf of those who may answer; each approval is edited or answered once."""

    def __init__(
        self,
        database: Database,
        approvals: Approvals,
        *,
        catalogue: Catalogue,
        wishes: Wishes,
        judge: Judge,
        rules: Callable[[], Rules],
        wake: Callable[[RunId, Connection], Awaitable[None]],
        metrics: Metrics,
    ) -> None:
        self._database = database
        self._approvals = approvals
        self._catalogue = catalogue
        self._wishes = wishes
        self._judge = judge
        self._rules = rules
        self._wake = wake
        self._metrics = metrics

    async def form(self, approval_id: str, user_id: str) -> Form | None:
        """The arguments as they can be changed now; None when they cannot, for whatever reason."""
        view = await self._approvals.view(approval_id)
        if view is None:
            return None
        if view.state != ApprovalState.PENDING:
            return Form(view.summary, 0, "", [], "This is decided already, so it cannot be changed any more.")
        action = self._catalogue.get(view.action)
        async with self._database.connection() as conn:
            record = await _record(conn, approval_id)
        team = self._rules().team
        if user_id in {view.requester, view.beneficiary} and not team.solo:
            return Form(view.summary, 0, "", [], "This is your own, so somebody else must decide it.")
        if user_id not in view.eligible:
            return Form(view.summary, 0, "", [], f"Only {view.who} can change and approve this.")
        try:
            fields = [] if action is None else form_of(action, record)
        except ArgumentsInvalid:
            fields = []
        return Form(view.summary, view.revision, view.digest, fields)

    async def problems(self, click: Click, typed: Typed) -> Mapping[str, str]:
        """One sentence for each input that cannot stay as it was typed, audited; empty when all of it could.

        Only about the words: who may change this, and what policy says to it, is decided when it is submitted.
        """
        async with self._database.transaction() as conn:
            found = await _find(conn, click.approval_id, {})
            if found is None or found.intent.revision != click.revision:
                return {}
            filled = self._read(found, typed)
            if isinstance(filled, Filled):
                return {}
            await self._audit(conn, click, found, "approval.edit_refused", {"refused": "invalid", "of": sorted(filled)})
        return filled

    async def decide(self, click: Click, standing: Standing | None, typed: Typed) -> Answer:
        """Let this person's changes become the newest revision, agreed to as far as their word counts, or refuse."""
        groups = await self._approvals.groups()
        async with self._database.transaction() as conn:
            found = await _find(conn, click.approval_id, groups)
            if found is not None and await _is_known(conn, click):
                return Answer(True, "Your change is noted.", found.row["state"])
            refused = await self._approvals.refused(conn, click, standing, groups=groups)
            if refused is not None or found is None:
                return refused or Answer(False, "I do not know this approval.", "", "unknown")
            filled = self._read(found, typed)
            if not isinstance(filled, Filled):
                return await self._refuse(conn, click, found, "invalid", " ".join(dict.fromkeys(filled.values())))
            proposal = await self._propose(conn, click, found, filled)
            if isinstance(proposal, Answer):
                return await self._refuse(conn, click, found, proposal.refusal, proposal.text)
            return await self._take_effect(conn, click, found, proposal)

    def _read(self, found: _Found, typed: Typed) -> Filled | Mapping[str, str]:
        record = found.intent.record
        action = self._catalogue.get(record.action)
        if action is None:
            return {"": f"Nobody registered an action called {record.action}, so it cannot be changed."}
        try:
            return read(action, record.args, typed)
        except ArgumentsInvalid as error:
            return {"": str(error)}

    async def _propose(self, conn: Connection, click: Click, found: _Found, filled: Filled) -> _Proposal | Answer:
        """What policy says to the changed arguments, or the refusal by a rule, the record or the other side's form."""
        old = Decision.from_json(found.row["decision"])
        try:
            wish = self._wish(click, found, filled)
            if isinstance(wish, Declined):
                return _no("invalid", wish.text)
            wish.connector.request(wish.revision.record, found.intent.receiver_key)
        except Rejected as error:
            return _no("invalid", str(error))
        judged = await self._judge.judge(conn, wish, holding=True)
        decision = judged.decision
        if decision.verdict is Verdict.DENY:
            return _no("denied", f"{' '.join(decision.reasons)} (rule {', '.join(decision.rules)})")
        if decision.verdict is Verdict.ALLOW:
            # People were asked and people answer: what could now run alone is approved by whoever changed it.
            decision = replace(decision, verdict=Verdict.REQUIRE_APPROVAL, approvers=old.approvers)
            decision = replace(decision, expires_in=old.expires_in, approvals_channel=old.approvals_channel)
        authored = not self._rules().team.solo and _is_authored(wish, filled, found.intent.record.args)
        return _Proposal(filled, judged, decision, authored)

    def _wish(self, click: Click, found: _Found, filled: Filled) -> Wish | Declined:
        member = self._rules().team.member(click.user_id)
        chosen = Origin(TrustLabel.MEMBER, f"chosen by {member.name if member else click.user_id} when approving")
        return self._wishes.make(
            found.intent.record.action,
            filled.args,
            step=found.intent.key.step,
            caller=_caller(found),
            origins={**found.stored.origins, **dict.fromkeys(filled.names, chosen)},
            evidence=found.stored.evidence,
        )

    async def _take_effect(self, conn: Connection, click: Click, found: _Found, proposal: _Proposal) -> Answer:
        approvers = proposal.decision.approvers or approvals.ADMINS
        place, others = await self._voices(conn, click, found, proposal, approvers=approvers)
        counts = place is not None
        if not counts and others < approvers.quorum:
            text = (
                "You changed where this goes or raised its amount, so somebody else must agree, and there is nobody"
                f" else who may: it takes {self._rules().team.describe(approvers)}. Reject it and have it asked again."
            )
            return await self._refuse(conn, click, found, "nobody_else", text)
        state = state_after("approve", int(counts), approvers.quorum)
        intent = await self._revise(conn, click, found, proposal)
        await _note(conn, intent, proposal.wish)
        settled = state is ApprovalState.APPROVED
        approval_id = await approvals.ask(
            conn,
            intent,
            replace(proposal.decision, approvers=approvers),
            Conversation.from_json(found.row["conversation"]),
            rules=self._rules(),
            in_place_of=click.approval_id if settled else None,
        )
        await _end_old(conn, click)
        if place is not None:
            asked, *also = asked_of(found.row)
            await _vote(conn, click, approval_id, place=place, settled=settled)
            if asked == approvers:
                await _put_to(conn, approval_id, also)
        await self._wake(intent.key.run_id, conn)
        for shown in (click.approval_id, approval_id):
            await refresh_cards(conn, "approval", shown)
        self._metrics.approvals.labels(intent.record.action, "edited").inc()
        await self._tell(conn, click, intent, approval_id=approval_id, names=proposal.filled.names, settled=settled)
        changes = "; ".join(map(str, proposal.filled.changes))
        return Answer(True, self._said(changes, approvers, counts=counts, settled=settled), state)

    async def _voices(
        self, conn: Connection, click: Click, found: _Found, proposal: _Proposal, *, approvers: Approvers
    ) -> tuple[str | None, int]:
        """Whose right the editor's own word uses, None where it counts for nothing; and how many others could agree."""
        team, wish = self._rules().team, proposal.wish
        beneficiary = beneficiary_of(wish.action, wish.revision.record.args)
        kept_out = {each for each in (found.row["requester"], beneficiary) if each}
        # Asked of the same people as before, whoever it was escalated to has the say they had; anew, the new ones.
        asked = asked_of(found.row)
        asked = asked if asked[0] == approvers else (approvers,)
        circle = await self._approvals.around(conn, found.groups)
        rights = answerers(team, (approvers,), kept_out, circle).in_place_of
        own = answerers(team, asked, kept_out, circle).in_place_of.get(click.user_id)
        place = None if proposal.authored else own
        others = {right for person, right in rights.items() if person != click.user_id and right != place}
        return place, len(others)

    async def _revise(self, conn: Connection, click: Click, found: _Found, proposal: _Proposal) -> Intent:
        changes = [(each.label, each.before, each.after) for each in proposal.filled.changes]
        edit = store.Edit(click.user_id, click.delivery_id, changes, proposal.authored)
        await store.add_revision(conn, found.intent, replace(proposal.wish.revision, edit=edit))
        revised = await store.lock_intent(conn, found.intent.key)
        assert revised is not None
        await store.move(conn, revised.intent, IntentState.AWAITING)
        return revised.intent

    def _said(self, changes: str, approvers: Approvers, *, counts: bool, settled: bool) -> str:
        if settled:
            return f"Approved with your changes: {changes}. It runs now, exactly as the card shows it."
        who = self._rules().team.describe(approvers)
        if counts:
            return f"Changed: {changes}. Your approval counts (1 of {approvers.quorum}); it takes {who}."
        return f"Changed: {changes}. Now somebody else must agree: it takes {who}. The new card asks them."

    async def _refuse(self, conn: Connection, click: Click, found: _Found, word: str, text: str) -> Answer:
        await self._audit(conn, click, found, "approval.edit_refused", {"refused": word, "text": text})
        self._metrics.clicks_refused.labels(word).inc()
        return Answer(
            False, f"{text} Nothing was changed; the card still asks what it asked.", found.row["state"], word
        )

    async def _audit(self, conn: Connection, click: Click, found: _Found, event: str, detail: dict[str, Any]) -> None:
        about = subject_of(found.intent, approval_id=click.approval_id, delivery_id=click.delivery_id)
        version = {"rules_version": self._rules().version}
        await audit.append(
            conn,
            found.row["workspace"],
            event,
            actor=_editor(click),
            subject=about,
            detail={**detail, **version, "digest": found.intent.digest},
        )

    async def _tell(
        self,
        conn: Connection,
        click: Click,
        intent: Intent,
        *,
        approval_id: str,
        names: frozenset[str],
        settled: bool,
    ) -> None:
        detail = {"digest": intent.digest, "rules_version": self._rules().version, "changed": sorted(names)}
        about = subject_of(intent, approval_id=approval_id, delivery_id=click.delivery_id)
        workspace, editor = self._rules().team.workspace, _editor(click)
        edited = {**detail, "in_place_of": click.approval_id, "digest16_before": click.digest16}
        await audit.append(conn, workspace, "approval.edited", actor=editor, subject=about, detail=edited)
        event = "approval.granted" if settled else "approval.asked"
        await audit.append(conn, workspace, event, actor=editor, subject=about, detail=detail)


def _no(word: str, text: str) -> Answer:
    return Answer(False, text, "", word)


def _is_authored(wish: Wish, filled: Filled, before: Mapping[str, Any]) -> bool:
    """True where the edit chose who or what receives, or more than was asked for: then one person is not enough."""
    action = wish.action
    if filled.names & {action.target, action.recipient, action.customer, action.beneficiary}:
        return True
    if action.amount is None:
        return False
    was, now = action.amount_of(before), action.amount_of(wish.revision.record.args)
    return was is None or now is None or was.currency != now.currency or now > was


class _NoRun:
    """Stands for the run where none is being advanced: a person's change begins nothing."""

    async def fence(self, conn: Connection) -> None:
        """Refuse: only a run's owner may write in its name."""
        raise CountersignError("An edit begins nothing.")

    async def may_start(self, conn: Connection) -> None:
        """Refuse, as `fence` does."""
        await self.fence(conn)


def _caller(found: _Found) -> Caller:
    row = found.row
    where = Conversation.from_json(row["conversation"])
    return Caller(found.intent.key.run_id, row["workspace"], row["workflow"], row["requester"], where, _NoRun())


def _editor(click: Click) -> dict[str, Any]:
    return {**audit.person(click.user_id), "team_id": click.team_id, "enterprise_id": click.enterprise_id}


async def _note(conn: Connection, intent: Intent, judged: Judged) -> None:
    said = judged.decision
    noted = Verdicts(said.policy_version, said.verdict, said.rules, said.reasons, judged.considered.to_json())
    await history.note_judgement(conn, intent, judged.subject, noted)


async def _record(conn: Connection, approval_id: str) -> Mapping[str, Any]:
    cursor = await conn.execute(
        "select r.record from actions.approval a join actions.revision r using (intent_id, revision)"
        " where a.approval_id = %s",
        (approval_id,),
    )
    row = await cursor.fetchone()
    return {} if row is None else row["record"]["args"]


async def _find(conn: Connection, approval_id: str, groups: Groups) -> _Found | None:
    """The intent first and then the approval: the order in which the gateway locks them."""
    cursor = await conn.execute(
        """
        select i.run_id, i.step, i.workspace, i.workflow, i.requester, i.conversation, a.decision, a.state, a.also
        from actions.approval a join actions.intent i using (intent_id) where a.approval_id = %s
        """,
        (approval_id,),
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    stored = await store.lock_intent(conn, IntentKey(RunId(row["run_id"]), row["step"]))
    return None if stored is None else _Found(stored, row, groups)


async def _is_known(conn: Connection, click: Click) -> bool:
    cursor = await conn.execute("select 1 from actions.revision where edit_delivery_id = %s", (click.delivery_id,))
    return await cursor.fetchone() is not None


async def _end_old(conn: Connection, click: Click) -> None:
    await conn.execute(
        "update actions.approval set decided_by = %s, reason = 'changed' where approval_id = %s",
        (click.user_id, click.approval_id),
    )


async def _put_to(conn: Connection, approval_id: str, also: Sequence[Approvers]) -> None:
    """Keep whom it was escalated to: by their right the vote may have been given."""
    plain = jsonb([each.model_dump(mode="json") for each in also])
    await conn.execute("update actions.approval set also = %s where approval_id = %s", (plain, approval_id))


async def _vote(conn: Connection, click: Click, approval_id: str, *, place: str, settled: bool) -> None:
    in_place_of = None if place == click.user_id else place
    await conn.execute(
        "insert into actions.vote (approval_id, person, verdict, delivery_id, in_place_of)"
        " values (%s, %s, 'approve', %s, %s)",
        (approval_id, click.user_id, click.delivery_id, in_place_of),
    )
    if settled:
        await conn.execute(
            "update actions.approval set state = 'approved', decided_at = core.now(), decided_by = %s"
            " where approval_id = %s and state = 'pending'",
            (click.user_id, approval_id),
        )
