"""A suggestion to ask less says what would run alone, what speaks for it and how it ends; it fits Slack's limits."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from actions.autonomy import Band
from actions.grants import GrantView
from bot.slack.blocks import limits
from bot.slack.blocks.autonomy_card import DECLINE, GRANT, TAKE_BACK, autonomy_card, autonomy_list
from core.money import Money

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
BAND = Band("payment.refund", "refund-medium", Money.parse("50 USD"), Money.parse("100 USD"))
OPEN = GrantView("grant_1", BAND, "suggested", 23, 2, 12, 30, None, None, None, "")
GRANTED = replace(OPEN, state="granted", decided_by="U0ADA", decided_at=NOON, expires_at=NOON)


def buttons(view: GrantView) -> list[str]:
    rows = [block for block in autonomy_card(view).blocks or [] if block["type"] == "actions"]
    return [element["action_id"] for row in rows for element in row["elements"]]


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (OPEN, [GRANT, DECLINE]),
        (GRANTED, [TAKE_BACK]),
        (replace(OPEN, state="declined", decided_by="U0ADA"), []),
        (replace(GRANTED, state="taken_back", why="somebody rejected the same action"), []),
        (replace(GRANTED, state="expired"), []),
    ],
)
def test_only_what_can_still_be_decided_has_buttons_and_every_state_fits(view: GrantView, expected: list[str]) -> None:
    assert buttons(view) == expected
    assert limits.violations(autonomy_card(view)) == []


def test_it_says_what_would_run_alone_on_what_evidence_and_how_it_ends() -> None:
    said = str(autonomy_card(OPEN).blocks)
    for words in (
        "above 50.00 USD and up to *100.00 USD*",
        "23 approvals in a row by 2 people over 12 days",
        "first rejection",
    ):
        assert words in said


def test_the_list_says_plainly_when_there_is_nothing() -> None:
    assert "nothing is suggested" in autonomy_list([])
    assert "granted" in autonomy_list([GRANTED])
