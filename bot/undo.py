"""Undoing a run as people ask for it, and their answers about what only a person could put right."""

from actions.approval import Answer, Click
from actions.compensation import deeds_of
from actions.errands import Errands
from bot.delivery import Delivery
from bot.desks import Directory
from bot.intake import Effect
from bot.runs import RunDesk, refuse, say
from bot.slack.blocks import answers, undo_answers
from bot.slack.blocks.errand_card import DONE, IMPOSSIBLE
from bot.slack.blocks.run_card import is_alive
from core import audit
from core.db import Connection
from core.ids import RunId
from core.metrics import Metrics
from core.text import in_answer
from graphs.run import Run, StepState
from graphs.store import RunStore
from graphs.undoing import UNDO, Asked, latest_undoing, settle_by_hand, show_on_ended, start

USAGE = "undo <run>"


class UndoDesk:
    """Has a run undone, or says why not."""

    usage = USAGE

    def __init__(self, runs: RunDesk, store: RunStore, *, command: str, metrics: Metrics) -> None:
        self._runs = runs
        self._store = store
        self._command = command
        self._metrics = metrics

    async def consider(self, delivery: Delivery, text: str) -> Effect:
        """Undo the run named by the first word."""
        run_id = text.split(maxsplit=1)[0].strip("`*_.,;'\"<>") if text.split() else ""
        if not run_id:
            return say(answers.incomplete(USAGE, self._command))
        if not self._runs.is_ours(delivery):
            return say(answers.may_not_see())
        run = await self._store.get(RunId(run_id))
        if run is None:
            return say(answers.no_such_run(run_id))
        if not self._runs.may_change(delivery, run):
            return refuse(delivery, "run.undo_refused", run.run_id, undo_answers.may_not_undo())
        problem = self._problem(run)
        return say(problem) if problem else self._undo(delivery, run)

    def _problem(self, run: Run) -> str:
        if run.workflow == UNDO:
            return undo_answers.is_an_undoing(run)
        return undo_answers.goes_on(run) if is_alive(run) else ""

    def _undo(self, delivery: Delivery, run: Run) -> Effect:
        async def undo(conn: Connection) -> str:
            # Asked here and not before: somebody else may ask for the same at the same moment.
            earlier = await latest_undoing(conn, run.run_id)
            if earlier is not None and earlier[1]:
                return undo_answers.is_being_undone(run, earlier[0])
            if not await deeds_of(conn, run.run_id):
                return undo_answers.nothing_left(run, None if earlier is None else earlier[0])
            origin = "command" if delivery.kind == "command" else "mention"
            asked = Asked(delivery.sender.user_id, origin, delivery.delivery_id)
            run_id = await start(conn, self._store, run, asked)
            if run_id is None:
                return ""
            await self._runs.engine.wake(run_id, conn)
            await audit.append(
                conn,
                delivery.workspace,
                "run.undo_asked",
                actor=audit.person(delivery.sender.user_id),
                subject={"run_id": run.run_id, "delivery_id": delivery.delivery_id},
                detail={"undone_by_run": run_id},
            )
            self._metrics.runs_started.labels(UNDO, origin).inc()
            return undo_answers.undoing(run, run_id)

        return undo


class ErrandDesk:
    """Does what people press on the cards of errands."""

    def __init__(self, errands: Errands, people: Directory) -> None:
        self._errands = errands
        self._people = people

    async def consider(self, delivery: Delivery) -> Effect:
        """Write the answer down once, for both runs it concerns."""
        if delivery.press not in {DONE, IMPOSSIBLE}:
            return say(answers.unknown_button())
        standing = await self._people.standing(delivery.sender.user_id, fresh=True)
        click = Click(
            approval_id=delivery.value,
            revision=0,
            digest16="",
            verdict="approve" if delivery.press == DONE else "reject",
            user_id=delivery.sender.user_id,
            team_id=delivery.sender.team_id,
            enterprise_id=delivery.sender.enterprise_id,
            delivery_id=delivery.delivery_id,
        )

        async def answer(conn: Connection) -> str:
            answered = await self._errands.answer(conn, click, standing)
            if isinstance(answered, Answer):
                return in_answer(answered.text)
            state = StepState.UNDONE if answered.done else StepState.FAILED
            who = f"<@{click.user_id}>"
            note = f"put right by hand by {who}" if answered.done else f"{who} says it cannot be put right"
            await show_on_ended(conn, answered.undone_run, key=answered.step, state=state, note=note)
            await show_on_ended(conn, answered.run_id, key=f"comp:{answered.step}", state=state, note=note)
            await self._errands.record(conn, click)
            if answered.left == 0:
                await settle_by_hand(conn, answered.run_id, failed=answered.failed)
            return undo_answers.noted(done=answered.done)

        return answer
