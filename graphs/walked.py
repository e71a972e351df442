"""The state of a walk, and how it grows and ends."""

from collections.abc import Callable, Coroutine
from typing import Any, TypedDict

from langgraph.runtime import Runtime

from actions.source import SourceMissing
from graphs.context import RunContext
from graphs.plan import NoPlan
from graphs.run import RunState

Facts = dict[str, Any]

#: Slack takes messages of up to 4,000 characters.
LONGEST_REPORT = 3900


class Walked(TypedDict):
    """The state of a walk: one JSON object, so that nothing of it stands outside the sealed channel."""

    case: dict[str, Any]


Node = Callable[[Walked, Runtime[RunContext]], Coroutine[Any, Any, Walked]]


def with_more(state: Walked, **more: Any) -> Walked:
    """The state with these entries of its case set."""
    return {"case": {**state["case"], **more}}


def ended(state: Walked, how: RunState, text: str) -> Walked:
    """The state of a walk that has come to its end in this way."""
    return with_more(state, ended={"state": how, "text": text})


def no_plan(state: Walked, error: NoPlan | SourceMissing) -> Walked:
    """The state of a walk that found nothing it may or can do."""
    return ended(state, RunState.REFUSED, str(error))


def has_ended(state: Walked) -> bool:
    """True once it is known how the run ends."""
    return "ended" in state["case"]


def fitting(text: str) -> str:
    """The report within what one message can hold."""
    return text if len(text) <= LONGEST_REPORT else f"{text[: LONGEST_REPORT - 40]}\n… the rest is on the run's card."
