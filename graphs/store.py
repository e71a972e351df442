"""The stored runs: every change of a run is one legal step, made by its newest owner, and shown on its card."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from core import audit
from core.db import Connection, Database, Row, jsonb
from core.errors import CountersignError
from core.ids import CardId, RunId
from core.outbox import Conversation, owe_words, refresh_cards, show_card
from graphs.run import EVERYTHING, FOLLOWS, Remembered, Request, Run, RunState, Sight, StepState, StepView, Waiting
from graphs.run_guard import RunGuard


class RunChanged(CountersignError):
    """A run does not stand where this step could follow; nothing was changed."""


class RunStore:
    """Runs in Postgres; each method is atomic, or part of the transaction it is given."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self,
        conn: Connection,
        request: Request,
        *,
        conversation: Conversation,
        workflow_version: int,
        run_id: RunId,
    ) -> bool:
        """Store a new run with its card, audited last; False when this request's delivery made a run already."""
        cursor = await conn.execute(
            """
            insert into graphs.run (run_id, delivery_id, workspace, requester, workflow, workflow_version, request,
                                    conversation)
            values (%s, %s, %s, %s, %s, %s, %s, %s)
            on conflict (delivery_id) do nothing
            """,
            (
                run_id,
                request.delivery_id,
                request.workspace,
                request.requester,
                request.workflow,
                workflow_version,
                jsonb(request.model_dump(mode="json")),
                jsonb(conversation.to_json()),
            ),
        )
        if cursor.rowcount == 0:
            return False
        await conn.execute("insert into graphs.wake (run_id) values (%s)", (run_id,))
        await show_card(conn, "run", run_id, conversation, card_id=await _unused_root(conn, conversation))
        await audit.append(
            conn,
            request.workspace,
            "run.started",
            actor=audit.person(request.requester),
            subject={"run_id": run_id, "workflow": request.workflow},
            detail={"version": workflow_version, "origin": request.origin, "delivery_id": request.delivery_id}
            | {"words": request.text, **({"dry": True} if request.dry else {})},
        )
        return True

    async def get(self, run_id: RunId) -> Run | None:
        """The run as it stands, or None."""
        async with self._database.connection() as conn:
            cursor = await conn.execute(
                "select run.*, wakes from graphs.run join graphs.wake using (run_id) where run_id = %s", (run_id,)
            )
            row = await cursor.fetchone()
        return None if row is None else _run(row)

    async def recent(self, limit: int, seen: Sight = EVERYTHING) -> list[Run]:
        """The newest runs that are seen so."""
        async with self._database.connection() as conn:
            cursor = await conn.execute(
                """
                select run.*, wakes from graphs.run join graphs.wake using (run_id)
                where %(everything)s or requester = %(requester)s or conversation ->> 'channel' = %(channel)s
                order by created_at desc, run_id limit %(limit)s
                """,
                {**asdict(seen), "limit": limit},
            )
            return [_run(row) async for row in cursor]

    async def goes_on(self, conn: Connection, run_id: RunId) -> bool:
        """True while the run has not ended."""
        cursor = await conn.execute("select from graphs.run where run_id = %s and finished_at is null", (run_id,))
        return await cursor.fetchone() is not None

    async def counts(self) -> dict[RunState, int]:
        """How many runs stand in each state."""
        async with self._database.connection() as conn:
            cursor = await conn.execute("select state, count(*) as many from graphs.run group by state")
            found = {RunState(row["state"]): int(row["many"]) async for row in cursor}
        return {state: found.get(state, 0) for state in RunState}

    async def runnable(self, limit: int) -> list[tuple[RunId, bool]]:
        """Runs that ought to be advanced and that no job of the engine will advance; True for those whose hour came."""
        async with self._database.connection() as conn:
            cursor = await conn.execute(
                """
                select run_id, state = 'waiting' as due from graphs.run
                where (state = 'ready' or (state = 'waiting' and wake_at <= core.now()))
                  and not exists (select 1 from engine.procrastinate_jobs
                                  where lock = 'run:' || run_id and status in ('todo', 'doing'))
                order by created_at limit %s
                """,
                (limit,),
            )
            return [(RunId(row["run_id"]), bool(row["due"])) async for row in cursor]

    async def begin(self, run_id: RunId) -> Run | None:
        """Become the newest owner of a runnable run, or None; every older owner fails at its next write.

        `stalls` of the result counts what went wrong since the run last got any further.
        """
        async with self._database.transaction() as conn:
            # Counted before the run is read: a wake that is not in the count may be in nothing else we read.
            cursor = await conn.execute("select wakes from graphs.wake where run_id = %s", (run_id,))
            wakes = await cursor.fetchone()
            cursor = await conn.execute(
                """
                update graphs.run
                set epoch = epoch + 1, started_at = coalesce(started_at, core.now()), waiting = '[]',
                    head = newest.checkpoint_id, begun_under = pg_postmaster_start_time(),
                    stalls = case when head is distinct from newest.checkpoint_id then 0 else stalls end
                from (select max(checkpoint_id) as checkpoint_id from langgraph.checkpoints
                      where thread_id = %(run_id)s and checkpoint_ns = '') as newest
                where run_id = %(run_id)s and state = 'ready'
                returning run.*
                """,
                {"run_id": run_id},
            )
            row = await cursor.fetchone()
        return None if row is None or wakes is None else _run({**row, **wakes})

    async def count_stall(self, run_id: RunId, *, epoch: int | None = None, share: float = 1) -> None:
        """Hold its owner's error, or a share of a worker's death, against a run; nothing if the database died too."""
        async with self._database.connection() as conn:
            await conn.execute(
                """
                update graphs.run set stalls = stalls + %s
                where run_id = %s and state = 'ready' and epoch = coalesce(%s, epoch)
                  and coalesce(begun_under, pg_postmaster_start_time()) = pg_postmaster_start_time()
                """,
                (share, run_id, epoch),
            )

    async def wake(self, conn: Connection, run_id: RunId) -> None:
        """Make a waiting run runnable; one being advanced now will not be parked before it has looked again."""
        # The count first: whoever parks the run holds it, so either they see this wake or we see them parked.
        await conn.execute("update graphs.wake set wakes = wakes + 1 where run_id = %s", (run_id,))
        cursor = await conn.execute(
            """
            update graphs.run
            set state = 'ready', wake_at = case when wake_at > core.now() then wake_at end
            where run_id = %s and (state = 'waiting' or (state = 'needs_attention' and stop_requested))
            """,
            (run_id,),
        )
        if cursor.rowcount:
            await refresh_cards(conn, "run", run_id)

    async def wake_at(self, conn: Connection, run_id: RunId, at: datetime) -> None:
        """Have the run woken at `at`, or earlier if an earlier hour was set."""
        await conn.execute(
            """
            update graphs.run set wake_at = least(wake_at, %s)
            where run_id = %s and state in ('ready', 'waiting')
            """,
            (at, run_id),
        )

    async def hurry(self, conn: Connection, run_id: RunId) -> None:
        """Let a job of this run that waits for its next retry start now."""
        await conn.execute(
            """
            update engine.procrastinate_jobs set scheduled_at = null
            where queueing_lock = 'run:' || %s and status = 'todo' and scheduled_at is not null
            """,
            (run_id,),
        )

    async def set_plan(
        self,
        conn: Connection,
        run_id: RunId,
        epoch: int,
        steps: Sequence[StepView],
        summary: str,
        *,
        predicted: str = "",
        reasoned_by: str = "",
        sandbox: bool = False,
    ) -> None:
        """Show this plan on the run's card; raises the fenced error for an older owner."""
        cursor = await conn.execute(
            """
            update graphs.run
            set steps = %s, plan_summary = %s, predicted = %s, reasoned_by = %s, sandbox = %s
            where run_id = %s and epoch = %s
            """,
            (
                jsonb([step.model_dump(mode="json") for step in steps]),
                summary,
                predicted,
                reasoned_by,
                sandbox,
                run_id,
                epoch,
            ),
        )
        await _changed(conn, run_id, epoch, cursor.rowcount)

    async def set_step(
        self, conn: Connection, run_id: RunId, epoch: int, *, key: str, state: StepState, note: str = ""
    ) -> None:
        """Show how far one step of the plan has come; raises the fenced error for an older owner.

        A key that the plan does not have changes no step.
        """
        cursor = await conn.execute(
            """
            update graphs.run
            set steps = (select coalesce(jsonb_agg(case when step ->> 'key' = %s then step || %s else step end
                                                   order by place), '[]')
                         from jsonb_array_elements(steps) with ordinality as listed(step, place))
            where run_id = %s and epoch = %s
            """,
            (key, jsonb({"state": state.value, "note": note}), run_id, epoch),
        )
        await _changed(conn, run_id, epoch, cursor.rowcount)

    async def set_figures(self, conn: Connection, run_id: RunId, epoch: int, figures: Mapping[str, Any]) -> None:
        """Replace these figures of the run, keeping its others; raises the fenced error for an older owner."""
        cursor = await conn.execute(
            "update graphs.run set figures = figures || %s where run_id = %s and epoch = %s",
            (jsonb(dict(figures)), run_id, epoch),
        )
        await _changed(conn, run_id, epoch, cursor.rowcount)

    async def set_remembered(self, conn: Connection, run_id: RunId, epoch: int, remembered: Remembered) -> None:
        """Show this of memory on the run's card; raises the fenced error for an older owner."""
        cursor = await conn.execute(
            "update graphs.run set remembered = %s where run_id = %s and epoch = %s",
            (jsonb(remembered.model_dump(mode="json")), run_id, epoch),
        )
        await _changed(conn, run_id, epoch, cursor.rowcount)

    async def park(self, run: Run, waiting: Sequence[Waiting]) -> bool:
        """Leave the run waiting; False, and still ready, when it was woken or asked to stop since it was begun."""
        async with self._database.transaction() as conn:
            await conn.execute("select 1 from graphs.wake where run_id = %s for update", (run.run_id,))
            cursor = await conn.execute(
                """
                update graphs.run set state = 'waiting', waiting = %s, stalls = 0
                where run_id = %s and epoch = %s and state = any(%s) and not stop_requested
                  and (select wakes from graphs.wake where wake.run_id = run.run_id) = %s
                """,
                (
                    jsonb([one.model_dump(mode="json") for one in waiting]),
                    run.run_id,
                    run.epoch,
                    _before(RunState.WAITING),
                    run.wakes,
                ),
            )
            if cursor.rowcount:
                await refresh_cards(conn, "run", run.run_id)
                return True
            await RunGuard(run.run_id, run.epoch).fence(conn)
            return False

    async def finish(self, conn: Connection, run: Run, state: RunState, outcome: str) -> timedelta:
        """End the run, audited last, and give how long it took; raises the fenced error for an older owner."""
        cursor = await conn.execute(
            """
            update graphs.run
            set state = %s, outcome = %s, waiting = '[]', wake_at = null, stalls = 0, finished_at = core.now()
            where run_id = %s and epoch = %s and state = any(%s)
            returning finished_at - created_at as took
            """,
            (state.value, outcome, run.run_id, run.epoch, _before(state)),
        )
        row = await cursor.fetchone()
        await _changed(conn, run.run_id, run.epoch, cursor.rowcount)
        assert row is not None
        await _audit(conn, run, "run.finished", {"state": state.value, "outcome": outcome})
        return row["took"]

    async def needs_attention(self, run: Run, why: str) -> None:
        """Park the run for an operator and tell its conversation `why`; raises the fenced error for an older owner."""
        async with self._database.transaction() as conn:
            cursor = await conn.execute(
                """
                update graphs.run set state = 'needs_attention', outcome = %s
                where run_id = %s and epoch = %s and state = any(%s)
                """,
                (why, run.run_id, run.epoch, _before(RunState.NEEDS_ATTENTION)),
            )
            await owe_words(conn, run.conversation, words=why, receiver_key=f"{run.run_id}.attention.{run.epoch}")
            await _changed(conn, run.run_id, run.epoch, cursor.rowcount)
            await _audit(conn, run, "run.needed_attention", {"why": why, "stalls": round(run.stalls)})

    async def try_again(self, conn: Connection, run_id: RunId) -> bool:
        """Make a run that needs attention runnable again, with a fresh count of stalls; wake it afterwards."""
        cursor = await conn.execute(
            "update graphs.run set state = 'ready', stalls = 0, outcome = '' where run_id = %s and state = %s",
            (run_id, RunState.NEEDS_ATTENTION.value),
        )
        if cursor.rowcount:
            await refresh_cards(conn, "run", run_id)
        return cursor.rowcount == 1

    async def request_stop(self, conn: Connection, run_id: RunId) -> RunState | None:
        """Ask a run that has not ended to stop, and give the state it stands in; None when there is no such run.

        Wake it afterwards, so that it ends now rather than when it would be advanced next.
        """
        await conn.execute(
            "update graphs.run set stop_requested = true where run_id = %s and finished_at is null", (run_id,)
        )
        cursor = await conn.execute("select state from graphs.run where run_id = %s", (run_id,))
        row = await cursor.fetchone()
        if row is None:
            return None
        await refresh_cards(conn, "run", run_id)
        return RunState(row["state"])


