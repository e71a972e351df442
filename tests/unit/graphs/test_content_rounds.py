"""What people say to a run that writes, several things in one breath among them."""

from types import SimpleNamespace
from typing import Any, cast

from graphs.context import RunContext
from graphs.dialogue import Said
from graphs.workflows.content import weigh

CONTEXT = cast(RunContext, SimpleNamespace(rules=SimpleNamespace(team=SimpleNamespace(name_of=lambda _: "Rita"))))
DRAFT = {"title": "Oiling a board", "body": "Oil it!", "by": "a model", "is_a_persons": False}
FACTS: dict[str, Any] = {
    "brief": {"text": "A post on how to oil a wooden board", "title": "Oiling a board"},
    "rules": [],
    "draft": DRAFT,
    "round": 1,
    "feedback": [],
    "told": [],
    "broken": [],
}


def said(*texts: str) -> list[Said]:
    return [Said(place, "U0RITA", text) for place, text in enumerate(texts)]


async def test_what_was_shown_is_agreed_to_by_one_word() -> None:
    facts = await weigh(FACTS, said("looks good, publish it"), CONTEXT)
    assert (facts["agreed"], facts["agreed_by"]) == (True, "Rita")


async def test_a_text_that_comes_in_the_same_breath_is_shown_before_it_is_published() -> None:
    for words in ("publish", "publish anyway"):
        facts = await weigh(FACTS, said("# Oiling\n\nAnother text altogether!", words), CONTEXT)
        assert facts["draft"]["body"] == "Another text altogether!"
        assert not facts["agreed"]
        assert "so I show it first. Say `publish` once more." in facts["told"][-1]


async def test_a_wish_that_comes_in_the_same_breath_is_followed_before_it_is_published() -> None:
    facts = await weigh(FACTS, said("only here: no exclamation marks", "publish"), CONTEXT)
    assert not facts["agreed"]
    assert [each["text"] for each in facts["feedback"]] == ["only here: no exclamation marks"]


async def test_whoever_goes_on_talking_has_not_agreed() -> None:
    facts = await weigh(FACTS, said("publish", "only here: no exclamation marks"), CONTEXT)
    assert not facts["agreed"]
