"""Rounds with people: something is made, shown in the run's conversation, and made anew by what they say there."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from langgraph.runtime import Runtime

from actions.compensation import REPORT
from actions.intent import TrustLabel
from graphs.context import RunContext
from graphs.dialogue import Said
from graphs.plan import NoPlan, Step
from graphs.walked import Facts, Node, Walked, fitting, has_ended, no_plan, with_more


@dataclass(frozen=True)
class Rounds:
    """What people shape in the run's conversation: it is made, shown, and made anew by what they say."""

    make: Callable[[Facts, RunContext], Awaitable[Facts]]
    """The facts with what is to be shown; their `round` counts from 1. Raises NoPlan."""
    show: Callable[[Facts], str]
    """What the conversation is told of it."""
    weigh: Callable[[Facts, Sequence[Said], RunContext], Awaitable[Facts]]
    """The facts with what people said; `agreed` among them ends the rounds. Raises NoPlan where they drop it."""


def nodes_of(rounds: Rounds) -> dict[str, Node]:
    """The three nodes of a round."""
    return {"make": _make(rounds), "show": _show(rounds), "hear": _hear(rounds)}


def heard(state: Walked) -> str:
    """Which way it goes once people have spoken."""
    return "ended" if has_ended(state) else "agreed" if state["case"]["facts"].get("agreed") else "again"


def _make(rounds: Rounds) -> Node:
    async def make(state: Walked, runtime: Runtime[RunContext]) -> Walked:
        try:
            return with_more(state, facts=await rounds.make(state["case"]["facts"], runtime.context))
        except NoPlan as error:
            return no_plan(state, error)

    return make


def _show(rounds: Rounds) -> Node:
    async def show(state: Walked, runtime: Runtime[RunContext]) -> Walked:
        context, facts = runtime.context, state["case"]["facts"]
        # Nobody is asked in a dry run: it shows what would be done with the first that was made.
        if not context.run.request.dry:
            await context.act(_said(context, facts["round"], fitting(rounds.show(facts))))
        return state

    return show


def _hear(rounds: Rounds) -> Node:
    async def hear(state: Walked, runtime: Runtime[RunContext]) -> Walked:
        context, facts = runtime.context, state["case"]["facts"]
        if context.run.request.dry:
            return with_more(state, facts={**facts, "agreed": True})
        said = await context.listen(facts.get("heard", 0), "what you say in this thread.")
        try:
            weighed = await rounds.weigh({**facts, "heard": said[-1].place}, said, context)
        except NoPlan as error:
            return no_plan(state, error)
        if weighed.get("agreed") and context.dialogue is not None:
            async with context.database.transaction() as conn:
                await context.guard.fence(conn)
                await context.dialogue.close(conn, context.run.run_id)
        return with_more(state, facts=weighed)

    return hear


def _said(context: RunContext, number: int, text: str) -> Step:
    """The step that shows one round to the run's own conversation."""
    own: dict[str, tuple[TrustLabel, str | None]] = {"channel": (TrustLabel.MEMBER, "the run's own conversation")}
    args = {**context.run.conversation.to_json(), "text": text}
    return Step(key=f"{REPORT}:{number}", action="message.post", args=args, origins=own)
