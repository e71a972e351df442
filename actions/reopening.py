"""Asking again: an expired approval is put to people once more, and a card goes where it can be seen."""

from collections.abc import Awaitable, Callable
from typing import Any

from actions.intent import FOLLOWS, IntentState
from actions.policy import Rules
from core import audit
from core.db import Connection, Row
from core.ids import RunId
from core.outbox import Conversation, refresh_cards, show_card

#: Who may have somebody else's question asked again.
_REOPENERS = frozenset({"admin", "operator"})

#: Who has asked again, on the cards, where nobody had to.
OURSELVES = "Countersign"

NOTHING = (
    "There is nothing to ask again: no approval under that id has expired, or its run has ended. "
    "Nothing was changed. `approvals` shows what waits."
)
NOT_YOURS = "Only who asked for a run, an operator or an admin can have it asked again. Nothing was changed."


class Reopening:
    """Puts approvals that expired to people again, as a new approval under the policy of today."""

    def __init__(self, rules: Callable[[], Rules], *, wake: Callable[[RunId, Connection], Awaitable[None]]) -> None:
        self._rules = rules
        self._wake = wake

    async def reopen(
        self, conn: Connection, subject: str, person: str, *, delivery_id: str, place: Conversation | None = None
    ) -> str:
        """Ask again about this approval, or about all of this run; gives the answer owed to `person`.

        Nothing is judged here: the run asks again by itself, under the policy of today, about the same revision.
        With `place`, a card that is still open is shown there as well.
        """
        rows = await _lock(conn, subject)
        parked, pending = [row for row in rows if row["parked"]], [row for row in rows if row["state"] == "pending"]
        if not parked and not (pending and place):
            return NOTHING
        if not self._may(person, rows[0]):
            return NOT_YOURS
        await self._release(conn, parked, person)
        for row in pending if place else ():
            await show_card(conn, "approval", row["approval_id"], place or _NOWHERE)
        for row in parked or pending:
            await audit.append(
                conn,
                row["workspace"],
                "approval.reopened" if row["parked"] else "approval.shown",
                actor=audit.person(person),
                subject={**_named(row), "delivery_id": delivery_id},
                detail={"digest": row["digest"], "channel": None if place is None else place.channel},
            )
        return _told(parked, pending, place)

    async def ask_again(self, conn: Connection, approval_id: str) -> None:
        """Ask again by itself, without anybody's word: what this approval was about may not stay as it is unasked."""
        parked = [row for row in await _lock(conn, approval_id) if row["parked"]]
        await self._release(conn, parked, OURSELVES)
        for row in parked:
            await audit.append(
                conn,
                row["workspace"],
                "approval.reopened",
                actor=audit.CODE,
                subject=_named(row),
                detail={"digest": row["digest"], "channel": None},
            )

    async def _release(self, conn: Connection, parked: list[Row], by: str) -> None:
        for row in parked:
            await _asked_by(conn, row, by)
        if parked:
            await self._wake(RunId(parked[0]["run_id"]), conn)
        for row in parked:
            await refresh_cards(conn, "approval", row["approval_id"])

    def _may(self, person: str, row: Row) -> bool:
        member = self._rules().team.member(person)
        return member is not None and (person == row["requester"] or bool(member.roles & _REOPENERS))


_NOWHERE = Conversation("", "")


def _told(parked: list[Row], pending: list[Row], place: Conversation | None) -> str:
    if parked:
        return "Asked again: a new card follows, under the policy of today."
    shown = "its card" if len(pending) == 1 else f"{len(pending)} cards"
    return f"Still open; {shown} goes to <#{place.channel}> as well." if place else ""


def _named(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in ("run_id", "step", "intent_id", "approval_id")}


async def _lock(conn: Connection, subject: str) -> list[Row]:
    # The intent before its approval, as the gateway locks them.
    await conn.execute(
        """
        select 1 from actions.intent i
        where i.run_id = %(subject)s
           or i.intent_id = (select intent_id from actions.approval where approval_id = %(subject)s)
        order by i.intent_id for update
        """,
        {"subject": subject},
    )
    cursor = await conn.execute(
        """
        select a.approval_id, a.state, a.digest, i.run_id, i.step, i.intent_id, i.workspace, i.requester,
               a.state = 'expired' and a.parked_until > core.now() and i.state = 'awaiting'
                 and a.approval_id = (select b.approval_id from actions.approval b where b.intent_id = a.intent_id
                                      order by b.revision desc, b.asked_at desc limit 1) as parked
        from actions.approval a join actions.intent i using (intent_id)
        where (i.run_id = %(subject)s or a.approval_id = %(subject)s)
          and (a.state = 'pending' or a.parked_until > core.now() and i.state = 'awaiting')
        order by a.asked_at for update of a
        """,
        {"subject": subject},
    )
    return await cursor.fetchall()


async def _asked_by(conn: Connection, row: Row, person: str) -> None:
    await conn.execute(
        "update actions.approval set parked_until = null, reopened_by = %s, reopened_at = core.now()"
        " where approval_id = %s",
        (person, row["approval_id"]),
    )
    await conn.execute(
        "update actions.intent set state = 'prepared' where intent_id = %s and state = any(%s)",
        (row["intent_id"], sorted(FOLLOWS[IntentState.PREPARED])),
    )
