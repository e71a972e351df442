"""The form that an action's schema makes, and what comes back from it."""

from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict

from actions.action import Action, Call, Effect, action
from actions.edits import Form
from actions.forms import Change, Filled, Kind, form_of, read
from bot.slack.blocks import edit_form
from core.money import Money
from tests.support.cards import DIGEST, modal_faults, texts


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Inner(BaseModel):
    at: int


class Everything(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: str = "words"
    note: str | None = None
    count: int = 3
    share: Decimal = Decimal("0.5")
    price: Money = Money(1250, "USD")
    urgent: bool = False
    speed: Literal["slow", "fast"] = "slow"
    colour: Colour = Colour.RED
    tags: list[str] = ["one", "two"]
    colours: list[Colour] = [Colour.RED]
    inner: Inner = Inner(at=1)


class Nothing(BaseModel):
    pass


@action("every.thing", connector="any", effect=Effect.REVERSIBLE, summary="Do {text}")
async def everything(args: Everything, call: Call) -> Nothing:
    await call.send()
    return Nothing()


ACTION: Action[Any, Any] = everything
ARGS = Everything().model_dump(mode="json")


def typed_as_shown() -> dict[str, Any]:
    """What comes back from a form that nobody touched."""
    fields = form_of(ACTION, ARGS)
    return {f.name: f.chosen if f.kind is Kind.CHOICES else f.before or None for f in fields}


def filled(**typed: Any) -> Filled:
    found = read(ACTION, ARGS, {**typed_as_shown(), **typed})
    assert isinstance(found, Filled), found
    return found


def test_every_kind_of_argument_has_its_input() -> None:
    kinds = {field.name: field.kind for field in form_of(ACTION, ARGS)}
    assert kinds == {
        "text": Kind.TEXT,
        "note": Kind.TEXT,
        "count": Kind.NUMBER,
        "share": Kind.NUMBER,
        "price": Kind.MONEY,
        "urgent": Kind.CHOICE,
        "speed": Kind.CHOICE,
        "colour": Kind.CHOICE,
        "tags": Kind.LINES,
        "colours": Kind.CHOICES,
        "inner": Kind.FIXED,
    }


@pytest.mark.parametrize(
    ("name", "typed", "value", "words"),
    [
        ("text", "other", "other", "other"),
        ("note", "hello", "hello", "hello"),
        ("count", "12", 12, "12"),
        ("share", "0.25", Decimal("0.25"), "0.25"),
        ("price", "1,000.50 USD", Money(100050, "USD"), "1,000.50 USD"),
        ("urgent", "yes", True, "yes"),
        ("speed", "fast", "fast", "fast"),
        ("colour", "blue", Colour.BLUE, "blue"),
        ("tags", "two\n three \n\n", ["two", "three"], "two, three"),
        ("colours", ["red", "blue"], [Colour.RED, Colour.BLUE], "red, blue"),
    ],
)
def test_what_is_typed_becomes_the_argument_and_is_told(name: str, typed: Any, value: Any, words: str) -> None:
    found = filled(**{name: typed})
    assert getattr(found.args, name) == value
    assert found.names == {name}
    assert [change.after for change in found.changes] == [words]


def test_an_untouched_form_changes_nothing_and_says_so() -> None:
    problems = read(ACTION, ARGS, typed_as_shown())
    assert isinstance(problems, dict)
    assert "Nothing is changed" in problems["text"]


@pytest.mark.parametrize(
    ("name", "typed", "says"),
    [
        ("count", "three", "whole number"),
        ("count", "1.5", "whole number"),
        ("share", "half", "a number"),
        ("price", "12", "not money"),
        ("price", "1,00 USD", "not an amount"),
        ("speed", "warp", "slow"),
        ("text", None, ""),
    ],
)
def test_what_cannot_be_read_is_said_beside_its_input(name: str, typed: Any, says: str) -> None:
    problems = read(ACTION, ARGS, {**typed_as_shown(), name: typed})
    if name == "text":
        assert isinstance(problems, Filled)
        assert problems.changes == (Change("text", "words", ""),)
        return
    assert isinstance(problems, dict)
    assert set(problems) == {name}
    assert says in problems[name]


@pytest.mark.parametrize(
    "args", [{"text": "x" * 3001}, {"tags": ["two\nlines"]}, {"tags": [" edges "]}, {"tags": ["x"] * 2000}]
)
def test_what_an_input_would_not_give_back_as_it_was_cannot_be_changed_and_stays(args: dict[str, Any]) -> None:
    kept = Everything.model_validate(args).model_dump(mode="json")
    [name] = args
    assert {field.kind for field in form_of(ACTION, kept) if field.name == name} == {Kind.FIXED}
    found = read(ACTION, kept, {name: "something", "note": "new"})
    assert isinstance(found, Filled)
    assert found.args.model_dump(mode="json") == {**kept, "note": "new"}


def test_the_modal_is_one_that_slack_takes_and_gives_back_what_it_began_with() -> None:
    form = Form("Do words", 1, DIGEST, form_of(ACTION, ARGS))
    view = edit_form.edit_view(form, "metadata")
    assert modal_faults(view) == []
    assert view["callback_id"] == edit_form.EDIT
    inputs = [block for block in view["blocks"] if block["type"] == "input"]
    assert len(inputs) == 10
    assert "at=1" in "".join(texts(view["blocks"]))


def test_a_value_with_hidden_characters_is_shown_written_out_and_is_no_input() -> None:
    args = Everything(text="in\u200bvisible").model_dump(mode="json")
    view = edit_form.edit_view(Form("Do", 1, DIGEST, form_of(ACTION, args)), "metadata")
    assert edit_form.block_of("text") not in {block.get("block_id") for block in view["blocks"]}
    assert "in⟨U+200B⟩visible" in "".join(texts(view["blocks"]))


def test_a_record_too_large_for_a_form_says_so() -> None:
    args = Everything(text="x" * 400_000).model_dump(mode="json")
    view = edit_form.edit_view(Form("Do", 1, DIGEST, form_of(ACTION, args)), "metadata")
    assert "submit" not in view
    assert modal_faults(view) == []


def test_sentences_stand_under_their_inputs_and_the_rest_under_the_first() -> None:
    typed = {"text": "a", "count": "b"}
    errors = edit_form.errors_of({"count": "Write a whole number.", "": "No."}, typed)
    assert errors == {edit_form.block_of("count"): "Write a whole number.", edit_form.block_of("text"): "No."}


def test_a_changed_text_of_several_lines_is_named_and_not_strung_into_a_sentence() -> None:
    assert str(Change("amount", "100.00 USD", "80.00 USD")) == "amount 100.00 USD → 80.00 USD"
    assert str(Change("text", "Hello,\nyours", "Hi,\nyours")) == "text, as its card shows"
