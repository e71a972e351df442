"""What is done about approvals as time passes: remind, ask others too, expire and park, let a parked run end."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from actions.approval import ADMINS, ApprovalState
from actions.chain import Answerers, Chain, Progress, Stage, answerers, chain_of, next_step
from actions.circle import Circles
from actions.policy import Decision, Rules
from actions.team import Approvers
from core import audit
from core.db import Connection, Database, Row, jsonb
from core.ids import ApprovalId, RunId
from core.metrics import Metrics
from core.outbox import Conversation, refresh_cards, show_card

log = logging.getLogger(__name__)

#: The kind of card that calls people to an approval; its subject is the approval and why they are called.
REMINDER = "reminder"
EXPIRED = "expired"
_AT_ONCE = 50
_EVENTS = {
    Stage.REMINDED: "approval.reminded",
    Stage.ESCALATED: "approval.escalated",
    Stage.FELL_BACK: "approval.fell_back",
}

Wake = Callable[[RunId, Connection], Awaitable[None]]


def chain_for(rules: Rules, decision: Decision) -> Chain:
    """The chain of the rule that asks, or of the `approvals:` section."""
    first = decision.rules[0] if decision.rules else ""
    rule = next((rule for rule in rules.policy.rules if rule.id == first), None)
    return chain_of(rule, rules.policy.approvals)


def asked_of(row: Row) -> tuple[Approvers, ...]:
    """Everybody whom this approval was put to, by rule and by escalation."""
    return (
        Decision.from_json(row["decision"]).approvers or ADMINS,
        *(Approvers.model_validate(each) for each in row["also"]),
    )


@dataclass(frozen=True)
class _Turn:
    """One step of one chain that is due."""

    row: Row
    stage: Stage
    who: Answerers
    told: tuple[str, ...]


class Escalation:
    """Takes each step of each chain once, however many processes look at the time."""

    def __init__(
        self, database: Database, rules: Callable[[], Rules], circles: Circles, *, wake: Wake, metrics: Metrics
    ) -> None:
        self._database = database
        self._rules = rules
        self._circles = circles
        self._wake = wake
        self._metrics = metrics

    async def act_due(self) -> int:
        """Take every step that is due and end what is over; returns how many were taken."""
        taken = await self.expire_due() + await self.release_parked()
        async with self._database.connection() as conn:
            cursor = await conn.execute(
                "select approval_id, decision, also from actions.approval"
                " where state = 'pending' and next_at <= core.now() order by next_at limit %s",
                (_AT_ONCE,),
            )
            due = await cursor.fetchall()
        for row in due:
            taken += await self._look(row)
        return taken

    async def _look(self, found: Row) -> bool:
        # Slack is asked before anything is locked: a click must never wait for that.
        groups = await self._circles.groups(asked_of(found))
        async with self._database.transaction() as conn:
            row = await _take(conn, found["approval_id"])
            if row is None or asked_of(row) != asked_of(found):
                return False
            circle = await self._circles.around(conn, groups)
            who = answerers(self._rules().team, asked_of(row), {row["requester"]}, circle)
            away = not who.present and not who.unknown_groups
            chain, stage = Chain.from_json(row["chain"]), Stage(row["stage"])
            calendar = self._rules().policy.approvals.calendar
            step = next_step(Progress(row["asked_at"], stage, chain, away), row["now"], calendar)
            if step is None or step.at > row["now"]:
                await _set_next(conn, row["approval_id"], None if step is None else step.at)
                return False
            await self._act(conn, _Turn(row, step.stage, who, who.told(circle)), chain)
        return True

    async def _act(self, conn: Connection, turn: _Turn, chain: Chain) -> None:
        row, stage = turn.row, turn.stage
        added = {Stage.ESCALATED: chain.escalate_to, Stage.FELL_BACK: chain.fallback_to}.get(stage)
        await conn.execute(
            "update actions.approval set stage = %s, also = also || %s, next_at = core.now() where approval_id = %s",
            (stage, jsonb([] if added is None else [added.model_dump(mode="json")]), row["approval_id"]),
        )
        if added is not None:
            await refresh_cards(conn, "approval", row["approval_id"])
        await call_people(conn, row["approval_id"], stage)
        self._metrics.escalations.labels(stage).inc()
        await _audit(
            conn,
            row,
            _EVENTS[stage],
            {
                "away": not turn.who.present,
                "also": None if added is None else added.model_dump(mode="json"),
            },
        )

    async def expire_due(self) -> int:
        """End every approval whose time has run out as expired, park its run and tell it; returns how many."""
        async with self._database.transaction() as conn:
            cursor = await conn.execute(
                """
                with due as (
                  select approval_id from actions.approval
                  where state = 'pending' and expires_at <= core.now() for update skip locked)
                update actions.approval a
                set state = 'expired', decided_at = core.now(), next_at = null, parked_until = core.now() + %s
                from actions.intent i, due
                where a.approval_id = due.approval_id and a.intent_id = i.intent_id
                returning a.approval_id, a.digest, i.run_id, i.step, i.intent_id, i.workspace, i.action
                """,
                (self._rules().policy.approvals.parked_for,),
            )
            expired = await cursor.fetchall()
            for row in expired:
                await self._wake(RunId(row["run_id"]), conn)
                await refresh_cards(conn, "approval", row["approval_id"])
                await call_people(conn, row["approval_id"], EXPIRED)
                self._metrics.approvals.labels(row["action"], ApprovalState.EXPIRED).inc()
            for row in expired:
                await _audit(conn, row, "approval.expired", {"rules_version": self._rules().version})
        return len(expired)

    async def release_parked(self) -> int:
        """Let every run go on to its end whose expired approval nobody asked again in time; returns how many."""
        async with self._database.transaction() as conn:
            cursor = await conn.execute(
                """
                with due as (
                  select approval_id from actions.approval
                  where parked_until <= core.now() for update skip locked)
                update actions.approval a set parked_until = null from actions.intent i, due
                where a.approval_id = due.approval_id and a.intent_id = i.intent_id
                returning a.approval_id, i.run_id
                """
            )
            released = await cursor.fetchall()
            for row in released:
                await self._wake(RunId(row["run_id"]), conn)
                await refresh_cards(conn, "approval", row["approval_id"])
        return len(released)


async def lapse(conn: Connection, approval_id: ApprovalId) -> None:
    """Take an approval out of force that was given and not used in time; who gave it stays on record."""
    await conn.execute(
        "update actions.approval set state = 'expired' where approval_id = %s and state = 'approved'", (approval_id,)
    )
    await refresh_cards(conn, "approval", approval_id)


async def call_people(conn: Connection, approval_id: str, why: str) -> None:
    """Owe a message that calls people to this approval, once for each reason, wherever its card stands."""
    cursor = await conn.execute(
        "select card_id, workspace, channel, thread_ts, root_card_id from core.card"
        " where kind = 'approval' and subject_id = %s order by created_at",
        (approval_id,),
    )
    for card in await cursor.fetchall():
        top = card["thread_ts"] is None and card["root_card_id"] is None
        root = card["card_id"] if top else card["root_card_id"]
        place = Conversation(card["workspace"], card["channel"], card["thread_ts"], root)
        await show_card(conn, REMINDER, f"{approval_id}.{why}", place)


async def _take(conn: Connection, approval_id: str) -> Row | None:
    cursor = await conn.execute(
        """
        select 1 from actions.approval where approval_id = %s and state = 'pending' and next_at <= core.now()
        for update skip locked
        """,
        (approval_id,),
    )
    if await cursor.fetchone() is None:
        return None
    cursor = await conn.execute(
        """
        select a.approval_id, a.digest, a.decision, a.also, a.chain, a.stage, a.asked_at, core.now() as now,
               i.run_id, i.step, i.intent_id, i.workspace, i.action, i.requester
        from actions.approval a join actions.intent i using (intent_id) where a.approval_id = %s
        """,
        (approval_id,),
    )
    return await cursor.fetchone()


async def _set_next(conn: Connection, approval_id: str, at: datetime | None) -> None:
    await conn.execute("update actions.approval set next_at = %s where approval_id = %s", (at, approval_id))


async def _audit(conn: Connection, row: Row, event: str, detail: dict[str, Any]) -> None:
    subject = {name: row[name] for name in ("run_id", "step", "intent_id", "approval_id")}
    await audit.append(
        conn, row["workspace"], event, actor=audit.CODE, subject=subject, detail={"digest": row["digest"], **detail}
    )
