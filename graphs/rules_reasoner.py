"""Thinks without a model: by likeness to labelled examples, by pattern, by template; it never pretends to write."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import log, sqrt
from string import Template
from typing import TYPE_CHECKING
from zlib import crc32

from core.errors import CountersignError
from graphs.reasoner import Choice, Example, Schema, Thought, Wanted

if TYPE_CHECKING:
    from graphs.likeness import Embed, Likeness

_WORD = re.compile(r"[^\W_]+(?:'\w+)?")
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
# Features are hashed into this many places; two of a sentence's few hundred rarely meet.
_PLACES = 1 << 20
# Say in every second sentence and tell nothing about what is asked.
_STOP = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be but by can could do for from had has have he her his how i if in is it its me my of"
        " on or our please she so some that the their them then there they this to us was we were what when which"
        " who will with would you your",
    )
)
_NOTHING_LIKE_IT = "nothing known is like it"

_Vector = dict[int, float]


class RulesReasoner:
    """Answers by likeness and pattern; a text unlike every example gets an honest `None`.

    With `embed`, likeness is learned from the examples' meanings; while no vectors come, and without it, it goes by
    letters: `floor` is then the least likeness (cosine, 0 to 1) that counts as a match, `margin` the least lead over
    the next label.
    """

    def __init__(self, *, floor: float = 0.25, margin: float = 0.03, embed: "Embed | None" = None) -> None:
        self._floor = floor
        self._margin = margin
        self._embed = embed
        self._likeness: Likeness | None = None

    async def close(self) -> None:
        """Nothing is held open."""

    async def classify(self, text: str, examples: Sequence[Example]) -> Thought[str | None]:
        """The label of the nearest example, unless it is too far or another label is as near."""
        learned = await self._learned(text, examples)
        return self._by_letters(text, examples) if learned is None else learned

    async def _learned(self, text: str, examples: Sequence[Example]) -> Thought[str | None] | None:
        """What the examples' meanings say; None where there is no embedder, or it is away, or too little to learn."""
        if self._embed is None or len({example.label for example in examples}) < 2:
            return None
        if self._likeness is None:
            # Imported here: an installation without an embedder must not pay for numpy at each start.
            from graphs.likeness import Likeness

            self._likeness = Likeness(self._embed)
        try:
            guess = await self._likeness.guess(text, examples)
        except CountersignError:
            return None
        if not guess.is_near:
            # Few examples do not show what lies outside all of them: then words and meaning must say the same.
            found = self._by_letters(text, examples)
            same = found.value == guess.label
            return found if same else Thought(None, "rules", certain=False, note=_NOTHING_LIKE_IT)
        if not guess.is_sure:
            return Thought(None, "rules", certain=False, note=f"it could be {guess.label} or {guess.second}")
        return Thought(guess.label, "rules", note=f"leads {guess.second} by {guess.lead:.2f}")

    def _by_letters(self, text: str, examples: Sequence[Example]) -> Thought[str | None]:
        ranked = _ranked(text, [(example.label, example.text) for example in examples])
        best, second = ([*ranked, ("", 0.0), ("", 0.0)])[:2]
        if best[1] < self._floor:
            return Thought(None, "rules", certain=False, note=_NOTHING_LIKE_IT)
        if best[1] - second[1] < self._margin:
            return Thought(None, "rules", certain=False, note=f"it could be {best[0]} or {second[0]}")
        return Thought(best[0], "rules", note=f"likeness {best[1]:.2f}")

    async def extract(self, text: str, wanted: Wanted[Schema]) -> Thought[Schema | None]:
        """What the workflow's own patterns find."""
        found = wanted.by_rules(text)
        return Thought(found, "rules", certain=found is not None, note="" if found else "no known pattern is in it")

    async def draft(self, template: str, facts: Mapping[str, str]) -> Thought[str]:
        """The template with its facts; what is not known is left for a person and named."""
        form = Template(template)
        missing = [name for name in form.get_identifiers() if name not in facts]
        text = form.safe_substitute({**{name: f"[fill in: {name}]" for name in missing}, **facts})
        note = f"a person must fill in {', '.join(missing)}" if missing else ""
        return Thought(text, "rules", certain=not missing, note=note)

    async def summarise(self, texts: Sequence[str], *, sentences: int = 3) -> Thought[str]:
        """The sentences that share most with all the others, as they were written and in their order."""
        found = [s.strip() for text in texts for s in _SENTENCE.split(text) if s.strip()]
        said = list(dict.fromkeys(found))
        weights = Counter(word for sentence in said for word in set(_telling(sentence)))
        ranked = sorted(range(len(said)), key=lambda place: (-_centrality(said[place], weights), place))
        chosen = sorted(ranked[: max(sentences, 0)])
        return Thought(" ".join(said[place] for place in chosen), "rules", note="sentences quoted, not rewritten")

    async def plan(self, goal: str, choices: Sequence[Choice]) -> Thought[tuple[str, ...]]:
        """The one choice whose purpose is nearest to the goal; rules cannot put several in order."""
        named = [(choice.name, f"{choice.name} {choice.purpose}") for choice in choices]
        best = next(iter(_ranked(goal, named)), ("", 0.0))
        if best[1] < self._floor:
            return Thought((), "rules", certain=False, note=_NOTHING_LIKE_IT)
        return Thought((best[0],), "rules", certain=False, note=f"likeness {best[1]:.2f}")


