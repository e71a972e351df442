"""How we do things here: rules that people wrote, and what they said about drafts, as checks that code can make.

For a workflow that writes:

    rules = await playbook.rules_for(scopes, kind="style")  # those in force, in these scopes
    findings = lint(draft, rules)  # what a draft does against them, each with its place
    notes = [rule.check.note for rule in rules if isinstance(rule.check, ToneNote)]  # for whoever writes
    await playbook.suggest(conn, wish)  # waits for a person to confirm it

`spoken_rule.read_rule` turns a person's sentence ("never say leverage", "sentences under 20 words") into a check. A
suggested rule is in force only once a person has confirmed it; nothing that untrusted text says becomes one.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from core.db import Connection
from core.errors import CountersignError
from memory.item import Scope

Kind = Literal["style", "practice", "lesson"]
"""How texts are written, how things are done, and what classifying is taught."""
State = Literal["suggested", "active", "dropped"]


class RuleUnfit(CountersignError):
    """What was given as a rule cannot be kept as one."""


class _Check(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BannedPhrase(_Check):
    """This is not written; `instead` is, where somebody said what."""

    check: Literal["banned_phrase"] = "banned_phrase"
    phrase: Annotated[str, Field(min_length=1, max_length=200)]
    instead: str = ""


class BannedEmoji(_Check):
    """No emoji are written."""

    check: Literal["banned_emoji"] = "banned_emoji"


class RequiredPhrase(_Check):
    """This stands somewhere in the text."""

    check: Literal["required_phrase"] = "required_phrase"
    phrase: Annotated[str, Field(min_length=1, max_length=200)]


class RequiredSection(_Check):
    """The text has a section with this heading."""

    check: Literal["required_section"] = "required_section"
    heading: Annotated[str, Field(min_length=1, max_length=100)]


class LongestSentence(_Check):
    """No sentence has more words than this."""

    check: Literal["longest_sentence"] = "longest_sentence"
    words: Annotated[int, Field(ge=1, le=1000)]


class LongestText(_Check):
    """The whole has no more words than this."""

    check: Literal["longest_text"] = "longest_text"
    words: Annotated[int, Field(ge=1, le=100_000)]


class ToneNote(_Check):
    """What code cannot check: for whoever writes."""

    check: Literal["tone_note"] = "tone_note"
    note: str


class Term(_Check):
    """What a word means here; it finds nothing in a draft and helps to tell what a text is about."""

    check: Literal["term"] = "term"
    term: Annotated[str, Field(min_length=1, max_length=60)]
    means: Annotated[str, Field(min_length=1, max_length=300)]


class LabelledExample(_Check):
    """A text with the label that a workflow should give it; it finds nothing in a draft."""

    check: Literal["labelled_example"] = "labelled_example"
    workflow: str
    label: str
    sentence: Annotated[str, Field(min_length=1, max_length=2000)]


Check = (
    BannedPhrase
    | BannedEmoji
    | RequiredPhrase
    | RequiredSection
    | LongestSentence
    | LongestText
    | ToneNote
    | Term
    | LabelledExample
)
CHECKS: TypeAdapter[Check] = TypeAdapter(Annotated[Check, Field(discriminator="check")])


@dataclass(frozen=True)
class Wish:
    """A rule somebody wants, or that their edit or feedback suggests."""

    scope: Scope
    kind: Kind
    text: str
    """As the person said it, or what they changed."""
    said_by: str
    check: Check
    source: str = ""
    """The message, approval or run it comes from."""


@dataclass(frozen=True)
class Rule:
    """One rule of the playbook."""

    rule_id: str
    scope: Scope
    kind: Kind
    text: str
    check: Check
    state: State
    said_by: str
    said_at: datetime
    source: str
    settled_by: str | None = None


@dataclass(frozen=True)
class Finding:
    """What a text does against one rule; `start` and `end` are its place, or 0 and 0 where something is missing."""

    rule: Rule
    start: int
    end: int
    said: str


class Playbook(Protocol):
    """The rules, as a workflow meets them (memory.playbook_store.StoredPlaybook)."""

    async def rules_for(self, scopes: Sequence[Scope], kind: Kind = "style") -> list[Rule]:
        """The rules of this kind that are in force in these scopes, oldest first."""
        ...

    async def remember(self, conn: Connection, wish: Wish) -> Rule:
        """Put this rule in force by the word of whoever says it; the same rule said again is the one there was."""
        ...

    async def suggest(self, conn: Connection, wish: Wish) -> Rule | None:
        """Keep this as a suggestion with a card; None where it is known, or was dropped before."""
        ...


_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_SENTENCE = re.compile(r"[^.!?\n]+(?:[.!?](?!\s|$)[^.!?\n]*)*[.!?]*")
_EMOJI = re.compile("[\U0001f300-\U0001faff\u2600-\u27bf]|:[a-z0-9_+-]{2,40}:")


def lint(text: str, rules: Iterable[Rule]) -> list[Finding]:
    """What this text does against these rules, in the order of the text; notes on tone find nothing."""
    found = [finding for rule in rules for finding in _CHECKERS[type(rule.check)](text, rule)]
    return sorted(found, key=lambda finding: finding.start)


def _banned(text: str, rule: Rule) -> Iterator[Finding]:
    assert isinstance(rule.check, BannedPhrase)
    for place in _standing(rule.check.phrase).finditer(text):
        instead = f" Write “{rule.check.instead}” instead." if rule.check.instead else ""
        yield Finding(rule, place.start(), place.end(), f"“{place[0]}” stands in it.{instead}")


def _emoji(text: str, rule: Rule) -> Iterator[Finding]:
    for place in _EMOJI.finditer(text):
        yield Finding(rule, place.start(), place.end(), "Emoji are not written here.")


def _required(text: str, rule: Rule) -> Iterator[Finding]:
    assert isinstance(rule.check, RequiredPhrase)
    if _standing(rule.check.phrase).search(text) is None:
        yield Finding(rule, 0, 0, f"“{rule.check.phrase}” is missing.")


def _section(text: str, rule: Rule) -> Iterator[Finding]:
    assert isinstance(rule.check, RequiredSection)
    heading = re.escape(rule.check.heading)
    if re.search(rf"^\s*(?:#+\s*|\*+\s*)?{heading}\s*:?\s*\**\s*$", text, re.IGNORECASE | re.MULTILINE) is None:
        yield Finding(rule, 0, 0, f"The section “{rule.check.heading}” is missing.")


def _sentences(text: str, rule: Rule) -> Iterator[Finding]:
    assert isinstance(rule.check, LongestSentence)
    for sentence in _SENTENCE.finditer(text):
        words = len(_WORD.findall(sentence[0]))
        if words > rule.check.words:
            start = sentence.start() + len(sentence[0]) - len(sentence[0].lstrip())
            yield Finding(rule, start, sentence.end(), f"A sentence of {words} words; at most {rule.check.words}.")


def _length(text: str, rule: Rule) -> Iterator[Finding]:
    assert isinstance(rule.check, LongestText)
    words = len(_WORD.findall(text))
    if words > rule.check.words:
        yield Finding(rule, 0, len(text), f"{words} words; at most {rule.check.words}.")


def _nothing(text: str, rule: Rule) -> Iterator[Finding]:
    del text, rule
    yield from ()


_CHECKERS: dict[type[_Check], Callable[[str, Rule], Iterator[Finding]]] = {
    BannedPhrase: _banned,
    BannedEmoji: _emoji,
    RequiredPhrase: _required,
    RequiredSection: _section,
    LongestSentence: _sentences,
    LongestText: _length,
    ToneNote: _nothing,
    Term: _nothing,
    LabelledExample: _nothing,
}


def _standing(phrase: str) -> re.Pattern[str]:
    """The phrase as whole words, whatever their case; marks such as an exclamation mark wherever they stand."""
    words = r"\s+".join(re.escape(word) for word in phrase.split())
    before = r"(?<!\w)" if phrase[:1].isalnum() else ""
    after = r"(?!\w)" if phrase[-1:].isalnum() else ""
    return re.compile(f"{before}{words}{after}", re.IGNORECASE)
