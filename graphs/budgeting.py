"""Binds a run to its budgets: its reasoner spends within them, and by the chains of its teammate."""

from dataclasses import replace

from actions.policy import Rules
from core.clock import Clock
from graphs.budget import Amounts, ceilings_of_person, ceilings_of_run
from graphs.chains import Chains
from graphs.context import RunContext
from graphs.guarding import AskerBudget, RunBudget
from graphs.llm_reasoner import LlmReasoner
from graphs.model_calls import Asker, ModelCalls
from graphs.reasoner import Reasoner
from graphs.workflow import Workflow


def within_budgets(context: RunContext, workflow: Workflow | None, clock: Clock) -> RunContext:
    """This context, with everything it uses counted and limited; taking back is limited by nobody."""
    run = context.run
    if run.request.undoes is not None:
        return context
    declared = None if workflow is None else workflow.budget
    ceilings = ceilings_of_run(context.rules, run, declared)
    asker = Asker(run.request.workspace, run.request.requester, run.workflow, run.run_id, run.epoch)
    budget = RunBudget(context.database, asker, ceilings, act=context.act, clock=clock)
    reasoner = context.reasoner
    if isinstance(reasoner, LlmReasoner):
        mate = context.rules.team.teammate(run.workflow, run.conversation.channel)
        chains: Chains = {**context.rules.team.models, **(mate.models if mate else {})}
        reasoner = reasoner.within(budget, chains, mate.persona if mate else "")
    return replace(context, budget=budget, reasoner=reasoner)


def for_person(reasoner: Reasoner, calls: ModelCalls, rules: Rules, requester: str) -> Reasoner:
    """This reasoner for what somebody asks outside of a run: within their budgets, rules answering past them."""
    if not isinstance(reasoner, LlmReasoner):
        return reasoner
    guard = AskerBudget(calls, Asker(rules.team.workspace, requester), ceilings_of_person(rules, requester))
    return reasoner.within(guard, rules.team.models)


async def plan_is_allowed(context: RunContext, steps: int) -> str:
    """Why a plan of so many steps is more than this run may do; empty where it is not."""
    return await _allowed(context, Amounts(steps=steps), "plan")


async def action_is_allowed(context: RunContext, step: str) -> str:
    """Why this run may begin no further action; empty where it may."""
    return await _allowed(context, Amounts(actions=1), f"action:{step}")


async def _allowed(context: RunContext, amounts: Amounts, what: str) -> str:
    return "" if context.budget is None else await context.budget.allows(amounts, what=what)