def _before(state: RunState) -> list[str]:
    return sorted(before.value for before in FOLLOWS[state])


async def _unused_root(conn: Connection, conversation: Conversation) -> CardId | None:
    # A conversation whose root is not stored yet begins with this run's card, under that name.
    if conversation.root is None:
        return None
    cursor = await conn.execute("select 1 from core.card where card_id = %s", (conversation.root,))
    return None if await cursor.fetchone() is not None else conversation.root


async def _changed(conn: Connection, run_id: RunId, epoch: int, rows: int) -> None:
    if rows == 0:
        await RunGuard(run_id, epoch).fence(conn)
        raise RunChanged(f"Run {run_id} has ended or is parked already, so it was left as it is. Look at its card.")
    await refresh_cards(conn, "run", run_id)


async def _audit(conn: Connection, run: Run, event: str, detail: Mapping[str, Any]) -> None:
    about, by = {"run_id": run.run_id, "workflow": run.workflow}, run.request
    await audit.append(conn, by.workspace, event, actor=audit.CODE, subject=about, detail=detail, whose=by.requester)


def _run(row: Row | Mapping[str, Any]) -> Run:
    return Run(
        run_id=RunId(row["run_id"]),
        workflow=row["workflow"],
        workflow_version=row["workflow_version"],
        state=RunState(row["state"]),
        epoch=row["epoch"],
        wakes=row["wakes"],
        stalls=row["stalls"],
        stop_requested=row["stop_requested"],
        request=Request.model_validate(row["request"]),
        conversation=Conversation.from_json(row["conversation"]),
        steps=[StepView.model_validate(step) for step in row["steps"]],
        plan_summary=row["plan_summary"],
        waiting=[Waiting.model_validate(one) for one in row["waiting"]],
        outcome=row["outcome"],
        reasoned_by=row["reasoned_by"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        sandbox=row["sandbox"],
        predicted=row["predicted"],
        figures=row["figures"],
        promoted_to=row["promoted_to"],
        remembered=Remembered.model_validate(row["remembered"]) if row["remembered"] else None,
    )
