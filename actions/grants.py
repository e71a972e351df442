"""Grants as stored: suggested from what people decided, given by one of them, taken back at the first trouble."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from actions.approval import Answer, Click, Standing, identity_refusal
from actions.autonomy import Autonomy, Band, Evidence, Past, bands_of, evidence_for
from actions.grant import Grant
from actions.policy import Rules
from actions.team import Approvers
from core import audit
from core.db import Connection, Database, Row, jsonb
from core.ids import new_id
from core.money import Money
from core.outbox import Conversation, refresh_cards, show_card

#: How many of a rule's latest questions are looked at.
_LATEST = 1000

Press = Literal["grant", "decline", "take_back"]


@dataclass(frozen=True)
class GrantView:
    """Everything a card of one suggestion shows, from its stored row only."""

    grant_id: str
    band: Band
    state: str
    approvals: int
    people: int
    days: int
    lasts_days: int
    decided_by: str | None
    decided_at: datetime | None
    expires_at: datetime | None
    why: str


async def in_force(conn: Connection, workspace: str, action: str, at: datetime) -> list[Grant]:
    """What was granted for this action and holds at this instant."""
    cursor = await conn.execute(
        "select * from actions.autonomy where workspace = %s and action = %s and state = 'granted' and expires_at > %s",
        (workspace, action, at),
    )
    rows = await cursor.fetchall()
    return [Grant(row["grant_id"], _band(row), row["decided_by"], row["expires_at"]) for row in rows]


async def take_back(conn: Connection, workspace: str, action: str, why: str) -> list[str]:
    """End at once whatever was granted or suggested for this action; returns the grants that ended."""
    cursor = await conn.execute(
        """
        update actions.autonomy set state = 'taken_back', ended_at = core.now(), why = %s
        where workspace = %s and action = %s and state in ('suggested', 'granted') returning grant_id
        """,
        (why, workspace, action),
    )
    ended = [str(row["grant_id"]) for row in await cursor.fetchall()]
    for grant_id in ended:
        await refresh_cards(conn, "autonomy", grant_id)
    return ended


async def tell_taken_back(conn: Connection, workspace: str, ended: list[str], why: str) -> None:
    """Write down that these grants ended; among the last statements of the transaction, as all of audit."""
    for grant_id in ended:
        subject = {"grant_id": grant_id}
        await audit.append(
            conn, workspace, "autonomy.taken_back", actor=audit.CODE, subject=subject, detail={"why": why}
        )


class Grants:
    """What was suggested and granted, and the one place where a person's answer to it takes effect."""

    def __init__(self, database: Database, rules: Callable[[], Rules]) -> None:
        self._database = database
        self._rules = rules

    async def look(self) -> int:
        """Suggest whatever the past speaks for, once, and end what has run out; returns how many were suggested."""
        rules = self._rules()
        terms, workspace = rules.policy.autonomy, rules.team.workspace
        async with self._database.transaction() as conn:
            await self._expire(conn)
            suggested = [] if terms is None else await self._suggest(conn, rules, terms)
            for grant_id, band in suggested:
                await audit.append(
                    conn,
                    workspace,
                    "autonomy.suggested",
                    actor=audit.CODE,
                    subject={"grant_id": grant_id, "action": band.action},
                    detail={"rule": band.rule, "up_to": str(band.up_to), "rules_version": rules.version},
                )
        return len(suggested)

    async def _expire(self, conn: Connection) -> None:
        cursor = await conn.execute(
            "update actions.autonomy set state = 'expired', ended_at = core.now(), why = 'its time has run out'"
            " where state = 'granted' and expires_at <= core.now() returning grant_id"
        )
        for row in await cursor.fetchall():
            await refresh_cards(conn, "autonomy", row["grant_id"])

    async def _suggest(self, conn: Connection, rules: Rules, terms: Autonomy) -> list[tuple[str, Band]]:
        approvers, found = len(rules.team.eligible(Approvers())), list[tuple[str, Band]]()
        for band in bands_of(rules.policy.rules, terms):
            since = await _last_answer(conn, rules.team.workspace, band)
            past = await _past(conn, rules.team.workspace, band, since)
            evidence = evidence_for(band, past, terms, approvers=approvers)
            grant_id = None if evidence is None else await _insert(conn, rules, band, evidence, terms=terms)
            if grant_id is not None:
                found.append((grant_id, band))
        return found

    async def decide(self, press: Press, click: Click, standing: Standing | None) -> Answer:
        """Let an admin grant, decline or take back, once; everybody else changes nothing and is audited."""
        team = self._rules().team
        async with self._database.transaction() as conn:
            cursor = await conn.execute(
                "select * from actions.autonomy where grant_id = %s for update", (click.approval_id,)
            )
            row = await cursor.fetchone()
            refusal = identity_refusal(click, standing, team)
            member = team.member(click.user_id)
            if refusal is None and (member is None or "admin" not in member.roles):
                answer = Answer(
                    False, "Only an admin can decide what runs alone. Nothing was changed.", "", "not_entitled"
                )
            elif refusal is not None:
                answer = Answer(False, refusal.text, "", refusal.word)
            elif row is None:
                answer = Answer(False, "I do not know this suggestion. Nothing was changed.", "", "unknown")
            else:
                answer = await _press(conn, press, click, row)
            await audit.append(
                conn,
                team.workspace,
                f"autonomy.{_PAST[press]}" if answer.decided else "autonomy.click_refused",
                actor=audit.person(click.user_id),
                subject={"grant_id": click.approval_id, "delivery_id": click.delivery_id},
                detail={"refused": answer.refusal, "rules_version": self._rules().version},
            )
        return answer

    async def view(self, grant_id: str) -> GrantView | None:
        """Everything a card of this suggestion shows, or None when there is none."""
        async with self._database.connection() as conn:
            cursor = await conn.execute("select * from actions.autonomy where grant_id = %s", (grant_id,))
            row = await cursor.fetchone()
        return None if row is None else _view(row)

    async def open(self) -> list[GrantView]:
        """What is suggested or granted now, oldest first."""
        async with self._database.connection() as conn:
            cursor = await conn.execute(
                "select * from actions.autonomy where state in ('suggested', 'granted') order by suggested_at"
            )
            return [_view(row) for row in await cursor.fetchall()]


