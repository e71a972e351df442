"""What a run will take, cost and ask, as a range of this installation's own earlier runs; and what it did."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from core.db import Connection, Database, jsonb
from core.ids import RunId
from core.text import counted, lasted
from graphs.budget import dollars

#: With fewer earlier runs the range between two of them cannot hold four of five further ones.
ENOUGH_HISTORY = 9
_LOW, _HIGH = 0.1, 0.9


@dataclass(frozen=True)
class Past:
    """What one earlier run took."""

    seconds: float
    micro: int | None
    """Millionths of a dollar; None where that is not known."""
    approvals: int | None
    steps: int | None


@dataclass(frozen=True)
class Range:
    """Where four of five such runs come to lie."""

    low: float
    high: float


@dataclass(frozen=True)
class Prediction:
    """The ranges of time, cost and approvals, and from how many runs; None where too few runs say anything."""

    runs: int
    seconds: Range | None = None
    micro: Range | None = None
    approvals: Range | None = None

    def in_words(self) -> str:
        """The prediction as a card shows it."""
        if self.seconds is None:
            before = f" ({counted(self.runs, 'earlier run')}, it takes {ENOUGH_HISTORY})" if self.runs else ""
            return f"no history yet{before}"
        free = self.micro is not None and not self.micro.high
        cost = "cost unknown" if self.micro is None else "no cost" if free else _between(self.micro, _cost, " USD")
        parts = [_between(self.seconds, lasted), cost]
        if self.approvals is not None:
            parts.append(_between(self.approvals, _count, _unit(self.approvals)))
        return f"{', '.join(parts)} (from {self.runs} earlier runs)"

    def to_json(self) -> dict[str, Any]:
        """This as it is kept with the run."""
        ranges = {"seconds": self.seconds, "micro": self.micro, "approvals": self.approvals}
        return {"runs": self.runs} | {n: None if r is None else [r.low, r.high] for n, r in ranges.items()}


def predict(pasts: Sequence[Past], steps: int | None = None) -> Prediction:
    """Between the tenth and the ninetieth hundredth of earlier runs: of those with as many steps, where enough are."""
    alike = [past for past in pasts if past.steps == steps]
    told = alike if len(alike) >= ENOUGH_HISTORY else list(pasts)
    if len(told) < ENOUGH_HISTORY:
        return Prediction(len(told))
    return Prediction(
        len(told),
        _range([past.seconds for past in told]),
        _range([past.micro for past in told if past.micro is not None]),
        _range([past.approvals for past in told if past.approvals is not None]),
    )


def _range(values: Sequence[float]) -> Range | None:
    if len(values) < ENOUGH_HISTORY:
        return None
    ordered = sorted(values)
    return Range(_at(ordered, _LOW), _at(ordered, _HIGH))


def _at(ordered: Sequence[float], share: float) -> float:
    """The value below which a further one falls with this probability, whatever the values are spread like."""
    place = share * (len(ordered) + 1) - 1
    below = min(max(int(place), 0), len(ordered) - 1)
    above = min(below + 1, len(ordered) - 1)
    part = min(max(place - below, 0.0), 1.0)
    return ordered[below] + (ordered[above] - ordered[below]) * part


def _cost(micro: float) -> str:
    return dollars(round(micro))


def _count(value: float) -> str:
    return f"{value:.0f}"


def _unit(approvals: Range) -> str:
    return " approval" if _count(approvals.low) == _count(approvals.high) == "1" else " approvals"


def _between(found: Range, write: Callable[[float], str], unit: str = "") -> str:
    low, high = write(found.low), write(found.high)
    return f"{low}{unit}" if low == high else f"{low} to {high}{unit}"


async def pasts_of(database: Database, workflow: str, limit: int = 50) -> list[Past]:
    """What the newest runs of this workflow that ended well took; dry runs say nothing."""
    async with database.connection() as conn:
        cursor = await conn.execute(
            """
            select extract(epoch from finished_at - created_at)::float as seconds, figures -> 'actual' as actual
            from graphs.run where workflow = %s and state = 'done' and not dry
            order by finished_at desc, run_id limit %s
            """,
            (workflow, limit),
        )
        rows = await cursor.fetchall()
    return [_past(row["seconds"], row["actual"] or {}) for row in rows]


def _past(seconds: float, actual: dict[str, Any]) -> Past:
    return Past(seconds, actual.get("micro"), actual.get("approvals"), actual.get("steps"))


async def keep_actual(conn: Connection, run_id: RunId, epoch: int, *, steps: int, approvals: int) -> None:
    """Keep with the run what models cost it and how often it asked, for those who predict later ones."""
    await conn.execute(
        """
        update graphs.run
        set figures = figures || jsonb_build_object('actual', %s::jsonb || jsonb_build_object('micro', (
          select case when bool_or(micro is null and not partial) then null
                      else coalesce(sum(case when partial then reserved_micro else micro end), 0)::bigint end
          from graphs.model_call where run_id = %s and outcome <> 'started')))
        where run_id = %s and epoch = %s
        """,
        (jsonb({"steps": steps, "approvals": approvals}), run_id, run_id, epoch),
    )
