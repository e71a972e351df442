"""Briefs, drafts and what people say about them, as plain data: read, linted, mended and compared, without a clock."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any

from pydantic import BaseModel

from memory.playbook import CHECKS, BannedPhrase, Check, Finding, Rule, RuleUnfit, ToneNote, lint
from memory.spoken_rule import read_rule

#: A brief with fewer telling words says nothing that could be written about.
FEWEST_WORDS = 4
#: Of a reply with so many words it is taken for the text itself, and not for what is said about it.
TEXT_WORDS = 60
# On a line of its own, or after a semicolon on that of another: a command is one line.
_LABEL = re.compile(r"(?:^|;)[^\S\n]*(title|audience|points?|sources?|tags?)[^\S\n]*:", re.IGNORECASE | re.MULTILINE)
_WORD = re.compile(r"\w[\w'’-]*")
_PASTED = re.compile(r"^\s*(?:text:\s*|(?=#\s))", re.IGNORECASE)
_AGREED = re.compile(
    r"^\W*(?:(?:ok(?:ay)?|yes|great|good|perfect|lgtm|looks good|go ahead|ship it|please)\W+)*"
    r"(?:publish(?:\s+(?:it|this|that|now))?|ship it|lgtm|go ahead)(?P<anyway>\s+anyway)?\W*$",
    re.IGNORECASE,
)
_DROPPED = re.compile(r"^\W*(?:stop|cancel|drop (?:it|this)|forget it|never ?mind)\W*$", re.IGNORECASE)
_ONLY_HERE = re.compile(r"^\s*only here\s*[:,]?\s*", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<=[.;])\s+|\n+")
_LISTED = re.compile(r"(?<!\s)\s*(?:;|\n)\s*")


class Brief(BaseModel):
    """What is to be written, as somebody asked for it."""

    text: str
    title: str = ""
    audience: str = ""
    points: list[str] = []
    sources: list[str] = []
    tags: list[str] = []

    @property
    def is_enough(self) -> bool:
        """True when somebody could write from it."""
        return len(_WORD.findall(self.text)) >= FEWEST_WORDS

    @property
    def fingerprint(self) -> str:
        """The same for a brief that says the same: case and spaces do not make another."""
        said = " ".join(unicodedata.normalize("NFKC", self.text).casefold().split())
        return hashlib.sha256(said.encode()).hexdigest()[:32]

    @property
    def outline(self) -> list[str]:
        """The parts of the post, in order: its points, or what its sentences speak of."""
        parts = self.points or [part.strip(" .;") for part in _SENTENCE.split(_unnamed(self.text)) if part.strip(" .;")]
        return [f"Opening: why {self.audience or 'the reader'} should care", *parts, "Closing: what to do next"]


class Draft(BaseModel):
    """One version of the text."""

    title: str
    body: str
    by: str
    """Who wrote it: a model, or a person, by name."""
    is_a_persons: bool = False
    """True where a person wrote it: no model writes over it."""

    @property
    def whole(self) -> str:
        """Title and text as one."""
        return f"# {self.title}\n\n{self.body}"

    @property
    def opening(self) -> str:
        """The first paragraph that is no heading, on one line: what a list of posts tells of this one."""
        paragraphs = (" ".join(part.split()) for part in re.split(r"\n\s*\n", self.body))
        return next((each for each in paragraphs if each and not each.startswith("#")), "")

    @property
    def slug(self) -> str:
        """What the post is called in its address."""
        plain = unicodedata.normalize("NFKD", self.title).encode("ascii", "ignore").decode().lower()
        return "-".join(re.findall(r"[a-z0-9]+", plain))[:80].strip("-") or "post"


class StyleRule(BaseModel):
    """One rule for this text: as it was said, and as code checks it."""

    text: str
    check: dict[str, Any]

    @property
    def checked(self) -> Check:
        """The check itself."""
        return CHECKS.validate_python(self.check)


def read_brief(text: str) -> Brief:
    """The brief in these words: free text, with lines such as `Audience: …` where somebody wrote them."""
    found = {label[1].casefold().rstrip("s"): text[label.end() : end].strip() for label, end in _fields(text)}
    return Brief(
        text=text.strip(),
        title=found.get("title", ""),
        audience=found.get("audience", ""),
        points=_points(found.get("point", "")),
        sources=_listed(found.get("source", "")),
        tags=[tag for part in found.get("tag", "").split(",") if (tag := part.strip())][:20],
    )


def _fields(text: str) -> Iterator[tuple[re.Match[str], int]]:
    """Each label in the text, with where its value ends: at the next one, or with its line."""
    labels = list(_LABEL.finditer(text))
    for label, following in zip_longest(labels, labels[1:]):
        most = len(text) if following is None else following.start()
        line = text.find("\n", label.end(), most)
        yield label, most if line < 0 else line


def _unnamed(text: str) -> str:
    kept: list[str] = []
    at = 0
    for label, end in _fields(text):
        kept.append(text[at : label.start()])
        at = end
    return "".join([*kept, text[at:]])


def _points(value: str) -> list[str]:
    return _listed(value if ";" in value else value.replace(",", ";"))


def _listed(value: str) -> list[str]:
    return [part for part in _LISTED.split(value) if part]


def read_draft(text: str, *, title: str, by: str, is_a_persons: bool = False) -> Draft | None:
    """The draft in this text, whose first heading is its title; None where there is nothing to read."""
    text = re.sub(r"^\s*text:\s*", "", text, flags=re.IGNORECASE).strip()
    heading = re.match(r"#\s+(.+)\n*", text)
    body = text[heading.end() :].strip() if heading else text
    named = heading.group(1).strip() if heading else title or " ".join(text.split()[:8])
    printable = "".join(letter for letter in named if letter.isprintable()).strip(" #*")
    return (
        Draft(title=printable[:200] or "Untitled", body=body[:60_000], by=by, is_a_persons=is_a_persons)
        if body
        else None
    )


def is_text(said: str, *, has_draft: bool) -> bool:
    """True for a reply that is the text itself: it says so, has a heading, or is long."""
    words = len(_WORD.findall(said))
    return bool(_PASTED.match(said)) or words >= (TEXT_WORDS if has_draft else TEXT_WORDS // 2)


def agrees(said: str) -> tuple[bool, bool]:
    """Whether a reply says to publish, and whether it says so whatever rules are broken."""
    found = _AGREED.match(said)
    return found is not None, bool(found and found.group("anyway"))


def drops(said: str) -> bool:
    """True for a reply that wants no post after all."""
    return _DROPPED.match(said) is not None


def rules_in(said: str) -> tuple[list[StyleRule], bool]:
    """The checks that feedback asks for, and whether they are for this text alone; what code cannot check is none."""
    here = _ONLY_HERE.match(said)
    words = said[here.end() :] if here else said
    found: list[StyleRule] = []
    for part in _SENTENCE.split(words):
        try:
            check = read_rule(asked := _ONLY_HERE.sub("", part).strip())
        except RuleUnfit:
            continue
        if not isinstance(check, ToneNote):
            found.append(StyleRule(text=asked, check=check.model_dump(mode="json")))
    return found, here is not None


def with_rules(known: Iterable[StyleRule], more: Iterable[StyleRule]) -> list[StyleRule]:
    """All of them, each once by what it checks."""
    return list({repr(sorted(rule.check.items())): rule for rule in [*known, *more]}.values())


def findings(draft: Draft, rules: Sequence[StyleRule], stamp: Any) -> list[tuple[StyleRule, str]]:
    """What the draft does against these rules; `stamp` makes a playbook's rule of one."""
    found: list[tuple[StyleRule, str]] = []
    for rule in rules:
        held: Rule = stamp(rule)
        found += [(rule, finding.said) for finding in _unlike(lint(draft.whole, [held]))]
    return found


def _unlike(found: Iterable[Finding]) -> list[Finding]:
    """Each thing that is said once, wherever it happens."""
    return list({finding.said: finding for finding in found}.values())


def mended(draft: Draft, rules: Sequence[StyleRule]) -> tuple[Draft, list[str]]:
    """The draft with what code can put right: a phrase for which people said what to write instead; and what it did."""
    title, body, did = draft.title, draft.body, list[str]()
    for rule in rules:
        check = rule.checked
        if not isinstance(check, BannedPhrase) or not (check.instead or check.phrase == "!"):
            continue
        instead = check.instead or "."
        edges = (r"(?<!\w)" if check.phrase[0].isalnum() else "", r"(?!\w)" if check.phrase[-1].isalnum() else "")
        pattern = re.compile(f"{edges[0]}{re.escape(check.phrase)}{edges[1]}", re.IGNORECASE)
        (title, one), (body, two) = pattern.subn(instead, title), pattern.subn(instead, body)
        did += [f"“{check.phrase}” is now “{instead}” ({one + two} ×)"] if one + two else []
    return draft.model_copy(update={"title": title, "body": body}), did
