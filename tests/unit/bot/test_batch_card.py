"""Cards of several approvals: whole or not at all, within Slack's limits, and hostile text stays text."""

from typing import Any

import pytest

from actions.approval import Answer
from actions.batch import Answered, BatchView, Kind, Listed
from actions.intent import short
from bot.slack.blocks import batch_card as card
from core.money import Money
from tests.support.cards import active_marks, approval_view, buttons, faults_of, run_with, shown, step_view

HOSTILE = ["<!channel> <@U0ADA>", "<https://bad.example|ok>", "100 \u202eDSU", "x\n2: Refund 1.00 USD", "&" * 150]


def batch(*changes: dict[str, Any], kind: Kind = "batch", revision: int = 1) -> BatchView:
    views = [
        approval_view(**{"approval_id": f"apr_{number:026}", "amount": Money.parse("100 USD"), **change})
        for number, change in enumerate(changes)
    ]
    run_id = views[0].run_id if kind == "plan" else None
    return BatchView("bat_x", kind, run_id, [Listed(view, revision, short(view.digest)) for view in views])


@pytest.mark.parametrize("kind", ["batch", "plan", "own"])
@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("state", ["pending", "rejected", "approved"])
def test_hostile_text_stays_text_and_within_the_limits(kind: Kind, text: str, state: str) -> None:
    hostile = {
        "summary": text,
        "fields": [("note", text)],
        "reason": text,
        "state": state,
        "who": text,
        "decided_by": "U0CLEO",
    }
    message = card.batch_card(batch(hostile, hostile, {}, kind=kind))
    assert faults_of(message) == []
    ours = ("<@U0RITA>", "<@U0CLEO>", "<!date^", "<#C0RETURNS>")
    assert [mark for mark in active_marks(message) if not mark.startswith(ours)] == []
    assert "\u202e" not in shown(message) + message.text


def test_every_item_is_listed_with_every_argument_before_the_one_button() -> None:
    message = card.batch_card(batch({}, {"summary": "Refund 100.00 USD for #W2"}, {}))
    text = shown(message)
    assert "3 × “Refund …”, 300.00 USD in all" in text
    assert text.index("Refund 100.00 USD for #W2") < text.index("Approve all 3")
    assert text.count("credit_card_7") == 3
    button = buttons(message)["batch.approve"]
    assert button["confirm"]["title"]["text"] == "Approve all 3?"
    assert "3 × “Refund …”, 300.00 USD in all" in button["confirm"]["text"]["text"]
    assert "cannot be taken back" in button["confirm"]["text"]["text"]


def test_an_item_that_was_changed_is_not_counted_and_says_so() -> None:
    message = card.batch_card(batch({}, {"state": "superseded"}, {}))
    assert "Approve all 2" in shown(message)
    assert "changed since it was listed here" in shown(message)
    assert "200.00 USD in all" in shown(message)
    stale = card.batch_card(batch({}, {}, {}, revision=2))
    assert "batch.approve" not in buttons(stale)


def test_sums_of_two_currencies_are_not_mixed() -> None:
    message = card.batch_card(batch({}, {"amount": Money.parse("5 EUR")}, {}))
    assert "5.00 EUR + 200.00 USD in all" in shown(message)


def test_a_plan_says_what_each_step_does_who_decides_what_it_takes_and_what_runs_without_asking() -> None:
    plan = batch({}, {"step": "record", "effect": "reversible"}, kind="plan")
    steps = [step_view(), step_view(key="record"), step_view(key="note", verdict="allow")]
    text = shown(card.batch_card(plan, run_with(steps=steps, predicted="")))
    assert "Predicted: no history yet" in text
    assert "cannot be taken back" in text
    assert "reversible" in text
    assert "an approver of tier 2 or higher" in text
    assert "1 more run without asking" in text
    assert {"plan.approve", "plan.cancel", "plan.drop"} <= set(buttons(card.batch_card(plan)))


def test_what_does_not_fit_whole_is_never_cut() -> None:
    long = [approval_view(fields=[("note", "x" * 700)])]
    assert not card.fits("batch", long)
    assert card.fits("plan", long)
    assert not card.fits("plan", [approval_view(fields=[("note", "x" * 13_000)])])
    assert not card.fits("plan", [approval_view(summary="&" * 900)] * 2)
    assert card.fits("batch", [approval_view()] * 12)
    assert not card.fits("batch", [approval_view()] * 30)


def test_whoever_pressed_is_told_each_that_was_skipped_and_why() -> None:
    views = [approval_view(summary=f"Refund {number} <!here>", amount=None) for number in range(3)]
    answers = [
        Answer(True, "ok", "approved"),
        Answer(False, "It was your own.", "pending", "own_request"),
        Answer(True, "ok", "pending"),
    ]
    text = card.answered_text([Answered(*each) for each in zip(views, answers, strict=True)])
    assert text == (
        "Approved 1 of 3. 1 more have your approval and need another person's.\n"
        "Skipped 1: Refund 1 &lt;!here&gt;. It was your own."
    )


def test_an_argument_is_left_out_only_where_the_summary_says_that_very_value() -> None:
    said = {"summary": "Refund 11.00 USD for order #W1002 to card_10", "fields": [("amount", "11.00 USD")]}
    assert "Amount: " not in shown(card.batch_card(batch(said, {}, {})))
    for value in ("1.00 USD", "#W100", "W1002", "card_1", "10"):
        text = shown(card.batch_card(batch({**said, "fields": [("other", value)]}, {}, {})))
        assert f"Other: {value}" in text
    twice = {**said, "fields": [("amount", "11.00 USD"), ("fee", "11.00 USD")]}
    assert "Fee: 11.00 USD" in shown(card.batch_card(batch(twice, {}, {})))
