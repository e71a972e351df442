"""Where a statement ends and another begins: "the treasurer is Amina now | , Karl has left"."""

import re

_WHO = (
    r"(?:<@[^>]+>|@[\w.-]+|[A-Z][\w'’-]*(?: [A-Z][\w'’-]*){0,2}|we|i|he|she|it|they|you|this|that|these|those|there|"
    r"everybody|everyone|nobody|(?:(?i:the|our|my|a|an|his|her|its|their|all)) [\w'’-]+(?: [\w'’-]+){0,3}?)"
)
_DOES = (
    r"(?:is|are|was|were|has|have|had|will|does|did|do|can|could|cannot|would|isn|aren|wasn|won|don|doesn|\w{2,}ed|left|"
    r"went|gave|took|came|quit|got|made|kept|sold|broke|brought|found|needs?|wants?|takes?|goes|comes|stays?|works?|"
    r"starts?|stops?|gets?)\b"
)
_BECAUSE = (
    r"(?:because|since|as|so|which|who|whom|whose|where|while|whereas|although|though|after|before|when|not|no longer|"
    r"instead|rather than|thanks|but|previously|formerly|until then|up from|down from|as well as before)\b"
)
_ELSEWHERE = re.compile(
    rf"(?:[,;]|\s[-–—])\s*(?:{_BECAUSE}|(?:and |so )?(?:{_WHO} {_DOES}|(?:he|she|it|they|we|I|you)[ '’]\w|"
    r"(?:that|there)['’]|[A-Z][\w'’-]*(?: [A-Z][\w'’-]*)? [a-z]{2,}s\b))"
    r"|\s(?:because|although|even though|now that|so that|instead of|rather than)\s"
    r"|\s*\((?:was|were|formerly|previously|before|not|instead of|used to be|up from|down from)\b[^()]*\)$"
)
_ADVERBS = re.compile(
    r",?\s+(?:(?:right )?now|from now on|nowadays|these days|at present|currently|again|instead|for now|"
    r"for the time being|until further notice|by the way|btw|please|folks|everyone|everybody|team|all)$",
    re.IGNORECASE,
)
_MOST_ADVERBS = 3


def first_clause(sentence: str) -> str:
    """The sentence up to where it goes on with another statement, a reason, or what was before."""
    found = _ELSEWHERE.search(sentence)
    return sentence[: found.start()] if found else sentence


def without_adverbs(clause: str) -> str:
    """The clause without the adverbs of time, and the people addressed, at its end."""
    for _ in range(_MOST_ADVERBS):
        clause = _ADVERBS.sub("", clause.rstrip(" ,.!;"))
    return clause
