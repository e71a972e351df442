"""The run card: what is happening, what it waits for, how it ended."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.slack.blocks.run_card import FOR_REAL, STOP, payload_card, run_card
from core.text import visible
from graphs.rehearsing import pages_of
from graphs.run import Payload, Run, RunState, StepState, StepView, Waiting
from tests.support.cards import ASKED_AT, active_marks, buttons, faults_of, run_with, shown, step_view
from tests.unit.bot.test_approval_card import HOSTILE


@pytest.mark.parametrize("state", RunState)
def test_every_state_of_a_run_is_named_in_words(state: RunState) -> None:
    message = run_card(run_with(state=state))
    assert faults_of(message) == []
    word = {"ready": "working", "needs_attention": "needs attention", "needs_person": "needs a person"}.get(
        state, state.value
    )
    assert word in message.text
    assert word in shown(message)


@pytest.mark.parametrize("state", StepState)
def test_every_state_of_a_step_is_named_in_words(state: StepState) -> None:
    text = shown(run_card(run_with(steps=[step_view(state=state)])))
    assert state.value.replace("_", " ") in text


@pytest.mark.parametrize(
    ("state", "stop_requested", "can_stop"),
    [
        (RunState.READY, False, True),
        (RunState.WAITING, False, True),
        (RunState.NEEDS_ATTENTION, False, True),
        (RunState.NEEDS_PERSON, False, False),
        (RunState.WAITING, True, False),
        (RunState.DONE, False, False),
        (RunState.STOPPED, True, False),
    ],
)
def test_stop_is_offered_while_there_is_something_to_stop(
    state: RunState, stop_requested: bool, can_stop: bool
) -> None:
    found = buttons(run_card(run_with(state=state, stop_requested=stop_requested)))
    assert (STOP in found) is can_stop
    if can_stop:
        assert found[STOP]["value"] == "run_0123456789"
        assert "confirm" in found[STOP]


def test_a_waiting_run_says_for_what_and_for_whom() -> None:
    waiting = [Waiting(kind="approval", subject_id="apr_1", text="an approver of tier 2 to agree to the refund")]
    message = run_card(run_with(state=RunState.WAITING, waiting=waiting))
    assert "an approver of tier 2" in shown(message)
    assert "an approver of tier 2" in message.text


def test_the_card_says_who_asked_what_was_understood_how_and_what_it_costs() -> None:
    text = shown(run_card(run_with(figures={"calls": 2, "cost_usd": "0.02", "tokens": 900})))
    for said in (
        "<@U0RITA>",
        "#W1002 the headphones, broken",
        "no history yet",
        "Understood by rules, no model",
        "0.02 USD for 2 model calls, 900 tokens",
        "an approver of tier 2 or higher must agree",
        "run_0123456789",
        "sandbox",
    ):
        assert said in text


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({"calls": 1, "unpriced": 1, "tokens": 900}, "cost unknown for 1 model call, 900 tokens"),
        ({"calls": 2, "unpriced": 1, "cost_usd": "0.02"}, "0.02 USD and an unknown rest"),
        ({"calls": 2, "partial": 1, "cost_usd": "0.02"}, "0.02 USD at most"),
        ({"calls": 1, "cost_usd": "0.02", "warning": "82 % of the budget is used."}, "⚠️ 82 % of the budget is used."),
    ],
)
def test_a_cost_is_never_told_more_certain_than_it_is_known(figures: dict[str, Any], said: str) -> None:
    assert said in shown(run_card(run_with(figures=figures)))


@pytest.mark.parametrize("attack", HOSTILE)
def test_hostile_text_anywhere_stays_text_and_within_the_limits(attack: str) -> None:
    text = HOSTILE[attack]
    run = run_with(
        state=RunState.WAITING,
        steps=[step_view(summary=text, note=text, who=text)] * 60,
        plan_summary=text,
        waiting=[Waiting(kind="approval", subject_id="a", text=text)] * 9,
        outcome=text,
        reasoned_by=text,
        predicted=text,
        figures={"calls": 1, "cost_usd": text, "warning": text},
        request=run_with().request.model_copy(update={"text": text, "requester": text}),
    )
    message = run_card(run)
    assert faults_of(message) == []
    assert active_marks(message) == []
    assert "and 40 more steps" in shown(message)


@pytest.mark.parametrize(
    ("state", "mark", "note"),
    [
        (StepState.WAITING, "⏳ waiting", "waits for an approver"),
        (StepState.IN_DOUBT, "❓ in doubt", "did it happen?"),
    ],
)
def test_what_a_step_waits_for_is_said_once_in_its_own_line(state: StepState, mark: str, note: str) -> None:
    said = f"Refund 389.00 USD for #W1002: {note}"
    waiting = [Waiting(kind="approval", subject_id="apr_1", text=said)]
    text = shown(run_card(run_with(state=RunState.WAITING, steps=[step_view(state=state, note=said)], waiting=waiting)))
    assert f"{mark} · Refund 389.00 USD for #W1002 — {note}" in text
    assert text.count(note) == 1


def test_a_step_that_is_done_is_not_said_to_be_done_twice() -> None:
    step = step_view(state=StepState.DONE, note="Refund 389.00 USD for #W1002: done")
    assert "Refund 389.00 USD for #W1002 —" not in shown(run_card(run_with(steps=[step])))


def test_an_outcome_of_several_sentences_is_read_line_by_line() -> None:
    message = run_card(run_with(state=RunState.DONE, outcome="The order is returned.\nThe money is refunded."))
    assert "*Outcome*\nThe order is returned.\nThe money is refunded." in shown(message)
    assert "The order is returned. The money is refunded." in message.text


def test_what_the_plan_says_already_is_not_said_again_as_the_outcome() -> None:
    run = run_with(state=RunState.DONE, plan_summary="A mail: thanks", outcome="A mail: thanks.\nFiled under Thanks.")
    text = shown(run_card(run))
    assert text.count("A mail: thanks") == 1
    assert "*Outcome*: Filed under Thanks." in text


def test_of_a_long_outcome_the_card_tells_the_beginning_and_that_there_is_more() -> None:
    text = shown(run_card(run_with(outcome="\n".join(f"Line {number}." for number in range(1, 10)))))
    assert "Line 8.\n… and 1 more line in the thread" in text
    assert "Line 9" not in text


def test_of_a_message_of_several_lines_the_plan_tells_the_first() -> None:
    summary = "Post to C0: Good morning\n\nThe rest"
    step = step_view(summary=summary, state=StepState.DONE, note=f"{visible(summary)}: done")
    text = shown(run_card(run_with(steps=[step])))
    assert "Post to C0: Good morning …" in text
    assert "The rest" not in text


def test_what_a_run_took_is_told_as_people_say_it() -> None:
    run = run_with(finished_at=ASKED_AT + timedelta(minutes=3), figures={"actual": {"micro": 0, "approvals": 1}})
    assert "actual: 3 min, no cost, 1 approval" in shown(run_card(run))


def test_an_outcome_names_an_instant_in_its_readers_time() -> None:
    message = run_card(run_with(state=RunState.DONE, outcome="ws-17 is isolated until 2026-11-27 17:37 UTC."))
    assert "until <!date^1795801020^{date_short_pretty} at {time}|2026-11-27 17:37 UTC>." in shown(message)
    assert faults_of(run_card(run_with(outcome="2026-11-27 17:37 UTC " * 200))) == []


def test_whoever_rejected_a_step_is_shown_by_name_and_nobody_else_is() -> None:
    said = "#W1002: not refunded. <@U0BEN> rejected it: ask <@U0ADA>"
    message = run_card(run_with(state=RunState.REFUSED, outcome=said))
    for text in (message.text, shown(message)):
        assert "<@U0BEN> rejected it: ask " in text
        assert "<@U0ADA>" not in text


def rehearsed(body: str, key: str = "refund") -> StepView:
    payload = Payload(digest="ab" * 32, method="POST", path="/refunds", body=body, request_sha256="cd" * 32)
    return step_view(key=key, state=StepState.REHEARSED, note="would wait for an approver", payload=payload)


def dry(*steps: StepView, **changes: object) -> Run:
    run = run_with(**{"state": RunState.DONE, "steps": list(steps), **changes})
    return replace(run, request=run.request.model_copy(update={"dry": True}))


def test_a_dry_run_says_so_wherever_it_shows_and_shows_the_exact_bytes_and_their_digest() -> None:
    body = '{"amount":38900,"note":"```<!channel>``` & more"}'
    message = run_card(dry(rehearsed(body)))
    assert faults_of(message) == []
    assert "dry run" in message.text
    assert active_marks(message) == ["<@U0RITA>", "<@U0RITA>"]
    for said in ("dry run", body, "POST /refunds", "abababababababab", "would wait for an approver"):
        assert said in shown(message)


@pytest.mark.parametrize(
    ("changes", "offered"),
    [
        ({}, True),
        ({"state": RunState.READY}, False),
        ({"state": RunState.REFUSED}, False),
        ({"promoted_to": "run_live"}, False),
    ],
)
def test_only_a_dry_run_that_would_do_something_offers_to_be_run_for_real_and_only_once(
    changes: dict[str, object], offered: bool
) -> None:
    found = buttons(run_card(dry(rehearsed("{}"), **changes)))
    assert (FOR_REAL in found) is offered
    assert FOR_REAL not in buttons(run_card(run_with(state=RunState.DONE)))


@pytest.mark.parametrize("body", ["x" * 20_000, "&" * 5_000, "\u200b" * 3_000, '{"a":"b"}'])
@pytest.mark.parametrize("many", [1, 7, 40])
def test_what_does_not_fit_is_cut_with_a_plain_note_and_stands_whole_in_the_thread(body: str, many: int) -> None:
    run = dry(*[rehearsed(body, key=f"step:{number}") for number in range(many)])
    card = run_card(run)
    assert faults_of(card) == []
    assert ("the whole stands in the thread" in shown(card)) is (len(body) > 1_000)
    pages = pages_of(run.steps)
    assert "".join(pages).count(visible(body)) == many
    for page in {0, len(pages) - 1}:
        message = payload_card(run, page)
        assert faults_of(message) == []
        assert "Dry run" in message.text
