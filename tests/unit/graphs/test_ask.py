"""Which arguments of a plan for free words a member has named: those that stand whole in what they said."""

import asyncio
from types import SimpleNamespace

import pytest

from actions.action import Catalogue
from actions.intent import TrustLabel
from graphs.workflows.ask import plan

REFUND = {"payment_method_id": "card_1", "amount": {"minor": 1850, "currency": "USD"}, "reason": "broken"}


@pytest.mark.parametrize(
    ("words", "order", "label"),
    [
        ("refund #W1001 please", "#W1001", TrustLabel.MEMBER),
        ("refund (#W1001).", "#W1001", TrustLabel.MEMBER),
        ("refund order 4412", "4412", TrustLabel.MEMBER),
        # A part of what was named is another order.
        ("refund #W1001 please", "#W100", TrustLabel.EXTERNAL),
        ("refund #W1001 please", "1001", TrustLabel.EXTERNAL),
        ("refund order 4412-B", "4412", TrustLabel.EXTERNAL),
        ("refund 44.12 for it", "44", TrustLabel.EXTERNAL),
    ],
)
def test_a_value_is_a_members_only_where_they_said_all_of_it(words, order, label):
    steps = [{"action": "payment.refund", "args": {**REFUND, "order_id": order}}]
    context = SimpleNamespace(catalogue=Catalogue.scan())
    made = asyncio.run(plan({"steps": steps, "text": words, "reasoned_by": "a model"}, context))
    assert made.steps[0].origins["order_id"] == (label, None)
