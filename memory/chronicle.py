"""Digests: the sentences of a conversation, a day or a week that carry it, each with the messages it stands for.

A digest is made from the messages themselves, never from another digest, so nothing drifts. By rules it only chooses
sentences; a model may word them where one is given, and what it says without the messages saying so is dropped.
"""

import math
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from memory.extract import claims_in, sentences
from memory.fact import content_words
from memory.gate import is_junk, is_passing
from memory.item import ItemId

MOST_SENTENCES = 8
#: What was learned or decided is told even where that makes the digest longer.
MOST_WITH_FACTS = 40
_MOST_LETTERS = 400
#: So much of a worded sentence has to come from its sources.
_SUPPORT = 0.5
_DECIDED = re.compile(r"\b(?:decided|decision|agreed|approved|signed off|deadline|from now on)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Turn:
    """One message, as far as a digest needs it."""

    item_id: ItemId
    author: str
    text: str
    said_at: datetime


@dataclass(frozen=True)
class Sentence:
    """One sentence of a digest, and the messages it stands for."""

    text: str
    sources: tuple[ItemId, ...]


#: Given by whoever knows models: the same turns in fewer words, each sentence naming its sources.
Summarise = Callable[[Sequence[Turn]], Awaitable[Sequence[Sentence]]]


@dataclass(frozen=True)
class _Candidate:
    turn: Turn
    text: str
    words: tuple[str, ...]
    is_fact: bool


def digest(turns: Sequence[Turn], *, most: int = MOST_SENTENCES) -> list[Sentence]:
    """The sentences that carry these turns, in the order they were said; what was said twice stands once."""
    found = [each for turn in sorted(turns, key=lambda turn: (turn.said_at, turn.item_id)) for each in _of(turn)]
    weights = _weights(found)
    facts = [each for each in found if each.is_fact][:MOST_WITH_FACTS]
    others = sorted((each for each in found if not each.is_fact), key=lambda each: -_score(each, weights))
    chosen = {id(each) for each in [*facts, *others[: max(0, most - len(facts))]]}
    told = dict[tuple[str, ...], Sentence]()
    for each in found:
        if id(each) in chosen or each.words in told:
            known = told.get(each.words)
            sources = (*known.sources, each.turn.item_id) if known else (each.turn.item_id,)
            text = known.text if known else f"<@{each.turn.author}>: {each.text}"
            told[each.words] = Sentence(text, tuple(dict.fromkeys(sources)))
    return list(told.values())


def _of(turn: Turn) -> list[_Candidate]:
    learned = {found.start for found in claims_in(turn.text, said_at=turn.said_at, author=turn.author)}
    found = list[_Candidate]()
    for start, end in sentences(turn.text):
        text = " ".join(turn.text[start:end].split())
        words = content_words(text)
        if len(words) < 2 or is_junk(text) or is_passing(text):
            continue
        is_fact = start in learned or _DECIDED.search(text) is not None
        found.append(_Candidate(turn, text[:_MOST_LETTERS], words, is_fact))
    return found


def _weights(found: Sequence[_Candidate]) -> dict[str, float]:
    """How much each word says about this conversation: known to several sentences, but not to all."""
    counts = Counter(word for each in found for word in set(each.words))
    return {word: math.log(1 + many) * math.log(1 + len(found) / many) for word, many in counts.items() if many > 1}


def _score(each: _Candidate, weights: dict[str, float]) -> float:
    central = sum(weights.get(word, 0.0) for word in set(each.words)) / math.sqrt(len(each.words))
    says = 0.5 * bool(re.search(r"\d", each.text)) + 0.5 * ("<@" in each.text) - 0.5 * each.text.endswith("?")
    return central + says


def supported(worded: Sequence[Sentence], turns: Sequence[Turn]) -> list[Sentence]:
    """Of what a model worded, the sentences that their sources bear out."""
    texts = {turn.item_id: set(content_words(turn.text)) for turn in turns}
    kept = list[Sentence]()
    for sentence in worded:
        words = set(content_words(sentence.text))
        sources = tuple(source for source in sentence.sources if source in texts)
        known = set[str]().union(*(texts[source] for source in sources))
        numbers = {word for word in words if any(char.isdigit() for char in word)}
        if sources and words and len(words & known) / len(words) >= _SUPPORT and numbers <= known:
            kept.append(Sentence(sentence.text, sources))
    return kept
