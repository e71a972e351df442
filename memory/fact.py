"""Facts over two times: when something held, and when we knew it. What takes whose place is decided by rule alone.

People and systems make claims: "subject, relation, object, from then on", each with the words that say so. The facts
of one subject and relation are a pure function of its claims, whatever order they arrived in:

- Of a functional relation one object holds at a time. The newest `valid_from` wins, and the fact before it ends there.
- Of an accumulating one (ACCUMULATING) each object holds by itself, until somebody says that it holds no longer.
- A less trusted claim never ends what somebody more trusted said: it is disputed, and put to a person.

Nothing is deleted: a fact that ends is retired with the time we learned it, so that both times can be asked.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

from core.trust import TrustLabel
from memory.item import ItemId, ScopeId

_RANK = {TrustLabel.EXTERNAL: 0, TrustLabel.MEMBER: 1, TrustLabel.OPERATOR: 2}

#: What is decided, wished or done may be several at a time; of all else one holds at a time.
ACCUMULATING = frozenset({"decided", "prefers", "avoids", "uses", "includes", "works on"})


@dataclass(frozen=True)
class Span:
    """Where something was said, word for word: `item` is the remembered message, `text` what stands in it there."""

    item: ItemId
    start: int
    end: int
    text: str

    def stands_in(self, content: str) -> bool:
        """True when the source really says this at that place."""
        return 0 <= self.start < self.end <= len(content) and content[self.start : self.end] == self.text


@dataclass(frozen=True)
class Claim:
    """What somebody said is so from `valid_from` on."""

    claim_id: str
    scope_id: ScopeId
    subject: str
    relation: str
    object: str
    valid_from: datetime
    said_at: datetime
    trust: TrustLabel
    span: Span
    said_by: str = ""
    subjects: tuple[str, ...] = ()
    """Whose keys its words are sealed under."""
    confidence: float = 0.9
    ends: bool = False
    """True when it says that this holds no longer; without an object, that nothing does."""
    accepted: bool = False
    """True once a person has settled a dispute in its favour."""


@dataclass(frozen=True)
class Interval:
    """One object held from `valid_from` until `valid_to`, as these claims say."""

    object: str
    valid_from: datetime
    valid_to: datetime | None
    claims: tuple[Claim, ...]

    @property
    def trust(self) -> TrustLabel:
        """That of the most trusted who said so."""
        return max((claim.trust for claim in self.claims), key=_RANK.__getitem__)

    @property
    def confidence(self) -> float:
        """That of the surest who said so."""
        return max(claim.confidence for claim in self.claims)


@dataclass(frozen=True)
class Dispute:
    """A claim that would end what somebody more trusted said."""

    claim: Claim
    against: Claim


@dataclass(frozen=True)
class Timeline:
    """What held when, of one scope, subject and relation, oldest first; and what a person has to settle."""

    intervals: tuple[Interval, ...]
    disputes: tuple[Dispute, ...]


@dataclass(frozen=True)
class Fact:
    """One version of a fact: it held from `valid_from` until `valid_to`, and we knew it so from `recorded_at` on."""

    fact_id: str
    scope_id: ScopeId
    subject: str
    relation: str
    object: str
    valid_from: datetime
    valid_to: datetime | None
    recorded_at: datetime
    retired_at: datetime | None
    trust: TrustLabel
    confidence: float
    superseded_by: str | None = None
    claims: tuple[str, ...] = field(default=())

    def held(self, at: datetime) -> bool:
        """True when, as far as this version knows, it held at `at`."""
        return self.valid_from <= at and (self.valid_to is None or at < self.valid_to)

    def was_known(self, at: datetime) -> bool:
        """True when this version was what we knew at `at`."""
        return self.recorded_at <= at and (self.retired_at is None or at < self.retired_at)

    def sentence(self) -> str:
        """The fact in words."""
        return in_words(self.subject, self.relation, self.object)


_PLACED = re.compile(r"(?:on|under|underneath|behind|beside|next to|above|below|near|opposite|outside) ", re.IGNORECASE)


def in_words(subject: str, relation: str, object_: str) -> str:
    """A subject, relation and object as people say it."""
    if relation == "owner":
        return f"{object_} owns {subject}"
    if relation == "located in" and _PLACED.match(object_):
        return f"{subject} is {object_}"
    verb = {"done with": "is done with", "due": "is due", "scheduled for": "is scheduled for", "located in": "is in"}
    return f"{subject} {verb.get(relation, relation)} {object_}"


def timeline(claims: Iterable[Claim]) -> Timeline:
    """What these claims of one scope, subject and relation come to, whatever order they are given in."""
    known = sorted(claims, key=_turn)
    if known and known[0].relation in ACCUMULATING:
        by_object = sorted(known, key=lambda claim: content_words(claim.object))
        lines = [_line(sorted(same, key=_turn)) for _, same in groupby(by_object, lambda c: content_words(c.object))]
    else:
        lines = [_line(known)]
    intervals = sorted((each for line in lines for each in line.intervals), key=lambda each: each.valid_from)
    return Timeline(tuple(intervals), tuple(each for line in lines for each in line.disputes))


def _turn(claim: Claim) -> tuple[datetime, int, datetime, str]:
    """Of what is said to hold from the same moment, the most trusted word comes last, then the latest."""
    return claim.valid_from, _weight(claim), claim.said_at, claim.claim_id


def _weight(claim: Claim) -> int:
    return _RANK[TrustLabel.OPERATOR] if claim.accepted else _RANK[claim.trust]


def _line(claims: Sequence[Claim]) -> Timeline:
    done: list[Interval] = []
    disputes: list[Dispute] = []
    holding: list[Claim] = []
    for claim in claims:
        goes_on = bool(holding) and not claim.ends and says_the_same(holding[0].object, claim.object)
        if goes_on:
            holding.append(claim)
            continue
        if claim.ends and (not holding or (claim.object and not says_the_same(holding[0].object, claim.object))):
            continue
        above = [held for held in holding if _weight(held) > _weight(claim)]
        if above:
            disputes.append(Dispute(claim, above[0]))
            continue
        _end(done, holding, claim.valid_from)
        holding = [] if claim.ends else [claim]
    _end(done, holding, None)
    return Timeline(tuple(done), tuple(disputes))


def _end(done: list[Interval], holding: Sequence[Claim], at: datetime | None) -> None:
    # What is put right in the moment it began never held.
    if holding and holding[0].valid_from != at:
        done.append(Interval(holding[0].object, holding[0].valid_from, at, tuple(holding)))


def current(facts: Iterable[Fact], at: datetime) -> list[Fact]:
    """What holds at `at` by everything known now, newest first: the current value when `at` is now."""
    live = [fact for fact in facts if fact.retired_at is None and fact.held(at)]
    return sorted(live, key=_newness, reverse=True)


def as_of(facts: Iterable[Fact], at: datetime, known_at: datetime | None = None) -> list[Fact]:
    """What held at `at`, by what was known at `known_at` (now where None), newest first."""
    if known_at is None:
        return current(facts, at)
    return sorted((fact for fact in facts if fact.was_known(known_at) and fact.held(at)), key=_newness, reverse=True)


def _newness(fact: Fact) -> tuple[datetime, datetime]:
    return fact.valid_from, fact.recorded_at


_WORD = re.compile(r"[^\W_]+(?:[.,:/-](?=\d)\d+)*|[%€$£¥]", re.UNICODE)
#: What may differ between two ways of saying the same.
_EMPTIES = "the a an our my your their his her its is are now to of for at in on be"
_EMPTY = frozenset(_EMPTIES.split())


def plain(text: str) -> str:
    """`text` as it is compared: one case, one kind of space, no article in front, words and numbers only."""
    words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    while len(words) > 1 and words[0] in ("the", "a", "an", "our", "my", "your", "their"):
        words = words[1:]
    return " ".join(words)


def content_words(text: str) -> tuple[str, ...]:
    """The words that carry what is said, in their order; plurals count as their singular."""
    words = plain(text).split()
    kept = [word for word in words if word not in _EMPTY] or words
    return tuple(word[:-1] if len(word) > 3 and word.endswith("s") and word.isalpha() else word for word in kept)


def says_the_same(one: str, other: str) -> bool:
    """True when two objects mean one thing: the same words that count, in the same order, and the same numbers."""
    return content_words(one) == content_words(other)
