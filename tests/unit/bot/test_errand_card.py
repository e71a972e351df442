"""An errand says what to do, why and on what; only an open one has buttons; whatever stands in it, Slack takes it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from actions.errands import ErrandView
from bot.slack.blocks import limits
from bot.slack.blocks.errand_card import DONE, IMPOSSIBLE, errand_card
from core.ids import RunId

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
OPEN = ErrandView(
    errand_id="err_1",
    run_id=RunId("run_undo"),
    undone_run=RunId("run_done"),
    step="refund:#W1",
    summary="Refund 18.50 USD for order #W1 to card_1",
    instruction="Ask the customer of order #W1 to pay 18.50 USD again.",
    why="No action can take this back.",
    fields=[("amount", "18.50 USD"), ("reason", "it leaks")],
    receipt=[("refund id", "re_1")],
    sandbox=True,
    state="open",
    asked_at=NOON,
    answered_by=None,
    answered_at=None,
)
PUT_RIGHT = replace(OPEN, state="done", answered_by="U0BEN", answered_at=NOON)
IMPOSSIBLE_TO = replace(PUT_RIGHT, state="impossible")


def buttons(view: ErrandView) -> list[str]:
    rows = [block for block in errand_card(view).blocks or [] if block["type"] == "actions"]
    return [element["action_id"] for row in rows for element in row["elements"]]


@pytest.mark.parametrize(
    ("view", "expected", "said"),
    [
        (OPEN, [DONE, IMPOSSIBLE], "Needs a person: put this right by hand"),
        (PUT_RIGHT, [], "✅ *Put right by hand* by <@U0BEN>"),
        (IMPOSSIBLE_TO, [], "❌ *Cannot be put right*, says <@U0BEN>"),
    ],
)
def test_only_an_open_errand_has_buttons_and_an_answered_one_says_who(
    view: ErrandView, expected: list[str], said: str
) -> None:
    card = errand_card(view)
    assert buttons(view) == expected
    assert said in str(card.blocks)
    assert limits.violations(card) == []


def test_it_says_what_to_do_why_what_was_done_and_where_the_proof_is() -> None:
    shown, read_out = str(errand_card(OPEN).blocks), errand_card(OPEN).text
    for words in (OPEN.instruction, OPEN.why, OPEN.summary, "re_1", "it leaks", "run_done", "run_undo", "sandbox"):
        assert words in shown
    assert OPEN.instruction in read_out
    assert OPEN.summary in read_out


def test_each_button_asks_once_more_and_carries_the_errand() -> None:
    [row] = [block for block in errand_card(OPEN).blocks or [] if block["type"] == "actions"]
    assert [(each["value"], "confirm" in each) for each in row["elements"]] == [("err_1", True), ("err_1", True)]


@pytest.mark.parametrize("view", [OPEN, PUT_RIGHT, IMPOSSIBLE_TO])
def test_however_much_was_done_the_card_fits_and_can_still_be_answered(view: ErrandView) -> None:
    long = "<!channel> & so on " * 400
    fields = [(f"field {number}", long) for number in range(60)]
    much = replace(view, summary=long, instruction=long, why=long, fields=fields, receipt=fields)
    card = errand_card(much)
    assert limits.violations(card) == []
    assert "<!channel>" not in str(card.blocks) + card.text
    assert buttons(much) == buttons(view)
