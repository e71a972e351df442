"""A dry run as people see it: what would be sent, what it would wait for, and the one run that does it for real."""

from collections.abc import Sequence

from actions.outcome import Rehearsed
from core import audit
from core.db import Connection, Database, jsonb
from core.ids import RunId, new_run_id
from core.outbox import refresh_cards, show_card
from core.text import visible
from graphs.run import Payload, Request, Run, StepState, StepView
from graphs.run_guard import RunGuard
from graphs.store import RunStore

#: How much of the payloads stands on one card of the thread, before escaping.
PAGE = 1_400

NOTHING_SENT = "Dry run: nothing was sent, and nobody was asked."


async def show_rehearsed(database: Database, run: Run, key: str, found: Rehearsed) -> None:
    """Show on the run's card what would be sent for this step; raises the fenced error for an older owner."""
    payload = Payload(
        digest=found.digest,
        method=found.method,
        path=found.path,
        body=found.body,
        request_sha256=found.request_sha256,
        **(found.preview or {}),
    )
    shown = {"state": StepState.REHEARSED.value, "note": found.text, "payload": payload.model_dump(mode="json")}
    async with database.transaction() as conn:
        await RunGuard(run.run_id, run.epoch).fence(conn)
        await conn.execute(
            """
            update graphs.run
            set steps = (select coalesce(jsonb_agg(case when step ->> 'key' = %s then step || %s else step end
                                                   order by place), '[]')
                         from jsonb_array_elements(steps) with ordinality as listed(step, place))
            where run_id = %s and epoch = %s
            """,
            (key, jsonb(shown), run.run_id, run.epoch),
        )
        await refresh_cards(conn, "run", run.run_id)


async def show_payloads(database: Database, run: Run) -> None:
    """Owe the run's thread every payload whole, in as many cards as it takes; asked again, they are shown once."""
    stored = await RunStore(database).get(run.run_id)
    assert stored is not None
    async with database.transaction() as conn:
        await RunGuard(run.run_id, run.epoch).fence(conn)
        for page in range(len(pages_of(stored.steps))):
            await show_card(conn, "payload", f"{run.run_id}/{page}", run.conversation)


def pages_of(steps: Sequence[StepView]) -> list[str]:
    """The payloads of all steps, whole and in order, in pieces that each fit one message."""
    found = [(number, step, step.payload) for number, step in enumerate(steps, 1) if step.payload is not None]
    # Made visible one by one: a line break in any of it would forge a line of ours.
    whole = "\n\n".join(
        f"{number}. {visible(step.summary)}\n{_changes(payload)}"
        f"{visible(f'{payload.method} {payload.path}')}\n{visible(payload.body)}"
        f"\nsha256 of the body {payload.request_sha256}, digest {payload.digest}"
        for number, step, payload in found
    )
    return [whole[at : at + PAGE] for at in range(0, len(whole), PAGE)]


def changes_of(payload: Payload) -> list[str]:
    """What it would change, one line each with before and after, or why that cannot be told."""
    changes = payload.changes
    lines = [f"changes {label}: {before or '(empty)'} → {after or '(empty)'}" for label, before, after in changes]
    return list(map(visible, [*lines, *([payload.away] if payload.away else [])]))


def _changes(payload: Payload) -> str:
    return "".join(f"{line}\n" for line in changes_of(payload))


def told(lines: Sequence[tuple[str, StepState, str]]) -> str:
    """What the conversation is told of each step: its summary, how it ended, and in which words."""
    said = [f"{number}. {summary}: {_would(state, text)}." for number, (summary, state, text) in enumerate(lines, 1)]
    return "\n".join([NOTHING_SENT, *said])


def _would(state: StepState, text: str) -> str:
    text = text.rstrip(".")
    match state:
        case StepState.REHEARSED:
            return text
        case StepState.SKIPPED:
            return f"would be skipped, {text}"
        case _:
            return f"would not happen. {text}"


def said_of(run: Run, outcome: str) -> str:
    """How a run ended as its conversation is told: of a dry run always with these words."""
    dry = run.request.dry and not outcome.startswith(NOTHING_SENT)
    return f"{NOTHING_SENT} {outcome}" if dry else outcome


async def promote(conn: Connection, store: RunStore, dry: Run, *, delivery_id: str) -> RunId | None:
    """Store a live run of what this dry run asked for, audited last; None when it was promoted before. Wake it."""
    run_id = new_run_id()
    # First, so that a second press waits here and then finds that it came too late.
    cursor = await conn.execute(
        "update graphs.run set promoted_to = %s where run_id = %s and dry and promoted_to is null and state = 'done'",
        (run_id, dry.run_id),
    )
    if cursor.rowcount == 0:
        return None
    await refresh_cards(conn, "run", dry.run_id)
    request = Request.model_validate(
        {**dry.request.model_dump(), "dry": False, "promotes": dry.run_id, "delivery_id": delivery_id}
    )
    made = await store.create(
        conn, request, conversation=dry.conversation, workflow_version=dry.workflow_version, run_id=run_id
    )
    if not made:
        return None
    await audit.append(
        conn,
        request.workspace,
        "run.promoted",
        actor=audit.person(request.requester),
        subject={"run_id": run_id, "workflow": dry.workflow},
        detail={"dry_run": dry.run_id, "delivery_id": delivery_id},
    )
    return run_id
