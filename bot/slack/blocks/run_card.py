"""A run as people see it: one message that says what is happening, what it waits for, and how it ended."""

from collections.abc import Mapping
from typing import Any, cast

from bot.channel import Block, Message
from bot.slack.blocks import limits
from core.text import counted, lasted
from graphs.rehearsing import changes_of, pages_of
from graphs.run import ENDED, Run, RunState, StepState, StepView

STOP = "run.stop"
FOR_REAL = "run.for_real"

_MOST_STEPS = 20
#: How much of all payloads together stands on the card, as Slack counts, and of one of them.
_MOST_PAYLOADS, _MOST_PAYLOAD = 9_000, 1_500
_MOST_NOTE = 200
#: How much of an outcome stands on the card, and of each line where it has several; the conversation has all of it.
_MOST_OUTCOME, _MOST_LINES, _MOST_LINE = 1_000, 8, 300
_STATE: Mapping[RunState, str] = {
    RunState.READY: "🔵 working",
    RunState.WAITING: "⏸️ waiting",
    RunState.DONE: "✅ done",
    RunState.REFUSED: "⛔ refused",
    RunState.FAILED: "❌ failed",
    RunState.STOPPED: "🛑 stopped",
    RunState.NEEDS_ATTENTION: "⚠️ needs attention",
    RunState.NEEDS_PERSON: "🙋 needs a person",
}
_ASKED_BY: Mapping[str, str] = {
    "schedule": "Scheduled by",
    "cli": "Started on the command line by",
    "run": "Started by itself for",
}
_STEP: Mapping[StepState, str] = {
    StepState.PLANNED: "⚪ planned",
    StepState.WAITING: "⏳ waiting",
    StepState.DONE: "✅ done",
    StepState.REFUSED: "⛔ refused",
    StepState.FAILED: "❌ failed",
    StepState.IN_DOUBT: "❓ in doubt",
    StepState.SKIPPED: "➖ skipped",
    StepState.UNDONE: "↩️ undone",
    StepState.REHEARSED: "🧪 rehearsed",
    StepState.BY_HAND: "🙋 by hand",
}


def run_card(run: Run, remembered: str = "") -> Message:
    """The run's one card, from its row and from what of memory it shows."""
    blocks = [limits.section(_title(run)), *_asked(run), *_plan(run), *_payloads(run), *_news(run)]
    blocks.append(limits.context(remembered, *_figures(run)))
    if is_alive(run) and not run.stop_requested:
        blocks.append(limits.actions(_stop_button(run)))
    if run.request.dry and run.state is RunState.DONE and run.promoted_to is None:
        blocks.append(limits.actions(_for_real_button(run)))
    return Message(f"{_text(run)} {remembered}".rstrip(), blocks)


def is_alive(run: Run) -> bool:
    """True while the run may still do something."""
    return run.state not in ENDED


def _title(run: Run) -> str:
    label = " · sandbox" if run.sandbox else ""
    return f"*{limits.brief(run.workflow, 100)}* · {state_words(run)}{label}"


def state_words(run: Run) -> str:
    """Where the run stands, as a mark and a word."""
    dry = "🧪 dry run · " if run.request.dry else ""
    if run.stop_requested and is_alive(run):
        return f"{dry}🛑 stopping"
    return f"{dry}{_STATE[run.state]}"


def _asked(run: Run) -> list[Block]:
    said = f": {limits.brief(run.request.text, 300)}" if run.request.text else ""
    by = _ASKED_BY.get(run.request.origin, "Asked by")
    return [limits.context(f"{by} {limits.person(run.request.requester)}{said}")]


def _plan(run: Run) -> list[Block]:
    if not run.steps:
        return []
    lead = f"*Plan*: {limits.brief(run.plan_summary, 300)}" if run.plan_summary else "*Plan*"
    lines = [_step_line(number, step) for number, step in enumerate(run.steps[:_MOST_STEPS], 1)]
    if len(run.steps) > _MOST_STEPS:
        lines.append(f"… and {len(run.steps) - _MOST_STEPS} more steps")
    return [limits.section(part) for part in _within(limits.MOST_SECTION, [lead, *lines])]


