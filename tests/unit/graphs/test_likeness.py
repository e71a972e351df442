"""What is learned from examples, how sure it must be, and what remains while there are no vectors."""

import math
import random
from collections.abc import Sequence

from core.errors import CountersignError
from graphs.likeness import Embed
from graphs.reasoner import Example
from graphs.rules_reasoner import RulesReasoner

# Each word means a direction; a text is where its words point together.
_DIRECTIONS = {"return": 0.0, "refund": 0.2, "where": 2.0, "parcel": 2.2, "invoice": 4.0, "bill": 4.2}
EXAMPLES = [
    Example(label, f"{word} {number}")
    for label, words in (("return", "return refund"), ("order", "where parcel"), ("business", "invoice bill"))
    for word in words.split()
    for number in range(8)
]


async def _embed(texts: Sequence[str]) -> list[list[float]]:
    return [_vector(text) for text in texts]


def _vector(text: str) -> list[float]:
    dice = random.Random(text)
    angles = [_DIRECTIONS[word] for word in text.split() if word in _DIRECTIONS]
    x, y = sum(map(math.cos, angles)), sum(map(math.sin, angles))
    return [x + dice.gauss(0, 0.05), y + dice.gauss(0, 0.05), *(dice.gauss(0, 0.05) for _ in range(6))]


async def test_a_text_gets_the_label_of_the_examples_that_mean_the_same() -> None:
    reasoner = RulesReasoner(embed=_embed)
    for text, label in (("refund 99", "return"), ("parcel now", "order"), ("bill again", "business")):
        thought = await reasoner.classify(text, EXAMPLES)
        assert (thought.value, thought.certain) == (label, True)


async def test_a_text_between_two_labels_gets_an_honest_i_do_not_know() -> None:
    thought = await RulesReasoner(embed=_embed).classify("return where", EXAMPLES)
    assert thought.value is None
    assert not thought.certain
    assert thought.note.startswith("it could be")


async def test_the_same_examples_are_embedded_once() -> None:
    asked: list[int] = []

    async def counting(texts: Sequence[str]) -> list[list[float]]:
        asked.append(len(texts))
        return await _embed(texts)

    reasoner = RulesReasoner(embed=counting)
    for _ in range(3):
        await reasoner.classify("refund 1", EXAMPLES)
    assert asked == [len(EXAMPLES), 1, 1, 1]


async def test_while_the_embedder_is_away_likeness_goes_by_letters() -> None:
    async def away(texts: Sequence[str]) -> list[list[float]]:
        raise CountersignError("away")

    embed: Embed = away
    examples = [Example("return", "I want to return my kettle"), Example("order", "where is my parcel")]
    thought = await RulesReasoner(embed=embed).classify("please return the kettle", examples)
    assert thought.value == "return"
