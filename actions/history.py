"""What the ledger says of earlier effects, and what was judged; reads and writes in the caller's transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from actions.intent import Intent, IntentKey, Record
from actions.window import Tally, Window
from core.db import Connection, Row, jsonb
from core.ids import AttemptId
from core.money import Money


@dataclass(frozen=True)
class Subject:
    """Whose earlier effects count together with the one that is judged."""

    workspace: str
    action: str
    workflow: str
    requester: str
    recipient: str | None
    customer: str | None
    run_id: str
    step: str


async def hold_still(conn: Connection, workspace: str) -> None:
    """Let no other effect of this workspace be judged by the same past until this transaction ends."""
    await conn.execute("select pg_advisory_xact_lock(hashtextextended('actions.history/' || %s, 0))", (workspace,))


async def now(conn: Connection) -> datetime:
    """The instant at which the database judges."""
    cursor = await conn.execute("select core.now() as now")
    row = await cursor.fetchone()
    assert row is not None
    return row["now"]


async def was_agreed(conn: Connection, workspace: str, record: Record) -> bool:
    """True when people have approved this very version of this action on this account at least once."""
    cursor = await conn.execute(
        """
        select exists (
          select from actions.approval a
          join actions.revision r on (r.intent_id, r.revision) = (a.intent_id, a.revision)
          join actions.intent i on i.intent_id = a.intent_id
          where a.state = 'approved' and i.workspace = %s and r.record ->> 'action' = %s
            and (r.record ->> 'action_version')::bigint = %s and r.record ->> 'account' = %s
        ) as agreed
        """,
        (workspace, record.action, record.action_version, record.account),
    )
    row = await cursor.fetchone()
    assert row is not None
    return row["agreed"]


async def tallies(
    conn: Connection, windows: frozenset[Window], subject: Subject, at: datetime
) -> Mapping[Window, Tally]:
    """What happened, or may have happened, in each window up to `at`, without this subject's own step."""
    found: dict[Window, Tally] = {}
    for window in windows:
        whose = getattr(subject, window.per)
        if whose:
            found[window] = await _tally(conn, window, subject, whose=whose, at=at)
    return found


async def _tally(conn: Connection, window: Window, subject: Subject, *, whose: str, at: datetime) -> Tally:
    cursor = await conn.execute(
        """
        select a.currency, count(*) as number, sum(a.amount_minor)::bigint as minor
        from actions.attempt a join actions.intent i using (intent_id)
        where a.state in ('executing', 'in_doubt', 'done') and a.started_at > %(at)s - %(within)s
          and a.started_at <= %(at)s and i.workspace = %(workspace)s
          and (i.action = %(covers)s or (right(%(covers)s, 1) = '*' and starts_with(i.action, rtrim(%(covers)s, '*'))))
          and case %(per)s when 'recipient' then a.recipient when 'customer' then a.customer
                           when 'requester' then i.requester when 'workflow' then i.workflow
                           else i.workspace end = %(whose)s
          and (i.run_id, i.step) <> (%(run_id)s, %(step)s)
        group by a.currency
        """,
        {
            "at": at,
            "within": window.within,
            "workspace": subject.workspace,
            "covers": window.covers,
            "per": window.per,
            "whose": whose,
            "run_id": subject.run_id,
            "step": subject.step,
        },
    )
    rows = await cursor.fetchall()
    moved = tuple(Money(row["minor"], row["currency"]) for row in rows if row["currency"] is not None)
    return Tally(sum(row["number"] for row in rows), moved)


async def is_first_time(conn: Connection, subject: Subject, at: datetime) -> bool | None:
    """True when no earlier effect of this action reached this recipient; None where it has none."""
    if not subject.recipient:
        return None
    cursor = await conn.execute(
        """
        select 1 from actions.attempt a join actions.intent i using (intent_id)
        where a.state = 'done' and a.recipient = %s and i.action = %s and i.workspace = %s and a.started_at <= %s
          and (i.run_id, i.step) <> (%s, %s)
        limit 1
        """,
        (subject.recipient, subject.action, subject.workspace, at, subject.run_id, subject.step),
    )
    return await cursor.fetchone() is None


