"""What a node may use: trusted records, the rulebook, a reasoner, and one guarded way to act."""

from dataclasses import dataclass, field, replace

from langgraph.types import interrupt
from pydantic import BaseModel

from actions.action import Catalogue
from actions.compensation import Deed
from actions.gateway import Gateway
from actions.ground import Ground
from actions.outcome import Caller, Consent, Declined, Done, Failed, Guard, Outcome, Parked, Rehearsed
from actions.policy import Decision, Rules
from actions.records import Records
from actions.source import Sources
from core.db import Database
from core.ids import IntentId
from graphs.dialogue import Dialogue, Said, subject_of
from graphs.guarding import RunBudget
from graphs.handing_over import HandOver
from graphs.plan import Plan, Step
from graphs.proposal import tell_plan
from graphs.reasoner import Reasoner
from graphs.remembering import RunMemory
from graphs.run import Remembered, Run, StepState, StepView, Waiting
from graphs.store import RunStore
from memory.playbook import Playbook


@dataclass(frozen=True)
class RunContext:
    """One run's view of the installation."""

    run: Run
    guard: Guard
    database: Database
    store: RunStore
    gateway: Gateway
    catalogue: Catalogue
    rules: Rules
    records: Records
    reasoner: Reasoner
    budget: RunBudget | None = None
    """What this run may use; None where nobody limits it."""
    sources: Sources = field(default_factory=Sources)
    """What else may be read outside: `context.sources.get(MAILBOX)`."""
    memory: RunMemory | None = None
    """What the team remembers, as far as the requester may see it: `context.memory.recall(run, text)`."""
    hand_over: HandOver | None = None
    """Starts other runs on behalf of this one."""
    dialogue: Dialogue | None = None
    """What people say to this run in its conversation."""
    playbook: Playbook | None = None
    """How things are written here, as rules that code can check."""

    @property
    def ground(self) -> Ground:
        """The trusted ground on which this run's plan is looked at."""
        return Ground(self.records, lambda: self.rules.rulebook, self.sources)

    @property
    def caller(self) -> Caller:
        """On whose behalf this run acts."""
        run = self.run
        return Caller(
            run.run_id,
            run.request.workspace,
            run.workflow,
            run.request.requester,
            run.conversation,
            self.guard,
            dry=run.request.dry,
        )

    def _caller_of(self, step: Step) -> Caller:
        if step.compensates:
            return self._taking_back(step.compensates)
        return replace(self.caller, plan_rule=step.plan_rule)

    def _taking_back(self, intent_id: str) -> Caller:
        return replace(self.caller, compensates=IntentId(intent_id), is_compensation=True)

    async def settle(self, deed: Deed, *, of: Deed | None = None) -> Outcome:
        """How an effect came out, or an earlier taking back of one; Parked while nobody knows."""
        return await self.gateway.settle(deed.key, self._taking_back(of.intent_id) if of else self.caller)

    async def preview(self, step: Step) -> Decision:
        """What policy says to this step now, without writing anything."""
        return await self.gateway.preview(
            step.action, self._args(step), caller=self._caller_of(step), origins=step.origin_of()
        )

    async def consent(self, step: Step) -> Consent:
        """Ask whoever must agree to this step, if nobody was asked yet, and say how it stands; sends nothing."""
        return await self.gateway.consent(
            step.action,
            self._args(step),
            step=step.key,
            caller=self._caller_of(step),
            origins=step.origin_of(),
            evidence=step.evidence,
        )

    async def act(self, step: Step) -> Done | Declined | Failed | Rehearsed:
        """Perform this step once per run and key, pausing the run while it must wait. One `act` per node."""
        outcome = await self._perform(step)
        while isinstance(outcome, Parked):
            await self.wait_for(step, outcome)
            outcome = await self._perform(step)
        return outcome

    async def wait_for(self, step: Step, parked: Parked) -> None:
        """Show what the step waits for and pause the run; returns once the runner thinks it may go on."""
        state = StepState.IN_DOUBT if parked.kind == "in_doubt" else StepState.WAITING
        await self.show(step.key, state, parked.text)
        interrupt(Waiting(kind=parked.kind, subject_id=parked.subject_id, text=parked.text).model_dump())

    async def wait_out(self, why: str) -> None:
        """Pause the run because the records it reads are away; returns when it is time to look again."""
        async with self.database.transaction() as conn:
            await self.guard.fence(conn)
            await self.gateway.ask_again(conn, self.run.run_id)
        interrupt(Waiting(kind="delivery", subject_id=self.run.run_id, text=why).model_dump())

    async def listen(self, after: int, why: str) -> list[Said]:
        """What people said in the conversation after that place, pausing the run until they have said something."""
        assert self.dialogue is not None, "a workflow that talks is offered only where runs can listen"
        while not (said := await self.dialogue.said(self.run.run_id, after)):
            async with self.database.transaction() as conn:
                await self.guard.may_start(conn)
                await self.dialogue.open(conn, self.run.run_id)
            interrupt(Waiting(kind="reply", subject_id=subject_of(self.run.run_id, after), text=why).model_dump())
        return said

    async def _perform(self, step: Step) -> Outcome:
        return await self.gateway.perform(
            step.action,
            self._args(step),
            step=step.key,
            caller=self._caller_of(step),
            origins=step.origin_of(),
            evidence=step.evidence,
        )

    def _args(self, step: Step) -> BaseModel:
        action = self.catalogue.get(step.action)
        assert action is not None, "verification lets only registered actions pass"
        return action.parse(step.args)

    async def propose(
        self,
        steps: list[StepView],
        plan: Plan,
        *,
        predicted: str,
        reasoned_by: str,
        remembered: Remembered | None = None,
    ) -> None:
        """Write the verified plan to the run, so that its card shows it."""
        run = self.run
        async with self.database.transaction() as conn:
            await self.store.set_plan(
                conn,
                run.run_id,
                run.epoch,
                steps,
                plan.summary,
                predicted=predicted,
                reasoned_by=reasoned_by,
                sandbox=bool(plan.steps) and self.gateway.only_pretends(step.action for step in plan.steps),
            )
            if remembered is not None:
                await self.store.set_remembered(conn, run.run_id, run.epoch, remembered)
            await tell_plan(conn, run, steps, plan, rules_version=self.rules.version)

    async def show(self, key: str, state: StepState, note: str) -> None:
        """Write how far one step has come, so that the run's card shows it."""
        async with self.database.transaction() as conn:
            await self.store.set_step(conn, self.run.run_id, self.run.epoch, key=key, state=state, note=note)
