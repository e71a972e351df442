"""What a person's sentence asks of every text, and what an edit suggests, as checks of the playbook."""

import re
from collections.abc import Callable
from difflib import SequenceMatcher

from memory.playbook import (
    BannedEmoji,
    BannedPhrase,
    Check,
    LongestSentence,
    LongestText,
    RequiredPhrase,
    RequiredSection,
    RuleUnfit,
    ToneNote,
)

MOST_WORDS_OF_A_RULE = 60
_MOST_WORDS_OF_A_CHANGE = 6
_WORD = re.compile(r"[^\W_]")

_MARKS = {
    "exclamation mark": "!",
    "exclamation point": "!",
    "question mark": "?",
    "semicolon": ";",
    "em dash": "—",
    "ellipsis": "…",
    "ampersand": "&",
}
_NUMBER = r"(?P<number>\d{1,5})"
_LIMIT = r"(?:under|below|at most|max(?:imum)?(?: of)?|no (?:longer|more) than|shorter than|within|up to)"
_NEVER = r"(?:please\s+)?(?:never|do not|don'?t|avoid|stop|no more|no)"
_USING = r"(?:(?:say|saying|write|writing|use|using|the words?|the phrase)\s+)*"
Make = Callable[[re.Match[str]], Check | None]
_READ: tuple[tuple[str, Make], ...] = (
    (
        rf"(?:keep\s+)?(?:all\s+|every\s+)?sentences?\s+(?:should\s+|must\s+)?(?:be\s+|have\s+)?{_LIMIT}\s+{_NUMBER}\s+words.*",
        lambda found: LongestSentence(words=int(found["number"])),
    ),
    (
        rf"no\s+sentences?\s+(?:over|above|longer than|of more than)\s+{_NUMBER}\s+words.*",
        lambda found: LongestSentence(words=int(found["number"])),
    ),
    (
        rf"(?:keep|make)\s+(?:it|this|them|posts?|drafts?|texts?|articles?|everything|the \w+)\s+{_LIMIT}\s+"
        rf"{_NUMBER}\s+words.*",
        lambda found: LongestText(words=int(found["number"])),
    ),
    (rf"{_LIMIT}\s+{_NUMBER}\s+words.*", lambda found: LongestText(words=int(found["number"]))),
    (
        r"(?:please\s+)?(?:say|write|use)\s+(?P<instead>.+?)\s*(?:instead of|rather than|,?\s+not)\s+"
        r"(?P<phrase>.+)",
        lambda found: _banned_of(found["phrase"], found["instead"]),
    ),
    (
        r"(?:please\s+)?replace\s+(?P<phrase>.+?)\s+(?:with|by)\s+(?P<instead>.+)",
        lambda found: _banned_of(found["phrase"], found["instead"]),
    ),
    (
        r"(?:please\s+)?(?:always\s+)?(?:include|add|have|end with|begin with|start with)\s+(?:a|an|the)\s+"
        r"section\s+(?:called\s+|named\s+|titled\s+)?(?P<heading>.+)",
        lambda found: RequiredSection(heading=_bare(found["heading"])),
    ),
    (
        r"(?:please\s+)?(?:always\s+)?(?:include|add|have|end with|begin with|start with)\s+(?:a|an|the)\s+"
        r"(?P<heading>.+?)\s+section\.?",
        lambda found: RequiredSection(heading=_bare(found["heading"])),
    ),
    (
        r"(?:please\s+)?always\s+(?:mention|include|say|write)\s+[\"“'](?P<phrase>.+)[\"”']\.?",
        lambda found: RequiredPhrase(phrase=_bare(found["phrase"])),
    ),
    (rf"{_NEVER}\s+{_USING}emojis?\.?", lambda found: BannedEmoji()),
    (rf"{_NEVER}\s+{_USING}(?P<phrase>.+)", lambda found: _banned_of(found["phrase"], "", needs=found[0])),
)
_FORMS = tuple((re.compile(form, re.IGNORECASE | re.DOTALL), make) for form, make in _READ)


def read_rule(text: str) -> Check:
    """The check this sentence asks for; a note on tone where code cannot check it; raises RuleUnfit."""
    said = " ".join(text.split()).strip()
    if not _WORD.search(said):
        raise RuleUnfit("A rule needs words, such as: never say leverage. Nothing was kept.")
    if len(said.split()) > MOST_WORDS_OF_A_RULE:
        raise RuleUnfit(f"A rule is one sentence of at most {MOST_WORDS_OF_A_RULE} words. Say it shorter.")
    for form, make in _FORMS:
        found = form.fullmatch(said)
        check = make(found) if found else None
        if check is not None:
            return check
    return ToneNote(note=said)


def _banned_of(phrase: str, instead: str, needs: str = "") -> Check | None:
    """A ban on these words; None where they are a description, such as "be so formal", that no text holds literally."""
    quoted = re.search(r"[\"“'](.+?)[\"”']", phrase)
    bare = _bare(quoted[1] if quoted else phrase)
    mark = next((sign for name, sign in _MARKS.items() if bare.casefold() in (name, f"{name}s", f"{name}es")), "")
    if mark:
        return BannedPhrase(phrase=mark, instead=_bare(instead))
    is_literal = (
        quoted or instead or re.search(r"\b(?:say|write|us(?:e|ing)|saying|writing|word|phrase)\b", needs, re.I)
    )
    if not is_literal or not bare or len(bare) > 200 or len(bare.split()) > _MOST_WORDS_OF_A_CHANGE:
        return None
    return BannedPhrase(phrase=bare, instead=_bare(instead))


def _bare(text: str) -> str:
    return text.strip().strip("\"“”'‘’`*_").rstrip(".,;").strip().strip("\"“”'‘’`*_")


def rule_from_edit(before: str, after: str) -> BannedPhrase | None:
    """What an edited text suggests: one phrase that was replaced by another; None for anything larger or smaller."""
    old, new = before.split(), after.split()
    changes = [each for each in SequenceMatcher(None, old, new, autojunk=False).get_opcodes() if each[0] != "equal"]
    if len(changes) != 1 or changes[0][0] != "replace":
        return None
    _, i1, i2, j1, j2 = changes[0]
    phrase, instead = _bare(" ".join(old[i1:i2])), _bare(" ".join(new[j1:j2]))
    is_short = max(i2 - i1, j2 - j1) <= _MOST_WORDS_OF_A_CHANGE
    # A number that was put right says nothing about the next text.
    if not is_short or not re.search(r"[^\W\d_]", phrase) or re.search(r"\d", phrase + instead):
        return None
    return BannedPhrase(phrase=phrase, instead=instead) if phrase.casefold() != instead.casefold() else None
