"""Hostile text in any field of any card or answer is text: no mark, no link, nothing hidden, no forged line."""

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel

from actions.approval import Question
from actions.autonomy import Band
from actions.errands import ErrandView
from actions.grants import GrantView
from actions.rules_store import Change
from bot.channel import Message
from bot.slack.blocks import answers, rehearsal_answers, undo_answers
from bot.slack.blocks.approval_card import approval_card, asked_text
from bot.slack.blocks.autonomy_card import autonomy_card
from bot.slack.blocks.doubt_card import doubt_card
from bot.slack.blocks.errand_card import errand_card
from bot.slack.blocks.help_answers import what_i_do
from bot.slack.blocks.lesson_card import LessonView, lesson_card, listed, no_such_label, no_such_lesson
from bot.slack.blocks.reminder import reminder
from bot.slack.blocks.rules_card import rules_card
from bot.slack.blocks.run_card import payload_card, run_card
from core.ids import RunId
from core.money import Money
from graphs.past_cases import Shown
from graphs.run import Payload, Waiting
from memory.item import Scope, ScopeKind
from memory.playbook import LabelledExample, Rule, Term
from tests.support.cards import active_marks, approval_view, faults_of, run_with, step_view, texts
from tests.support.doubts import doubt_view

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
HOSTILE = {
    "mention": "x <!channel> <!here> <@U0EVIL> <#C0EVIL>",
    "link": "x <https://bad.example|Open the full view> <mailto:a@bad.example>",
    "bidi": "x 100 \u202eDSU 000.1\u202c \u2066a\u2069",
    "hidden": "in\u200bvis\u2060ible\U000e0041\ufe0f\u3164",
    "many lines": "x" + "\n" * 80 + "Amount: 1.00 USD\u2028Who may decide: anybody",
    "escapes": "x" + "&" * 1500,
    "long": "word " * 3000,
}
#: Fields that no text from outside reaches: our own words for a state, ids that we make, names in our own files.
OURS = {
    *("state", "kind", "stage", "effect", "outcome_state", "digest", "version", "was", "key"),
    *("run_id", "undone_run", "promoted_to", "doubt_id", "approval_id", "grant_id", "change_id", "errand_id"),
    *("workflow", "connector", "account", "receiver_key", "request_sha256"),
}


Card = Callable[[Any], Message]
ERRAND = ErrandView(
    errand_id="err_1",
    run_id=RunId("run_undo"),
    undone_run=RunId("run_done"),
    step="refund",
    summary="Refund",
    instruction="Ask.",
    why="No way.",
    fields=[("amount", "1")],
    receipt=[("refund id", "re_1")],
    sandbox=True,
    state="open",
    asked_at=NOON,
    answered_by=None,
    answered_at=None,
)
GRANT = GrantView(
    "grant_1", Band("payment.refund", "m", Money(5000, "USD"), Money(9000, "USD")), "granted", 2, 2, 2, 2, "U0ADA",
    NOON, NOON, "why",
)  # fmt: skip
CHANGE = Change(
    "rules_1", "T0LOCAL", "a" * 64, "b" * 64, "waiting", "loosened", [["loosened", "x"]], 2, ["U0ADA"], NOON
)
PAYLOAD = Payload(digest="d" * 64, method="POST", path="/x", body="{}", request_sha256="s")
RUN = run_with(
    steps=[step_view(note="note", payload=PAYLOAD)],
    outcome="ended",
    waiting=[Waiting(kind="approval", subject_id="a", text="waits")],
    figures={"spend": "1"},
)
ASKED = approval_view(
    questions=[Question("U0CLEO", "why?", "U0RITA", "because")], changes=[("note", "a", "b")], edited_by="U0CLEO"
)
CARDS: dict[str, tuple[Any, Card]] = {
    "approval": (ASKED, approval_card),
    "approval, rejected": (replace(ASKED, state="rejected", decided_by="U0CLEO", decided_at=NOON), approval_card),
    "approval, failed": (replace(ASKED, state="approved", outcome_state="failed", outcome="no"), approval_card),
    "approval, in doubt": (replace(ASKED, state="approved", outcome_state="in_doubt", outcome="no"), approval_card),
    "reminder": (ASKED, lambda view: reminder(view, "remind")),
    "run": (RUN, run_card),
    "payload": (RUN, lambda run: payload_card(run, 0)),
    "doubt": (doubt_view(), doubt_card),
    "doubt, settled": (doubt_view(state="happened", settled_by="U0CLEO", reference="re_1"), doubt_card),
    "errand": (ERRAND, errand_card),
    "grant": (GRANT, autonomy_card),
    "rules": (CHANGE, rules_card),
    "a question": (ASKED, lambda view: Message(asked_text("U0RITA", "U0CLEO", view.summary, view.summary))),
    "waiting for you": (ASKED, lambda view: Message(answers.waiting_for_you([view]))),
    "undelivered": (ASKED, lambda view: Message(answers.undelivered(view, "C0X", view.summary))),
    "status": (RUN, lambda run: Message(answers.status_of(run))),
    "latest": (RUN, lambda run: Message(answers.latest_runs([run]))),
    "changed since": (RUN, lambda run: Message(rehearsal_answers.changed_since(run))),
    "nothing left": (RUN, lambda run: Message(undo_answers.nothing_left(run, run.run_id))),
}


