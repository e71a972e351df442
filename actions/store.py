"""The ledger's SQL: what makes "once" true. Every write here runs in the caller's transaction."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from actions import reservations
from actions.forms import Change
from actions.intent import FOLLOWS, Intent, IntentKey, IntentState, Origin, Record, TrustLabel
from actions.withdrawal import cancel_asked, cancel_unsent, supersede_of
from core.db import Connection, Row, jsonb
from core.errors import CountersignError
from core.ids import ApprovalId, AttemptId, IntentId, RunId, new_attempt_id, new_id, new_intent_id


class IllegalTransition(CountersignError):
    """An intent was about to enter a state that may not follow the one it is in."""


@dataclass(frozen=True)
class NewIntent:
    """What is known of an intent when it is first written down."""

    key: IntentKey
    workspace: str
    workflow: str
    requester: str
    conversation: Mapping[str, Any]
    effect: str
    connector: str
    sandbox: bool
    compensates: IntentId | None = None
    dry: bool = False


@dataclass(frozen=True)
class Edit:
    """One person's change of an intent's arguments."""

    by: str
    delivery_id: str
    changes: list[tuple[str, str, str]]
    """Each changed argument with its value before and after, in words."""
    authored: bool = False
    """True where somebody else must agree to it."""


@dataclass(frozen=True)
class NewRevision:
    """One version of an intent's arguments."""

    record: Record
    digest: str
    summary: str
    origins: Mapping[str, Origin]
    evidence: list[str]
    edit: Edit | None = None
    """Which edit made it, where a person made it and not the run."""
    preview: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class StoredIntent:
    """An intent as the ledger has it, locked until the transaction ends."""

    intent: Intent
    origins: Mapping[str, Origin]
    result: Mapping[str, Any] | None
    outcome: str
    cause: str
    evidence: list[str]
    rehearsal: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Attempt:
    """One call of a handler under way, with what is left of its window."""

    attempt_id: AttemptId
    number: int
    revision: int
    left: timedelta
    """Until its deadline by the database's clock; negative once it has passed."""
    age: timedelta
    state: str
    request_sha256: str
    """Of the bytes it committed to."""
    policy_version: str
    """Of the rules that let it begin."""


async def lock_intent(conn: Connection, key: IntentKey) -> StoredIntent | None:
    """The intent under `key` with its newest revision, locked; None when nobody wished for it yet."""
    # Locked first, read afterwards: a statement that had to wait for the lock would join the revision of before.
    await conn.execute(
        "select 1 from actions.intent where run_id = %s and step = %s for update", (key.run_id, key.step)
    )
    cursor = await conn.execute(
        """
        select i.*, r.record, r.digest, r.receiver_key, r.summary, r.origins,
               r.evidence, r.edited_by, r.changes
        from actions.intent i join actions.revision r using (intent_id, revision)
        where i.run_id = %s and i.step = %s
        """,
        (key.run_id, key.step),
    )
    row = await cursor.fetchone()
    return None if row is None else _stored(row)


def _stored(row: Row) -> StoredIntent:
    changes = row["changes"]
    intent = Intent(
        intent_id=IntentId(row["intent_id"]),
        key=IntentKey(RunId(row["run_id"]), row["step"]),
        state=IntentState(row["state"]),
        revision=row["revision"],
        record=Record.from_json(row["record"]),
        digest=row["digest"],
        receiver_key=row["receiver_key"],
        summary=row["summary"],
        changed="; ".join(str(Change(*each)) for each in changes),
    )
    origins = {name: Origin(TrustLabel(label), endorsed_by) for name, (label, endorsed_by) in row["origins"].items()}
    return StoredIntent(intent, origins, row["result"], row["outcome"], row["cause"], row["evidence"], row["rehearsal"])


async def insert_intent(conn: Connection, new: NewIntent, revision: NewRevision) -> None:
    """Write down a wish with its first revision; where a rival is writing the same key, wait and leave it."""
    intent_id = new_intent_id()
    cursor = await conn.execute(
        """
        insert into actions.intent (intent_id, run_id, step, workspace, workflow, requester, conversation, action,
                                    effect, connector, sandbox, compensates, dry, state, revision)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 'prepared', 1)
        on conflict (run_id, step) do nothing
        """,
        (
            intent_id,
            new.key.run_id,
            new.key.step,
            new.workspace,
            new.workflow,
            new.requester,
            jsonb(dict(new.conversation)),
            revision.record.action,
            new.effect,
            new.connector,
            new.sandbox,
            new.compensates,
            new.dry,
        ),
    )
    if cursor.rowcount:
        await _insert_revision(conn, intent_id, 1, revision)


