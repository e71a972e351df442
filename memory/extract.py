"""What plain sentences say outright, found without a model: "our return window is now 45 days", "@ada owns pricing".

The forms, each with or without "from Monday on", "as of 1 March", "until Friday":

    the return window is (now) 45 days · the price changed / was raised from 5 to 6 € · we moved the call to Thursday
    @ada owns pricing · pricing is run by @ada · @ada is responsible for pricing · @ada no longer owns pricing
    the hoodie costs 30 € · Ben reports to Ada · the office is based in Oslo · the report is due on Friday
    we decided to use euros · decision: … · I prefer short mails · we use Stripe for payments · my birthday is 5 May

Questions, guesses, hearsay, quotes and code say nothing outright, and passing states are not worth knowing.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo

from memory.clauses import first_clause, without_adverbs
from memory.forms import FORMS, Said
from memory.gate import MOST_CHARACTERS, is_junk, is_passing
from memory.when import Timed, timed

_MOST_SUBJECT = 10
_MOST_OBJECT = 30
#: In characters. Nobody states a fact in more, and the forms take time with the square of it.
_LONGEST_SENTENCE = 600


@dataclass(frozen=True)
class Found:
    """One thing a sentence says; `start` and `end` are that sentence's place in the text."""

    subject: str
    relation: str
    object: str
    start: int
    end: int
    valid_from: datetime | None = None
    """None where the sentence does not say: then it holds from when it was said."""
    ends: bool = False
    confidence: float = 0.8


def claims_in(text: str, *, said_at: datetime, author: str, zone: tzinfo = UTC) -> list[Found]:
    """Everything this text says outright, in its order."""
    found = list[Found]()
    for start, end in sentences(text[:MOST_CHARACTERS]):
        sentence = text[start:end]
        if len(sentence) > _LONGEST_SENTENCE or is_junk(sentence) or _UNSURE.search(sentence):
            continue
        said, time = _said(_without_lead(sentence), author, lambda clause: timed(clause, said_at, zone))
        if said is None:
            continue
        sure = 0.95 if time.begins or _NOW.search(sentence) else said.confidence
        one = Found(said.subject, said.relation, said.object, start, end, time.begins, said.ends, sure)
        found.append(one)
        if time.ends is not None and not said.ends:
            found.append(replace(one, valid_from=time.ends, ends=True))
    return found


_QUOTED = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|^[ \t]*(?:>|&gt;)[^\n]*$", re.DOTALL | re.MULTILINE)
_BREAK = re.compile(r"(?<=[.!?;])\s+|\n+|(?<!\s)\s+[•·]\s+")
_BULLET = re.compile(r"^[\s•·*\-–—\d.)]*(?=[<@\w\"“])")


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Where each sentence begins and ends, without code and without what is quoted from elsewhere."""
    own = _QUOTED.sub(lambda quoted: "\n" * len(quoted[0]), text)
    place = 0
    for cut in [*_BREAK.finditer(own), None]:
        stop = len(own) if cut is None else cut.start()
        piece = own[place:stop]
        bullet = _BULLET.match(piece)
        start = place + (bullet.end() if bullet else len(piece) - len(piece.lstrip()))
        end = place + len(piece.rstrip())
        if start < end:
            yield start, end
        place = len(own) if cut is None else cut.end()


_UNSURE = re.compile(
    r"\?\s*$|\b(?:if|unless|whether|maybe|perhaps|might|could|may be|would|should|probably|possibly|presumably|i think|"
    r"i guess|i believe|i wonder|i wish|i hope|hopefully|imagine|suppose|pretend|what about|not sure|apparently|seems?|"
    r"allegedly|rumou?r|said|says|told|claims?|claimed|wrote|heard|according to|asked|asks|wonders?|ignore (?:all|any|"
    r"previous|the)|as if|like it|was joking|just kidding|for example|e\.g\.)\b",
    re.IGNORECASE,
)
_NOW = re.compile(r"\b(?:now|as of today|from now on|no longer|any ?more)\b", re.IGNORECASE)
_LEAD = re.compile(
    r"^(?:(?:fyi|note|nb|update|reminder|heads[- ]up|psa|btw|ps|attention|important|news|tl;?dr|so|ok|okay|well|"
    r"also|and|but|hi|hey|hello|all|team|everyone|folks|please note|please remember|remember|"
    r"quick (?:note|update)|just|yes|no|correction|actually|good news|bad news)(?:\s+that)?\b\s*[:,!–—-]*\s*)+",
    re.IGNORECASE,
)


def _without_lead(sentence: str) -> str:
    return (_LEAD.sub("", sentence).strip() or sentence).rstrip(" .!;")


#: Of these the reason is a part.
_WITH_REASON = frozenset({"decided", "prefers", "avoids"})


def _said(sentence: str, author: str, time_of: Callable[[str], Timed]) -> tuple[Said | None, Timed]:
    """What the sentence's first clause says, or else all of it, and when that holds."""
    time = time_of(first_clause(sentence))
    said = _form_of(time.text, author)
    if said is None or said.relation in _WITH_REASON:
        time = time_of(sentence)
        said = _form_of(time.text, author)
    return (None if said is None else _settled(said, author)), time


def _form_of(clause: str, author: str) -> Said | None:
    bare = without_adverbs(clause)
    for pattern, make in FORMS:
        found = pattern.fullmatch(bare)
        said = make(found, author) if found else None
        if said is not None:
            return said
    return None


