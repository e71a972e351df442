"""How well the `classify` skill sorts questions into 77 intents without a model, and how well it knows when not to.

Run from the root: COUNTERSIGN_PUBLIC_DATA=<folder> python -m benchmarks.intents [--seed N] [--kept FILE]

The seed chooses which quarter is held out; FILE keeps the vectors for the next run.
"""

import argparse
import asyncio
import csv
import os
import random
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from graphs.reasoner import Example
from graphs.rules_reasoner import RulesReasoner
from memory.embedder import ProcessEmbedder

TEST_SHARE, BATCH = 0.25, 64


def main() -> None:
    """Embed everything once, then classify the held-out quarter by all of the rest, by 10 and by 5 of each intent."""
    given = argparse.ArgumentParser()
    given.add_argument("--seed", type=int, default=77)
    given.add_argument("--kept", type=Path)
    chosen = given.parse_args()
    folder = Path(os.environ["COUNTERSIGN_PUBLIC_DATA"]) / "support"
    with (folder / "banking77_train.csv").open(encoding="utf-8") as file:
        rows = [Example(row["category"], row["text"]) for row in csv.DictReader(file)]
    asyncio.run(_measure(rows, chosen.seed, chosen.kept))


async def _measure(rows: list[Example], seed: int, kept: Path | None) -> None:
    vectors = await _vectors(rows, kept)
    dice = random.Random(seed)
    by_label: defaultdict[str, list[Example]] = defaultdict(list)
    for row in rows:
        by_label[row.label].append(row)
    train: dict[str, list[Example]] = {}
    test: list[Example] = []
    for label, examples in sorted(by_label.items()):
        dice.shuffle(examples)
        cut = round(len(examples) * TEST_SHARE)
        test += examples[:cut]
        train[label] = examples[cut:]
    print(f"{len(rows)} questions, {len(train)} intents, {len(test)} held out (seed {seed})")

    async def embed(texts: Sequence[str]) -> list[list[float]]:
        return [vectors[text] for text in texts]

    for name, most in (("all of the rest", None), ("10 of each", 10), ("5 of each", 5)):
        examples = [each for label in train for each in train[label][:most]]
        await _classify(name, RulesReasoner(embed=embed), examples, test)
    await _classify("5 of each, by letters (no embedder)", RulesReasoner(), _few(train, 5), test[::20])


def _few(train: dict[str, list[Example]], most: int) -> list[Example]:
    return [each for label in train for each in train[label][:most]]


async def _vectors(rows: list[Example], kept: Path | None) -> dict[str, list[float]]:
    texts = [row.text for row in rows]
    if kept is not None and os.path.exists(kept):  # noqa: ASYNC240 -- nothing else runs here
        return dict(zip(texts, np.load(kept).astype(float).tolist(), strict=True))
    embedder, found = ProcessEmbedder(), list[list[float]]()
    await embedder.passages(["ready"])
    began = time.perf_counter()
    for start in range(0, len(texts), BATCH):
        found += await embedder.passages(texts[start : start + BATCH])
    print(f"embedded at {len(texts) / (time.perf_counter() - began):.0f} texts/s ({embedder.model})")
    await embedder.close()
    if kept is not None:
        np.save(kept, np.array(found, dtype=np.float32))
    return dict(zip(texts, found, strict=True))


async def _classify(name: str, reasoner: RulesReasoner, examples: list[Example], test: list[Example]) -> None:
    began = time.perf_counter()
    await reasoner.classify(test[0].text, examples)
    learned = time.perf_counter() - began
    began = time.perf_counter()
    thoughts = [await reasoner.classify(each.text, examples) for each in test]
    took = time.perf_counter() - began
    decided = [(thought.value, each.label) for thought, each in zip(thoughts, test, strict=True) if thought.value]
    right = sum(said == label for said, label in decided)
    forced = sum(
        (t.value or t.note.removeprefix("it could be ").split(" or ")[0]) == e.label
        for t, e in zip(thoughts, test, strict=True)
    )
    print(
        f"{name}: {forced / len(test):.1%} accuracy where it must decide; it decides {len(decided) / len(test):.1%}"
        f" with {right / max(len(decided), 1):.1%} precision (learned in {learned:.1f} s,"
        f" then {len(test) / took:.0f} texts/s once embedded)"
    )


if __name__ == "__main__":
    main()
