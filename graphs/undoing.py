"""One run taking back what another did: how it is started, and how the other's card tells of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from core import audit
from core.db import Connection, jsonb
from core.ids import RunId, new_run_id
from core.outbox import refresh_cards
from graphs.run import Request, Run, RunState, StepState, Undoing
from graphs.store import RunStore

#: The workflow whose runs take back what other runs did.
UNDO = "undo"
UNDO_VERSION = 1


@dataclass(frozen=True)
class Asked:
    """Who wants a run undone, and in which delivery they said so."""

    requester: str
    origin: Literal["command", "mention", "run"]
    delivery_id: str
    steps: Sequence[str] | None = None
    """Only what these steps did; None for everything."""


async def start(conn: Connection, store: RunStore, run: Run, asked: Asked) -> RunId | None:
    """Store a run that takes back what `run` did, in its conversation; None when this was asked before. Wake it."""
    steps = None if asked.steps is None else list(asked.steps)
    request = Request(
        workspace=run.request.workspace,
        enterprise=run.request.enterprise,
        requester=asked.requester,
        origin=asked.origin,
        workflow=UNDO,
        text=run.run_id,
        delivery_id=asked.delivery_id,
        undoes=Undoing(run_id=run.run_id, steps=steps),
    )
    run_id = new_run_id()
    made = await store.create(
        conn, request, conversation=run.conversation, workflow_version=UNDO_VERSION, run_id=run_id
    )
    return run_id if made else None


async def latest_undoing(conn: Connection, run_id: str) -> tuple[RunId, bool] | None:
    """The newest run that takes back what this one did, and whether it still goes on; None when there is none."""
    cursor = await conn.execute(
        """
        select run_id, finished_at is null as alive from graphs.run
        where undoes = %s order by created_at desc limit 1
        """,
        (run_id,),
    )
    row = await cursor.fetchone()
    return None if row is None else (RunId(row["run_id"]), row["alive"])


@dataclass(frozen=True)
class Try:
    """A run that was begun to take back one step of another."""

    run_id: RunId
    is_recent: bool


async def last_try(conn: Connection, run_id: str, step: str, *, since: datetime, within: timedelta) -> Try | None:
    """The newest run that was begun `since` then to take back this step; recent where it ended `within` that time."""
    cursor = await conn.execute(
        """
        select run_id, coalesce(finished_at > core.now() - %s, false) as is_recent from graphs.run
        where undoes = %s and created_at >= %s
          and (request -> 'undoes' ->> 'steps' is null or request -> 'undoes' -> 'steps' ? %s)
        order by created_at desc limit 1
        """,
        (within, run_id, since, step),
    )
    row = await cursor.fetchone()
    return None if row is None else Try(RunId(row["run_id"]), row["is_recent"])


async def show_on_ended(conn: Connection, run_id: str, *, key: str, state: StepState, note: str) -> None:
    """Show on the card of an ended run what has become of one of its steps since."""
    await conn.execute(
        """
        update graphs.run
        set steps = (select coalesce(jsonb_agg(case when step ->> 'key' = %s then step || %s else step end
                                               order by place), '[]')
                     from jsonb_array_elements(steps) with ordinality as listed(step, place))
        where run_id = %s and finished_at is not null
        """,
        (key, jsonb({"state": state.value, "note": note}), run_id),
    )
    await refresh_cards(conn, "run", run_id)


async def settle_by_hand(conn: Connection, run_id: str, *, failed: bool) -> None:
    """End for good a run that needed a person, now that people have answered everything; audited last."""
    state = RunState.FAILED if failed else RunState.DONE
    cursor = await conn.execute(
        "update graphs.run set state = %s where run_id = %s and state = 'needs_person' returning workspace, workflow",
        (state.value, run_id),
    )
    row = await cursor.fetchone()
    if row is None:
        return
    await refresh_cards(conn, "run", run_id)
    subject = {"run_id": run_id, "workflow": row["workflow"]}
    await audit.append(
        conn, row["workspace"], "run.settled_by_hand", actor=audit.CODE, subject=subject, detail={"state": state.value}
    )
