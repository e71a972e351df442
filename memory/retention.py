"""How long things stay worth finding: a score that halves with age by kind, and rises only with confirmed use.

    score = importance * 2 ** (-age / half life) + confirmed uses

Below the first threshold an item leaves the index that recall searches; below the second only its digest stays; past
its class it is gone. What is being talked about is confirmed by a person (a thumbs-up) or by being cited in something
that was accepted; being found does not count, or popular errors would live for ever.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from memory.gate import is_junk, is_passing


class Kind(StrEnum):
    """What kind of thing an item is, by how fast it loses its worth."""

    CHATTER = "chatter"
    TASK = "task"
    TALK = "talk"
    DECISION = "decision"
    LASTING = "lasting"


class Stage(StrEnum):
    """Where an item stands on its way out."""

    FOUND = "found"
    SET_ASIDE = "set_aside"
    """Out of recall's index; the text is still there."""
    DIGEST_ONLY = "digest_only"
    """Its text is gone; the chronicle still tells of it."""
    GONE = "gone"


@dataclass(frozen=True)
class Classes:
    """How an installation keeps things; a half-life of None never fades."""

    half_lives: Mapping[Kind, timedelta | None] = field(
        default_factory=lambda: {
            Kind.CHATTER: timedelta(days=14),
            Kind.TASK: timedelta(days=30),
            Kind.TALK: timedelta(days=365),
            Kind.DECISION: timedelta(days=365),
            Kind.LASTING: None,
        }
    )
    importance: Mapping[Kind, float] = field(
        default_factory=lambda: {
            Kind.CHATTER: 0.4,
            Kind.TASK: 0.7,
            Kind.TALK: 1.0,
            Kind.DECISION: 2.0,
            Kind.LASTING: 2.0,
        }
    )
    set_aside_below: float = 0.2
    digest_only_below: float = 0.05
    gone_after: Mapping[Kind, timedelta | None] = field(
        default_factory=lambda: {
            Kind.CHATTER: timedelta(days=180),
            Kind.TASK: timedelta(days=365),
            Kind.TALK: None,
            Kind.DECISION: None,
            Kind.LASTING: None,
        }
    )


@dataclass(frozen=True)
class Aged:
    """What the score of one item is made of."""

    kind: Kind
    age: timedelta
    uses: int = 0
    stage: Stage = Stage.FOUND


_STATE = re.compile(
    r"\b(?:working on|looking into|in progress|will do|on it|blocked|waiting for|done with|started|finished|deployed|"
    r"merged|fixed|todo|to do|eta)\b",
    re.IGNORECASE,
)
_DECIDED = re.compile(r"\b(?:decided|decision|agreed|we chose|approved|signed off)\b", re.IGNORECASE)
_LASTING = re.compile(r"\b(?:policy|always|never|rule|must|prefer|guideline|owns|owner)\b", re.IGNORECASE)


def kind_of(text: str, *, claims: int = 0) -> Kind:
    """The kind of a message, by what it says and by whether anything was learned from it."""
    if is_junk(text) or is_passing(text):
        return Kind.CHATTER
    if _DECIDED.search(text):
        return Kind.DECISION
    if claims or _LASTING.search(text):
        return Kind.LASTING
    if len(text.split()) <= 3:
        return Kind.CHATTER
    return Kind.TASK if _STATE.search(text) else Kind.TALK


def score(aged: Aged, classes: Classes) -> float:
    """How much it is worth now."""
    half_life = classes.half_lives[aged.kind]
    days = max(aged.age, timedelta()) / timedelta(days=1)
    faded = 1.0 if half_life is None else 2.0 ** (-days / (half_life / timedelta(days=1)))
    return classes.importance[aged.kind] * faded + aged.uses


def stage_of(aged: Aged, classes: Classes) -> Stage:
    """Where it belongs by its score and its class; text that is gone does not come back."""
    limit = classes.gone_after[aged.kind]
    worth = score(aged, classes)
    if limit is not None and aged.age > limit and aged.uses == 0:
        return Stage.GONE
    if worth < classes.digest_only_below or aged.stage is Stage.DIGEST_ONLY:
        return Stage.DIGEST_ONLY
    return Stage.SET_ASIDE if worth < classes.set_aside_below else Stage.FOUND


def due_at(kind: Kind, said_at: datetime, classes: Classes) -> datetime | None:
    """When an unused item of this kind is first to be looked at again; None for never."""
    half_life, importance = classes.half_lives[kind], classes.importance[kind]
    if half_life is None:
        return None
    return said_at + half_life * max(0.0, math.log2(importance / classes.set_aside_below))
