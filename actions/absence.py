"""Being away, and answering in another's place: said by each person of themselves, for a time."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from actions.chain import Absence, may_stand_in
from actions.policy import Rules
from core import audit
from core.db import Connection

#: Nobody is away or stood in for longer than this without saying so again.
LONGEST = timedelta(days=90)
_DECIDERS = frozenset({"approver", "admin"})


class Absences:
    """Notes who is away and who answers in whose place."""

    def __init__(self, rules: Callable[[], Rules]) -> None:
        self._rules = rules

    def problem(self, person: str, stand_in: str | None) -> str:
        """Why this person may not leave things so, as a sentence; empty when they may."""
        rules = self._rules()
        member = rules.team.member(person)
        if member is None or not member.roles & _DECIDERS:
            return "Nothing waits for your decision here, so there is nothing to leave to anybody. Nothing was changed."
        if stand_in is None:
            return ""
        if not rules.policy.approvals.delegation:
            return "Policy does not let anybody answer in another's place here. You can still say `away until …`."
        if stand_in == person:
            return "You cannot stand in for yourself. Name somebody else, or say `back`."
        if not may_stand_in(rules.team, stand_in):
            return (
                f"<@{stand_in}> cannot answer in your place: only a member of this team can, and no auditor, viewer or"
                " guest. Nothing was changed."
            )
        return ""

    async def leave(self, conn: Connection, absence: Absence, *, delivery_id: str) -> bool:
        """Note this absence in place of any earlier one; False when its end has passed or is too far off."""
        workspace = self._rules().team.workspace
        if await _set(conn, workspace, absence) is None:
            return False
        await _look_again(conn)
        event = "person.away" if absence.away else "person.delegated"
        detail = {"away": absence.away, "stand_in": absence.stand_in, "until": absence.until.isoformat()}
        await _audit(conn, absence.person, event, delivery_id, {"workspace": workspace, **detail})
        return True

    async def come_back(self, conn: Connection, person: str, *, delivery_id: str) -> bool:
        """Note that somebody is there and answers for themselves; False when they had not been away."""
        workspace = self._rules().team.workspace
        cursor = await conn.execute(
            "delete from actions.absence where workspace = %s and person = %s and until > core.now()",
            (workspace, person),
        )
        if not cursor.rowcount:
            return False
        await _look_again(conn)
        await _audit(conn, person, "person.back", delivery_id, {"workspace": workspace})
        return True


async def _set(conn: Connection, workspace: str, absence: Absence) -> datetime | None:
    cursor = await conn.execute(
        """
        insert into actions.absence (workspace, person, away, stand_in, until)
        select %(workspace)s, %(person)s, %(away)s, %(stand_in)s, %(until)s
        where %(until)s > core.now() and %(until)s <= core.now() + %(longest)s
        on conflict (workspace, person) do update
          set away = excluded.away, stand_in = excluded.stand_in, until = excluded.until, said_at = core.now()
        returning until
        """,
        {
            "workspace": workspace,
            "person": absence.person,
            "away": absence.away,
            "stand_in": absence.stand_in,
            "until": absence.until,
            "longest": LONGEST,
        },
    )
    row = await cursor.fetchone()
    return None if row is None else row["until"]


async def _look_again(conn: Connection) -> None:
    """Have every chain that is under way looked at now: who is there has changed."""
    await conn.execute(
        "update actions.approval set next_at = core.now() where state = 'pending' and next_at is not null"
    )


async def _audit(conn: Connection, person: str, event: str, delivery_id: str, detail: Mapping[str, Any]) -> None:
    subject = {"person": person, "delivery_id": delivery_id}
    workspace = str(detail["workspace"])
    await audit.append(conn, workspace, event, actor=audit.person(person), subject=subject, detail=detail)
