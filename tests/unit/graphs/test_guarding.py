"""The question for more of a budget: of each day and month its own, so that one answer never stands for another."""

import pytest

from actions.budget import Budget
from graphs.budget import BudgetReached, Ceiling, Draw
from graphs.guarding import raise_of


def question(scope, period, raises=0):
    ceiling = Ceiling(scope, "T1", Budget(tokens=100))
    row = {"tokens": 100, "raised_tokens": 0, "raises": raises}
    return raise_of(BudgetReached(ceiling, Draw(scope, "T1", period), row, "tokens", 10))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("day", "2026-05-04"), ("day", "2026-05-05")),
        (("workspace", "2026-05"), ("workspace", "2026-06")),
        (("run", "", 0), ("run", "", 1)),
    ],
)
def test_a_run_that_goes_on_into_another_day_asks_anew(one, other):
    assert question(*one).key != question(*other).key
    assert question(*one) == question(*one)
