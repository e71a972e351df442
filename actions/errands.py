"""Errands as stored: what a person must put right because no action can, and their answer."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from actions.action import Catalogue
from actions.approval import Answer, Click, Refusal, Standing, fields_of, identity_refusal
from actions.compensation import Deed
from actions.outcome import Caller
from actions.policy import Rules
from core import audit
from core.db import Connection, Database, Row
from core.ids import RunId, new_id
from core.outbox import refresh_cards, show_card

_ENTITLED = frozenset({"operator", "approver", "admin"})


@dataclass(frozen=True)
class ErrandView:
    """Everything a card of one errand shows, from stored rows only."""

    errand_id: str
    run_id: RunId
    """The run that could not take it back."""
    undone_run: RunId
    step: str
    summary: str
    instruction: str
    why: str
    fields: list[tuple[str, str]]
    receipt: list[tuple[str, str]]
    sandbox: bool
    state: str
    asked_at: datetime
    answered_by: str | None
    answered_at: datetime | None


@dataclass(frozen=True)
class Answered:
    """An errand that has just been answered: whose it was, and what is still open in its run."""

    run_id: RunId
    undone_run: RunId
    step: str
    done: bool
    left: int
    failed: bool
    """True when something of this run cannot be put right."""


async def ask(conn: Connection, caller: Caller, done: Deed, why: str) -> None:
    """Ask people to put this right, once however often it is called, with a card in the conversation."""
    await caller.guard.fence(conn)
    errand_id = new_id("err", 16)
    cursor = await conn.execute(
        """
        insert into actions.errand (errand_id, intent_id, run_id, why) values (%s, %s, %s, %s)
        on conflict (intent_id) do nothing
        """,
        (errand_id, done.intent_id, caller.run_id, why),
    )
    if cursor.rowcount == 0:
        return
    await show_card(conn, "errand", errand_id, caller.conversation)
    await audit.append(
        conn,
        caller.workspace,
        "errand.asked",
        actor=audit.CODE,
        subject={"run_id": done.key.run_id, "step": done.key.step, "intent_id": done.intent_id, "errand_id": errand_id},
        detail={"why": why, "undone_by_run": caller.run_id},
    )


async def tally(conn: Connection, run_id: str) -> tuple[int, bool]:
    """How many errands of this run nobody has answered, and whether one cannot be done; held until commit."""
    cursor = await conn.execute("select state from actions.errand where run_id = %s for share", (run_id,))
    states = [row["state"] for row in await cursor.fetchall()]
    return states.count("open"), "impossible" in states


class Errands:
    """What people were asked to put right, and the one place where they say that they have."""

    def __init__(self, database: Database, catalogue: Catalogue, rules: Callable[[], Rules]) -> None:
        self._database = database
        self._catalogue = catalogue
        self._rules = rules

    async def view(self, errand_id: str) -> ErrandView | None:
        """Everything a card of this errand shows, or None when there is no such errand."""
        async with self._database.connection() as conn:
            cursor = await conn.execute(
                """
                select e.*, i.run_id as undone_run, i.step, i.action, i.sandbox, i.result, r.record, r.summary
                from actions.errand e join actions.intent i using (intent_id)
                join actions.revision r using (intent_id, revision) where errand_id = %s
                """,
                (errand_id,),
            )
            row = await cursor.fetchone()
        return None if row is None else self._view(row)

    def _view(self, row: Row) -> ErrandView:
        args = row["record"]["args"]
        receipt: dict[str, Any] = row["result"] or {}
        return ErrandView(
            errand_id=row["errand_id"],
            run_id=RunId(row["run_id"]),
            undone_run=RunId(row["undone_run"]),
            step=row["step"],
            summary=row["summary"],
            instruction=self._catalogue.put_right(row["action"], args, row["summary"]),
            why=row["why"],
            fields=fields_of(self._catalogue.get(row["action"]), args),
            receipt=[(name.replace("_", " "), value) for name, value in receipt.items() if isinstance(value, str)],
            sandbox=row["sandbox"],
            state=row["state"],
            asked_at=row["asked_at"],
            answered_by=row["answered_by"],
            answered_at=row["answered_at"],
        )

    async def answer(self, conn: Connection, click: Click, standing: Standing | None) -> Answer | Answered:
        """Let this click answer once if this person is entitled; every other click changes nothing and is audited."""
        cursor = await conn.execute(
            "select * from actions.errand where errand_id = %s for update", (click.approval_id,)
        )
        row = await cursor.fetchone()
        refusal = self._refusal(click, standing, row)
        if refusal is not None or row is None:
            refusal = refusal or Refusal("unknown", "I do not know this card. Nothing was changed.")
            await self._audit(conn, click, "errand.click_refused", refusal.word)
            return Answer(False, refusal.text, "", refusal.word)
        state = "done" if click.verdict == "approve" else "impossible"
        await conn.execute(
            "update actions.errand set state = %s, answered_at = core.now(), answered_by = %s where errand_id = %s",
            (state, click.user_id, click.approval_id),
        )
        cursor = await conn.execute("select run_id, step from actions.intent where intent_id = %s", (row["intent_id"],))
        of = await cursor.fetchone()
        assert of is not None
        left, failed = await tally(conn, row["run_id"])
        return Answered(RunId(row["run_id"]), RunId(of["run_id"]), of["step"], state == "done", left, failed)

    async def record(self, conn: Connection, click: Click) -> None:
        """Show the answer on every copy of the card and audit it; call it last in the transaction that wrote it."""
        await refresh_cards(conn, "errand", click.approval_id)
        await self._audit(conn, click, "errand.answered", "done" if click.verdict == "approve" else "impossible")

    async def _audit(self, conn: Connection, click: Click, event: str, word: str) -> None:
        await audit.append(
            conn,
            self._rules().team.workspace,
            event,
            actor={**audit.person(click.user_id), "team_id": click.team_id, "enterprise_id": click.enterprise_id},
            subject={"errand_id": click.approval_id, "delivery_id": click.delivery_id},
            detail={"answer" if event == "errand.answered" else "refused": word},
        )

    def _refusal(self, click: Click, standing: Standing | None, row: Row | None) -> Refusal | None:
        team = self._rules().team
        refusal = identity_refusal(click, standing, team)
        if refusal is not None or row is None:
            return refusal
        if row["state"] != "open":
            text = f"<@{row['answered_by']}> has answered this already. Nothing was changed by your click."
            return Refusal("already_answered", text)
        member = team.member(click.user_id)
        if member is None or not member.roles & _ENTITLED:
            text = "Only an operator, an approver or an admin can answer this. Nothing was changed."
            return Refusal("not_entitled", text)
        return None
