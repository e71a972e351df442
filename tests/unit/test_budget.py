"""Ceilings and plan rules as policy.yml has them: read with their mistakes named, and compared as tighter or looser."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from actions.budget import Budget, Budgets
from actions.looseness import Kind, kind_of
from actions.plan_rule import Planned, PlanRule, rule_for
from actions.rule_change import compare
from actions.team import Teammate
from core.money import Money
from tests.support.ledger import a_team, allow, rules_of


def test_a_ceiling_is_told_in_its_smallest_unit_and_what_is_not_named_is_no_ceiling() -> None:
    budget = Budget.model_validate({"cost": "0.50 USD", "tokens": 9, "time": "30m"})
    assert budget.ceilings == {"micro": 500_000, "tokens": 9, "milliseconds": 1_800_000}
    assert Budget().ceilings == {}


@pytest.mark.parametrize("wrong", [{"cost": "1 EUR"}, {"tokens": 0}, {"time": "soon"}, {"dollars": 3}])
def test_what_is_no_budget_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Budget.model_validate(wrong)


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        (Budget(tokens=10), Budget(tokens=10), Kind.NEUTRAL),
        (Budget(tokens=10), Budget(tokens=9), Kind.TIGHTENED),
        (Budget(tokens=10), Budget(tokens=11), Kind.LOOSENED),
        (Budget(tokens=10), Budget(), Kind.LOOSENED),
        (Budget(), Budget(steps=3), Kind.TIGHTENED),
        (Budget(tokens=10), Budget(cost=Money(1, "USD")), Kind.LOOSENED),
        (Budget(time=timedelta(hours=1)), Budget(time=timedelta(hours=1), actions=2), Kind.TIGHTENED),
    ],
)
def test_more_to_use_is_looser_and_needs_two_admins_as_any_looser_rule_does(
    old: Budget, new: Budget, kind: Kind
) -> None:
    before, after = rules_of(allow(), budgets=Budgets(run=old)), rules_of(allow(), budgets=Budgets(run=new))
    assert kind_of(compare(before, after, [])) is kind
    mates = [Teammate(name="Desk", purpose="", workflows=[], actions=[], budget=each) for each in (old, new)]
    teams = [replace(before, team=a_team(teammates=[mate])) for mate in mates]
    assert kind_of(compare(teams[0], teams[1], [])) is kind


def planned(**changes: Any) -> Planned:
    return Planned(**{"workflow": "content", "steps": 3, "most_micro": 500_000, **changes})


@pytest.mark.parametrize(
    ("rule", "plan", "asks"),
    [
        ({}, planned(), True),
        ({"workflows": ["returns"]}, planned(), False),
        ({"workflows": ["returns", "content"]}, planned(), True),
        ({"steps_above": 3}, planned(), False),
        ({"steps_above": 2}, planned(), True),
        ({"cost_above": "0.50 USD"}, planned(), False),
        ({"cost_above": "0.49 USD"}, planned(), True),
        ({"cost_above": "9 USD"}, planned(most_micro=None), True),
        ({"steps_above": 2, "cost_above": "9 USD"}, planned(), False),
    ],
)
def test_a_plan_is_asked_about_where_all_that_is_written_holds(rule: dict[str, Any], plan: Planned, asks: bool) -> None:
    assert PlanRule.model_validate({"because": "Looked at.", **rule}).asks(plan) is asks


def test_the_first_rule_that_asks_counts() -> None:
    rules = [PlanRule(because="Others.", workflows=["returns"]), PlanRule(because="All.")]
    assert rule_for(rules, planned()) == 1
    assert rule_for(rules[:1], planned()) is None
