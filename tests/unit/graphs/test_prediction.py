"""Predictions are ranges of this installation's own runs, and say so where there are too few."""

from random import Random

from graphs.prediction import ENOUGH_HISTORY, Past, predict


def past(seconds: float, micro: int | None = 1_000, approvals: int = 1, steps: int = 2) -> Past:
    return Past(seconds, micro, approvals, steps)


def test_too_few_runs_say_nothing_and_that_is_said() -> None:
    assert predict([]).in_words() == "no history yet"
    assert predict([past(1.0)] * (ENOUGH_HISTORY - 1)).in_words() == "no history yet (8 earlier runs, it takes 9)"


def test_time_cost_and_approvals_are_told_as_ranges() -> None:
    pasts = [past(float(seconds), seconds * 10_000, seconds % 3) for seconds in range(1, 100)]
    assert predict(pasts).in_words() == "10 s to 90 s, 0.10 to 0.90 USD, 0 to 2 approvals (from 99 earlier runs)"


def test_one_approval_is_one_and_what_costs_nothing_says_so() -> None:
    assert predict([past(1.0, 0)] * 9).in_words() == "1 s, no cost, 1 approval (from 9 earlier runs)"


def test_a_cost_that_was_not_known_is_not_predicted() -> None:
    assert "cost unknown" in predict([past(1.0, None)] * 20).in_words()


def test_runs_of_as_many_steps_are_asked_where_there_are_enough_of_them() -> None:
    pasts = [past(100.0, steps=9)] * 12 + [past(1.0, steps=2)] * 30
    small, large, other = (predict(pasts, steps).seconds for steps in (2, 9, 5))
    assert small is not None
    assert large is not None
    assert other is not None
    assert (small.high, large.low) == (1.0, 100.0)
    assert (other.low, other.high) == (1.0, 100.0)


def test_four_of_five_further_runs_lie_within_the_range_however_times_are_spread() -> None:
    draw = Random(7)
    inside = total = 0
    for _ in range(600):
        pasts = [past(draw.lognormvariate(1, 0.8)) for _ in range(draw.randint(ENOUGH_HISTORY, 40))]
        found = predict(pasts).seconds
        assert found is not None
        inside += found.low <= draw.lognormvariate(1, 0.8) <= found.high
        total += 1
    assert 0.74 <= inside / total <= 0.86
