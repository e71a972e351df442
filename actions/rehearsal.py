"""A wish of a dry run, written down with the bytes that would be sent: nobody is asked and nothing leaves."""

from actions import pauses
from actions.connector import Outbound
from actions.intent import FOLLOWS, Intent, IntentState
from actions.judging import Judged
from actions.outcome import Rehearsed, scope_of, subject_of
from actions.pause import paused_words
from actions.policy import Rules, Verdict
from actions.store import IllegalTransition
from core import audit
from core.db import Connection, jsonb


async def rehearse(conn: Connection, wish: Judged, intent: Intent, outbound: Outbound, rules: Rules) -> Rehearsed:
    """Write down what would be sent and what it would wait for; audited last."""
    pause = await pauses.covering(conn, scope_of(wish))
    held = "" if pause is None else paused_words(pause, rules.team.name_of)
    found = rehearsed(wish, outbound, rules, held=held)
    request = {
        "verdict": found.verdict,
        "method": found.method,
        "path": found.path,
        "body": found.body,
        "request_sha256": found.request_sha256,
        "policy_version": found.policy_version,
        "preview": found.preview,
    }
    cursor = await conn.execute(
        """
        update actions.intent set state = 'rehearsed', rehearsal = %s, outcome = %s, ended_at = core.now()
        where intent_id = %s and dry and state = any(%s)
        """,
        (jsonb(request), found.text, intent.intent_id, sorted(FOLLOWS[IntentState.REHEARSED])),
    )
    if cursor.rowcount != 1:
        raise IllegalTransition(f"{intent.record.action} of {intent.key.run_id} cannot be rehearsed any more.")
    await audit.append(
        conn,
        wish.caller.workspace,
        "effect.rehearsed",
        actor=audit.CODE,
        subject=subject_of(intent),
        detail={
            "digest": intent.digest,
            "request_sha256": found.request_sha256,
            "decision": wish.decision.to_json(),
        },
    )
    return found


def rehearsed(wish: Judged, outbound: Outbound, rules: Rules, *, held: str) -> Rehearsed:
    """What a dry run tells of this wish; `held` says which pause would keep it, where one would."""
    decision = wish.decision
    says = "would happen without asking anybody"
    if decision.verdict is Verdict.REQUIRE_APPROVAL:
        who = rules.team.describe(decision.approvers) if decision.approvers else "an admin"
        says = f"would wait for {who}"
    now = f"; just now it would not begin: {held}" if held else ""
    return Rehearsed(
        f"{says}{now}",
        verdict=decision.verdict.value,
        digest=wish.revision.digest,
        method=outbound.method,
        path=outbound.path,
        body=outbound.body.decode(errors="backslashreplace"),
        request_sha256=outbound.sha256,
        policy_version=decision.policy_version,
        preview=wish.revision.preview,
    )
