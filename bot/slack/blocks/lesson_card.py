"""The card of a lesson: what was taught, and what it changes on five past cases; and what is answered about lessons."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.channel import Block, Message
from bot.slack.blocks import limits
from graphs.past_cases import Shown
from memory.playbook import LabelledExample, Rule, Term

RIGHT = "lesson.right"
WRONG = "lesson.wrong"

_BRIEF = 200


@dataclass(frozen=True)
class LessonView:
    """A lesson and the past cases it was shown on."""

    rule: Rule
    cases: Sequence[Shown]


def lesson_card(view: LessonView) -> Message:
    """What was said then and what would be said, case by case; the buttons while nobody has answered."""
    rule = view.rule
    heading = {"suggested": "Is this lesson right?", "active": "A lesson in force", "dropped": "A lesson taken back"}
    changed = sum(case.said != case.would_say for case in view.cases)
    blocks: list[Block] = [
        limits.header(heading[rule.state]),
        limits.section(f"{_what(rule)}\nTaught by {limits.person(rule.said_by)}."),
        limits.section("\n".join(["*On past cases*", *(_case(case) for case in view.cases)])),
        limits.context(f"{changed} of {len(view.cases)} would be told differently", limits.escape(rule.rule_id)),
    ]
    if rule.state == "suggested" and view.cases:
        right = limits.button("It is right", RIGHT, rule.rule_id, style="primary")
        blocks.append(limits.actions(right, limits.button("Take it back", WRONG, rule.rule_id, style="danger")))
    elif rule.state != "suggested" and rule.settled_by:
        word = "It is right" if rule.state == "active" else "Taken back"
        blocks.append(limits.context(f"{word}, says {limits.person(rule.settled_by)}"))
    return Message(f"{heading[rule.state]} {_what(rule)}", blocks)


def _case(case: Shown) -> str:
    about = limits.brief(case.summary, 120) or "a case whose words were forgotten"
    if case.said == case.would_say:
        return f"• {about}: *{limits.escape(case.said)}*, as before"
    return f"• {about}: then *{limits.escape(case.said)}*, with it *{limits.escape(case.would_say)}*"


def _what(rule: Rule) -> str:
    check = rule.check
    if isinstance(check, Term):
        return f"“{limits.brief(check.term, 60)}” means {limits.brief(check.means, _BRIEF)}"
    if isinstance(check, LabelledExample):
        said = limits.brief(" ".join(check.sentence.split()), _BRIEF)
        return f"For {limits.escape(check.workflow)}: “{said}” is *{limits.escape(check.label)}*"
    return limits.brief(rule.text, _BRIEF)


def how(workflows: dict[str, Sequence[str]], command: str) -> str:
    """How a lesson is said."""
    own = limits.escape(command)
    lines = [
        f"• `{own} teach {name} &lt;label&gt; “a sentence”`, or a run's id in the place of the sentence; the labels are"
        f" {', '.join(labels)}"
        for name, labels in workflows.items()
    ]
    more = f"• `{own} teach list`, `{own} teach try &lt;lesson&gt;`, `{own} teach forget &lt;lesson&gt;`"
    term = f"• `{own} teach term RMA means return authorisation`"
    return "\n".join(["*What you can teach*", term, *lines, more, "Nothing was changed."])


def which_kind(said: str, kinds: Sequence[str]) -> str:
    """Says that what is done is not what a text is about."""
    return (
        f"“{limits.escape(said)}” is what is done, not what a mail is about. Say which: {', '.join(kinds)}."
        " Nothing was changed."
    )


def no_such_label(said: str, labels: Sequence[str]) -> str:
    """Says which labels there are."""
    return f"I know no label “{limits.brief(said, 60)}”. There are: {', '.join(labels)}. Nothing was changed."


def no_such_case(run_id: str) -> str:
    """Says that a run has classified nothing that can still be read."""
    return (
        f"`{limits.brief(run_id, 60)}` is no past case I can read: a run of that workflow that has told what a text is"
        " about, and whose text is still there. Nothing was changed."
    )


def no_such_lesson(lesson_id: str) -> str:
    """Says that a lesson is not known."""
    return f"I know no lesson `{limits.brief(lesson_id, 60)}`. `teach list` names them. Nothing was changed."


def taught_before() -> str:
    """Says that this very lesson is there."""
    return "That was taught before: `teach list` shows how it stands. Nothing was changed."


def waits_for_cases(lesson_id: str, seen: int, wanted: int) -> str:
    """Says that a lesson counts for nothing yet."""
    return (
        f"Kept as `{limits.escape(lesson_id)}`, and it counts for nothing yet: it is shown on {wanted} past cases"
        f" first, and I have {seen}. Say `teach try {limits.escape(lesson_id)}` once more has come in."
    )


def not_shown_yet() -> str:
    """Says that nobody can agree to a lesson that was not shown on past cases."""
    return "This lesson was not shown on past cases yet. `teach try` it first. Nothing was changed."


def may_not_settle() -> str:
    """Says who may confirm a lesson."""
    return "Only an operator, an approver or an admin can say whether a lesson is right. Nothing was changed."


def may_not_forget() -> str:
    """Says who may take a lesson back."""
    return "Who taught it, an operator, an approver or an admin can take it back. Nothing was changed."


def settled(rule: Rule, *, right: bool) -> str:
    """Confirms a person's word."""
    if right:
        return f"It counts from now on: {_what(rule)}. `teach forget {limits.escape(rule.rule_id)}` ends it."
    return f"Taken back, it counts for nothing: {_what(rule)}. Teach it again to bring it back."


def settled_already() -> str:
    """Says that somebody was faster."""
    return "Somebody has answered this already. Nothing was changed."


def listed(views: Sequence[LessonView]) -> str:
    """All lessons, with how each stands."""
    if not views:
        return "Nothing was taught yet. Begin with `teach term RMA means return authorisation`."
    return "\n".join(["*Lessons*", *(_line(view) for view in views)])


def _line(view: LessonView) -> str:
    rule = view.rule
    waits = "waits for somebody's word" if view.cases else "waits for past cases"
    state = "in force" if rule.state == "active" else waits
    return f"• `{limits.escape(rule.rule_id)}` {_what(rule)} ({state}, taught by {limits.person(rule.said_by)})"
