"""An action is declared rightly or not at all, and says in words what it would do."""

import sys
from types import ModuleType

import pytest
from pydantic import BaseModel

from actions.action import Action, ActionInvalid, ArgumentsInvalid, Call, Catalogue, Effect, action
from core.money import Money


class Gift(BaseModel):
    to: str
    amount: Money
    things: list[str] = []


class Given(BaseModel):
    gift_id: str


def declare(handler=None, **changes):
    given = {"connector": "post", "effect": Effect.REVERSIBLE, "summary": "Give {amount} and {things} to {to}"}

    async def give(args: Gift, call: Call) -> Given:
        return Given(gift_id=(await call.send())["id"])

    return action("gift.give", **{**given, **changes})(handler or give)


GIVE = declare(amount="amount", recipient="to")
ARGS = {"to": "Rita", "amount": "5 USD", "things": ["a {brace}", "b"]}


def test_the_types_come_from_the_handler():
    assert isinstance(GIVE, Action)
    assert (GIVE.args, GIVE.result) == (Gift, Given)


def test_what_it_would_do_is_said_from_its_arguments_and_nothing_in_them_is_interpreted():
    assert GIVE.summarise(ARGS) == "Give 5.00 USD and a {brace}, b to Rita"
    assert GIVE.summarise({**ARGS, "to": "{amount.currency}"}).endswith("to {amount.currency}")


def test_the_money_it_moves_is_the_argument_it_names():
    assert GIVE.amount_of(ARGS) == Money(500, "USD")
    assert declare().amount_of(ARGS) is None


def test_target_amount_and_recipient_are_guarded():
    assert declare(target="to", amount="amount", recipient="things").guarded == ("to", "amount", "things")
    assert declare().guarded == ()


@pytest.mark.parametrize("wrong", [{}, {"to": "Rita"}, {**ARGS, "amount": 5}, {**ARGS, "things": "one"}])
def test_arguments_that_do_not_fit_are_refused_by_name(wrong):
    with pytest.raises(ArgumentsInvalid, match=r"gift\.give cannot be asked for like this: (to|amount|things)"):
        GIVE.parse(wrong)


@pytest.mark.parametrize("place", ["target", "amount", "recipient"])
def test_guarding_an_argument_that_does_not_exist_is_a_mistake(place):
    with pytest.raises(ActionInvalid, match=r"gift\.give names whom"):
        declare(**{place: "whom"})


@pytest.mark.parametrize("summary", ["Give to {whom}", "Give to {whom.name}", "Give to {whom[0]!r:>5}"])
def test_a_summary_of_an_argument_that_does_not_exist_is_a_mistake(summary):
    with pytest.raises(ActionInvalid, match=r"gift\.give names whom"):
        declare(summary=summary)


async def without_types(args, call):
    """Says nothing of its types."""


async def without_result(args: Gift, call: Call):
    """Says nothing of its result."""


async def of_plain_data(args: dict, call: Call) -> Given:
    """Takes anything."""
    return Given(gift_id="")


async def of_nothing() -> Given:
    """Takes nothing."""
    return Given(gift_id="")


@pytest.mark.parametrize("handler", [without_types, without_result, of_plain_data, of_nothing])
def test_a_handler_without_types_is_a_mistake(handler):
    with pytest.raises(ActionInvalid, match="pydantic model"):
        declare(handler)


def test_a_catalogue_knows_what_was_declared_and_nothing_else():
    catalogue = Catalogue({"gift.give": GIVE})
    assert catalogue.get("gift.give") is GIVE
    assert catalogue.get("gift.take") is None
    assert catalogue.names() == ["gift.give"]


def test_two_actions_of_one_name_are_a_mistake(monkeypatch, tmp_path):
    for name in ("first", "second"):
        (tmp_path / f"{name}.py").write_text("")
        module = ModuleType(f"twins.{name}")
        module.give = declare()  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, f"twins.{name}", module)
    package = ModuleType("twins")
    package.__path__ = [str(tmp_path)]
    monkeypatch.setitem(sys.modules, "twins", package)
    with pytest.raises(ActionInvalid, match=r"Two actions are called gift\.give"):
        Catalogue.scan("twins")
