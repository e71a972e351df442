"""What models cost, as people ask for it: today and this month, by workflow and purpose; what is unknown is said."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from bot.delivery import Delivery
from bot.intake import Effect
from bot.runs import RunDesk, say
from bot.slack.blocks import answers, limits
from core.db import Database
from graphs.model_calls import list_spend

Row = Mapping[str, Any]

_MOST_LINES = 30
_USUAL = "Usual for a call: 1 to 3 s from a model nearby, 2 to 10 s from elsewhere."
_SLOW_SECONDS = 10
_NOTHING = "No model was asked anything this month, so nothing was spent on models. Rules cost nothing."


class CostVerb:
    """Tells members of this workspace what models cost."""

    usage = "cost"

    def __init__(self, database: Database, runs: RunDesk) -> None:
        self._database = database
        self._runs = runs

    async def consider(self, delivery: Delivery, text: str) -> Effect:
        """The spend as it stands; whatever follows the verb is not looked at."""
        del text
        if not self._runs.is_ours(delivery):
            return say(answers.may_not_see())
        async with self._database.connection() as conn:
            rows = await list_spend(conn)
        return say(cost_text(rows))


def cost_text(rows: Sequence[Row]) -> str:
    """The spend in words: a total for each span of time, then each workflow and purpose, the dearest first."""
    if not rows:
        return _NOTHING
    lines: list[str] = []
    for span in ("today", "this month"):
        of_span = [row for row in rows if row["span"] == span]
        if not of_span:
            lines.append(f"*{span.capitalize()}*: nothing was spent on models.")
            continue
        lines.append(f"*{span.capitalize()}*: {_cost(_summed(of_span))}")
        lines += [f"• {_who(row)}: {_cost(row)}{_latency(row)}" for row in of_span]
    if len(lines) > _MOST_LINES:
        more = len(lines) - _MOST_LINES
        lines = [*lines[:_MOST_LINES], f"… and {more} more lines. The command line lists all: `countersign cost`."]
    return "\n".join([*lines, _USUAL])


def _who(row: Row) -> str:
    workflow = limits.brief(row["workflow"], 80) if row["workflow"] else "understanding what is asked for"
    return f"{workflow}, to {row['purpose']}"


def _summed(rows: Sequence[Row]) -> dict[str, Any]:
    names = ("calls", "tokens", "unpriced", "partial", "failed")
    return {name: sum(row[name] for row in rows) for name in names} | {
        "cost_usd": sum((Decimal(row["cost_usd"] or 0) for row in rows), Decimal(0))
    }


def _cost(row: Row) -> str:
    """What it cost, never more certain than it is known."""
    calls = f"{row['calls']} call{'s' if row['calls'] != 1 else ''}, {row['tokens']:,} tokens"
    if row["unpriced"] == row["calls"]:
        said = "cost unknown (no price is configured)"
    else:
        said = f"{_dollars(Decimal(row['cost_usd'] or 0))} USD"
        if row["unpriced"]:
            said += f" and the unknown cost of {row['unpriced']} calls without a price"
    if row["partial"]:
        said += f", of which {row['partial']} calls count with the most they can have cost"
    failed = f"; {row['failed']} gave no usable answer" if row["failed"] else ""
    return f"{said} ({calls}{failed})"


def _dollars(cost: Decimal) -> str:
    return f"{cost:,.2f}" if cost == 0 or cost >= Decimal("0.1") else f"{cost:.6f}".rstrip("0")


def _latency(row: Row) -> str:
    if row["p50_ms"] is None:
        return ""
    half, most = row["p50_ms"] / 1000, row["p95_ms"] / 1000
    slow = ", slower than usual" if half > _SLOW_SECONDS else ""
    return f" · half within {half:.1f} s, 95 % within {most:.1f} s{slow}"
