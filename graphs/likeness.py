"""Learns which label a text deserves from labelled examples, and how sure it must be to say so. The home of numpy."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphs.reasoner import Example

#: Vectors of texts, in their order.
Embed = Callable[[Sequence[str]], Awaitable[Sequence[Sequence[float]]]]
Matrix = np.ndarray[Any, np.dtype[np.float64]]

#: How often it may be wrong where it decides.
PRECISION = 0.95
#: Fewer examples tell nothing about how sure one must be.
FEWEST = 20
#: What is asked where the examples cannot tell: a lead that a guess rarely has.
_USUAL_LEAD = 0.25
_STRENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0)
_MOST_KEPT = 8
_AT_ONCE = 64


@dataclass(frozen=True)
class Guess:
    """What a text is most like, how far that leads over the next, and whether the lead is enough."""

    label: str
    second: str
    lead: float
    is_sure: bool


class Head:
    """A linear head over embeddings (ridge), whose own examples, each left out in turn, say how sure is sure enough."""

    def __init__(self, vectors: Matrix, labels: Sequence[str]) -> None:
        self.labels = sorted(set(labels))
        place = {label: number for number, label in enumerate(self.labels)}
        truth = np.array([place[label] for label in labels])
        self._middle = vectors.mean(axis=0)
        given = self._prepared(vectors)
        wanted = np.where(np.arange(len(self.labels)) == truth[:, None], 1.0, 0.0)
        self._share = wanted.mean(axis=0)
        wanted = wanted - self._share
        # Where a class has many examples a wrong one counts little; the few of a small class count as much together.
        found = [_left_out(given, wanted, strength) for strength in _STRENGTHS]
        best = max(range(len(found)), key=lambda number: _accuracy(found[number] + self._share, truth))
        strength = _STRENGTHS[best]
        gram = given.T @ given + strength * np.eye(given.shape[1])
        self._weights: Matrix = np.linalg.solve(gram, given.T @ wanted)
        self.lead = _enough(found[best] + self._share, truth)

    def _prepared(self, vectors: Matrix) -> Matrix:
        centred = vectors - self._middle
        length = np.linalg.norm(centred, axis=1, keepdims=True)
        return centred / np.maximum(length, 1e-12)

    def guess(self, vectors: Matrix) -> list[Guess]:
        """The guess for each of these vectors."""
        scores = self._prepared(vectors) @ self._weights + self._share
        order = np.argsort(-scores, axis=1)
        found: list[Guess] = []
        for row, ranked in zip(scores, order, strict=True):
            first, second = int(ranked[0]), int(ranked[min(1, len(ranked) - 1)])
            lead = float(row[first] - row[second])
            found.append(Guess(self.labels[first], self.labels[second], lead, lead >= self.lead))
        return found


def _left_out(given: Matrix, wanted: Matrix, strength: float) -> Matrix:
    """What each example would have been given, had the head been learned without it."""
    inverse = np.linalg.inv(given.T @ given + strength * np.eye(given.shape[1]))
    reach = given @ inverse
    own = np.einsum("ij,ij->i", reach, given)[:, None]
    return (reach @ (given.T @ wanted) - own * wanted) / np.maximum(1 - own, 1e-6)


def _accuracy(scores: Matrix, truth: Any) -> float:
    return float((scores.argmax(axis=1) == truth).mean())


def _enough(scores: Matrix, truth: Any) -> float:
    """The smallest lead from which on the left-out examples were right often enough."""
    if len(truth) < FEWEST or scores.shape[1] < 2:
        return _USUAL_LEAD
    ranked = np.sort(scores, axis=1)
    leads = ranked[:, -1] - ranked[:, -2]
    right = scores.argmax(axis=1) == truth
    order = np.argsort(-leads)
    precision = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    # A little more than what is promised: examples left out one by one know each other.
    good = np.nonzero(precision >= PRECISION + 0.01)[0]
    return float(leads[order[good[-1]]]) if len(good) else float("inf")


class Likeness:
    """Heads learned from examples, a few kept; the same examples are learned once."""

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._heads: dict[str, Head] = {}

    async def guess(self, text: str, examples: Sequence[Example]) -> Guess:
        """What `text` is most like among the examples."""
        head = await self.head(examples)
        return head.guess(await self.vectors([text]))[0]

    async def head(self, examples: Sequence[Example]) -> Head:
        """The head of these examples."""
        said = "\x1e".join(f"{each.label}\x1f{each.text}" for each in examples)
        name = hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()
        if name not in self._heads:
            vectors = await self.vectors([each.text for each in examples])
            if len(self._heads) >= _MOST_KEPT:
                del self._heads[next(iter(self._heads))]
            self._heads[name] = Head(vectors, [each.label for each in examples])
        return self._heads[name]

    async def vectors(self, texts: Sequence[str]) -> Matrix:
        """The vectors of these texts."""
        found: list[Sequence[float]] = []
        for start in range(0, len(texts), _AT_ONCE):
            found += await self._embed(texts[start : start + _AT_ONCE])
        return np.array(found, dtype=np.float64)