_NOT_A_SUBJECT = re.compile(
    r"(?:it|this|that|these|those|there|here|he|she|they|you|everything|everyone|everybody|something|someone|somebody|"
    r"nothing|nobody|who|what|which|where|when|why|how|one|all|both|some|many|most|things?|and|but|so|also|then|today|"
    r"tomorrow|yesterday|which one|the thing|the problem|the question|the issue|the point|the idea|problem|question)",
    re.IGNORECASE,
)
#: A subject that is a sentence by itself, or points to what was said before.
_POINTS = re.compile(
    r"(?:we|I|you|he|she|they|this|that|these|those) .*"
    r"|.*\b(?:we|I|you|he|she|they|it|this|that|these|those|there|who|which|what|what the others)",
    re.IGNORECASE,
)
#: What is nobody's to recall.
_SECRET = re.compile(
    r"\b(?:password|passphrase|passcode|pass ?word|secret|token|api key|private key|pin|cvv|cvc|iban|credit card|"
    r"card number|social security|ssn|login)\b",
    re.IGNORECASE,
)
#: How long or how old one may be is a rule, and no secret.
_ABOUT_SECRETS = re.compile(
    r"(?:password|passphrase|passcode|token|api key|private key|pin|login|secret) "
    r"(?:length|lifetime|age|validity|expiry|rotation|timeout|limit|period)\b",
    re.IGNORECASE,
)
_MEASURE = re.compile(
    r"(?:(?:at least|at most|up to|about|every) )?(?:\d[\d.,]*|one|two|three|four|five|six|seven|eight|nine|ten|"
    r"eleven|twelve)(?: to \d+)? ?(?:characters?|chars|letters|digits|signs|words|seconds?|minutes?|min|hours?|h|days?|"
    r"weeks?|months?|years?|attempts?|tries)",
    re.IGNORECASE,
)
#: "Thursday works for me", "that costs us a day", "I like it".
_TO_SOMEBODY = re.compile(r"(?:me|us|you|him|them|it)\b", re.IGNORECASE)
_OF_WHAT_LASTS = frozenset({"is", "owner", "located in", "prefers", "avoids"})
_FOR_A_DAY = re.compile(
    r".*\b(?:today|tonight|this (?:morning|afternoon|evening)|at the moment|just now|for a (?:bit|moment|while))",
    re.IGNORECASE,
)
#: "not" says what it is not; the others begin a state or a place of the moment.
_NO_VALUE = re.compile(
    r"(?:not|no|a bit|too|so|very|really|in|on|at|by|behind|ahead|out|off|away)\b"
    r"|(?:un(?:clear|known|certain|decided)|tbd|tba)$",
    re.IGNORECASE,
)
#: What says itself that it is about a state has one, however soon it is another.
_STATED = re.compile(
    r"(?:(?:the|our|my|current|latest) )*(?:status|state|stage|phase) (?:of|for) .+|.+ (?:status|stage|phase)",
    re.IGNORECASE,
)
_STATE = re.compile(
    r"(?:done|ready|finished|open|closed|live|broken|failing|passing|running|waiting|full|empty|online|offline|green|"
    r"red|needed|required|\w{3,}ing|(?:in|on|under) (?:progress|review|preparation|production|transit|stock|planning|"
    r"testing|hold|order|construction|repair|delivery|track|the way))",
    re.IGNORECASE,
)
_MINE = re.compile(r"^(?:my|mine)\s+", re.IGNORECASE)


def _settled(said: Said, author: str) -> Said | None:
    """What was said with persons named, or None where it names no thing, or nothing worth knowing of it."""
    subject, object_ = _named(_bare(said.subject), author), _named(_bare(said.object), author)
    if said.relation != "owner" and said.subject in ("we", "We"):
        subject = "we"
    is_nothing = subject != "we" and (
        is_junk(subject) or _NOT_A_SUBJECT.fullmatch(subject) or _POINTS.fullmatch(subject)
    )
    if not subject or not object_ or is_nothing or _is_secret(subject, object_):
        return None
    if len(subject.split()) > _MOST_SUBJECT or len(object_.split()) > _MOST_OBJECT:
        return None
    if said.relation != "owner" and _TO_SOMEBODY.match(said.object):
        return None
    if said.relation in _OF_WHAT_LASTS and not _lasts(subject, said.relation, object_):
        return None
    return replace(said, subject=subject, object=object_)


def _is_secret(subject: str, object_: str) -> bool:
    if _SECRET.search(_ABOUT_SECRETS.sub("", subject)):
        return True
    return bool(_ABOUT_SECRETS.search(subject)) and not _MEASURE.fullmatch(object_)


def _lasts(subject: str, relation: str, object_: str) -> bool:
    """True for what will still be so tomorrow, and for a state that is named as one."""
    if _FOR_A_DAY.fullmatch(object_):
        return False
    if relation == "is" and _STATED.fullmatch(subject) and _STATE.fullmatch(object_):
        return True
    if relation in ("is", "prefers", "avoids") and object_.casefold().endswith("ing"):
        return False
    placed = relation in ("is", "owner") and _NO_VALUE.match(object_)
    return not is_passing(object_) and not placed


def _bare(text: str) -> str:
    return re.sub(r"^(?:now|also|still|currently)\s+", "", text.strip().strip("\"“”'‘’*_~ ").rstrip(".!,;: "))


def _named(text: str, author: str) -> str:
    if text in ("I", "me", "myself"):
        return f"<@{author}>"
    return re.sub(r"<@([UW][A-Z0-9]+)\|[^>]*>", r"<@\1>", _MINE.sub(f"<@{author}>’s ", text))
