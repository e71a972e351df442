"""An effect in doubt as people see it: what was sent, what to look for, and the three things they can say."""

from typing import Any

from actions.doubt import DoubtState, DoubtView
from actions.intent import short
from bot.channel import Block, Message
from bot.slack.blocks import limits

HAPPENED = "doubt.happened"
ABSENT = "doubt.absent"
LOOKING = "doubt.looking"
REFERENCE_BLOCK = "reference"
REFERENCE_INPUT = "reference.text"
MOST_REFERENCE = 300

_MENTIONED = 5
_SANDBOX = "*sandbox*: nothing real is touched"


def value_of(view: DoubtView) -> str:
    """What a button of this card points at: the doubt, the revision shown, the start of its digest."""
    return f"{view.doubt_id}.{view.revision}.{short(view.digest)}"


def doubt_card(view: DoubtView) -> Message:
    """The card; a record too long for it is named, not cut: the run's ledger has it whole."""
    whole = Message(_text(view), [*_top(view), *_record(view), *_bottom(view)])
    if not limits.violations(whole):
        return whole
    named = limits.section(f"*{limits.brief(view.action, 200)}*: the record is longer than a message can show.")
    return Message(_text(view), [*_top(view), named, *limits.facts(_traces(view)), *_bottom(view)])


def _top(view: DoubtView) -> list[Block]:
    asked = f"Asked by {limits.person(view.requester)} · {limits.brief(view.workflow, 100)} · `{view.run_id}`"
    heading = f"Did it happen? {view.summary}" if view.state == DoubtState.OPEN else f"Settled: {view.summary}"
    if len(limits.escaped(limits.visible(heading))) > limits.MOST_HEADER:
        heading = limits.cut(f"In doubt: {view.action}", limits.MOST_HEADER)
    return [limits.header(heading), limits.context(_SANDBOX if view.sandbox else "", asked), *_why(view)]


def _why(view: DoubtView) -> list[Block]:
    if view.state != DoubtState.OPEN:
        return []
    return [
        limits.section(
            f"It was sent once {limits.instant(view.sent_at)} and left no receipt: {limits.brief(view.why, 500)}. "
            f"It is never sent again blindly. Please look at *{limits.brief(view.connector, 100)}* and say what you "
            "find."
        )
    ]


def _record(view: DoubtView) -> list[Block]:
    fields = [(label[:1].upper() + label[1:], value) for label, value in view.fields]
    return limits.facts([*fields, *_traces(view)])


def _traces(view: DoubtView) -> list[tuple[str, str]]:
    return [("Through", f"{view.connector} ({view.account})"), ("Look for our key", view.receiver_key)]


def _bottom(view: DoubtView) -> list[Block]:
    digest = f"digest `{short(view.digest)}`"
    if view.state != DoubtState.OPEN:
        return [limits.section(ending_of(view)), limits.context(digest)]
    people = ", ".join(map(limits.person, view.eligible[:_MENTIONED]))
    few = f" ({people})" if view.eligible and len(view.eligible) <= _MENTIONED else ""
    looking = f"🔎 {limits.person(view.looking_by)} looks into it" if view.looking_by else ""
    who = f"Who may say: {limits.brief(view.who, 200)}{few}"
    return [limits.context(looking, who, digest), limits.actions(*_buttons(view))]


def _buttons(view: DoubtView) -> list[Block]:
    value = value_of(view)
    sure = limits.confirm(
        "Are you sure that it did not happen?",
        "It may then be sent again, under the same approval. If it did happen, it would happen twice.",
        yes="It did not",
        no="Not sure",
        style="danger",
    )
    return [
        limits.button("It happened…", HAPPENED, value, style="primary"),
        limits.button("It did not", ABSENT, value, style="danger", confirm=sure),
        limits.button("Investigate", LOOKING, value),
    ]


def ending_of(view: DoubtView) -> str:
    """How the doubt was settled, in one mrkdwn sentence; empty while it is open."""
    by = limits.person(view.settled_by) if view.settled_by else "nobody on record"
    at = f" · {limits.instant(view.settled_at)}" if view.settled_at else ""
    return {
        DoubtState.HAPPENED: f"✅ *It happened*, says {by}{at}: {limits.brief(view.reference, 5 * MOST_REFERENCE)}",
        DoubtState.ABSENT: f"↩️ *It did not happen*, says {by}{at}. It may be sent again.",
        DoubtState.FOUND_OUT: f"🤝 *Settled by the other side's own record*{at}. Nobody needs to look any more.",
    }.get(DoubtState(view.state), "")


def _text(view: DoubtView) -> str:
    label = "[sandbox] " if view.sandbox else ""
    lead = f"{label}Did it happen? {limits.brief(view.summary, 1000)}, asked for by {limits.person(view.requester)}."
    if view.state != DoubtState.OPEN:
        return f"{lead} {ending_of(view)}"
    return f"{lead} It left no receipt: {limits.brief(view.why, 300)}. Who may say: {limits.brief(view.who, 200)}."


def reference_view(metadata: str) -> dict[str, Any]:
    """Asks where the effect can be found, before a person's word counts as its receipt."""
    reference: Block = {
        "type": "input",
        "block_id": REFERENCE_BLOCK,
        "label": {"type": "plain_text", "text": "Where can it be found? A receipt's number or a note.", "emoji": False},
        "hint": {"type": "plain_text", "text": "This is kept as the effect's receipt, with your name.", "emoji": False},
        "element": {
            "type": "plain_text_input",
            "action_id": REFERENCE_INPUT,
            "max_length": MOST_REFERENCE,
            "focus_on_load": True,
        },
    }
    return {
        "type": "modal",
        "title": {"type": "plain_text", "text": "It happened", "emoji": False},
        "close": {"type": "plain_text", "text": "Close", "emoji": False},
        "submit": {"type": "plain_text", "text": "It happened", "emoji": False},
        "callback_id": HAPPENED,
        "private_metadata": metadata,
        "blocks": [reference],
    }
