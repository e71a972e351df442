"""Brings a runnable run to a worker, whatever dies on the way. The home of procrastinate.

A job is only a hint that a run may be advanced; the run's row is the truth. Jobs that are lost are made again, jobs
of dead workers are given to others, and a process that lost a run to another ends itself before it can do harm.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn

from procrastinate import App, BaseRetryStrategy, PsycopgConnector, RetryDecision
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException, UniqueViolation
from procrastinate.jobs import DeleteJobCondition, Job, Status
from procrastinate.schema import SchemaManager
from procrastinate.worker import Worker

from core.clock import Clock
from core.db import (
    Connection,
    Database,
    DatabaseError,
    connect,
    is_fenced,
    is_outage,
    raise_if_cancelled,
    with_settings,
)
from core.ids import RunId
from core.metrics import Metrics
from graphs.store import RunStore

#: How a process ends that must not touch anything any more (EX_TEMPFAIL: the supervisor starts it again).
FENCED_EXIT = 75

_TASK = "advance"
_QUEUE = "advance"
_CHANNEL = f"procrastinate_queue_v1#{_QUEUE}"
_AWAY = (ConnectorException, DatabaseError)
# Procrastinate's own heartbeat stops the worker at the first failed query, and its pruning of old workers takes
# running jobs from healthy ones after an outage. Both are done here, so its own must never come due.
_NEVER = 10 * 365 * 86400.0
_FIRST_PAUSE = 0.5

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EngineOptions:
    """How patient the engine is; all in seconds but `concurrency`."""

    heartbeat: float = 5
    stalled: float = 20
    """A worker without a heartbeat for this long is taken for dead."""
    poll: float = 1
    sweep: float = 2
    concurrency: int = 8
    """Runs that one process advances at the same time."""
    drain: float = 20
    """How long a stopping worker lets its runs go on before it cancels them."""
    retry_first: float = 1
    retry_most: float = 30


async def set_up_engine(url: str) -> None:
    """Make procrastinate's tables where they are missing; run it through `core.migrate` only."""
    async with connect(url) as conn:
        await conn.execute("set search_path to engine, public")
        cursor = await conn.execute("select to_regclass('engine.procrastinate_jobs') as found")
        row = await cursor.fetchone()
        if row is not None and row["found"] is not None:
            return
        async with conn.transaction():
            await conn.execute(SchemaManager.get_schema().encode())
            # The fetch plans badly on stale statistics of a table that is empty most of the time.
            await conn.execute(
                "alter table engine.procrastinate_jobs set (autovacuum_analyze_scale_factor = 0.02,"
                " autovacuum_analyze_threshold = 200)"
            )


