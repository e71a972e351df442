"""What a model finds is handed to memory by message, and a number it invents is nobody's."""

from datetime import UTC, datetime
from typing import get_args

from core.trust import TrustLabel
from graphs.distilling import Finding, Findings, Relation, extractor
from graphs.reasoner import Thought
from memory.distil import Message
from memory.forms import RELATIONS
from memory.item import ItemId, ScopeId


def message(number: int, text: str) -> Message:
    at = datetime(2026, 11, 20, tzinfo=UTC)
    return Message(
        ItemId(number),
        ScopeId(1),
        "T0",
        "U0RITA",
        text,
        at,
        TrustLabel.MEMBER,
        f"slack:C0:{number}",
        ("U0RITA",),
        1,
        at,
    )


class Model:
    """A reasoner that answers with these findings."""

    def __init__(self, *findings: Finding) -> None:
        self.findings, self.seen = list(findings), ""

    async def extract(self, text, wanted):
        self.seen = text
        return Thought(Findings(findings=self.findings) if self.findings else None, "model", "m")


def finding(number: int) -> Finding:
    return Finding(message=number, subject="gold plan", relation="is", object="four hours", quote="within four hours")


async def test_each_finding_belongs_to_the_message_it_names():
    model = Model(finding(1), finding(7), finding(-1))
    found = await extractor(lambda: model)([message(41, "hello"), message(42, "gold is answered within four hours")])
    assert [(each.item_id, each.quote) for each in found] == [(42, "within four hours")]
    assert model.seen.startswith("[0] hello\n[1] gold")


async def test_nothing_found_is_nothing_and_a_long_batch_is_shown_in_part():
    model = Model()
    assert await extractor(lambda: model)([message(n, "x" * 5000) for n in range(5)]) == []
    assert len(model.seen) < 11_000


def test_the_model_may_use_every_relation_and_no_other():
    assert set(get_args(Relation)) == RELATIONS
