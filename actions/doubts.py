"""Doubts as stored: a person is asked whether an effect happened, and one entitled answer settles it."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from actions import compensation, reservations, store
from actions.action import ArgumentsInvalid, Catalogue
from actions.approval import ADMINS, Answer, Click, Refusal, Standing, beneficiary_of, fields_of
from actions.circle import Circles, Members, nobody_known
from actions.doubt import Doubt, DoubtState, DoubtView, Finding, refusal_to_settle
from actions.intent import Intent, IntentKey, IntentState, Origin, Record, TrustLabel
from actions.outcome import Caller, subject_of
from actions.policy import Approvers, Decision, Rules
from core import audit
from core.db import Connection, Database, Row, jsonb
from core.errors import CountersignError
from core.ids import AttemptId, RunId, new_id
from core.metrics import Metrics
from core.outbox import Conversation, refresh_cards, show_card

#: How long the other side may be unable to say before a person is asked.
PATIENCE = timedelta(minutes=10)
MOST_REFERENCE = 300

#: What policy says to an effect, without writing anything.
Judge = Callable[..., Awaitable[Decision]]


class _NoOwner:
    """Stands where a run's guard would: judging writes nothing."""

    async def fence(self, conn: Connection) -> None:
        """Nothing is written on this run's behalf."""
        raise CountersignError("Judging an effect writes nothing.")

    async def may_start(self, conn: Connection) -> None:
        """Nothing is begun on this run's behalf."""
        await self.fence(conn)


async def ask(
    conn: Connection, intent: Intent, attempt: store.Attempt, why: str, places: Sequence[Conversation]
) -> bool:
    """Ask people whether this attempt happened, once per attempt; False when they were asked before."""
    doubt_id = new_id("dbt", 26)
    cursor = await conn.execute(
        """
        insert into actions.doubt (doubt_id, intent_id, attempt_id, why) values (%s, %s, %s, %s)
        on conflict (attempt_id) do nothing
        """,
        (doubt_id, intent.intent_id, attempt.attempt_id, why),
    )
    if cursor.rowcount == 0:
        return False
    for place in places:
        await show_card(conn, "doubt", doubt_id, place)
    return True


async def close(conn: Connection, attempt: store.Attempt) -> None:
    """Take the question back where the other side's own record has answered it."""
    cursor = await conn.execute(
        """
        update actions.doubt set state = 'found_out', settled_at = core.now()
        where attempt_id = %s and state = 'open' returning doubt_id
        """,
        (attempt.attempt_id,),
    )
    for row in await cursor.fetchall():
        await refresh_cards(conn, "doubt", row["doubt_id"])


async def was_denied_by_a_person(conn: Connection, intent: Intent) -> bool:
    """True when a person has said of an earlier attempt of this intent that it did not happen."""
    cursor = await conn.execute(
        "select 1 from actions.doubt where intent_id = %s and state = 'absent' limit 1", (intent.intent_id,)
    )
    return await cursor.fetchone() is not None


