"""References of a plan to earlier results: checked before anything happens, filled in before a step is asked."""

import pytest

from graphs.plan import Plan, Step
from graphs.references import Unresolved, faults_of_references, is_resolved, resolved, shown

GIVES = {"order.update": frozenset({"return_id", "status"}), "message.post": frozenset({"ts"})}
RETURN = Step(key="return", action="order.update", args={"order_id": "#W1"})
TELL = Step(
    key="tell",
    action="message.post",
    args={"text": "Done.", "channel": {"$ref": "return.status"}, "more": [{"id": {"$ref": "return.return_id"}}]},
)


def test_a_step_with_a_reference_is_not_resolved_and_shows_where_its_value_comes_from() -> None:
    assert is_resolved(RETURN)
    assert not is_resolved(TELL)
    assert shown(TELL) == {
        "text": "Done.",
        "channel": "(from return.status)",
        "more": [{"id": "(from return.return_id)"}],
    }


def test_references_are_filled_in_wherever_they_stand() -> None:
    found = resolved(TELL, {"return": {"status": "open", "return_id": "r-1"}})
    assert found.args == {"text": "Done.", "channel": "open", "more": [{"id": "r-1"}]}
    assert is_resolved(found)
    assert not is_resolved(TELL)


@pytest.mark.parametrize(("results", "why"), [({}, "did not happen"), ({"return": {"status": "open"}}, "did not give")])
def test_what_is_not_there_is_said(results: dict[str, dict[str, str]], why: str) -> None:
    with pytest.raises(Unresolved, match=why):
        resolved(TELL, results)


def test_a_plan_that_refers_to_nothing_later_steps_or_foreign_fields_is_at_fault() -> None:
    assert list(faults_of_references(Plan(summary="", steps=[RETURN, TELL]), GIVES)) == []
    [first, second] = faults_of_references(Plan(summary="", steps=[TELL, RETURN]), GIVES)
    assert "no earlier step is called return" in first
    assert second
    wrong = TELL.model_copy(update={"args": {"text": {"$ref": "return.secret"}}})
    assert list(faults_of_references(Plan(summary="", steps=[RETURN, wrong]), GIVES)) == [
        "tell refers to return.secret, and order.update gives no secret."
    ]
    bare = TELL.model_copy(update={"args": {"text": {"$ref": "nonsense"}}})
    assert "no earlier step is called nonsense" in next(faults_of_references(Plan(summary="", steps=[bare]), GIVES))
