"""Which change of the rulebook is looser stands beside each of its fields; what is not understood is looser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, get_args, get_origin

import pytest
from pydantic import BaseModel

from actions.looseness import Kind, Looser, changes, declared, kind_of
from actions.rule_file import read_text
from actions.rulebook import Rulebook

SAMPLE = Path("bot/sample/rulebook.yml").read_text(encoding="utf-8")
LOOSER, TIGHTER, NEUTRAL = Kind.LOOSENED, Kind.TIGHTENED, Kind.NEUTRAL
CONTAINMENT = SAMPLE[SAMPLE.index("containment:") :]
REPEAT = SAMPLE[SAMPLE.index("  repeat-refund:") : SAMPLE.index("exchanges:")]
PRICES = SAMPLE[SAMPLE.index("prices:") : SAMPLE.index("# When a host")]


def rulebook(text: str) -> Rulebook:
    return read_text("rulebook.yml", text, Rulebook).content


def change(before: BaseModel, after: BaseModel) -> Kind:
    return kind_of(list(changes(before, after)))


@pytest.mark.parametrize(
    ("was", "becomes", "kind", "back"),
    [
        ("ceiling: 20.00 USD", "ceiling: 20.01 USD", LOOSER, TIGHTER),
        ("floor: 15.00 USD", "floor: 14.99 USD", LOOSER, TIGHTER),
        ("margin: 20 %", "margin: 19 %", LOOSER, TIGHTER),
        ("day-change: 10 %", "day-change: 11 %", LOOSER, TIGHTER),
        ("day-change: 20 %", "day-change: 21 %", LOOSER, TIGHTER),
        ("witnesses: 1", "witnesses: 2", TIGHTER, LOOSER),
        ('    "1000000400":', '    "9": {floor: 1 USD, ceiling: 2 USD}\n    "1000000400":', LOOSER, TIGHTER),
        ("    aim: match\n", "    aim: median\n", LOOSER, LOOSER),
        ("competitor: Tailspin", "competitor: Treyfall", LOOSER, LOOSER),
        (PRICES, "", LOOSER, LOOSER),
        ("statuses: [delivered]", "statuses: [delivered, sent]", LOOSER, TIGHTER),
        ("allowed: [original, gift_card]", "allowed: [gift_card, original]", NEUTRAL, NEUTRAL),
        ("allowed: [original, gift_card]", "allowed: [original]", TIGHTER, LOOSER),
        ("words: [damaged, broken", "words: [broken", LOOSER, TIGHTER),
        ("most: 2", "most: 3", LOOSER, TIGHTER),
        (REPEAT, "", LOOSER, TIGHTER),
        ("isolate-for: 60m", "isolate-for: 61m", LOOSER, TIGHTER),
        ("confidence: 70", "confidence: 69", LOOSER, TIGHTER),
        ("contacts: 2", "contacts: 1", LOOSER, TIGHTER),
        (CONTAINMENT, "", TIGHTER, LOOSER),
        ("source: shop", "source: policy", NEUTRAL, NEUTRAL),
        ("because: We stay close", "because: We keep close", NEUTRAL, NEUTRAL),
        ("version: 2", "version: 3", NEUTRAL, NEUTRAL),
    ],
)
def test_each_rule_is_looser_in_its_own_direction(was: str, becomes: str, kind: Kind, back: Kind) -> None:
    assert was in SAMPLE
    before, after = rulebook(SAMPLE), rulebook(SAMPLE.replace(was, becomes, 1))
    assert (change(before, after), change(after, before)) == (kind, back)


def test_what_an_item_leaves_out_is_compared_as_what_its_section_says() -> None:
    before = rulebook(SAMPLE)
    for share, kind in ((9, TIGHTER), (10, NEUTRAL), (11, LOOSER)):
        written = SAMPLE.replace("    aim: match\n", f"    aim: match\n      day-change: {share} %\n", 1)
        assert change(before, rulebook(written)) is kind


def test_a_band_in_another_currency_is_looser() -> None:
    euros = SAMPLE.replace("15.00 USD", "16.00 EUR").replace("20.00 USD", "19.00 EUR")
    assert change(rulebook(SAMPLE), rulebook(euros)) is LOOSER


@pytest.mark.parametrize(
    ("was", "becomes", "said"),
    [
        ("ceiling: 20.00", "ceiling: 25.00", "prices: items: 1000000100: ceiling goes from 20.00 USD to 25.00 USD"),
        ("statuses: [delivered]", "statuses: [delivered, sent]", "returns: delivered-only: statuses: sent is added"),
        (REPEAT, "", "returns: repeat-refund is taken out"),
        ("aim: match", "aim: median", "prices: items: 1000000100: aim changed, and whether that is tighter"),
    ],
)
def test_a_loosening_is_said_with_its_place_and_its_values(was: str, becomes: str, said: str) -> None:
    [found] = changes(rulebook(SAMPLE), rulebook(SAMPLE.replace(was, becomes, 1)), "rulebook")
    assert found.text.startswith(f"rulebook: {said}")


def _models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for field in model.model_fields.values():
        # Lists are compared entry by entry, and no further.
        parts = () if get_origin(field.annotation) is list else (field.annotation, *get_args(field.annotation))
        for part in filter(_is_model, parts):
            yield from _models(part)


def _is_model(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def test_every_field_of_the_rulebook_declares_which_way_is_looser() -> None:
    silent = [
        f"{model.__name__}.{name}"
        for model in dict.fromkeys(_models(Rulebook))
        for name, field in model.model_fields.items()
        if declared(field) is None and not _is_model(field.annotation)
    ]
    assert silent == []


class Silent(BaseModel):
    silent: int = 1
    shares: Annotated[dict[str, int], Looser.MORE] = {}
    most: Annotated[int | None, Looser.HIGHER] = None


@pytest.mark.parametrize("after", [Silent(silent=2), Silent(silent=0), Silent(shares={"a": 1}), Silent(most=1)])
def test_what_is_not_declared_or_cannot_be_put_in_order_is_looser(after: Silent) -> None:
    assert change(Silent(), after) is LOOSER


def test_an_entry_that_is_not_understood_is_looser_either_way() -> None:
    one, two = Silent(shares={"a": 1}), Silent(shares={"a": 2})
    assert (change(one, two), change(two, one)) == (LOOSER, LOOSER)