class Doubts:
    """What people were asked to find out, and the one place where their word settles an effect."""

    def __init__(
        self,
        database: Database,
        catalogue: Catalogue,
        rules: Callable[[], Rules],
        judge: Judge,
        *,
        wake: Callable[[RunId, Connection], Awaitable[None]],
        goes_on: Callable[[Connection, RunId], Awaitable[bool]],
        metrics: Metrics,
        members: Members = nobody_known,
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._rules = rules
        self._judge = judge
        self._wake = wake
        self._goes_on = goes_on
        self._metrics = metrics
        self._circles = Circles(rules, members)

    async def settle(self, finding: Finding, click: Click, standing: Standing | None) -> Answer:
        """Let this person's word count once if they are entitled; every other click changes nothing and is audited."""
        row = await self._row(click.approval_id)
        if row is None:
            answer = await self._unknown(click)
        else:
            answer = await self._judged(finding, click, standing, row)
        if answer.refusal:
            self._metrics.clicks_refused.labels(answer.refusal).inc()
        return answer

    async def _judged(self, finding: Finding, click: Click, standing: Standing | None, row: Row) -> Answer:
        if row["delivery_id"] == click.delivery_id:
            return Answer(True, "Your answer is noted.", row["state"])
        refusal = refusal_to_settle(finding, click, standing, self._rules().team, await self._doubt(row, fresh=True))
        async with self._database.transaction() as conn:
            if refusal is None:
                settle = {
                    Finding.HAPPENED: self._happened,
                    Finding.ABSENT: self._absent,
                    Finding.LOOKING: self._looking,
                }[finding]
                text = await settle(conn, click, row)
                if text:
                    return Answer(True, text, finding)
                refusal = Refusal("already_decided", "This was settled just now. Nothing was changed by your click.")
            await self._tell(conn, click, row, "doubt.click_refused", {"refused": refusal.word})
        return Answer(False, refusal.text, row["state"], refusal.word)

    async def _unknown(self, click: Click) -> Answer:
        async with self._database.transaction() as conn:
            await audit.append(
                conn,
                self._rules().team.workspace,
                "doubt.click_refused",
                actor=_clicker(click),
                subject={"doubt_id": click.approval_id, "delivery_id": click.delivery_id},
                detail={"refused": "unknown"},
            )
        text = "I do not know this question: the card is not of this installation, or very old."
        return Answer(False, text, "", "unknown")

    async def _happened(self, conn: Connection, click: Click, row: Row) -> str:
        reference = _cleaned(click.reason)
        result = self._attested(row, reference)
        receipt = {"settled_by": click.user_id, "reference": reference, "result": result}
        if not await _end_attempt(conn, row, "done", receipt=receipt):
            return ""
        intent = _intent(row)
        outcome = f"{intent.summary}: done, as {self._name(click)} has found out ({reference})"
        await store.move(conn, intent, IntentState.DONE, result=result, outcome=outcome)
        await self._end(conn, click, row, DoubtState.HAPPENED, reference)
        await compensation.mark_taken_back(conn, _caller(row), intent.intent_id)
        self._metrics.effects.labels(intent.record.action, "done").inc()
        await self._tell(conn, click, row, "effect.settled", {"finding": "happened", "text": reference})
        return "Noted. It counts as done, with your reference as its receipt."

    async def _absent(self, conn: Connection, click: Click, row: Row) -> str:
        if not await _end_attempt(conn, row, "unsent", error=f"{self._name(click)} says that it did not happen"):
            return ""
        intent = _intent(row)
        await store.reopen(conn, intent)
        goes_on = await self._goes_on(conn, intent.key.run_id)
        if not goes_on:
            text = "It did not happen, and its run has ended, so it is not sent again."
            await store.move(conn, intent, IntentState.CANCELLED, outcome=text, cause="cancelled")
        await self._end(conn, click, row, DoubtState.ABSENT, "")
        self._metrics.effects.labels(intent.record.action, "unsent").inc()
        await self._tell(conn, click, row, "effect.settled", {"finding": "absent"})
        again = "It may be sent again, under the same approval." if goes_on else "Its run has ended: nothing is sent."
        return f"Noted. {again}"

    async def _looking(self, conn: Connection, click: Click, row: Row) -> str:
        cursor = await conn.execute(
            "update actions.doubt set looking_by = %s, looking_at = core.now() where doubt_id = %s and state = 'open'",
            (click.user_id, row["doubt_id"]),
        )
        if cursor.rowcount != 1:
            return ""
        await refresh_cards(conn, "doubt", row["doubt_id"])
        await self._tell(conn, click, row, "doubt.investigated", {})
        return "The card says now that you are looking into it. It stays open until somebody answers it."

    async def _end(self, conn: Connection, click: Click, row: Row, state: DoubtState, reference: str) -> None:
        await conn.execute(
            """
            update actions.doubt set state = %s, settled_by = %s, settled_at = core.now(), reference = %s,
                   delivery_id = %s
            where doubt_id = %s
            """,
            (state, click.user_id, reference, click.delivery_id, row["doubt_id"]),
        )
        # The run first, then the cards: the order in which the gateway locks them.
        await self._wake(RunId(row["run_id"]), conn)
        await refresh_cards(conn, "doubt", row["doubt_id"])
        if row["approval_id"]:
            await refresh_cards(conn, "approval", row["approval_id"])

    async def _tell(self, conn: Connection, click: Click, row: Row, event: str, detail: dict[str, Any]) -> None:
        await audit.append(
            conn,
            row["workspace"],
            event,
            actor=_clicker(click),
            subject=subject_of(
                _intent(row),
                attempt_id=row["attempt_id"],
                doubt_id=row["doubt_id"],
                delivery_id=click.delivery_id,
            ),
            detail={**detail, "digest": row["digest"], "rules_version": self._rules().version},
        )

    def _attested(self, row: Row, reference: str) -> dict[str, Any]:
        """The action's own result where it declares what a person's word gives; else the word alone."""
        action = self._catalogue.get(row["action"])
        if action is None or action.hooks.attested is None:
            return {"reference": reference}
        try:
            result: BaseModel = action.hooks.attested(action.parse(row["record"]["args"]), reference)
        except ArgumentsInvalid:
            return {"reference": reference}
        return result.model_dump(mode="json")

    def _name(self, click: Click) -> str:
        member = self._rules().team.member(click.user_id)
        return member.name if member else click.user_id

    async def _doubt(self, row: Row, *, fresh: bool) -> Doubt:
        approvers = await self._approvers(row)
        groups = await self._circles.groups([approvers], fresh=fresh)
        async with self._database.connection() as conn:
            circle = await self._circles.around(conn, groups)
        return Doubt(
            state=DoubtState(row["state"]),
            revision=row["revision"],
            digest=row["digest"],
            requester=row["requester"],
            approvers=approvers,
            settled_by=row["settled_by"],
            beneficiary=beneficiary_of(self._catalogue.get(row["action"]), row["record"]["args"]),
            authored_by=row["authored_by"],
            circle=circle,
        )

    async def _approvers(self, row: Row) -> Approvers:
        """Who could approve this effect now; an admin where policy lets it run alone, denies it or cannot tell."""
        action = self._catalogue.get(row["action"])
        if action is None:
            return ADMINS
        try:
            args = action.parse(row["record"]["args"])
        except ArgumentsInvalid:
            return ADMINS
        origins = {name: Origin(TrustLabel(label), by) for name, (label, by) in row["origins"].items()}
        return (await self._judge(row["action"], args, caller=_caller(row), origins=origins)).approvers or ADMINS

    async def view(self, doubt_id: str) -> DoubtView | None:
        """Everything a card of this doubt shows, or None when there is no such doubt."""
        row = await self._row(doubt_id)
        return None if row is None else await self._view(row)

    async def waiting_for(self, user_id: str) -> list[DoubtView]:
        """The open doubts this person could settle now, oldest first."""
        async with self._database.connection() as conn:
            cursor = await conn.execute("select doubt_id from actions.doubt where state = 'open' order by asked_at")
            ids = [row["doubt_id"] for row in await cursor.fetchall()]
        views = [view for doubt_id in ids if (view := await self.view(doubt_id)) is not None]
        return [view for view in views if user_id in view.eligible]

    async def _view(self, row: Row) -> DoubtView:
        team, doubt = self._rules().team, await self._doubt(row, fresh=False)
        able = doubt.asked.answerers(team, involved=doubt.asked.involved)
        return DoubtView(
            doubt_id=row["doubt_id"],
            run_id=row["run_id"],
            step=row["step"],
            revision=row["revision"],
            digest=row["digest"],
            state=row["state"],
            workflow=row["workflow"],
            action=row["action"],
            sandbox=row["sandbox"],
            connector=row["connector"],
            account=row["record"]["account"],
            summary=row["summary"],
            fields=fields_of(self._catalogue.get(row["action"]), row["record"]["args"]),
            receiver_key=row["receiver_key"],
            why=row["why"],
            who=team.describe(doubt.approvers),
            eligible=list(able.in_place_of),
            requester=row["requester"],
            conversation=Conversation.from_json(row["conversation"]),
            sent_at=row["started_at"],
            looking_by=row["looking_by"],
            looking_at=row["looking_at"],
            settled_by=row["settled_by"],
            settled_at=row["settled_at"],
            reference=row["reference"],
        )

    async def _row(self, doubt_id: str) -> Row | None:
        async with self._database.connection() as conn:
            cursor = await conn.execute(
                """
                select d.*, i.run_id, i.step, i.workspace, i.workflow, i.requester, i.conversation, i.action,
                       i.connector, i.sandbox, i.compensates, i.state as intent_state, a.revision, a.started_at,
                       a.approval_id, r.record, r.digest, r.summary, r.origins, r.receiver_key, r.authored_by
                from actions.doubt d
                join actions.attempt a using (attempt_id)
                join actions.intent i on i.intent_id = d.intent_id
                join actions.revision r on r.intent_id = a.intent_id and r.revision = a.revision
                where d.doubt_id = %s
                """,
                (doubt_id,),
            )
            return await cursor.fetchone()


async def _end_attempt(
    conn: Connection, row: Row, state: str, *, receipt: dict[str, Any] | None = None, error: str = ""
) -> bool:
    """End the attempt by a person's word: true for exactly one answer, and only while nobody else has settled it."""
    cursor = await conn.execute(
        """
        update actions.attempt set state = %s, receipt = %s, error = %s, ended_at = core.now()
        where attempt_id = %s and state = 'in_doubt'
        """,
        (state, None if receipt is None else jsonb(receipt), error, row["attempt_id"]),
    )
    if cursor.rowcount != 1:
        return False
    # What was set aside for it is spent or given back, as when the other side's own answer ends it.
    await reservations.settle(conn, AttemptId(row["attempt_id"]), state)
    return True


def _intent(row: Row) -> Intent:
    return Intent(
        intent_id=row["intent_id"],
        key=IntentKey(RunId(row["run_id"]), row["step"]),
        state=IntentState(row["intent_state"]),
        revision=row["revision"],
        record=Record.from_json(row["record"]),
        digest=row["digest"],
        receiver_key=row["receiver_key"],
        summary=row["summary"],
    )


def _caller(row: Row) -> Caller:
    return Caller(
        RunId(row["run_id"]),
        row["workspace"],
        row["workflow"],
        row["requester"],
        Conversation.from_json(row["conversation"]),
        _NoOwner(),
        is_compensation=row["compensates"] is not None,
        compensates=row["compensates"],
    )


def _cleaned(reference: str) -> str:
    return " ".join(reference.replace("\0", " ").split())[:MOST_REFERENCE]


def _clicker(click: Click) -> dict[str, Any]:
    return {**audit.person(click.user_id), "team_id": click.team_id, "enterprise_id": click.enterprise_id}
