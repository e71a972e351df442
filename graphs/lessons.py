"""What people taught: terms and labelled examples that classifying heeds once somebody confirmed them."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from graphs.context import RunContext
from graphs.mail_kinds import EXAMPLES, KINDS
from graphs.reasoner import Example
from memory.item import Scope, ScopeKind
from memory.playbook import LabelledExample, Rule, Term

#: The workflows that can be taught, with what they know without any lesson.
TEACHABLE: dict[str, Sequence[Example]] = {"inbox": EXAMPLES}


@dataclass(frozen=True)
class Lessons:
    """The lessons of one workflow that are in force."""

    terms: tuple[Term, ...] = ()
    examples: tuple[Example, ...] = ()

    def explained(self, text: str) -> str:
        """The text with what its terms mean beside them."""
        for each in self.terms:
            text = _standing(each.term).sub(lambda found, each=each: f"{found[0]} ({each.means})", text)
        return text

    def joined(self, known: Sequence[Example]) -> tuple[Example, ...]:
        """The workflow's own examples and those that were taught."""
        return (*known, *self.examples)

    def and_also(self, check: Term | LabelledExample) -> "Lessons":
        """These and one more."""
        if isinstance(check, Term):
            return Lessons((*self.terms, check), self.examples)
        return Lessons(self.terms, (*self.examples, Example(check.label, check.sentence)))


def lessons_of(rules: Iterable[Rule], workflow: str) -> Lessons:
    """What of these rules this workflow was taught; a term counts in all."""
    lessons = Lessons()
    for rule in rules:
        check = rule.check
        if isinstance(check, Term) or (isinstance(check, LabelledExample) and check.workflow == workflow):
            lessons = lessons.and_also(check)
    return lessons


async def taught(context: RunContext, workflow: str) -> Lessons:
    """The lessons in force for this workflow, here."""
    if context.playbook is None:
        return Lessons()
    return lessons_of(await context.playbook.rules_for([everywhere(context.run.request.workspace)], "lesson"), workflow)


def everywhere(workspace: str) -> Scope:
    """The scope of all lessons: what a mail is about does not depend on the channel."""
    return Scope(workspace, ScopeKind.WORKSPACE)


def labels_of(workflow: str) -> list[str]:
    """The labels this workflow knows, in order."""
    return list(dict.fromkeys(each.label for each in TEACHABLE[workflow]))


def kinds_that(does: str) -> list[str]:
    """The kinds of mail about which this is done: act, notify, none."""
    return [kind.name for kind in KINDS.values() if kind.does == does]


def mentions(text: str, check: Term | LabelledExample) -> bool:
    """True when the text holds the term that is taught."""
    return isinstance(check, Term) and _standing(check.term).search(text) is not None


def _standing(term: str) -> re.Pattern[str]:
    words = r"\s+".join(re.escape(word) for word in term.split())
    return re.compile(rf"(?<!\w){words}(?!\w)", re.IGNORECASE)
