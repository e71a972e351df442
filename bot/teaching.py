"""`teach`: what people teach is shown on five past cases, and counts once somebody entitled says that it is right."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from actions.approval import identity_refusal
from actions.mailbox import MAILBOX
from actions.records import RecordsUnavailable
from actions.source import Sources
from actions.team import STARTERS, Member, Team
from bot.delivery import Delivery
from bot.desks import Directory, click_of
from bot.intake import Effect
from bot.runs import say
from bot.slack.blocks import answers, lesson_card
from bot.slack.blocks.lesson_card import RIGHT, LessonView
from core import audit
from core.db import Connection, Database
from core.outbox import Conversation, refresh_cards, show_card
from graphs.lessons import TEACHABLE, everywhere, kinds_that, labels_of, lessons_of, mentions
from graphs.mail_kinds import UNKNOWN, telling
from graphs.past_cases import PastCase, Shown, case_of, keep_trial, latest_cases, trial_of
from graphs.reasoner import Reasoner
from graphs.rules_reasoner import nearest
from memory.playbook import LabelledExample, Rule, State, Term, Wish
from memory.playbook_store import StoredPlaybook

CARD = "lesson"
#: On how many past cases a lesson is shown, and among how many of the newest they are looked for.
WANTED = 5
LOOKED_AT = 20
#: What can be taught is about mail so far.
_WORKFLOW = "inbox"
_MOST_LETTERS = 500
_SETTLERS = frozenset({"admin", "operator", "approver"})
_TERM = re.compile(r"(?P<term>.{1,60}?)\s+(?:means|is short for)\s+(?P<means>.{1,300})", re.IGNORECASE | re.DOTALL)
_RUN = re.compile(r"run_[0-9a-z]{4,40}")
_IN_QUOTES = "\"'“”„«»` "

Lesson = Term | LabelledExample


@dataclass(frozen=True)
class Teaching:
    """What teaching reads and writes."""

    database: Database
    playbook: StoredPlaybook
    sources: Sources
    reasoner: Callable[[str], Reasoner]
    """The one that thinks for a person, within their budgets."""

    async def lessons(self, workspace: str, *states: State) -> list[Rule]:
        """The lessons of these states."""
        return await self.playbook.listed([everywhere(workspace)], kinds=["lesson"], states=states)

    async def view(self, lesson_id: str) -> LessonView | None:
        """One lesson with the cases it was shown on, for its card."""
        rule = await self.playbook.rule(lesson_id)
        if rule is None or rule.kind != "lesson":
            return None
        async with self.database.connection() as conn:
            return LessonView(rule, await trial_of(conn, lesson_id))

    async def text_of(self, case: PastCase) -> str:
        """The words of a past case, looked up where they came from; empty where they are gone."""
        mail = await self.sources.get(MAILBOX).mail(case.subject) if self.sources.has(MAILBOX) else None
        return "" if mail is None else telling(mail)

    async def shown(self, workspace: str, person: str, lesson: Lesson) -> list[Shown]:
        """The past cases most like this lesson, with what was said of each and what would be said with it."""
        async with self.database.connection() as conn:
            cases = await latest_cases(conn, workspace, _WORKFLOW, LOOKED_AT)
        known = [(case, text) for case in cases if (text := await self.text_of(case))]
        chosen = _likest(lesson, known)[:WANTED]
        if len(chosen) < WANTED:
            return [Shown(case.run_id, case.label, case.label) for case, _ in chosen]
        lessons = lessons_of(await self.lessons(workspace, "active"), _WORKFLOW).and_also(lesson)
        reasoner, examples = self.reasoner(person), lessons.joined(TEACHABLE[_WORKFLOW])
        found: list[Shown] = []
        for case, text in chosen:
            thought = await reasoner.classify(lessons.explained(text), examples)
            found.append(Shown(case.run_id, case.label, thought.value or UNKNOWN.name))
        return found


def _likest(lesson: Lesson, known: Sequence[tuple[PastCase, str]]) -> list[tuple[PastCase, str]]:
    """Those that hold the term first, then those most like what is taught: there it would matter."""
    said = lesson.means if isinstance(lesson, Term) else lesson.sentence
    ranked = [known[place] for place in nearest(said, [text for _, text in known])]
    return sorted(ranked, key=lambda each: not mentions(each[1], lesson))


class TeachVerb:
    """`teach …`: says, lists, tries and takes back lessons."""

    usage = "teach term <word> means <meaning> | inbox <label> “…” | list | try <lesson> | forget <lesson>"

    def __init__(self, teaching: Teaching, team: Callable[[], Team], *, command: str) -> None:
        self._teaching = teaching
        self._team = team
        self._command = command

    async def consider(self, delivery: Delivery, text: str) -> Effect:
        """Do what the first word says, for whoever may start runs."""
        team = self._team()
        member = team.member(delivery.sender.user_id)
        if delivery.sender.team_id != team.workspace or member is None or not member.roles & STARTERS:
            return say(answers.may_not_see())
        word, _, rest = text.strip().partition(" ")
        word, rest = word.lower(), rest.strip()
        try:
            match word:
                case "list":
                    return await self._list(delivery)
                case "try":
                    return await self._try(delivery, rest)
                case "forget":
                    return await self._forget(delivery, member, rest)
                case _:
                    read = await self._read(delivery, word, rest)
                    return say(read) if isinstance(read, str) else await self._suggest(delivery, *read)
        except RecordsUnavailable as error:
            return say(f"{error} Without past cases a lesson cannot be shown; try again later. Nothing was changed.")

    async def _read(self, delivery: Delivery, word: str, rest: str) -> tuple[Lesson, str] | str:
        """The lesson these words teach and how it is told, or what is missing."""
        if word == "term":
            found = _TERM.fullmatch(rest)
            term, means = (found[part].strip(_IN_QUOTES) for part in ("term", "means")) if found else ("", "")
            return (Term(term=term, means=means), f"{term} means {means}") if term and means else self._how()
        label, _, sentence = rest.partition(" ")
        if word not in TEACHABLE or not sentence.strip(_IN_QUOTES):
            return self._how()
        label, sentence = label.lower(), sentence.strip().strip(_IN_QUOTES)
        if label not in labels_of(word):
            done = kinds_that(label)
            return lesson_card.which_kind(label, done) if done else lesson_card.no_such_label(label, labels_of(word))
        if _RUN.fullmatch(sentence):
            return await self._from_case(delivery, word, label, sentence)
        if not any(char.isalpha() for char in sentence):
            return self._how()
        example = LabelledExample(workflow=word, label=label, sentence=sentence[:_MOST_LETTERS])
        return example, f"In {word}, “{example.sentence}” is {label}"

    async def _from_case(self, delivery: Delivery, word: str, label: str, run_id: str) -> tuple[Lesson, str] | str:
        async with self._teaching.database.connection() as conn:
            case = await case_of(conn, delivery.workspace, word, run_id)
        text = "" if case is None else await self._teaching.text_of(case)
        if not text.strip():
            return lesson_card.no_such_case(run_id)
        # What somebody outside wrote teaches what a mail is about, and is nobody's word in what is remembered.
        return LabelledExample(workflow=word, label=label, sentence=text[:_MOST_LETTERS]), f"{run_id} was {label}"

    def _how(self) -> str:
        return lesson_card.how({name: labels_of(name) for name in TEACHABLE}, self._command)

    async def _suggest(self, delivery: Delivery, lesson: Lesson, told: str) -> Effect:
        workspace, person = delivery.workspace, delivery.sender.user_id
        cases = await self._teaching.shown(workspace, person, lesson)
        wish = Wish(everywhere(workspace), "lesson", told, person, lesson, f"said:{delivery.delivery_id}")

        async def write(conn: Connection) -> str:
            rule = await self._teaching.playbook.suggest(conn, wish)
            if rule is None:
                return lesson_card.taught_before()
            return await _show(conn, delivery, rule, cases)

        return write

    async def _try(self, delivery: Delivery, lesson_id: str) -> Effect:
        rule = await self._one(delivery, lesson_id)
        if rule is None or not isinstance(rule.check, Term | LabelledExample):
            return say(lesson_card.no_such_lesson(lesson_id))
        if rule.state != "suggested":
            return say(lesson_card.settled_already())
        cases = await self._teaching.shown(delivery.workspace, delivery.sender.user_id, rule.check)

        async def write(conn: Connection) -> str:
            held = await self._teaching.playbook.rule_in(conn, rule.rule_id)
            if held is None or held.state != "suggested":
                return lesson_card.settled_already()
            return await _show(conn, delivery, held, cases)

        return write

    async def _list(self, delivery: Delivery) -> Effect:
        rules = await self._teaching.lessons(delivery.workspace, "suggested", "active")
        async with self._teaching.database.connection() as conn:
            views = [LessonView(rule, await trial_of(conn, rule.rule_id)) for rule in rules]
        return say(lesson_card.listed(views))

    async def _forget(self, delivery: Delivery, member: Member, lesson_id: str) -> Effect:
        rule = await self._one(delivery, lesson_id)
        if rule is None:
            return say(lesson_card.no_such_lesson(lesson_id))
        if rule.said_by != delivery.sender.user_id and not member.roles & _SETTLERS:
            return say(lesson_card.may_not_forget())
        return _settling(self._teaching, rule.rule_id, delivery.sender.user_id, right=False)

    async def _one(self, delivery: Delivery, lesson_id: str) -> Rule | None:
        """A lesson of this workspace that was not taken back."""
        named = lesson_id.strip("`*_.,;'\"<> ")
        rules = await self._teaching.lessons(delivery.workspace, "suggested", "active")
        return next((rule for rule in rules if rule.rule_id == named), None)


async def _show(conn: Connection, delivery: Delivery, rule: Rule, cases: Sequence[Shown]) -> str:
    if len(cases) < WANTED:
        return lesson_card.waits_for_cases(rule.rule_id, len(cases), WANTED)
    await keep_trial(conn, rule.rule_id, cases)
    audit.append_at_end(
        conn,
        delivery.workspace,
        "lesson.tried",
        actor=audit.person(delivery.sender.user_id),
        subject={"rule_id": rule.rule_id},
        detail={"cases": [case.run_id for case in cases], "changed": sum(c.said != c.would_say for c in cases)},
    )
    await show_card(conn, CARD, rule.rule_id, Conversation(delivery.workspace, delivery.channel, delivery.thread_ts))
    return ""


def _settling(teaching: Teaching, lesson_id: str, person: str, *, right: bool) -> Effect:
    async def write(conn: Connection) -> str:
        rule = await teaching.playbook.rule_in(conn, lesson_id)
        if rule is None or rule.kind != "lesson":
            return lesson_card.no_such_lesson(lesson_id)
        if rule.state == "dropped" or (right and rule.state != "suggested"):
            return lesson_card.settled_already()
        if right and len(await trial_of(conn, lesson_id)) < WANTED:
            return lesson_card.not_shown_yet()
        await teaching.playbook.settle(conn, rule, state="active" if right else "dropped", by=person)
        await refresh_cards(conn, CARD, lesson_id)
        return lesson_card.settled(rule, right=right)

    return write


class LessonDesk:
    """Does what is pressed on a lesson's card."""

    def __init__(self, teaching: Teaching, people: Directory, team: Callable[[], Team]) -> None:
        self._teaching = teaching
        self._people = people
        self._team = team

    async def consider(self, delivery: Delivery) -> Effect:
        """Write an entitled person's word down, once."""
        team = self._team()
        # Asked of Slack at every click: whoever left a minute ago must not decide.
        standing = await self._people.standing(delivery.sender.user_id, fresh=True)
        refusal = identity_refusal(click_of(delivery), standing, team)
        if refusal is not None:
            return say(refusal.text)
        member = team.member(delivery.sender.user_id)
        if member is None or not member.roles & _SETTLERS:
            return say(lesson_card.may_not_settle())
        right = delivery.press == RIGHT
        return _settling(self._teaching, delivery.value, delivery.sender.user_id, right=right)
