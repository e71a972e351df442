"""What of the candidates is given: clues scaled against each other and added up, a pure function."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from core.trust import TrustLabel
from memory.item import ItemId, ScopeId, Tier

#: How much each clue counts. The first five as measured on public data (decision 0031); the last two are our own.
WEIGHTS: Mapping[str, float] = {
    "words": 0.4,
    "meaning": 0.8,
    "neighbours": 0.4,
    "conversation": 0.4,
    "conversation meaning": 0.2,
    "person": 1.2,
    "channel": 0.4,
}

#: So many of ten may come from one author whom nobody here vouches for.
MOST_OF_TEN = 3

#: What a conversation means is what the best so many of its items mean.
_BEST_OF_CONVERSATION = 3


@dataclass(frozen=True)
class Candidate:
    """One item that may be what is looked for, with what the database found of it; None where it could not tell."""

    item_id: ItemId
    scope_id: ScopeId
    tier: Tier
    author: str
    trust: TrustLabel
    said_at: datetime
    conversation_id: int | None
    subjects: frozenset[str]
    words: float
    meaning: float | None
    neighbours: float
    conversation: float


@dataclass(frozen=True)
class Ranked:
    """A candidate with its score, and what each clue gave of it."""

    candidate: Candidate
    score: float
    why: Mapping[str, float]


def rank(
    candidates: Sequence[Candidate],
    people: frozenset[str] = frozenset(),
    channels: frozenset[ScopeId] = frozenset(),
) -> list[Ranked]:
    """The candidates, best first; `people` and `channels` are those named in the question."""
    if not candidates:
        return []
    talk = _conversation_meaning(candidates)
    clues: dict[str, list[float | None]] = {
        "words": [each.words for each in candidates],
        "meaning": [each.meaning for each in candidates],
        "neighbours": [each.neighbours if each.conversation_id else None for each in candidates],
        "conversation": [each.conversation if each.conversation_id else None for each in candidates],
        "conversation meaning": [talk.get(each.conversation_id) for each in candidates],
        "person": [_about(each, people) for each in candidates],
        "channel": [float(each.scope_id in channels) for each in candidates],
    }
    scaled = {name: _scaled(values) for name, values in clues.items()}
    ranked = [
        _with_score(each, {name: values[place] for name, values in scaled.items()})
        for place, each in enumerate(candidates)
    ]
    return sorted(ranked, key=lambda each: (-each.score, -each.candidate.said_at.timestamp(), -each.candidate.item_id))


def _about(candidate: Candidate, people: frozenset[str]) -> float:
    if candidate.author in people:
        return 1.0
    return 0.5 if candidate.subjects & people else 0.0


def _conversation_meaning(candidates: Iterable[Candidate]) -> dict[int | None, float]:
    found: dict[int | None, list[float]] = {}
    for each in candidates:
        if each.conversation_id is not None and each.meaning is not None:
            found.setdefault(each.conversation_id, []).append(each.meaning)
    best = {talk: sorted(values, reverse=True)[:_BEST_OF_CONVERSATION] for talk, values in found.items()}
    return {talk: sum(values) / len(values) for talk, values in best.items()}


def _scaled(values: Sequence[float | None]) -> list[float | None]:
    """Between 0 and 1, least to most of this question; all alike say nothing."""
    known = [value for value in values if value is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    if high == low:
        return [None if value is None else 0.0 for value in values]
    return [None if value is None else (value - low) / (high - low) for value in values]


def _with_score(candidate: Candidate, clues: Mapping[str, float | None]) -> Ranked:
    """What cannot be told of an item, such as the meaning of one without a vector yet, is guessed from its words."""
    words = clues["words"] or 0.0
    given = dict.fromkeys(WEIGHTS, 0.0)
    for name, value in clues.items():
        given["words" if value is None else name] += WEIGHTS[name] * (words if value is None else value)
    return Ranked(candidate, sum(given.values()), {name: round(value, 3) for name, value in given.items() if value})


def within_cap(ranked: Sequence[Ranked], asked: int) -> list[Ranked]:
    """In the same order, without what an author of low trust has beyond the cap: nobody fills an answer alone."""
    most = max(1, asked * MOST_OF_TEN // 10)
    counts: Counter[str] = Counter()
    kept = list[Ranked]()
    for each in ranked:
        source = each.candidate
        counts[source.author] += 1
        if source.trust is not TrustLabel.EXTERNAL or counts[source.author] <= most:
            kept.append(each)
    return kept