def planted(value: Any, text: str) -> Iterator[Any]:
    """`value` with the text in place of each text within it, one after the other."""
    if isinstance(value, str):
        yield text
    elif isinstance(value, list | tuple):
        whole: Any = value
        for place, inner in enumerate(whole):
            yield from (type(whole)([*whole[:place], one, *whole[place + 1 :]]) for one in planted(inner, text))
    elif isinstance(value, BaseModel):
        names = [name for name in type(value).model_fields if name not in OURS]
        yield from (
            value.model_copy(update={name: one}) for name in names for one in planted(getattr(value, name), text)
        )
    elif isinstance(value, Question):
        yield from (replace(value, question=text), replace(value, answer=text))


@pytest.mark.parametrize("kind", CARDS)
@pytest.mark.parametrize("attack", HOSTILE)
def test_hostile_text_in_any_field_of_any_card_stays_text_and_within_slacks_limits(attack: str, kind: str) -> None:
    subject, render = CARDS[kind]
    tried = 0
    for field in fields(subject):
        for changed in planted(getattr(subject, field.name), HOSTILE[attack]) if field.name not in OURS else ():
            message = render(replace(subject, **{field.name: changed}))
            tried += 1
            check(message, f"{kind}.{field.name}")
    assert tried


def check(message: Message, where: str) -> None:
    """No live mark but those of people and dates, no hidden character, no wall of empty lines, nothing too long."""
    ours = ("<@U0RITA>", "<@U0CLEO>", "<@U0ADA>", "<!date^", "<#C0RETURNS>", "<#C0X>")
    assert [mark for mark in active_marks(message) if not mark.startswith(ours)] == [], where
    said = [message.text, *texts(message.blocks)]
    assert not [text for text in said if set("\u202e\u202c\u2066\u200b\u2060\u2028\u3164") & set(text)], where
    assert not [text for text in said if "\n\n\n" in text], where
    assert faults_of(message) == [], where


def taught(check: Term | LabelledExample, *cases: Shown) -> LessonView:
    """A lesson that waits for a word."""
    where, now = Scope("T0LOCAL", ScopeKind.WORKSPACE), datetime(2026, 1, 5, tzinfo=UTC)
    return LessonView(Rule("rule_1", where, "lesson", "told", check, "suggested", "U0RITA", now, "said:1"), cases)


def texts_of_cases(said: str) -> str:
    """What a lesson's card shows of a past case of these words."""
    view = taught(Term(term="RMA", means="return"), Shown(RunId("run_1"), "order", "return", said))
    return str(lesson_card(view).blocks[2]["text"]["text"])


SENTENCES: dict[str, Callable[[str], str]] = {
    "unknown verb": lambda said: answers.unknown_verb(said, said, "/team", ["help"]),
    "incomplete": lambda said: answers.incomplete(said, "/team"),
    "unknown workflow": lambda said: answers.unknown_workflow(said, said, [said]),
    "lesson": lambda said: (
        lesson_card(taught(LabelledExample(workflow="inbox", label="order", sentence=said[:2000]))).text
    ),
    "lessons": lambda said: listed([taught(Term(term=said[:60], means=said[:300]))]).replace("<@U0RITA>", "Rita"),
    "lesson's cases": lambda said: texts_of_cases(said),
    "no such lesson": no_such_lesson,
    "no such label": lambda said: no_such_label(said, ["order"]),
    "what I do": lambda said: what_i_do({said: said}),
    "started": lambda said: answers.started(said, said),
    "no such run": answers.no_such_run,
    "stopping": answers.stopping,
    "no such time": answers.no_such_time,
    "no such schedule": answers.no_such_schedule,
    "schedule changed": lambda said: answers.schedule_changed(said, "pause"),
    "paused": answers.paused,
    "resumed": answers.resumed,
    "what is paused": lambda said: answers.what_is_paused([said]),
}


@pytest.mark.parametrize("sentence", SENTENCES)
@pytest.mark.parametrize("attack", HOSTILE)
def test_hostile_text_in_any_answer_stays_text(attack: str, sentence: str) -> None:
    message = Message(SENTENCES[sentence](HOSTILE[attack]))
    assert active_marks(message) == []
    assert not set("\u202e\u202c\u2066\u200b\u2060\u2028\u3164") & set(message.text)
    assert "\n\n\n" not in message.text
