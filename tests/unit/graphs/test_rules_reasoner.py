"""The reasoner that needs no model: it knows what it was shown, says when it does not know, and never invents."""

import pytest
from pydantic import BaseModel

from graphs.reasoner import Choice, Example, Wanted
from graphs.rules_reasoner import RulesReasoner

EXAMPLES = [
    Example("returns", "refund the headphones of order #W5199551"),
    Example("returns", "the customer sends back two shirts and wants the money back"),
    Example("returns", "return order #W100 to the gift card"),
    Example("mailbox", "answer the unread mails of the shop"),
    Example("mailbox", "sort the inbox and draft replies"),
    Example("prices", "check what competitors ask for our keyboards"),
    Example("prices", "watch the market price of the lamp"),
]


class Parcel(BaseModel):
    number: str


def _parcel(text: str) -> Parcel | None:
    return next((Parcel(number=word) for word in text.split() if word.startswith("P-")), None)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("please refund order #W7242815, the kettle is broken", "returns"),
        ("customer wants money back for a shirt", "returns"),
        ("sort my inbox", "mailbox"),
        ("draft replies to unread mails", "mailbox"),
        ("what do competitors charge for the lamp, watch their price", "prices"),
    ],
)
async def test_a_text_like_an_example_gets_its_label(text: str, label: str) -> None:
    thought = await RulesReasoner().classify(text, EXAMPLES)
    assert (thought.value, thought.certain) == (label, True)


@pytest.mark.parametrize(
    "text", ["what is the weather in Rome", "", "#W5199551", "the of and", "🦑🦑🦑", "book me a flight"]
)
async def test_a_text_unlike_every_example_is_honestly_unknown(text: str) -> None:
    thought = await RulesReasoner().classify(text, EXAMPLES)
    assert (thought.value, thought.certain) == (None, False)


async def test_two_labels_equally_near_are_not_guessed_between() -> None:
    twins = [Example("one", "sort the inbox"), Example("two", "sort the inbox")]
    thought = await RulesReasoner().classify("sort the inbox", twins)
    assert thought.value is None
    assert "one or two" in thought.note


async def test_without_examples_nothing_is_known() -> None:
    assert (await RulesReasoner().classify("refund this", [])).value is None


async def test_rules_cost_nothing_and_say_who_they_are() -> None:
    thought = await RulesReasoner().classify("sort my inbox", EXAMPLES)
    assert (thought.reasoned_by, thought.tokens_in, thought.tokens_out, thought.cost_usd) == ("rules", 0, 0, 0)


async def test_extraction_is_by_the_workflows_own_pattern() -> None:
    wanted = Wanted(Parcel, "the parcel", _parcel)
    assert (await RulesReasoner().extract("where is P-12 now", wanted)).value == Parcel(number="P-12")
    nothing = await RulesReasoner().extract("where is it now", wanted)
    assert (nothing.value, nothing.certain) == (None, False)


async def test_a_draft_is_the_template_with_its_facts() -> None:
    thought = await RulesReasoner().draft("Dear $name, $$5 for ${what}.", {"name": "Ada $what", "what": "tea"})
    assert (thought.value, thought.certain) == ("Dear Ada $what, $5 for tea.", True)


async def test_what_a_draft_lacks_is_left_to_a_person_and_named() -> None:
    thought = await RulesReasoner().draft("Dear $name, $opening", {"name": "Ada"})
    assert thought.value == "Dear Ada, [fill in: opening]"
    assert not thought.certain
    assert "opening" in thought.note


async def test_a_summary_quotes_the_central_sentences_in_their_order() -> None:
    texts = [
        "The kettle leaks. Lunch was nice.\nThe customer says the kettle leaks at the handle.",
        "Refund the kettle. The kettle leaks.",
    ]
    thought = await RulesReasoner().summarise(texts, sentences=2)
    assert thought.value == "The kettle leaks. The customer says the kettle leaks at the handle."
    assert (await RulesReasoner().summarise([], sentences=2)).value == ""
    assert (await RulesReasoner().summarise(texts, sentences=0)).value == ""


async def test_a_plan_is_at_most_one_choice_and_never_certain() -> None:
    choices = [Choice("refund", "give the customer money back"), Choice("answer", "write a reply to the mail")]
    thought = await RulesReasoner().plan("the customer wants money back", choices)
    assert (thought.value, thought.certain) == (("refund",), False)
    assert (await RulesReasoner().plan("paint the house", choices)).value == ()