async def note_attempt(conn: Connection, attempt_id: AttemptId, subject: Subject, amount: Money | None) -> None:
    """Write down what an attempt is about, so that later effects can be judged by it."""
    await conn.execute(
        "update actions.attempt set recipient = %s, customer = %s, amount_minor = %s, currency = %s"
        " where attempt_id = %s",
        (
            subject.recipient,
            subject.customer,
            None if amount is None else amount.minor,
            None if amount is None else amount.currency,
            attempt_id,
        ),
    )


@dataclass(frozen=True)
class Verdicts:
    """A judgement as it is written down."""

    policy_version: str
    verdict: str
    rules: Sequence[str]
    reasons: Sequence[str]
    considered: Mapping[str, Any]


async def note_judgement(conn: Connection, intent: Intent, subject: Subject, judged: Verdicts) -> None:
    """Keep the first judgement of this revision, with everything policy looked at; a later one changes nothing."""
    await conn.execute(
        """
        insert into actions.judgement (intent_id, revision, policy_version, verdict, rules, reasons, considered,
                                       recipient, customer)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict (intent_id, revision) do nothing
        """,
        (
            intent.intent_id,
            intent.revision,
            judged.policy_version,
            judged.verdict,
            jsonb(list(judged.rules)),
            jsonb(list(judged.reasons)),
            jsonb(dict(judged.considered)),
            subject.recipient,
            subject.customer,
        ),
    )


@dataclass(frozen=True)
class Judgement:
    """One judgement as it was written down, with what became of the effect."""

    run_id: str
    step: str
    summary: str
    at: datetime
    policy_version: str
    verdict: str
    rules: list[str]
    reasons: list[str]
    considered: Mapping[str, Any]
    outcome: str
    """Where the approval or, without one, the effect stands: `done`, `rejected`, `refused` …"""
    subject: Subject


async def judgements(conn: Connection, *, run_id: str | None, limit: int) -> list[Judgement]:
    """The newest judgements, of one run or of all, oldest first."""
    cursor = await conn.execute(
        """
        select * from (
          select j.*, i.run_id, i.step, i.workspace, i.action, i.workflow, i.requester, r.summary,
                 coalesce((select a.state from actions.approval a where a.intent_id = j.intent_id
                           and a.revision = j.revision and a.state <> 'approved' order by a.asked_at desc limit 1),
                          i.state) as outcome
          from actions.judgement j join actions.intent i using (intent_id)
          join actions.revision r on r.intent_id = j.intent_id and r.revision = j.revision
          where %s::text is null or i.run_id = %s order by j.at desc limit %s
        ) newest order by at, step
        """,
        (run_id, run_id, limit),
    )
    return [_judgement(row) for row in await cursor.fetchall()]


def _judgement(row: Row) -> Judgement:
    shared = ("run_id", "step")
    whose = ("workspace", "action", "workflow", "requester", "recipient", "customer", *shared)
    names = ("summary", "at", "policy_version", "verdict", "rules", "reasons", "considered", "outcome", *shared)
    return Judgement(**{name: row[name] for name in names}, subject=Subject(**{name: row[name] for name in whose}))


async def is_written(conn: Connection, key: IntentKey, digest: str) -> bool:
    """True when the wish under this key has, or had, exactly these arguments."""
    cursor = await conn.execute(
        "select 1 from actions.intent join actions.revision using (intent_id)"
        " where run_id = %s and step = %s and digest = %s",
        (key.run_id, key.step, digest),
    )
    return await cursor.fetchone() is not None


async def tried_for(conn: Connection, intent: Intent) -> timedelta:
    """How long ago the first attempt of this intent began."""
    cursor = await conn.execute(
        "select coalesce(core.now() - min(started_at), interval '0') as age from actions.attempt where intent_id = %s",
        (intent.intent_id,),
    )
    row = await cursor.fetchone()
    assert row is not None
    return row["age"]