async def add_revision(conn: Connection, intent: Intent, revision: NewRevision) -> None:
    """Replace the intent's arguments by a newer revision; whatever was asked about the old one is superseded."""
    await supersede_of(conn, intent.intent_id)
    await conn.execute(
        "update actions.intent set revision = revision + 1, state = 'prepared' where intent_id = %s",
        (intent.intent_id,),
    )
    await _insert_revision(conn, intent.intent_id, intent.revision + 1, revision)


async def _insert_revision(conn: Connection, intent_id: IntentId, number: int, new: NewRevision) -> None:
    await conn.execute(
        """
        insert into actions.revision (intent_id, revision, record, digest, receiver_key, summary, origins, evidence,
                                      edited_by, authored_by, edit_delivery_id, changes, preview)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            intent_id,
            number,
            jsonb(new.record.to_json()),
            new.digest,
            new_id("key", 26),
            new.summary,
            jsonb({name: [origin.label, origin.endorsed_by] for name, origin in new.origins.items()}),
            jsonb(new.evidence),
            new.edit.by if new.edit else None,
            new.edit.by if new.edit and new.edit.authored else None,
            new.edit.delivery_id if new.edit else None,
            jsonb(new.edit.changes if new.edit else []),
            None if new.preview is None else jsonb(dict(new.preview)),
        ),
    )


async def had_digest(conn: Connection, intent: Intent, digest: str) -> bool:
    """True when an earlier revision of this intent had exactly these arguments."""
    cursor = await conn.execute(
        "select 1 from actions.revision where intent_id = %s and digest = %s", (intent.intent_id, digest)
    )
    return await cursor.fetchone() is not None


async def move(
    conn: Connection,
    intent: Intent,
    to: IntentState,
    *,
    result: Mapping[str, Any] | None = None,
    outcome: str = "",
    cause: str = "",
) -> None:
    """Put the intent into state `to`; raises IllegalTransition where that may not follow its present state."""
    ended = to in {IntentState.DONE, IntentState.FAILED, IntentState.REFUSED, IntentState.CANCELLED}
    cursor = await conn.execute(
        """
        update actions.intent set state = %s, result = %s, outcome = %s, cause = %s,
               ended_at = case when %s then core.now() end
        where intent_id = %s and state = any(%s)
        """,
        (
            to,
            None if result is None else jsonb(dict(result)),
            outcome,
            cause,
            ended,
            intent.intent_id,
            sorted(FOLLOWS[to]),
        ),
    )
    if cursor.rowcount != 1:
        raise IllegalTransition(f"{intent.record.action} of {intent.key.run_id} cannot become {to} any more.")


async def open_attempt(conn: Connection, intent: Intent) -> Attempt | None:
    """The attempt of this intent that has neither a receipt nor a definite failure, if there is one."""
    cursor = await conn.execute(
        """
        select attempt_id, number, revision, state, request_sha256, policy_version,
               deadline_at - core.now() as time_left,
               core.now() - started_at as age
        from actions.attempt where intent_id = %s and state in ('executing', 'in_doubt')
        """,
        (intent.intent_id,),
    )
    row = await cursor.fetchone()
    return None if row is None else _attempt(row)


def _attempt(row: Row) -> Attempt:
    return Attempt(
        AttemptId(row["attempt_id"]),
        row["number"],
        row["revision"],
        left=row["time_left"],
        age=row["age"],
        state=row["state"],
        request_sha256=row["request_sha256"],
        policy_version=row["policy_version"],
    )


async def begin_attempt(
    conn: Connection,
    intent: Intent,
    *,
    window: timedelta,
    request_sha256: str,
    policy: tuple[str, str],
    approval_id: ApprovalId | None,
) -> Attempt:
    """Commit to one call: after this the outcome is unknown until a receipt or a definite failure is written."""
    policy_version, verdict = policy
    cursor = await conn.execute(
        """
        insert into actions.attempt (attempt_id, intent_id, revision, number, state, request_sha256, policy_version,
                                     verdict, approval_id, deadline_at)
        select %s, %s, %s, coalesce(max(number), 0) + 1, 'executing', %s, %s, %s, %s, core.now() + %s
        from actions.attempt where intent_id = %s
        returning attempt_id, number, revision, state, request_sha256, policy_version,
               deadline_at - core.now() as time_left,
                  interval '0' as age
        """,
        (
            new_attempt_id(),
            intent.intent_id,
            intent.revision,
            request_sha256,
            policy_version,
            verdict,
            approval_id,
            window,
            intent.intent_id,
        ),
    )
    row = await cursor.fetchone()
    assert row is not None
    return _attempt(row)


async def renew_attempt(conn: Connection, attempt: Attempt, window: timedelta) -> Attempt | None:
    """Give an attempt whose call is sent again under the same key a new window; None when it has ended meanwhile."""
    cursor = await conn.execute(
        """
        update actions.attempt set state = 'executing', deadline_at = core.now() + %s
        where attempt_id = %s and state in ('executing', 'in_doubt')
        returning attempt_id, number, revision, state, request_sha256, policy_version,
               deadline_at - core.now() as time_left,
                  core.now() - started_at as age
        """,
        (window, attempt.attempt_id),
    )
    row = await cursor.fetchone()
    return None if row is None else _attempt(row)


async def end_attempt(
    conn: Connection, attempt: Attempt, state: str, *, receipt: Mapping[str, Any] | None = None, error: str = ""
) -> bool:
    """Write down that an attempt is `done`, `failed`, `unsent` or `in_doubt`; False when it had ended before."""
    cursor = await conn.execute(
        """
        update actions.attempt set state = %s, receipt = %s, error = %s,
               ended_at = case when %s = 'in_doubt' then null else core.now() end
        where attempt_id = %s and state in ('executing', 'in_doubt')
        """,
        (state, None if receipt is None else jsonb(dict(receipt)), error, state, attempt.attempt_id),
    )
    if cursor.rowcount != 1:
        return False
    await reservations.settle(conn, attempt.attempt_id, state)
    return True


async def run_of_receiver_key(conn: Connection, receiver_key: str) -> RunId | None:
    """The run that waits for the effect made under this receiver's key."""
    cursor = await conn.execute(
        "select run_id from actions.intent join actions.revision using (intent_id) where receiver_key = %s",
        (receiver_key,),
    )
    row = await cursor.fetchone()
    return None if row is None else RunId(row["run_id"])


async def cancel_intents(conn: Connection, run_id: RunId) -> tuple[list[str], list[str]]:
    """Take back every wish of a run that nothing was sent for.

    Returns the approvals that are no longer asked, and those that were decided and come to nothing now.
    """
    return await cancel_asked(conn, run_id), await cancel_unsent(conn, run_id)


async def recent_effects(conn: Connection, *, limit: int, run_id: str | None = None) -> list[dict[str, Any]]:
    """The newest intents with their last attempt, as plain data for listings."""
    cursor = await conn.execute(
        """
        select i.intent_id, i.run_id, i.step, i.action, i.state, i.outcome, i.cause, i.sandbox, i.revision, r.digest,
               i.compensates, r.receiver_key, r.record, a.number as attempts, a.request_sha256, a.receipt,
               i.rehearsal, i.created_at, i.ended_at
        from actions.intent i
        join actions.revision r using (intent_id, revision)
        left join lateral (select * from actions.attempt where intent_id = i.intent_id order by number desc limit 1) a
          on true
        where %s::text is null or i.run_id = %s
        order by i.created_at desc, i.step desc limit %s
        """,
        (run_id, run_id, limit),
    )
    return [_plain(row) for row in await cursor.fetchall()]


def _plain(row: Row) -> dict[str, Any]:
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in row.items()}


async def reopen(conn: Connection, intent: Intent) -> None:
    """Nothing was sent after all: back to where the attempt began, approved or free to go."""
    await conn.execute(
        """
        update actions.intent i set state = case
            when exists (select 1 from actions.approval a
                         where a.intent_id = i.intent_id and a.revision = i.revision and a.state = 'approved')
            then 'awaiting' else 'prepared' end
        where intent_id = %s and state in ('executing', 'in_doubt')
        """,
        (intent.intent_id,),
    )


async def enter_doubt(conn: Connection, intent: Intent, attempt: Attempt, why: str) -> bool:
    """Write down that an attempt started and left no receipt; False when that was known already."""
    if not await end_attempt(conn, attempt, "in_doubt", error=why):
        return False
    cursor = await conn.execute(
        "update actions.intent set state = 'in_doubt', outcome = %s where intent_id = %s and state = 'executing'",
        (why, intent.intent_id),
    )
    return cursor.rowcount == 1
