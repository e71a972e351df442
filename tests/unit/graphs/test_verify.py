"""What a plan must satisfy before anything happens: its shape, who asks, and where data would go."""

from typing import Any

import pytest

from actions.action import Catalogue
from actions.team import Team
from graphs.plan import Plan, Step
from graphs.verify import Around, comes_too_soon, faults_around, faults_of
from tests.support.company import AMIR, RITA
from tests.support.ledger import PEOPLE, TEAM

CATALOGUE = Catalogue.scan()
REFUND = {"order_id": "#W1", "payment_method_id": "card_1", "amount": {"minor": 100, "currency": "USD"}, "reason": "x"}
ALLOWED = ("payment.refund", "order.update", "message.post")


def step(key: str = "refund", action: str = "payment.refund", args: Any = REFUND, group: str = "") -> Step:
    return Step(key=key, action=action, args=args, group=group)


def around(**changes: Any) -> Around:
    team = Team.model_validate({"workspace": TEAM, "people": PEOPLE})
    return Around(**{"team": team, "requester": RITA, **changes})


def texts(*steps: Step, **changes: Any) -> str:
    plan = Plan(summary="", steps=list(steps))
    return " ".join(
        f.text for f in [*faults_of(plan, CATALOGUE, ALLOWED), *faults_around(plan, CATALOGUE, around(**changes))]
    )


def test_a_plan_of_known_permitted_actions_with_fitting_arguments_has_no_fault() -> None:
    assert texts(step()) == ""


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ((), "no steps"),
        ((step(), step()), "Two steps are called refund"),
        ((step(action="bank.rob"),), "Nobody registered"),
        ((step(action="order.restore", args={"order_id": "#W1", "return_id": "r"}),), "may not ask for order.restore"),
        ((step(args={"order_id": "#W1"}),), "cannot be asked for like this"),
        ((step(args={**REFUND, "reason": {"$ref": "nobody.text"}}),), "no earlier step is called nobody"),
        ((step(args={"reason": {"$ref": "nobody.text"}, "to": "me"}),), "knows no to"),
    ],
)
def test_every_fault_is_named(plan: tuple[Step, ...], said: str) -> None:
    assert said in texts(*plan)


def test_whoever_may_start_nothing_any_more_has_nothing_done() -> None:
    assert "may not have anything done" in texts(step(), requester=AMIR)
    assert "may not have anything done" in texts(step(), requester="U0STRANGER")


def test_data_stays_where_policy_keeps_it() -> None:
    kept = {"allowed_regions": ["eu"]}
    assert texts(step(), regions={"payment.refund": "eu"}, **kept) == ""
    assert "would send data to us" in texts(step(), regions={"payment.refund": "us"}, **kept)
    assert "does not name" in texts(step(), **kept)


def test_a_step_that_cannot_be_taken_back_stands_last_in_its_group_or_is_pointed_out() -> None:
    update = step("return", "order.update", {**REFUND, "item_ids": ["a"]}, group="one")
    refund = step(group="one")
    assert comes_too_soon(Plan(summary="", steps=[refund, update]), CATALOGUE, refund)
    assert not comes_too_soon(Plan(summary="", steps=[update, refund]), CATALOGUE, refund)
    assert not comes_too_soon(Plan(summary="", steps=[step(), update]), CATALOGUE, step())
