"""Learns which label a text deserves from labelled examples, and how sure it must be to say so. The home of numpy."""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from zlib import crc32

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
#: From here on (cosine, around the middle of the examples) a text speaks of what some example speaks of.
_NEAR = 0.41
_STRENGTHS = (0.1, 0.3, 1.0, 3.0)
_PLACES = 1024
# Words alone tell less than meanings do, most of all where there are few examples.
_WORDS_COUNT = 0.5
_WORD = re.compile(r"[^\W_]+(?:'\w+)?")
_MOST_KEPT = 8
_AT_ONCE = 64


@dataclass(frozen=True)
class Guess:
    """What a text is most like, how far that leads over the next, and whether lead and likeness are enough."""

    label: str
    second: str
    lead: float
    is_sure: bool
    is_near: bool
    """False for a text whose meaning is unlike that of every example: leading among labels then says little."""


class Head:
    """A linear head (ridge) over meanings and words; its examples, left out one by one, say how sure is enough."""

    def __init__(self, texts: Sequence[str], vectors: Matrix, labels: Sequence[str]) -> None:
        self.labels = sorted(set(labels))
        place = {label: number for number, label in enumerate(self.labels)}
        truth = np.array([place[label] for label in labels])
        self._middle = vectors.mean(axis=0)
        words = _words(texts)
        self._rarity = np.log(1 + len(texts) / (1 + (words != 0).sum(axis=0)))
        self._known = _of_one_length(vectors - self._middle)
        given = self._prepared(words, vectors)
        wanted = np.where(np.arange(len(self.labels)) == truth[:, None], 1.0, 0.0)
        self._share = wanted.mean(axis=0)
        wanted = wanted - self._share
        parts = _parts(given)
        found = [_left_out(parts, wanted, strength) + self._share for strength in _STRENGTHS]
        best = max(range(len(found)), key=lambda number: _accuracy(found[number], truth))
        self._weights: Matrix = _weights(given, parts, wanted, _STRENGTHS[best])
        self.lead = _enough(found[best], truth)

    def _prepared(self, words: Matrix, vectors: Matrix) -> Matrix:
        return np.hstack([_of_one_length(vectors - self._middle), _WORDS_COUNT * _of_one_length(words * self._rarity)])

    def guess(self, texts: Sequence[str], vectors: Matrix) -> list[Guess]:
        """The guess for each of these texts."""
        scores = self._prepared(_words(texts), vectors) @ self._weights + self._share
        order = np.argsort(-scores, axis=1)
        nearest = (_of_one_length(vectors - self._middle) @ self._known.T).max(axis=1)
        found: list[Guess] = []
        for row, ranked, near in zip(scores, order, nearest, strict=True):
            first, second = int(ranked[0]), int(ranked[min(1, len(ranked) - 1)])
            lead = float(row[first] - row[second])
            found.append(Guess(self.labels[first], self.labels[second], lead, lead >= self.lead, bool(near >= _NEAR)))
        return found


def _words(texts: Sequence[str]) -> Matrix:
    """Which words and pairs of words are in each text, hashed into a fixed number of places."""
    found = np.zeros((len(texts), _PLACES))
    for row, text in zip(found, texts, strict=True):
        words = [word.lower() for word in _WORD.findall(text)]
        for said in [*words, *(f"{one} {two}" for one, two in pairwise(words))]:
            place = crc32(said.encode("utf-8", "replace"))
            row[place % _PLACES] += 1 if place >> 31 else -1
    return np.sign(found) * np.log1p(np.abs(found))


def _of_one_length(rows: Matrix) -> Matrix:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


@dataclass(frozen=True)
class _Parts:
    """The examples along their own axes: what every strength of the ridge is computed from, cheaply."""

    sizes: Matrix
    axes: Matrix
    along: Matrix
    """Each example along each axis, so that `along / (sizes + strength) @ along.T` is the reach of one on another."""
    is_wide: bool
    """True where there are fewer examples than features: the axes are then those of the examples."""


def _parts(given: Matrix) -> _Parts:
    is_wide = given.shape[0] <= given.shape[1]
    sizes, axes = np.linalg.eigh(given @ given.T if is_wide else given.T @ given)
    sizes = np.maximum(sizes, 0.0)
    return _Parts(sizes, axes, axes * np.sqrt(sizes) if is_wide else given @ axes, is_wide)


def _left_out(parts: _Parts, wanted: Matrix, strength: float) -> Matrix:
    """What each example would have been given, had the head been learned without it."""
    scaled = parts.along / (parts.sizes + strength)
    own = np.einsum("ij,ij->i", scaled, parts.along)[:, None]
    return (scaled @ (parts.along.T @ wanted) - own * wanted) / np.maximum(1 - own, 1e-6)


def _weights(given: Matrix, parts: _Parts, wanted: Matrix, strength: float) -> Matrix:
    scaled = parts.axes / (parts.sizes + strength)
    if parts.is_wide:
        return given.T @ (scaled @ (parts.axes.T @ wanted))
    return scaled @ (parts.along.T @ wanted)


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
        return head.guess([text], await self.vectors([text]))[0]

    async def head(self, examples: Sequence[Example]) -> Head:
        """The head of these examples."""
        said = "\x1e".join(f"{each.label}\x1f{each.text}" for each in examples)
        name = hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()
        if name not in self._heads:
            vectors = await self.vectors([each.text for each in examples])
            if len(self._heads) >= _MOST_KEPT:
                del self._heads[next(iter(self._heads))]
            texts, labels = [each.text for each in examples], [each.label for each in examples]
            # Aside, for a large set takes seconds and others wait for their turn here.
            self._heads[name] = await asyncio.to_thread(Head, texts, vectors, labels)
        return self._heads[name]

    async def vectors(self, texts: Sequence[str]) -> Matrix:
        """The vectors of these texts."""
        found: list[Sequence[float]] = []
        for start in range(0, len(texts), _AT_ONCE):
            found += await self._embed(texts[start : start + _AT_ONCE])
        return np.array(found, dtype=np.float64)
