"""A case of alerts as people see it: one message for all its alerts, with what is known and what speaks for acting."""

from bot.channel import Block, Message
from bot.slack.blocks import limits
from bot.slack.renderer import Render, shown
from core.db import Database
from core.text import counted
from graphs import case_store
from graphs.case import Case, CaseData, Severity, headline, most

_MARK = {Severity.LOW: "⚪", Severity.MEDIUM: "🟡", Severity.HIGH: "🟠", Severity.CRITICAL: "🔴"}
_MOST_LINE = 600


def case_card(case: Case) -> Message:
    """The case's one card, from its row alone; what came over the wire is shown and never linked."""
    data = case.data
    blocks = [
        limits.section(f"*{_title(case)}*\n{limits.brief(headline(data), 600)}"),
        limits.context(f"{limits.instant(data.first_at)} to {limits.instant(data.last_at)}", _counts(data)),
        *limits.facts([(label, limits.cut(text, _MOST_LINE)) for label, text in _facts(data) if text]),
        *_evidence(case),
        limits.context(f"`{limits.escape(case.case_id)}`", *([] if _evidence(case) else _notes(data))),
    ]
    return Message(_text(case), blocks)


def cases_shown(database: Database) -> Render:
    """How cards of cases are made, from what is stored now."""

    async def load(case_id: str) -> Case | None:
        async with database.connection() as conn:
            return await case_store.get(conn, case_id)

    return shown(load, case_card)


def _title(case: Case) -> str:
    state = "" if case.is_open else " · over"
    return f"{_MARK[case.data.severity]} {case.data.severity.capitalize()} case{state}"


def _counts(data: CaseData) -> str:
    repeats = f", {data.occurrences:,} without repeats" if data.occurrences != data.alerts else ""
    return f"{counted(data.alerts, 'alert')}{repeats}"


def _facts(data: CaseData) -> list[tuple[str, str]]:
    return [
        ("From", ", ".join(most(data.sources))),
        ("To", ", ".join(most(data.targets))),
        ("The sensor calls it", "; ".join(most(data.signatures))),
        ("Known to be exploited", ", ".join(data.exploited)),
    ]


def _evidence(case: Case) -> list[Block]:
    """The records that speak for isolating the host, and what has become of that; nothing while they are too few."""
    data = case.data
    if data.severity is not Severity.CRITICAL:
        return []
    lines = [f"• {limits.brief(each.says, 400)} (`{limits.escape(each.record)}`)" for each in data.evidence[:8]]
    asked = [f"Whether to isolate {limits.escape(data.host)} is asked below."] if case.containment_run else []
    return [limits.section("\n".join(["*Trusted records*", *lines, *asked, *_notes(data)]))]


def _notes(data: CaseData) -> list[str]:
    return [limits.brief(note, 400) for note in data.notes[:3]]


def _text(case: Case) -> str:
    data = case.data
    asked = f" Whether to isolate {limits.escape(data.host)} is asked in its thread." if case.containment_run else ""
    return f"{_title(case)}: {limits.brief(headline(data), 600)}.{asked}"
