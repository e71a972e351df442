"""The approval card: exactly what would happen, to whom it is shown, and what came of it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.approval import ApprovalState
from bot.slack.blocks import approval_card as card
from bot.slack.blocks import approval_modals, limits
from tests.support.cards import (
    ASKED_AT,
    DIGEST,
    active_marks,
    approval_view,
    buttons,
    faults_of,
    modal_faults,
    shown,
    stands_whole,
    texts,
)

HOSTILE = {
    "mention": "<!channel> <@U0ADA>",
    "link": "<https://bad.example|Open the full view>",
    "bidi": "100 \u202eDSU 000.1\u202c",
    "hidden": "in\u200bvis\u2060ible\U000e0041",
    "fake field": "x\nAmount: 1.00 USD\nWho may decide: anybody",
    "many lines": "\n" * 80 + "amount: 1.00 USD",
    "formatting": "*Approved* by ~nobody~ `digest`",
    "escapes": "&" * 1500,
    "long": "word " * 3000,
    "empty": "",
}
PLACES: dict[str, Any] = {
    "summary": lambda text: {"summary": text},
    "a value": lambda text: {"fields": [("note", text)]},
    "a label": lambda text: {"fields": [(text[:50], "v")]},
    "evidence": lambda text: {"evidence": [text]},
    "a reason": lambda text: {"reasons": [text]},
    "the rule": lambda text: {"rule": text},
    "who": lambda text: {"who": text},
    "the rejection": lambda text: {"state": "rejected", "decided_by": "U0CLEO", "decided_at": ASKED_AT, "reason": text},
    "the outcome": lambda text: {"state": "approved", "outcome_state": "done", "outcome": text},
    "the requester": lambda text: {"requester": text},
    "the account": lambda text: {"account": text},
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("attack", HOSTILE)
def test_hostile_text_in_any_place_stays_text_and_within_the_limits(attack: str, place: str) -> None:
    view = approval_view(**PLACES[place](HOSTILE[attack]))
    message = card.approval_card(view)
    assert faults_of(message) == []
    ours = ("<@U0RITA>", "<@U0CLEO>", "<!date^")
    assert [mark for mark in active_marks(message) if not mark.startswith(ours)] == []
    assert not any(char in text for text in [message.text, *texts(message.blocks)] for char in "\u202e\u200b\u2060")
    assert modal_faults(card.details_view(view, "metadata")) == []


def test_the_card_says_everything_a_decision_needs() -> None:
    message = card.approval_card(approval_view())
    text = shown(message)
    for said in (
        "Approve: Refund 389.00 USD for #W1002?",
        "389.00 USD",
        "credit_card_7",
        "sandbox",
        "Order #W1002 was delivered",
        "above the 200.00 USD that runs alone",
        "refund-above-limit",
        "an approver of tier 2 or higher",
        "<@U0CLEO>",
        "<@U0RITA>",
        "<!date^",
        DIGEST[:16],
        "cannot be taken back",
    ):
        assert said in text
    assert DIGEST not in text


def test_the_text_alone_carries_the_whole_decision_for_a_screen_reader() -> None:
    text = card.approval_card(approval_view()).text
    for said in ("Approval needed", "Refund 389.00 USD", "credit_card_7", "tier 2", "0 of 1", "2026-03-05 09:30 UTC"):
        assert said in text


def test_buttons_point_at_the_approval_the_revision_and_the_digest_shown() -> None:
    found = buttons(card.approval_card(approval_view(revision=3)))
    assert set(found) == {card.APPROVE, card.EDIT, card.ASK, card.REJECT, card.DETAILS}
    expected = f"apr_0123456789abcdefghjkmnpqrs.3.{DIGEST[:16]}"
    assert {button["value"] for button in found.values()} == {expected}


def test_a_summary_that_is_a_question_is_not_questioned_twice() -> None:
    text = shown(card.approval_card(approval_view(summary="Send mail to Ann: Re: Where is it?")))
    assert "Approve: Send mail to Ann: Re: Where is it?" in text
    assert "??" not in text


def test_a_rule_that_its_reason_names_is_not_named_again() -> None:
    view = approval_view(rule="mail-sent", reasons=["A person reads it first (mail-sent)."])
    assert shown(card.approval_card(view)).count("mail-sent") == 1


def test_what_is_in_doubt_is_told_in_whole_sentences() -> None:
    outcome = "The payment provider did not answer within 10 s. Ask it what happened."
    line = card.outcome_line(approval_view(state="approved", outcome_state="in_doubt", outcome=outcome))
    assert "Ask it what happened. It is being settled" in line


def test_what_a_rejection_does_is_said_before_anybody_presses_it() -> None:
    assert "If rejected: not done, <@U0RITA> reads why" in shown(card.approval_card(approval_view()))
    assert "neither is what depends on it" in str(approval_modals.reject_view("metadata"))


def test_a_change_of_several_lines_is_read_as_the_text_before_and_the_text_after() -> None:
    view = approval_view(changes=[("text", "Hello,\nyours", "Hi,\nyours")], edited_by="U0BEN")
    assert "Hello,\nyours\n→\nHi,\nyours" in shown(card.approval_card(view))


def test_only_what_cannot_be_taken_back_is_asked_twice() -> None:
    assert "confirm" in buttons(card.approval_card(approval_view()))[card.APPROVE]
    assert "confirm" not in buttons(card.approval_card(approval_view(effect="reversible")))[card.APPROVE]


@pytest.mark.parametrize("value", ["x" * 20_000, "&" * 3000, "one\n" * 5000])
def test_a_record_that_does_not_fit_has_no_approve_on_the_card_and_all_of_it_in_the_full_view(value: str) -> None:
    view = approval_view(fields=[("body", value)])
    message = card.approval_card(view)
    assert faults_of(message) == []
    assert set(buttons(message)) == {card.DETAILS, card.ASK, card.REJECT}
    assert buttons(message)[card.DETAILS]["text"]["text"] == "Review in full"
    modal = card.details_view(view, "metadata")
    assert modal["callback_id"] == card.APPROVE
    assert stands_whole(value, "".join(texts(modal["blocks"])))
    assert modal_faults(modal) == []


def test_a_record_longer_than_a_modal_is_read_page_by_page_and_approved_on_the_last() -> None:
    value = "".join(f"line {number} & more\n" for number in range(12_000))
    view = approval_view(fields=[("body", value), ("amount", "1.00 USD")])
    pages: list[dict[str, Any]] = []
    while not pages or "submit" not in pages[-1]:
        pages.append(card.details_view(view, "apr C0RETURNS", len(pages) + 1))
        assert modal_faults(pages[-1]) == []
        assert pages[-1]["private_metadata"] == "apr C0RETURNS"
    assert len(pages) > 2
    rich = [block for page in pages for block in page["blocks"] if block["type"] == "rich_text"]
    assert stands_whole(value, "".join(texts(rich)))
    assert f"Page 1 of {len(pages)}" in "".join(texts(pages[0]["blocks"]))
    following = next(block for block in pages[0]["blocks"] if block["type"] == "actions")["elements"][0]
    assert following["value"] == f"{card.value_of(view)} 2"
    assert not [block for block in pages[-1]["blocks"] if block["type"] == "actions"]


def test_a_record_too_long_for_any_number_of_pages_cannot_be_approved_in_slack() -> None:
    modal = card.details_view(approval_view(fields=[("body", "x" * 1_200_000)]), "metadata", 9)
    assert "submit" not in modal
    assert modal_faults(modal) == []


@given(st.lists(st.tuples(st.text(min_size=1, max_size=20), st.text(max_size=3000)), max_size=5), st.text(max_size=500))
def test_an_argument_is_shown_whole_or_there_is_no_approve_on_the_card(
    fields: list[tuple[str, str]], summary: str
) -> None:
    view = approval_view(fields=fields, summary=summary)
    message = card.approval_card(view)
    assert faults_of(message) == []
    if card.APPROVE in buttons(message):
        text = shown(message)
        assert all(stands_whole(value, text) for _, value in fields)
        assert limits.visible(summary) in text


ENDINGS = {
    "approved": "Approved",
    "rejected": "Rejected",
    "expired": "not a rejection",
    "superseded": "has changed since",
    "cancelled": "the run was stopped",
    "undelivered": "Nobody has rejected it",
}


def test_every_state_an_approval_can_end_in_has_its_own_sentence() -> None:
    assert {str(state) for state in ApprovalState} - {"pending"} <= set(ENDINGS)
    lines = [card.decision_line(approval_view(state=state)) for state in ENDINGS]
    assert len(set(lines)) == len(ENDINGS)


@pytest.mark.parametrize(("state", "said"), ENDINGS.items())
def test_a_card_that_is_decided_has_no_buttons_and_says_how(state: str, said: str) -> None:
    message = card.approval_card(
        approval_view(state=state, decided_by="U0CLEO", decided_at=ASKED_AT + timedelta(minutes=5))
    )
    assert buttons(message) == {}
    assert said in shown(message)
    assert said in message.text
    assert faults_of(message) == []
    assert "submit" not in card.details_view(approval_view(state=state), "metadata")


@pytest.mark.parametrize(
    ("outcome_state", "said"),
    [
        ("executing", "Being carried out now"),
        ("done", "Done*: re_1"),
        ("failed", "Failed after approval"),
        ("in_doubt", "In doubt"),
    ],
)
def test_after_execution_the_card_says_what_came_of_it(outcome_state: str, said: str) -> None:
    view = approval_view(state="approved", decided_by="U0CLEO", outcome_state=outcome_state, outcome="re_1")
    message = card.approval_card(view)
    assert said in shown(message)
    assert "re_1" in message.text or outcome_state == "executing"


def test_a_rejection_shows_who_and_why() -> None:
    view = approval_view(state="rejected", decided_by="U0CLEO", decided_at=ASKED_AT, reason="Ask the customer first")
    text = shown(card.approval_card(view))
    assert "<@U0CLEO>" in text
    assert "Ask the customer first" in text


def test_of_one_answer_that_decides_there_is_nothing_to_count() -> None:
    assert "of 1 approved" not in shown(card.approval_card(approval_view()))
    assert "0 of 2 approved" in shown(card.approval_card(approval_view(quorum=2)))


def test_votes_that_count_are_named_until_the_quorum_is_there() -> None:
    view = approval_view(quorum=2, votes=[("U0BEN", "approve")], eligible=["U0BEN", "U0CLEO"])
    assert "1 of 2 approved (by <@U0BEN>)" in shown(card.approval_card(view))


def test_the_modal_for_a_rejection_asks_for_a_reason_and_keeps_the_pointer() -> None:
    modal = approval_modals.reject_view("apr_1.1.0123456789abcdef C0RETURNS 1.0")
    assert modal_faults(modal) == []
    assert modal["private_metadata"] == "apr_1.1.0123456789abcdef C0RETURNS 1.0"
    assert modal["blocks"][0]["block_id"] == card.REASON_BLOCK


def test_nothing_is_said_twice_on_the_card() -> None:
    reason = "Large refunds are looked at first (refund-above-limit: 389.00 USD is above 200.00 USD)."
    text = "\n".join(texts(card.approval_card(approval_view(reasons=[reason])).blocks))
    assert text.count("refund-above-limit") == 1
    assert text.count("Refund 389.00 USD for #W1002?") == 1
    assert "What: " not in text
    modal = card.details_view(approval_view(), "metadata")
    assert "".join(texts(modal["blocks"])).count(DIGEST[:16]) == DIGEST.count(DIGEST[:16])


def test_a_rule_that_its_reason_does_not_name_is_named() -> None:
    assert "rule `refund-above-limit`" in shown(card.approval_card(approval_view()))


def test_an_outcome_that_only_repeats_the_heading_is_one_word() -> None:
    done = approval_view(state="approved", outcome_state="done", outcome="Refund 389.00 USD for #W1002: done")
    assert card.outcome_line(done) == "✅ *Done*"
    told = approval_view(state="approved", outcome_state="done", outcome="receipt re_1")
    assert card.outcome_line(told) == "✅ *Done*: receipt re_1"


def test_a_solo_team_is_told_openly_that_one_person_asks_and_agrees() -> None:
    alone = approval_view(eligible=["U0RITA"], told=("U0RITA",))
    assert "Solo: whoever asks may approve here" in str(card.approval_card(alone).blocks)
    agreed = replace(alone, state="approved", votes=[("U0RITA", "approve")], decided_by="U0RITA")
    assert "by <@U0RITA>, who asked for it" in str(card.approval_card(agreed).blocks)
    assert "Solo" not in str(card.approval_card(approval_view()).blocks)
