"""The card of an effect in doubt says what to look for, and fits into what Slack takes."""

import pytest

from bot.slack.blocks import doubt_card as card
from tests.support.cards import active_marks, buttons, faults_of, modal_faults, shown
from tests.support.doubts import doubt_view


def test_the_card_says_what_was_sent_why_it_is_in_doubt_and_what_to_look_for():
    message = card.doubt_card(doubt_view())
    for wanted in ("Refund 389.00 USD", "left no receipt", "key_0123456789abcdefghjkmnpqrs", "payments", "tier 2"):
        assert wanted in shown(message), wanted
    assert faults_of(message) == []


def test_an_open_doubt_offers_three_things_to_say_and_a_settled_one_none():
    assert list(buttons(card.doubt_card(doubt_view()))) == [card.HAPPENED, card.ABSENT, card.LOOKING]
    for state in ("happened", "absent", "found_out"):
        message = card.doubt_card(doubt_view(state=state, settled_by="U0CLEO", reference="re_1"))
        assert buttons(message) == {}
        assert faults_of(message) == []


def test_saying_that_it_did_not_happen_asks_whether_they_are_sure():
    assert "twice" in buttons(card.doubt_card(doubt_view()))[card.ABSENT]["confirm"]["text"]["text"]


def test_who_looks_into_it_stands_on_the_card():
    assert "<@U0CLEO> looks into it" in shown(card.doubt_card(doubt_view(looking_by="U0CLEO")))


def test_a_reference_cannot_mention_or_link():
    message = card.doubt_card(doubt_view(state="happened", settled_by="U0CLEO", reference="<!channel> <https://x|y>"))
    assert not [mark for mark in active_marks(message) if "channel" in mark or "https" in mark]


@pytest.mark.parametrize("size", [200, 3_000, 20_000])
def test_a_record_of_any_size_makes_a_card_that_slack_takes(size):
    message = card.doubt_card(doubt_view(summary="x" * size, fields=[("reason", "<" * size)]))
    assert faults_of(message) == []
    assert list(buttons(message)) == [card.HAPPENED, card.ABSENT, card.LOOKING]


def test_the_modal_asks_for_the_reference_within_slacks_limits():
    assert modal_faults(card.reference_view("dbt_1.1.0123456789abcdef C0RETURNS 1.1")) == []
