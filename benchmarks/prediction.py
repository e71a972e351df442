"""How often what a run took and cost lies in the range that was predicted for it, from earlier runs alone.

Run from the repository's root: python -m benchmarks.prediction [RUNS]

Each run asks a scripted model twice, whose answers vary in tokens (priced) and in time. The prediction of a run is made
when its plan is verified, from the runs that had ended before: no run is judged by a range it was fitted on.
"""

import asyncio
import random
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from bot.local.embedded import EmbeddedPostgres
from core.clock import SystemClock
from tests.support.inside import open_inside
from tests.support.minds import honest
from tests.support.scripted_model import Json, Reply, open_scripted_model

RUNS = 140
#: The promised share of runs within the 80 % range, in per cent.
PROMISED = (70, 90)
SEED = 20261127


def varying(draw: random.Random) -> Any:
    """A mind whose answers cost and take now little, now much."""

    def think(asked: Json) -> Reply:
        tokens = (int(draw.lognormvariate(7, 0.6)), int(draw.lognormvariate(5, 0.8)))
        said = honest(asked)
        return Reply(said.arguments, tokens=tokens, seconds=min(draw.lognormvariate(-1.6, 0.7), 3))

    return think


async def measure(home: Path, url: str, runs: int) -> bool:
    """Print how many runs lay within their ranges; False when that is not what was promised."""
    async with open_scripted_model() as model:
        model.think = varying(random.Random(SEED))
        env = {
            "OPENAI_BASE_URL": f"{model.url}/v1",
            "COUNTERSIGN_MODEL_PRICES": {"gpt-4.1-mini": (2, 8)},
            "COUNTERSIGN_MODEL_TIMEOUT_SECONDS": 20,
        }
        async with open_inside(home, url, env=env) as inside:
            for number in range(runs):
                await inside.ask("ask", f"message.post number {number}")
            found = await inside.rows(
                "select figures, extract(epoch from finished_at - created_at)::float as seconds from graphs.run"
                " where state = 'done' order by created_at"
            )
    kept = [_told(found, measure) for measure in ("seconds", "micro")]
    return all(kept)


def _told(found: list[dict[str, Any]], measure: str) -> bool:
    judged = [row for row in found if row["figures"]["predicted"][measure] is not None]
    inside, widths = 0, list[float]()
    for row in judged:
        low, high = row["figures"]["predicted"][measure]
        inside += low <= _actual(row, measure) <= high
        widths.append(high / max(low, 1e-9))
    share = 100 * inside / len(judged)
    print(
        f"{measure}: {inside} of {len(judged)} runs ({share:.0f} %) within the predicted range; its upper end is"
        f" {median(widths):.1f} times its lower (median)"
    )
    return PROMISED[0] <= share <= PROMISED[1]


def _actual(row: Mapping[str, Any], measure: str) -> float:
    return row["seconds"] if measure == "seconds" else row["figures"]["actual"]["micro"]


async def main() -> None:
    """Measure on an embedded Postgres of our own."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    with TemporaryDirectory(prefix="countersign-prediction-") as place:
        server = EmbeddedPostgres(Path(place), clock=SystemClock())
        await server.start()
        try:
            kept = await measure(Path(place) / "home", await server.url_of("test_prediction"), runs)
        finally:
            await server.forget()
    if not kept:
        sys.exit(f"That is not between {PROMISED[0]} and {PROMISED[1]} %.")


if __name__ == "__main__":
    asyncio.run(main())
