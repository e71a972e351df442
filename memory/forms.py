"""The forms of sentences that say something outright, each with what it says: the first that fits counts."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from memory.places import place_in, stays_somewhere

#: Every relation there is; whatever extracts may use no other.
RELATIONS = frozenset(
    {
        *("is", "owner", "costs", "reports to", "located in", "works for", "works on", "due", "starts", "ends"),
        *("scheduled for", "done with", "decided", "prefers", "avoids", "uses"),
    }
)


@dataclass(frozen=True)
class Said:
    """What a sentence of one form says, as its words stand there."""

    subject: str
    relation: str
    object: str
    ends: bool = False
    confidence: float = 0.8


#: "The lead time of …" names nobody who leads.
_PERSON = (
    r"(?:(?!(?:The|A|An|Our|My|Your|His|Her|Its|Their|This|That|These|Those|Some|Any|No|Every|Each|All)\s[a-z])"
    r"(?:<@[UW][A-Z0-9]+(?:\|[^>]*)?>|@[\w.-]+|I|[A-Z][\w'’-]+(?:\s[A-Z][\w'’-]+){0,2}))"
)
#: What is owned, reported to or paid says nothing by itself: no second verb stands in it.
_NO_VERB = r"(?:(?! (?:is|are|was|were|will be|has|have) ).)+?"
_OWNING = (
    r"(?:owns|own|runs|run|leads|lead|handles|handle|manages|manage|takes care of|take care of|looks after|takes over|"
    r"take over|took over|has taken over|will own|will run|will lead|will handle|"
    r"(?:is|am)(?: now)? (?:responsible for|accountable for|in charge of|taking over|running|leading|"
    r"(?:the )?(?:new )?(?:owner|lead|head|manager) (?:of|for)))"
)
_NOWISH = r"(?:now |currently |officially |already |still )?"
_MOVED = (
    r"(?:(?:has |have )?(?:changed|moved|increased|decreased|risen|rose|dropped|gone up|gone down|went up|went down)"
    r"|(?:is|was|are|were|has been|have been|will be)(?: now)? (?:changed|moved|raised|lowered|increased|reduced|"
    r"set|extended|shortened|cut|postponed|brought forward|renamed|updated|switched)"
    r"|(?:changes|moves|rises|goes up|goes down|drops))"
)
_WE_MOVED = r"(?:changed|moved|raised|lowered|increased|reduced|set|extended|shortened|cut|postponed|renamed|switched)"

Make = Callable[[re.Match[str], str], Said | None]


def _form(pattern: str, make: Make) -> tuple[re.Pattern[str], Make]:
    return re.compile(pattern.replace("PERSON", _PERSON), re.DOTALL), make


def _plain(relation: str, *, ends: bool = False, confidence: float = 0.9) -> Make:
    return lambda found, author: Said(found["s"], relation, found["o"], ends=ends, confidence=confidence)


def _of_us(relation: str, *, ends: bool = False) -> Make:
    return lambda found, author: Said("we", relation, found["o"], ends=ends, confidence=0.9)


def _wish(relation: str) -> Make:
    return lambda found, author: Said(found["s"], relation, found["o"], confidence=0.85)


_ON_TOP = re.compile(r"\b(?:floor|wall|side|roof|shelf|desk|counter|platform)\b", re.IGNORECASE)


def _kept(found: re.Match[str], author: str) -> Said | None:
    """A thing with a place of its own; whoever or whatever is only there at the moment has none."""
    place = place_in(found["o"])
    return Said(found["s"], "located in", place, confidence=0.8) if place and stays_somewhere(found["s"]) else None


def _kept_now(found: re.Match[str], author: str) -> Said | None:
    on = _ON_TOP.search(found["o"])
    place = place_in(f"{'on' if on else 'in'} {found['o']}")
    return Said(found["s"], "located in", place, confidence=0.9) if place and stays_somewhere(found["s"]) else None


FORMS: Sequence[tuple[re.Pattern[str], Make]] = (
    _form(
        rf"(?P<o>PERSON) (?:no longer |does(?:n['’]t| not) |do(?:n['’]t| not) ){_OWNING} (?P<s>{_NO_VERB})"
        r"(?: any ?more)?",
        _plain("owner", ends=True),
    ),
    _form(
        r"(?P<o>PERSON) (?:stopped|is no longer) (?:owning|running|leading|handling) (?P<s>.+)",
        _plain("owner", ends=True),
    ),
    _form(rf"(?P<o>PERSON) {_NOWISH}{_OWNING} (?P<s>{_NO_VERB})(?: from PERSON)?", _plain("owner")),
    _form(
        rf"(?P<s>.+?) (?:is|are|will be) {_NOWISH}(?:owned|run|led|handled|managed|looked after) by (?P<o>PERSON)",
        _plain("owner"),
    ),
    _form(
        r"(?i:the )?(?i:owner|lead|person responsible|contact|responsible person) (?:of|for) (?P<s>.+?) (?:is|will be) "
        r"(?:now )?(?P<o>.+)",
        _plain("owner"),
    ),
    _form(r"(?:I|[Ww]e) hand(?:ed)? (?P<s>.+?) (?:over )?to (?P<o>PERSON)", _plain("owner")),
    _form(
        r"(?i:we|the team)(?:['’]ve| have)? (?:decided|agreed|chosen|chose) (?:to |on |that |:\s*)?(?P<o>.+)",
        _of_us("decided"),
    ),
    _form(r"(?i:decision|decided|agreed):\s*(?P<o>.+)", _of_us("decided")),
    _form(
        r"(?P<s>PERSON|[Ww]e|[Oo]ur \w+|The \w+) (?:really |strongly |would |always |generally |usually |now )*"
        r"(?:prefers?|likes?|loves?|favou?rs?) (?P<o>.+)",
        _wish("prefers"),
    ),
    _form(
        r"(?P<s>PERSON|[Ww]e|[Oo]ur \w+) (?:really |strongly |generally )*(?:hates?|dislikes?|can['’]?t stand|"
        r"cannot stand|do(?:es)?n['’]t like|do(?:es)? not like|avoids?) (?P<o>.+)",
        _wish("avoids"),
    ),
    _form(r"(?i:we) (?:no longer|don['’]t|do not) use (?P<o>.+?)(?: any ?more)?", _of_us("uses", ends=True)),
    _form(r"(?i:we) (?:have )?stopped using (?P<o>.+)", _of_us("uses", ends=True)),
    _form(rf"(?i:we) {_NOWISH}use (?P<o>.+?) for (?P<s>.+)", _plain("done with")),
    _form(
        rf"(?i:we) {_NOWISH}(?:do|handle|run|make|track) (?P<s>.+?) (?:with|using|in|through) (?P<o>.+)",
        _plain("done with", confidence=0.7),
    ),
    _form(rf"(?i:we) {_NOWISH}use (?P<o>.+)", _of_us("uses")),
    _form(rf"(?P<s>.+?) reports? {_NOWISH}to (?P<o>{_NO_VERB})", _plain("reports to")),
    _form(
        rf"(?P<s>.+?) {_NOWISH}costs? {_NOWISH}(?!(?:is|are|was|were|will|has|have|of|for|per|in|and) )(?P<o>.+)",
        _plain("costs"),
    ),
    _form(
        r"(?P<s>.+?) (?:lives|is based|are based|is located|are located|sits) (?:now )?(?:in|at) (?P<o>.+)",
        _plain("located in"),
    ),
    _form(r"(?P<s>.+?) works (?:now )?(?:for|at) (?P<o>.+)", _plain("works for")),
    _form(r"(?P<s>.+?) (?:works|is working) (?:now )?on (?P<o>.+)", _plain("works on", confidence=0.7)),
    _form(r"(?P<s>.+?) (?:is|are) (?:now )?due (?:on |by |in |at )?(?P<o>.+)", _plain("due")),
    _form(
        r"(?P<s>.+?) (?:is|are|was|were) (?:now )?(?:scheduled|planned) (?:for|on|at) (?P<o>.+)",
        _plain("scheduled for"),
    ),
    _form(
        r"(?P<s>.+?) (?:is|are|will be) (?:now )?(?:on|at) (?P<o>(?i:(?:every |next )?"
        r"(?:mon|tues|wednes|thurs|fri|satur|sun)day|the \d|\d|noon|midnight|january|february|march|april|may|june|"
        r"july|august|september|october|november|december).*)",
        _plain("scheduled for"),
    ),
    _form(r"(?P<s>.+?) (?:starts|begins|opens) (?:now )?(?:on|at|in) (?P<o>.+)", _plain("starts")),
    _form(r"(?P<s>.+?) (?:ends|closes|expires|finishes) (?:now )?(?:on|at|in) (?P<o>.+)", _plain("ends")),
    _form(rf"(?P<s>.+?) (?:is|are|stays|stay) {_NOWISH}(?:kept |stored |stowed )?(?P<o>.+)", _kept),
    _form(r"(?:we|We|I)(?:['’]ve| have)? moved (?P<s>.+?) (?:in|on)?to (?P<o>.+)", _kept_now),
    _form(r"(?P<s>.+?) (?:(?:has|have|was|were|is|are) (?:now )?(?:been )?)?moved (?:in|on)?to (?P<o>.+)", _kept_now),
    _form(rf"(?i:we|I)(?:['’]ve| have)? {_WE_MOVED} (?P<s>.+?) (?:from (?P<old>.+?) )?to (?P<o>.+)", _plain("is")),
    _form(rf"(?P<s>.+?) {_MOVED} (?:from (?P<old>.+?) )?(?:to|at) (?P<o>.+)", _plain("is")),
    _form(r"(?P<s>.+?) (?:is|are) no longer (?P<o>.+)", _plain("is", ends=True)),
    _form(r"(?P<s>.+?) (?:is|are)(?:n['’]t| not) (?P<o>.+?) any ?more", _plain("is", ends=True)),
    _form(r"I(?:['’]m| am) (?:now )?(?P<o>(?:the|our|a|an) .+)", lambda found, author: Said("I", "is", found["o"])),
    _form(rf"(?P<s>.+?) (?:is|are|will be|stays at|remains) {_NOWISH}(?P<o>.+)", _plain("is", confidence=0.8)),
    _form(r"(?P<s>[\w'’-]+(?: [\w'’-]+){1,4}):\s+(?P<o>\S.*)", _plain("is", confidence=0.7)),
)
