"""Digest: what happened, what waits and what it cost, from our own tables, posted where it was asked for."""

import re
from collections.abc import Sequence
from datetime import timedelta

from actions.intent import TrustLabel
from graphs.context import RunContext
from graphs.digest import written
from graphs.digest_store import figures_of
from graphs.plan import NoPlan, Plan, Step
from graphs.run import StepState
from graphs.spine import Ended, Facts, Walk, fitting, spine
from graphs.workflow import Workflow

_SPAN = re.compile(r"\b(\d{1,3})\s*(hour|day|week|h|d|w)s?\b", re.IGNORECASE)
_SIZES = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_USUAL = timedelta(days=1)
_LONGEST = timedelta(days=366)


def read_span(text: str) -> timedelta:
    """How far back the words reach: `7 days`, `24h`, `this week`; a day where they do not say."""
    found = _SPAN.search(text)
    if found is not None:
        return int(found[1]) * _SIZES[found[2][0].casefold()]
    return _SIZES["w"] if "week" in text.casefold() else _USUAL


async def gather(text: str, context: RunContext) -> Facts:
    """The figures of the span that is asked for, as the text that will be posted."""
    span = read_span(text)
    if not timedelta(0) < span <= _LONGEST:
        raise NoPlan("A digest tells of an hour to a year. Ask for one such as: digest 7 days.")
    async with context.database.connection() as conn:
        figures = await figures_of(conn, context.run.request.workspace, since=span)
    return {"text": fitting(written(figures)), "reasoned_by": "rules"}


async def plan(facts: Facts, context: RunContext) -> Plan:
    """One message, at the top of the channel that it was asked for in."""
    place = context.run.conversation
    step = Step(
        key="digest",
        action="message.post",
        args={"workspace": place.workspace, "channel": place.channel, "text": facts["text"]},
        origins={"channel": (TrustLabel.MEMBER, "the run's own conversation")},
    )
    return Plan(summary="Post the digest", steps=[step])


def report(facts: Facts, results: Sequence[tuple[Step, Ended]]) -> str:
    """That it was posted, or why not."""
    del facts
    _, ended = results[0]
    return "The digest is posted." if ended.state is StepState.DONE else f"The digest was not posted. {ended.text}"


DIGEST = Workflow(
    name="digest",
    version=1,
    purpose="Tell what happened, what waits and what it cost",
    usage="[7 days]  (the last day without it)",
    examples=(
        "what happened today",
        "give me a summary of the week",
        "what is waiting for us and what did it cost",
        "post the daily report",
    ),
    build=lambda: spine(Walk(gather=gather, plan=plan, report=report, actions=("message.post",))),
)
