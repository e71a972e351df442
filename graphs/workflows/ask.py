"""Ask: what no workflow fits is planned by a model over the actions that its teammate may ask for, and no others."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from actions.action import AnyAction
from actions.intent import TrustLabel
from graphs.context import RunContext
from graphs.plan import NoPlan, Plan, Step
from graphs.reading import is_said
from graphs.reasoner import Choice, Thought, Wanted
from graphs.run import StepState
from graphs.spine import Ended, Facts, Walk, spine
from graphs.workflow import Workflow

_TOLD = "message.post"
#: What a plan for free words never holds: whatever raises a ceiling is asked by the budget itself.
_NEVER = frozenset({"budget.raise"})


class Told(BaseModel):
    """What is to be said in this conversation."""

    text: str


def allowed(context: RunContext) -> list[str]:
    """The actions that the teammate may ask for who was asked, fixed by team.yml before any words are read."""
    mate = context.rules.team.teammate("ask", context.run.conversation.channel)
    if mate is None:
        return []
    return [name for name in context.catalogue.names() if name not in _NEVER and mate.may_ask_for(name)]


async def gather(text: str, context: RunContext) -> Facts:
    """Which actions reach what is asked, and with which arguments; raises NoPlan rather than guess."""
    names = allowed(context)
    thought = await context.reasoner.plan(text, [_choice(context, name) for name in names])
    if thought.reasoner == "rules":
        raise NoPlan(
            "I do not know how to do that. Without a model I only do what a workflow is for:"
            " say it as a workflow does, or ask for help to see them."
            + (f" ({thought.note}.)" if "so rules answered" in thought.note else "")
        )
    if not thought.value:
        raise NoPlan("I do not see how what I may do here reaches that. Ask for help to see what I can do.")
    steps = [await _step(text, context, name) for name in thought.value]
    return {"steps": steps, "reasoned_by": thought.reasoned_by, "text": text}


def _choice(context: RunContext, name: str) -> Choice:
    action = context.catalogue.get(name)
    assert action is not None
    return Choice(name, f"{action.summary}. {action.handler.__doc__ or ''}".strip())


async def _step(text: str, context: RunContext, name: str) -> dict[str, Any]:
    action = context.catalogue.get(name)
    assert action is not None
    found = await _arguments(text, context, action)
    if found.value is None:
        raise NoPlan(f"I would ask for {name}, but your words do not say everything it needs. Say it more exactly.")
    if isinstance(found.value, Told):
        args = {**context.run.conversation.to_json(), "text": found.value.text}
    else:
        args = found.value.model_dump(mode="json")
    return {"action": name, "args": args}


async def _arguments(text: str, context: RunContext, action: AnyAction) -> Thought[Any]:
    if action.name == _TOLD:
        # Where it is said is this conversation: nobody's words choose another.
        return await context.reasoner.extract(text, Wanted(Told, "what is to be said here", _unread))
    return await context.reasoner.extract(text, Wanted(action.args, f"the arguments of: {action.summary}", _unread))


def _unread(text: str) -> Any:
    del text


async def plan(facts: Facts, context: RunContext) -> Plan:
    """One step for each chosen action; what the words do not say themselves is nobody's but the model's."""
    steps = [_planned(number, each, facts, context) for number, each in enumerate(facts["steps"], 1)]
    return Plan(summary=f"{len(steps)} steps for what was asked in free words", steps=steps)


def _planned(number: int, chosen: dict[str, Any], facts: Facts, context: RunContext) -> Step:
    action = context.catalogue.get(chosen["action"])
    assert action is not None
    origins: dict[str, tuple[TrustLabel, str | None]] = {}
    for name in action.guarded:
        value = chosen["args"].get(name)
        # An amount is computed or a person agrees to it: words alone never set one.
        said = name != action.amount and isinstance(value, str) and is_said(value, facts["text"])
        ours = action.name == _TOLD and name == "channel"
        origins[name] = (TrustLabel.MEMBER if said or ours else TrustLabel.EXTERNAL, None)
    return Step(
        key=f"{number}:{action.name}",
        action=action.name,
        args=chosen["args"],
        origins=origins,
        evidence=[f"Put together by {facts['reasoned_by']} from the words of the request."],
    )


def report(facts: Facts, results: Sequence[tuple[Step, Ended]]) -> str:
    """One line for each step: what it was, and how it ended."""
    del facts
    return "\n".join(f"{step.key}: {_how(ended)}" for step, ended in results)


def _how(ended: Ended) -> str:
    return "done." if ended.state is StepState.DONE else f"{ended.state.value}. {ended.text}"


ASK = Workflow(
    name="ask",
    version=1,
    purpose="Plan what no other workflow is for, over the actions its teammate may ask for",
    usage="what you want, in your words",
    examples=(),
    build=lambda: spine(Walk(gather=gather, plan=plan, report=report, actions=(), allowed=allowed)),
)
