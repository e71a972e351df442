"""What is not worth knowing: pleasantries, passing states, what is known already, and our own words coming back."""

import hashlib
import re
import unicodedata
from collections.abc import Collection

from memory.fact import content_words, plain

#: A message longer than this is remembered whole, but only so much of it is looked through for facts.
MOST_CHARACTERS = 20_000
#: Words in a row by which a sentence is known to come from somewhere.
_RUN = 5
_ECHO = 0.6

_PLEASANTRY = """
    hi hello hey hiya yo morning good evening afternoon night bye goodbye cheers thanks thank thx ty you u please
    welcome np no problem worries sure ok okay k kk yes yep yeah yup nope nah lol haha hahaha rofl nice great cool
    awesome perfect super amazing lovely excellent wow omg congrats congratulations happy birthday weekend everyone
    all team folks guys sounds got it will do done noted ack roger same here agreed exactly indeed true right that
    this is was so very much a the and for to i me my we have nice day one have see later soon take care well sorry
    apologies oops plus sign thumbs up and brb afk
"""
_PLEASANTRIES = frozenset(_PLEASANTRY.split())
_PASSING = re.compile(
    r"(?:so |very |really |a bit |quite |still |now |already |all |just |not |currently |being |running )*"
    r"(?:down|up|late|early|sick|ill|tired|away|ooo|out|out of office|out for lunch|on (?:my|the|his|her|their) way|"
    r"on holiday|on vacation|on leave|on it|in a meeting|here|there|back|back soon|gone|ready|done|finished|broken|"
    r"stuck|slow|fast|busy|free|fine|ok|okay|good|great|awesome|nice|cool|bad|terrible|awful|happy|sad|angry|hungry|"
    r"wrong|right|true|false|correct|clear|unclear|easy|hard|difficult|important|interesting|fun|funny|weird|strange|"
    r"better|worse|best|worst|missing|empty|full|open|online|offline|green|red|failing|passing|hot|cold|loud|quiet|"
    r"over|soon|today|tomorrow|live|over there|everywhere|amazing|ridiculous|crazy|lovely|beautiful|delicious|sorry|"
    r"welcome|sure|unsure|confused|worried|excited|new|old|huge|small|big|great news|bad news|good news|possible|"
    r"impossible|likely|unlikely|needed|required|coming|going|waiting|working)"
    r"(?: again| now| today| already| yet| too| at the moment| right now| this morning| this afternoon| anymore"
    r"| for (?:me|us|everyone|now)| enough| idea| point| question| news| job| work)*"
)


def is_junk(text: str) -> bool:
    """True for what says nothing to remember: empty, emoji and marks only, or nothing but pleasantries."""
    words = plain(re.sub(r":[a-z0-9_+-]{1,40}:", " ", text)).split()
    return not any(any(unicodedata.category(c)[0] in "LN" for c in word) for word in words) or all(
        word in _PLEASANTRIES for word in words
    )


def is_passing(text: str) -> bool:
    """True for a state that will be another tomorrow, or a mere opinion: "down again", "a good idea"."""
    said = " ".join(text.casefold().split()).strip(" .!,")
    said = re.sub(r"^(?:a|an|the)\s+", "", said)
    return _PASSING.fullmatch(said) is not None


def fingerprint(text: str) -> str:
    """By what two texts are known to be the same but for case, spaces and marks."""
    return hashlib.sha256(plain(text).encode()).hexdigest()


def runs_of(text: str) -> frozenset[str]:
    """Every few words in a row of this text: what an echo of it has in common with it."""
    words = content_words(text)
    if len(words) <= _RUN:
        return frozenset({" ".join(words)}) if words else frozenset()
    return frozenset(" ".join(words[place : place + _RUN]) for place in range(len(words) - _RUN + 1))


def is_echo(sentence: str, given: Collection[str]) -> bool:
    """True when this sentence comes from what recall had given: most of its words stand there in the same rows."""
    words = content_words(sentence)
    if len(words) <= _RUN:
        return bool(words) and " ".join(words) in given
    places = [place for place in range(len(words) - _RUN + 1) if " ".join(words[place : place + _RUN]) in given]
    covered = {place + step for place in places for step in range(_RUN)}
    return len(covered) / len(words) >= _ECHO
