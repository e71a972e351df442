"""What a span of time came to, as people read it: what happened, what waits, what it cost, and what it was worth."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from core.money import Money
from core.text import counted, lasted

_MOST_LISTED = 8
#: What a state is called by those who do not know its name; the others are words already.
_WORDS = {
    "ready": "under way",
    "awaiting": "waiting for a person",
    "pending": "not answered yet",
    "executing": "under way",
}


@dataclass(frozen=True)
class Waiting:
    """One approval that nobody has answered."""

    summary: str
    asked_at: datetime


@dataclass(frozen=True)
class Figures:
    """What our own tables say of one span of time."""

    since: datetime
    until: datetime
    runs: Mapping[str, Mapping[str, int]]
    """workflow → state → how many were started in the span."""
    effects: Mapping[str, Mapping[str, int]]
    """action → state → how many were asked for in the span."""
    approvals: Mapping[str, int]
    """state → how many were asked for in the span."""
    waited: Sequence[timedelta] = ()
    """How long each approval that was answered in the span had waited."""
    edits: int = 0
    """Approvals that were given with changes."""
    refunds: Sequence[Money] = ()
    reversals: int = 0
    """Effects that were taken back in the span."""
    in_doubt: int = 0
    """Now."""
    undelivered: int = 0
    """Messages of the span that could not be delivered."""
    waiting: Sequence[Waiting] = ()
    """Now, the oldest first."""
    spent: Mapping[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    """workflow → millionths of a US dollar and tokens, of models."""
    cases: Mapping[str, int] = field(default_factory=dict[str, int])
    """severity → cases of alerts that were added to in the span."""
    upkept: Mapping[str, int] = field(default_factory=dict[str, int])
    """What upkeep of memory did in the span → to how many items."""


def written(figures: Figures) -> str:
    """The digest, in words and figures, for a message."""
    parts = [
        f"*{_day(figures.since)} to {_day(figures.until)}*",
        _happened(figures),
        _decided(figures),
        _waits(figures),
        _cost(figures),
        _upkept(figures),
    ]
    return "\n\n".join(part for part in parts if part)


def _day(at: datetime) -> str:
    # Written like this, whoever reads it in Slack sees it in their own time zone.
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _happened(figures: Figures) -> str:
    if not figures.runs:
        return "Nothing was asked of the team."
    lines = ["*What happened*"]
    for workflow, states in sorted(figures.runs.items()):
        lines.append(f"• {workflow}: {counted(sum(states.values()), 'run')} ({_counts(states)})")
    lines += [f"• {action}: {_counts(states)}" for action, states in sorted(figures.effects.items()) if states]
    if figures.refunds:
        lines.append(
            f"• Refunded: {', '.join(map(str, _sums(figures.refunds)))} in {counted(len(figures.refunds), 'refund')}"
        )
    if figures.cases:
        lines.append(f"• Cases of alerts: {_counts(figures.cases)}")
    if figures.reversals:
        lines.append(f"• Taken back: {figures.reversals}")
    return "\n".join(lines)


def _counts(states: Mapping[str, int]) -> str:
    return ", ".join(
        f"{count} {_WORDS.get(state) or state.replace('_', ' ')}" for state, count in sorted(states.items())
    )


def _sums(amounts: Sequence[Money]) -> list[Money]:
    totals = Counter[str]()
    for amount in amounts:
        totals[amount.currency] += amount.minor
    return [Money(minor, currency) for currency, minor in sorted(totals.items())]


def _decided(figures: Figures) -> str:
    if not figures.approvals:
        return ""
    lines = ["*What people decided*", f"• Approvals asked: {_counts(figures.approvals)}"]
    if figures.waited:
        ordered = sorted(span.total_seconds() for span in figures.waited)
        half, longest, together = ordered[len(ordered) // 2], ordered[-1], sum(ordered)
        lines.append(
            f"• Waited for an answer: half of them up to {lasted(half)}, {lasted(longest)} at most, {lasted(together)}"
            " together"
        )
    if figures.edits:
        lines.append(f"• Given with changes: {figures.edits}")
    return "\n".join(lines)


def _waits(figures: Figures) -> str:
    lines = [f"• {each.summary} (since {_day(each.asked_at)})" for each in figures.waiting[:_MOST_LISTED]]
    if len(figures.waiting) > _MOST_LISTED:
        lines.append(f"• … and {len(figures.waiting) - _MOST_LISTED} more")
    if figures.in_doubt:
        lines.append(f"• In doubt: {figures.in_doubt}; their cards say what to look for")
    if figures.undelivered:
        lines.append(f"• Could not be delivered: {figures.undelivered}; an operator finds each in the log")
    return "\n".join(["*What waits*", *lines]) if lines else "Nothing waits for anybody."


def _cost(figures: Figures) -> str:
    if not figures.spent:
        return "No model was used, so nothing was spent."
    lines = [
        f"• {workflow or 'understanding requests'}: {micro / 1_000_000:.4f} USD, {tokens:,} tokens"
        for workflow, (micro, tokens) in sorted(figures.spent.items())
    ]
    return "\n".join(["*What models cost*", *lines])


def _upkept(figures: Figures) -> str:
    done = {what: many for what, many in figures.upkept.items() if many and what != "looked"}
    return f"*Memory*: of what is worth less with time, {_counts(done)}" if done else ""