def nearest(text: str, others: Sequence[str]) -> list[int]:
    """The places of those texts, the one most like `text` first."""
    ranked = _ranked(text, [(str(place), other) for place, other in enumerate(others)])
    return [int(place) for place, _ in ranked]


def _ranked(text: str, labelled: Sequence[tuple[str, str]]) -> list[tuple[str, float]]:
    """Each label with the likeness of its nearest text, nearest first."""
    counted = [_features(known) for _, known in labelled]
    spread = Counter(place for features in counted for place in features)
    weigh = _weigher(spread, len(counted))
    asked = weigh(_features(text))
    best: dict[str, float] = {}
    for (label, _), features in zip(labelled, counted, strict=True):
        best[label] = max(best.get(label, 0.0), _cosine(asked, weigh(features)))
    return sorted(best.items(), key=lambda item: -item[1])


def _features(text: str) -> Counter[int]:
    words = _telling(text)
    grams = (f" {word} "[start : start + 4] for word in words for start in range(max(len(word) - 1, 1)))
    # A whole word tells more than one of its parts.
    return Counter(_place(word) for word in words for _ in range(2)) + Counter(_place(f"~{gram}") for gram in grams)


def _telling(text: str) -> list[str]:
    words = [word.lower() for word in _WORD.findall(text)]
    # Numbers name things; they never tell what is asked.
    return [word for word in words if word not in _STOP and not any(letter.isdigit() for letter in word)]


def _place(feature: str) -> int:
    return crc32(feature.encode()) % _PLACES


def _weigher(spread: Mapping[int, int], total: int) -> Callable[[Mapping[int, int]], _Vector]:
    def weigh(features: Mapping[int, int]) -> _Vector:
        # What few examples contain tells more; what none contains counts against the likeness.
        return {place: (1 + log(n)) * log(1 + total / (spread.get(place, 0) + 0.5)) for place, n in features.items()}

    return weigh


def _cosine(one: _Vector, other: _Vector) -> float:
    shared = sum(weight * other[place] for place, weight in one.items() if place in other)
    return shared / (_length(one.values()) * _length(other.values())) if shared else 0.0


def _length(weights: Iterable[float]) -> float:
    return sqrt(sum(weight * weight for weight in weights))


def _centrality(sentence: str, weights: Mapping[str, int]) -> float:
    words = set(_telling(sentence))
    # The root keeps a long sentence from winning by its length alone.
    return sum(weights[word] for word in words) / sqrt(len(words)) if words else 0.0
