"""Run it for real: who asked for a dry run has the same done, once."""

from bot.delivery import Delivery
from bot.intake import Effect
from bot.runs import RunDesk, refuse, say
from bot.slack.blocks import answers, rehearsal_answers
from bot.slack.blocks.run_card import FOR_REAL
from core.db import Connection
from core.ids import RunId
from core.metrics import Metrics
from graphs.rehearsing import promote
from graphs.run import Run, RunState
from graphs.store import RunStore


class PromotionDesk:
    """Does for real what a dry run showed, or says why not."""

    def __init__(self, runs: RunDesk, store: RunStore, metrics: Metrics) -> None:
        self._runs = runs
        self._store = store
        self._metrics = metrics

    async def consider(self, delivery: Delivery) -> Effect:
        """Promote the dry run whose card was pressed."""
        if delivery.press != FOR_REAL:
            return say(answers.unknown_button())
        run = await self._store.get(RunId(delivery.value))
        if run is None or not run.request.dry:
            return say(rehearsal_answers.no_dry_run())
        problem = await self._problem(delivery, run)
        if problem:
            return refuse(delivery, "run.promotion_refused", run.run_id, problem)
        return self._promote(delivery, run)

    async def _problem(self, delivery: Delivery, run: Run) -> str:
        if not self._runs.is_ours(delivery) or delivery.sender.user_id != run.request.requester:
            return rehearsal_answers.not_yours(run)
        problem = await self._runs.start_problem(delivery, run.workflow)
        if problem:
            return problem
        if run.state is not RunState.DONE:
            return rehearsal_answers.nothing_to_do(run)
        if self._runs.engine.workflows.get(run.workflow, run.workflow_version) is None:
            return rehearsal_answers.changed_since(run)
        return ""

    def _promote(self, delivery: Delivery, run: Run) -> Effect:
        async def make_live(conn: Connection) -> str:
            made = await promote(conn, self._store, run, delivery_id=delivery.delivery_id)
            if made is None:
                return rehearsal_answers.promoted_before()
            await self._runs.engine.wake(made, conn)
            self._metrics.runs_started.labels(run.workflow, run.request.origin).inc()
            return rehearsal_answers.promoted(run, made)

        return make_live
