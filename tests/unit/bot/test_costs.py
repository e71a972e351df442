"""What models cost, in words: by span, workflow and purpose, and never more certain than it is known."""

from typing import Any

from bot.costs import cost_text


def row(**changes: Any) -> dict[str, Any]:
    usual = {
        "workflow": "returns",
        "purpose": "reason",
        "span": "today",
        "calls": 3,
        "tokens": 4_500,
        "cost_usd": "0.012300",
        "unpriced": 0,
        "partial": 0,
        "failed": 0,
        "p50_ms": 800,
        "p95_ms": 2_400,
    }
    return usual | changes


def test_where_no_model_was_asked_that_is_said() -> None:
    assert "nothing was spent" in cost_text([])


def test_each_workflow_and_purpose_stands_below_the_total_of_its_span() -> None:
    rows = [row(), row(workflow="", purpose="plan", cost_usd="0.2", calls=1), row(span="this month", cost_usd="3.5")]
    lines = cost_text(rows).splitlines()
    assert lines[0] == "*Today*: 0.21 USD (4 calls, 9,000 tokens)"
    assert lines[1].startswith("• returns, to reason: 0.0123 USD (3 calls, 4,500 tokens) · half within 0.8 s")
    assert lines[2].startswith("• understanding what is asked for, to plan: 0.20 USD (1 call, ")
    assert lines[3] == "*This month*: 3.50 USD (3 calls, 4,500 tokens)"


def test_how_long_calls_took_is_told_beside_what_is_usual() -> None:
    usual, slow = row(), row(purpose="write", p50_ms=12_000, p95_ms=29_000)
    lines = cost_text([usual, slow]).splitlines()
    assert lines[1].endswith("half within 0.8 s, 95 % within 2.4 s")
    assert lines[2].endswith("half within 12.0 s, 95 % within 29.0 s, slower than usual")
    assert lines[-1] == "Usual for a call: 1 to 3 s from a model nearby, 2 to 10 s from elsewhere."


def test_a_cost_without_a_price_is_unknown_and_a_lost_call_counts_with_the_most() -> None:
    assert "cost unknown (no price is configured)" in cost_text([row(unpriced=3, cost_usd="0")])
    assert "and the unknown cost of 1 calls without a price" in cost_text([row(unpriced=1)])
    said = cost_text([row(partial=2, failed=2)])
    assert "2 calls count with the most they can have cost" in said
    assert "2 gave no usable answer" in said
    assert "*This month*: nothing was spent on models." in said


def test_workflow_names_are_text_and_a_long_list_is_cut() -> None:
    text = cost_text([row(workflow=f"<!channel> {number}") for number in range(60)])
    assert "<!channel>" not in text
    assert "more lines" in text