class Dispatcher:
    """Wakes runs, and works on those that were woken."""

    def __init__(self, database: Database, store: RunStore, *, clock: Clock, options: EngineOptions) -> None:
        self._database = database
        self._store = store
        self._clock = clock
        self._options = options
        self._jobs = _open_app(database.url)

    async def wake(self, run_id: RunId, conn: Connection, *, at: datetime | None = None) -> None:
        """Have the run advanced once `conn` commits, or at `at`; any number of wakes is as good as one."""
        async with conn.transaction():
            if at is not None:
                await self._store.wake_at(conn, run_id, at)
                return
            await self._store.wake(conn, run_id)
            await self._enqueue(run_id, conn)

    async def run_worker(
        self,
        advance: Callable[[RunId], Awaitable[None]],
        *,
        stop: asyncio.Event,
        metrics: Metrics,
        die: Callable[[int], NoReturn] = os._exit,
    ) -> None:
        """Advance woken runs until `stop` is set and those in hand are done; outages of the database are sat out."""
        shift = _Shift(self._clock, self._options, self._store, metrics, die)
        async with _open_app(self._database.url).open_async() as app:
            app.task(name=_TASK, queue=_QUEUE, retry=_Patience(self._clock, self._options))(shift.task(advance))
            async with asyncio.TaskGroup() as group:
                beside = [
                    group.create_task(shift.watch()),
                    group.create_task(self._every(self._options.heartbeat, lambda: shift.pulse(app), shift)),
                    group.create_task(self._every(self._options.heartbeat, lambda: shift.rescue(app), shift)),
                    group.create_task(self._every(self._options.sweep, self._sweep, shift)),
                    group.create_task(self._database.listen([_CHANNEL], shift.ring)),
                ]
                await self._work(app, shift, stop)
                for task in beside:
                    task.cancel()

    async def _enqueue(self, run_id: RunId, conn: Connection) -> None:
        name = f"run:{run_id}"
        job = self._jobs.configure_task(_TASK, queue=_QUEUE, lock=name, queueing_lock=name, connection=conn)
        try:
            # A savepoint: the refusal must not spoil the caller's transaction.
            async with conn.transaction():
                await job.defer_async(run_id=run_id)
        except AlreadyEnqueued:
            await self._store.hurry(conn, run_id)

    async def _sweep(self) -> None:
        for run_id, due in await self._store.runnable(50):
            async with self._database.transaction() as conn:
                if due:
                    await self._store.wake(conn, run_id)
                await self._enqueue(run_id, conn)

    async def _work(self, app: App, shift: "_Shift", stop: asyncio.Event) -> None:
        pause = _FIRST_PAUSE
        while not stop.is_set():
            began = self._clock.monotonic()
            worker = shift.begin(app)
            stopper = asyncio.create_task(_stop_when(stop, worker))
            try:
                await worker.run()
            except _AWAY as error:
                # It may have come in the place of our own cancellation, which must not be lost.
                raise_if_cancelled()
                ran_well = self._clock.monotonic() - began > 60
                pause = _FIRST_PAUSE if ran_well else min(pause * 2, 10)
                log.warning("the worker lost the database, starting again in %.1f s: %s", pause, _said(error))
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), pause)
            finally:
                stopper.cancel()

    async def _every(self, seconds: float, act: Callable[[], Awaitable[None]], shift: "_Shift") -> None:
        while True:
            await self._clock.sleep(seconds)
            try:
                await act()
            except _AWAY as error:
                shift.lost_contact()
                log.warning("the database is away: %s", _said(error))
            raise_if_cancelled()


class _RunWorker(Worker):
    """Procrastinate's worker, woken by our bell and telling which jobs it has in hand."""

    def ring(self) -> None:
        self._new_job_event.set()

    def in_hand(self) -> set[int | None]:
        return {context.job.id for context in self._running_jobs.values()}


class _Patience(BaseRetryStrategy):
    """Waits twice as long after each failure, up to a limit; the run's own count of stalls ends it."""

    def __init__(self, clock: Clock, options: EngineOptions) -> None:
        self._clock = clock
        self._options = options

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision:
        wait = min(self._options.retry_most, self._options.retry_first * 2 ** min(job.attempts, 16))
        return RetryDecision(retry_at=self._clock.now() + timedelta(seconds=wait))


