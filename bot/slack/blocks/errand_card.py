"""An errand as people see it: what must be put right by hand, why, and who has said that it is."""

from actions.errands import ErrandView
from bot.channel import Block, Message
from bot.slack.blocks import limits

DONE = "errand.done"
IMPOSSIBLE = "errand.impossible"

_SANDBOX = "*sandbox*: nothing real is touched"
_MOST_WORDS = 2500


def errand_card(view: ErrandView) -> Message:
    """The card, from its row alone."""
    runs = f"Undoing `{limits.escape(view.undone_run)}` · `{limits.escape(view.run_id)}`"
    blocks = [
        limits.header(_heading(view)),
        limits.context(_SANDBOX if view.sandbox else "", runs),
        limits.section(f"*What to do:* {limits.brief(view.instruction, _MOST_WORDS)}"),
        limits.section(f"*Why you:* {limits.sentence(view.why, _MOST_WORDS)}"),
        *limits.facts([("What was done", view.summary), *_labelled(view)]),
        *_bottom(view),
    ]
    whole = Message(_text(view), blocks)
    if limits.violations(whole):
        del blocks[4:-1]
    return Message(_text(view), blocks)


def _labelled(view: ErrandView) -> list[tuple[str, str]]:
    named = dict(view.fields) | dict(view.receipt)
    return [(f"{label[:1].upper()}{label[1:]}", value) for label, value in named.items()]


def _heading(view: ErrandView) -> str:
    return {
        "open": "Needs a person: put this right by hand",
        "done": "Put right by hand",
        "impossible": "Could not be put right",
    }[view.state]


def _bottom(view: ErrandView) -> list[Block]:
    if view.state != "open":
        return [limits.section(_answer(view))]
    sure = limits.confirm(
        "Can this really not be put right?",
        "What was done then stands, and the record says that you said so.",
        yes="It cannot",
        no="Not yet",
        style="danger",
    )
    done = limits.confirm(
        "Have you put this right?",
        "The record will say that you did. Nothing is sent by pressing this.",
        yes="I have",
        no="Not yet",
    )
    return [
        limits.actions(
            limits.button("Done", DONE, view.errand_id, style="primary", confirm=done),
            limits.button("Cannot be done", IMPOSSIBLE, view.errand_id, style="danger", confirm=sure),
        )
    ]


def _answer(view: ErrandView) -> str:
    who = limits.person(view.answered_by) if view.answered_by else "nobody on record"
    when = f" · {limits.instant(view.answered_at)}" if view.answered_at else ""
    said = "✅ *Put right by hand* by" if view.state == "done" else "❌ *Cannot be put right*, says"
    return f"{said} {who}{when}"


def _text(view: ErrandView) -> str:
    label = "[sandbox] " if view.sandbox else ""
    what = f"{label}{_heading(view)}. {limits.brief(view.instruction, 1000)} It was done: "
    return f"{what}{limits.brief(view.summary, 1000)}. {_answer(view) if view.state != 'open' else ''}".strip()