def _step_line(number: int, step: StepView) -> str:
    more = _note(step)
    if not more and step.state is StepState.PLANNED and step.who:
        more = f"{step.who} must agree"
    tail = f" — {limits.sentence(more, _MOST_NOTE)}" if more else ""
    # Of a message of several lines the first one tells which it is.
    first, _, more_lines = step.summary.partition("\n")
    return f"{number}. {_STEP[step.state]} · {limits.brief(first, _MOST_NOTE)}{' …' if more_lines else ''}{tail}"


def _note(step: StepView) -> str:
    """What the step's note adds to its summary and its state, which stand on the same line."""
    note = step.note.removeprefix(f"{limits.visible(step.summary)}: ")
    return "" if note == step.state.value else note


def _payloads(run: Run) -> list[Block]:
    """What a dry run found would be sent, literally; what does not fit is said to stand in the thread."""
    found = [(number, step) for number, step in enumerate(run.steps[:_MOST_STEPS], 1) if step.payload is not None]
    room = min(_MOST_PAYLOAD, _MOST_PAYLOADS // max(len(found), 1))
    blocks: list[Block] = []
    for number, step in found:
        payload = step.payload
        assert payload is not None
        lines = [limits.visible(f"{payload.method} {payload.path}"), limits.visible(payload.body)]
        whole = "\n".join([*changes_of(payload), *lines])
        shown = limits.clipped(whole, room)
        lead = f"{number}. Would be sent, digest `{limits.escape(payload.digest[:16])}`"
        if shown != whole:
            lead += f" (cut: {len(shown):,} of {len(whole):,} characters; the whole stands in the thread)"
        blocks += [limits.context(lead), limits.literal(shown)]
    if len(run.steps) > _MOST_STEPS and found:
        blocks.append(limits.context("What the further steps would send stands in the thread."))
    return blocks


def payload_card(run: Run, page: int) -> Message:
    """One page of what a dry run found would be sent, literally and whole."""
    pages = pages_of(run.steps)
    title = f"🧪 Dry run, nothing was sent: the exact payloads, page {page + 1} of {len(pages)}"
    lines = pages[page].split("\n") if page < len(pages) else ["(no longer there)"]
    return Message(f"{title}.", [limits.section(f"*{title}*"), limits.literal("\n".join(map(limits.visible, lines)))])


def _within(most: int, lines: list[str]) -> list[str]:
    parts = [lines[0]]
    for line in lines[1:]:
        if len(parts[-1]) + len(line) + 1 > most:
            parts.append(line)
        else:
            parts[-1] += f"\n{line}"
    return parts


def _news(run: Run) -> list[Block]:
    blocks: list[Block] = []
    lines = [f"⏳ *Waiting for*: {limits.brief(text, 300)}" for text in _unsaid(run)[:5]]
    if lines:
        blocks += [limits.section(part) for part in _within(limits.MOST_SECTION, lines)]
    if run.outcome:
        blocks += [limits.section(part) for part in _within(limits.MOST_SECTION, _outcome(run))]
    return blocks


def _unsaid(run: Run) -> list[str]:
    """What the run waits for, as far as no line of its plan says so."""
    said = {step.note for step in run.steps[:_MOST_STEPS] if step.state in (StepState.WAITING, StepState.IN_DOUBT)}
    return [waiting.text for waiting in run.waiting if waiting.text not in said and run.state is RunState.WAITING]


def _outcome(run: Run) -> list[str]:
    """What came of the run, line by line, as the report says it in the conversation."""
    lines = [line for line in run.outcome.split("\n") if line.strip()]
    # A report that begins by saying what it is about need not say it under the plan again.
    told = lines[1:] if len(lines) > 1 and lines[0].rstrip(".") == run.plan_summary else lines
    if len(told) == 1:
        return [f"*Outcome*: {limits.sentence(told[0], _MOST_OUTCOME)}"]
    left = len(told) - _MOST_LINES
    more = [f"… and {counted(left, 'more line')} in the thread"] if left > 0 else []
    return ["*Outcome*", *(limits.sentence(line, _MOST_LINE) for line in told[:_MOST_LINES]), *more]


def _figures(run: Run) -> list[str]:
    lines = [f"`{limits.escape(run.run_id)}`"]
    if run.promoted_to:
        lines.append(f"Run for real as `{limits.escape(run.promoted_to)}`")
    if run.request.promotes:
        lines.append(f"Shown first by the dry run `{limits.escape(run.request.promotes)}`")
    if run.predicted:
        lines.append(f"Predicted: {limits.brief(run.predicted, 200)}{_actual(run)}")
    if run.reasoned_by:
        lines.append(_reasoner(run.reasoned_by))
    spend = _spend(run.figures)
    if spend:
        lines.append(f"Spend: {spend}")
    if run.figures.get("warning"):
        lines.append(f"⚠️ {limits.brief(run.figures['warning'], 300)}")
    return lines


def _reasoner(name: str) -> str:
    if name == "rules":
        return "Understood by rules, no model"
    return f"Understood by {limits.brief(name, 100)}"


def _actual(run: Run) -> str:
    """What came of a prediction, once the run has ended."""
    actual = run.figures.get("actual")
    if run.finished_at is None or not isinstance(actual, Mapping):
        return ""
    found = cast(Mapping[str, Any], actual)
    seconds = (run.finished_at - run.created_at).total_seconds()
    micro, approvals = found.get("micro"), found.get("approvals")
    cost = "cost unknown" if micro is None else f"{int(micro) / 1_000_000:.4f} USD" if micro else "no cost"
    asked = "approvals unknown" if approvals is None else counted(int(approvals), "approval")
    return limits.brief(f" · actual: {lasted(seconds)}, {cost}, {asked}", 200)


def _spend(figures: Mapping[str, Any]) -> str:
    """What models used so far; a cost that is not known, or not for certain, is called so."""
    if "calls" not in figures:
        return ""
    unpriced, partial = figures.get("unpriced", 0), figures.get("partial", 0)
    cost = "cost unknown" if unpriced == figures["calls"] else f"{figures.get('cost_usd')} USD"
    if 0 < unpriced < figures["calls"]:
        cost += " and an unknown rest"
    if partial:
        cost += " at most"
    return limits.brief(
        f"{cost} for {counted(int(figures['calls']), 'model call')}, {figures.get('tokens', 0):,} tokens", 300
    )


def _for_real_button(run: Run) -> Block:
    sure = limits.confirm(
        "Run it for real?",
        "The same request runs again, this time for real. Whoever policy names is asked first, as always.",
        yes="Run it",
        no="Not now",
    )
    return limits.button("Run it for real", FOR_REAL, run.run_id, style="primary", confirm=sure)


def _stop_button(run: Run) -> Block:
    sure = limits.confirm(
        "Stop this run?",
        "What is done stays done. Nothing new is started, and what still waits for a person is cancelled.",
        yes="Stop it",
        no="Let it go on",
        style="danger",
    )
    return limits.button("Stop", STOP, run.run_id, confirm=sure)


def _text(run: Run) -> str:
    label = "[sandbox] " if run.sandbox else ""
    whom = limits.person(run.request.requester)
    said = f" ({limits.brief(run.request.text, 100)})" if run.request.text else ""
    parts = [f"{label}{limits.brief(run.workflow, 100)} for {whom}{said}: {state_words(run)}."]
    if run.plan_summary:
        parts.append(f"Plan: {limits.brief(run.plan_summary, 300)}.")
    if run.state is RunState.WAITING:
        parts += [f"Waiting for: {limits.brief(waiting.text, 300)}" for waiting in run.waiting[:3]]
    if run.outcome:
        parts.append("Outcome: " + limits.sentence(" ".join(run.outcome.split("\n")), _MOST_OUTCOME))
    return " ".join(parts)