class _Shift:
    """One process at work: its heartbeat, its watch over itself and over the workers that died."""

    def __init__(
        self,
        clock: Clock,
        options: EngineOptions,
        store: RunStore,
        metrics: Metrics,
        die: Callable[[int], NoReturn],
    ) -> None:
        self._clock = clock
        self._options = options
        self._store = store
        self._metrics = metrics
        self._die = die
        self._worker: _RunWorker | None = None
        self._contact_since: float | None = None
        self._strays: set[int | None] = set()

    def begin(self, app: App) -> _RunWorker:
        """A fresh worker for this shift; the one before it has ended."""
        self._worker = _RunWorker(
            app,
            queues=[_QUEUE],
            concurrency=self._options.concurrency,
            fetch_job_polling_interval=self._options.poll,
            abort_job_polling_interval=_NEVER,
            shutdown_graceful_timeout=self._options.drain,
            listen_notify=False,
            delete_jobs=DeleteJobCondition.SUCCESSFUL,
            install_signal_handlers=False,
            update_heartbeat_interval=_NEVER,
            stalled_worker_timeout=_NEVER,
        )
        return self._worker

    def task(self, advance: Callable[[RunId], Awaitable[None]]) -> Callable[[str], Awaitable[None]]:
        """`advance` as procrastinate calls it."""

        async def advance_run(run_id: str) -> None:
            try:
                await advance(RunId(run_id))
            except Exception as error:  # the outermost edge: told, then handed to the engine's retry
                self._tell(error)
                raise

        return advance_run

    def ring(self) -> None:
        """Look for jobs now."""
        if self._worker is not None:
            self._worker.ring()

    def lost_contact(self) -> None:
        """The database did not answer: nobody's heartbeat can be judged for a while."""
        self._contact_since = None

    async def watch(self) -> None:
        """End this process when it stood still for so long that others may have taken its runs."""
        beat = self._options.heartbeat / 2
        while True:
            wall, steady = self._clock.now(), self._clock.monotonic()
            await self._clock.sleep(beat)
            # The steady clock stands still while the machine sleeps, the wall clock can be set: take the longer.
            gap = max((self._clock.now() - wall).total_seconds(), self._clock.monotonic() - steady)
            if gap > beat + self._options.stalled / 2:
                log.critical("stood still for %.1f s; ending, for others may have taken over", gap)
                self._die(FENCED_EXIT)

    async def pulse(self, app: App) -> None:
        """Say that this worker lives, and take back the jobs it dropped while the database was away."""
        if self._worker is None or self._worker.worker_id is None:
            return
        await app.job_manager.update_heartbeat(self._worker.worker_id)
        if self._contact_since is None:
            self._contact_since = self._clock.monotonic()
        mine = await app.job_manager.list_jobs_async(status="doing", worker_id=self._worker.worker_id)
        dropped = {job.id: job for job in mine if job.id not in self._worker.in_hand()}
        # Twice in a row, for a job may have been fetched or finished between the two looks.
        for job_id in dropped.keys() & self._strays:
            await self._give_back(app, dropped[job_id])
        self._strays = set(dropped)

    async def rescue(self, app: App) -> None:
        """Give the jobs of dead workers to the living, and hold the deaths against the runs they had in hand.

        A run that kills its worker does so again and again; those beside it, and all of a machine that dies, are there
        by chance. So what died together is one death, and each run found in dead hands bears its share.
        """
        # After an outage every heartbeat is old: wait until the healthy have had time to give theirs.
        since = self._contact_since
        if since is None or self._clock.monotonic() - since < 2 * self._options.stalled:
            return
        found = list(await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=self._options.stalled))
        for job in found:
            log.warning("its worker is dead, giving on: %s", job.lock)
            # Without a worker's name on it, the worker was told to end and did.
            if await self._give_back(app, job) and job.worker_id is not None:
                await self._store.count_stall(RunId(str(job.task_kwargs["run_id"])), share=1 / len(found))

    async def _give_back(self, app: App, job: Job) -> bool:
        """True where it was ours to give."""
        self._metrics.retries.labels("rescue").inc()
        try:
            await app.job_manager.retry_job(job)
            return True
        except UniqueViolation:
            # A successor waits already and cannot start before this one has ended.
            await app.job_manager.finish_job(job, Status.FAILED, delete_job=False)
            return True
        except ConnectorException as error:
            if error.__cause__ is not None and is_outage(error.__cause__):
                raise
            log.info("somebody else gave the job on first: %s", job.lock)
            return False

    def _tell(self, error: Exception) -> None:
        if any(is_fenced(one) for one in _causes(error)):
            log.critical("this run has a newer owner; ending before any harm is done")
            self._die(FENCED_EXIT)
        self._metrics.retries.labels("advance").inc()
        if any(is_outage(one) for one in _causes(error)):
            log.warning("the database went away while a run was advanced: %s", _said(error))
        else:
            log.error("a run could not be advanced, trying again", exc_info=error)


def _open_app(url: str) -> App:
    return App(connector=PsycopgConnector(conninfo=with_settings(url), min_size=1, max_size=4, timeout=10))


async def _stop_when(stop: asyncio.Event, worker: Worker) -> None:
    await stop.wait()
    worker.stop()


def _causes(error: BaseException) -> Iterator[BaseException]:
    """`error` and everything it came from."""
    seen: set[int] = set()
    left: list[BaseException] = [error]
    while left:
        one = left.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        left += [cause for cause in (one.__cause__, one.__context__) if cause is not None]
        if isinstance(one, BaseExceptionGroup):
            left += one.exceptions


def _said(error: BaseException) -> str:
    return str(error.__cause__ or error).strip()