_PAST: dict[Press, str] = {"grant": "granted", "decline": "declined", "take_back": "taken_back"}
_FROM: dict[Press, str] = {"grant": "suggested", "decline": "suggested", "take_back": "granted"}
_SAID: dict[Press, str] = {
    "grant": "Granted. It ends by itself, and at once with the first rejection or anything taken back.",
    "decline": "Declined. It is suggested again only when as much speaks for it anew.",
    "take_back": "Taken back. From now on people are asked again.",
}


async def _press(conn: Connection, press: Press, click: Click, row: Row) -> Answer:
    cursor = await conn.execute(
        """
        update actions.autonomy set state = %(to)s, decided_by = %(by)s, decided_at = core.now(),
               expires_at = case when %(to)s = 'granted' then core.now() + lasts else expires_at end,
               ended_at = case when %(to)s = 'granted' then null else core.now() end
        where grant_id = %(grant_id)s and state = %(from)s
        """,
        {"to": _PAST[press], "by": click.user_id, "grant_id": row["grant_id"], "from": _FROM[press]},
    )
    if cursor.rowcount != 1 and (row["state"], row["decided_by"]) == (_PAST[press], click.user_id):
        # The same press handled again after a crash.
        return Answer(True, _SAID[press], _PAST[press])
    if cursor.rowcount != 1:
        words = str(row["state"]).replace("_", " ")
        return Answer(False, f"This was {words} before. Nothing was changed by your click.", row["state"], "already")
    await refresh_cards(conn, "autonomy", row["grant_id"])
    return Answer(True, _SAID[press], _PAST[press])


async def _last_answer(conn: Connection, workspace: str, band: Band) -> datetime | None:
    """When this rule's last grant or suggestion ended: only what came after it counts."""
    cursor = await conn.execute(
        "select max(coalesce(ended_at, decided_at)) as at from actions.autonomy"
        " where workspace = %s and action = %s and rule = %s",
        (workspace, band.action, band.rule),
    )
    row = await cursor.fetchone()
    return None if row is None else row["at"]


async def _past(conn: Connection, workspace: str, band: Band, since: datetime | None) -> list[Past]:
    cursor = await conn.execute(
        """
        select a.decided_at, a.decided_by, a.state, a.revision, i.state as intent_state,
               j.considered -> 'amount' as amount
        from actions.approval a
        join actions.intent i using (intent_id)
        join actions.judgement j on j.intent_id = a.intent_id and j.revision = a.revision
        where i.workspace = %s and i.action = %s and a.state in ('approved', 'rejected')
          and a.decision -> 'rules' = jsonb_build_array(%s::text) and j.considered -> 'amount' <> 'null'
          and a.decided_at > coalesce(%s, '-infinity'::timestamptz)
        order by a.decided_at desc limit %s
        """,
        (workspace, band.action, band.rule, since, _LATEST),
    )
    return [
        Past(
            at=row["decided_at"],
            amount=Money(*row["amount"]),
            decided_by=row["decided_by"],
            verdict=row["state"],
            changed=row["revision"] > 1,
            reversed=row["intent_state"] == "compensated",
        )
        for row in await cursor.fetchall()
    ]


async def _insert(conn: Connection, rules: Rules, band: Band, evidence: Evidence, *, terms: Autonomy) -> str | None:
    """The new suggestion, or None where one is open already."""
    plain = {
        "approvals": evidence.approvals,
        "people": evidence.people,
        "first_at": evidence.first_at.isoformat(),
        "last_at": evidence.last_at.isoformat(),
        "rules_version": rules.version,
    }
    grant_id, workspace = new_id("grant"), rules.team.workspace
    cursor = await conn.execute(
        """
        insert into actions.autonomy (grant_id, workspace, action, rule, above_minor, up_to_minor, currency, evidence,
                                      lasts)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
        on conflict (workspace, action, rule) where state in ('suggested', 'granted') do nothing
        """,
        (
            grant_id,
            workspace,
            band.action,
            band.rule,
            band.above.minor,
            band.up_to.minor,
            band.above.currency,
            jsonb(plain),
            terms.lasts,
        ),
    )
    if cursor.rowcount != 1:
        return None
    channel = rules.policy.approvals.channel
    if channel is not None:
        await show_card(conn, "autonomy", grant_id, Conversation(workspace, channel))
    return grant_id


def _band(row: Row) -> Band:
    above, up_to = Money(row["above_minor"], row["currency"]), Money(row["up_to_minor"], row["currency"])
    return Band(row["action"], row["rule"], above, up_to)


def _view(row: Row) -> GrantView:
    evidence: dict[str, Any] = row["evidence"]
    first, last = (datetime.fromisoformat(evidence[name]) for name in ("first_at", "last_at"))
    return GrantView(
        grant_id=row["grant_id"],
        band=_band(row),
        state=row["state"],
        approvals=evidence["approvals"],
        people=evidence["people"],
        days=(last - first).days,
        lasts_days=row["lasts"].days,
        decided_by=row["decided_by"],
        decided_at=row["decided_at"],
        expires_at=row["expires_at"],
        why=row["why"],
    )
