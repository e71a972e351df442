"""Where a thing is kept: a place named by a noun for one, not a state that is put like a place ("in trouble")."""

import re

_NOUNS = """
    room floor storey level cellar basement attic loft kitchen office building hall hallway lobby reception entrance
    exit corridor stairwell warehouse storeroom storage depot shelf rack drawer cupboard cabinet closet wardrobe locker
    safe box crate garage shed barn yard courtyard garden roof desk counter wall street road lane square avenue side
    corner wing block bay dock gate platform pier harbour harbor station workshop studio shop store lab laboratory
    library gym canteen cafeteria house hut van truck vault archive archives bar mill plant factory farm site branch
    quarry school church chapel museum hospital clinic folder drive wiki repository repo binder handbook spreadsheet
    intranet calendar
"""
_NOUN = "|".join(sorted(_NOUNS.split(), key=len, reverse=True))
#: Who comes and goes, and what is eaten or passed on before anybody asks for it.
_COMES_AND_GOES = re.compile(
    r"(?:boss|chef|cook|courier|customer|client|guest|visitor|driver|plumber|electrician|cleaner|carpenter|painter|"
    r"builder|engineer|manager|director|teacher|doctor|nurse|patient|vet|kid|child|children|baby|boy|girl|man|woman|"
    r"men|women|people|person|folk|dog|cat|intern|colleague|worker|lawyer|auditor|inspector|speaker|singer|player|"
    r"student|pupil|applicant|candidate|neighbour|neighbor|police|postman|owner|leader|head|lead|"
    r"\w+(?:man|woman|person|ist|ian)|"
    r"pizza|cake|lunch|dinner|breakfast|food|fruit|snack|cookie|biscuit|sandwich|coffee|tea|parcel|package|delivery)s?"
    r"(?: (?:of|from|for|with) .+)?",
    re.IGNORECASE,
)
_PLACE = re.compile(
    r"(?P<at>in|inside|at|on|under|underneath|behind|beside|next to|above|below|near|opposite|outside) "
    rf"(?P<where>(?:(?:the|our|a|an) )?(?:[\w'’-]+ ){{0,4}}?(?:{_NOUN})s?"
    r"(?: (?:[A-Z]|\d{1,4}[a-zA-Z]?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve))?"
    r"(?:,? (?:of|in|at|on|by|near|next to|beside|behind|opposite|under|above|below|with|between|beneath|to the) .+)?)",
    re.IGNORECASE,
)
_WITHIN = frozenset({"in", "inside", "at"})


def place_in(words: str) -> str | None:
    """The place these words name, with its preposition unless that is "in" or "at"; None where they name none."""
    found = _PLACE.fullmatch(words)
    if found is None or re.search(r"\b(?:my|your|his|her|their)\b", words):
        return None
    return found["where"] if found["at"].casefold() in _WITHIN else words


def stays_somewhere(subject: str) -> bool:
    """True for a thing whose place is worth knowing: "the ladder", "our archive", not "the courier" or "lunch"."""
    thing = re.match(r"(?:the|our|my|all(?: the| our)?) (?P<thing>.+)", subject, re.IGNORECASE)
    if thing is None:
        return False
    words = thing["thing"].split()
    starts = range(len(words))
    return not any(_COMES_AND_GOES.fullmatch(" ".join(words[start:])) for start in starts)
