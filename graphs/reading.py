"""What a model read, held against the words themselves: whatever it makes up gives way to what patterns find."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from graphs.reasoner import Reasoner, Schema, Thought, Wanted


def is_said(value: str, text: str) -> bool:
    """True when the words have this whole: not as a part of another number, name or address."""
    return bool(value) and re.search(rf"(?<![\w@.+-]){re.escape(value)}(?![\w@+-]|\.\w)", text) is not None


async def as_said(
    reasoner: Reasoner, text: str, wanted: Wanted[Schema], *, names: Callable[[Schema], Sequence[str]]
) -> Thought[Schema | None]:
    """What is wanted, as the reasoner finds it; by pattern where it finds nothing, or `names` what nobody said."""
    thought = await reasoner.extract(text, wanted)
    named = () if thought.value is None else names(thought.value)
    if thought.reasoner == "rules" or (named and all(is_said(each, text) for each in named)):
        return thought
    return replace(thought, value=wanted.by_rules(text), reasoner="rules", model=None)
