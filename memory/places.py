"""Where a thing is kept: a place named by a noun for one, not a state that is put like a place ("in trouble")."""

import re

_NOUNS = r"""
    \w*room \w*house annex annexe terrace balcony porch pantry foyer mezzanine conservatory stable silo container
    trailer toilet tower gallery theatre theater stage cabin bench stairs staircase floor storey level cellar basement
    attic loft kitchen office building hall hallway lobby reception entrance exit corridor stairwell storage depot shelf
    rack drawer cupboard cabinet closet wardrobe locker safe box crate garage shed barn yard courtyard garden roof desk
    counter wall street road lane square avenue side corner wing block bay dock gate platform pier harbour harbor
    station workshop studio shop store lab laboratory library gym canteen cafeteria hut van truck vault archive archives
    bar mill plant factory farm site branch quarry school church chapel museum hospital clinic folder drive wiki
    repository repo binder handbook spreadsheet intranet calendar
"""
_NOUN = "|".join(sorted(_NOUNS.split(), key=len, reverse=True))
#: Who comes and goes, and what is eaten or passed on before anybody asks for it.
_COMES_AND_GOES = re.compile(
    r"(?:boss|chief|chef|cook|client|guest|guide|nurse|patient|vet|kid|child|children|baby|boy|girl|man|woman|men|women|"
    r"people|folk|dog|cat|intern|colleague|student|pupil|applicant|candidate|captain|pilot|coach|police|head|lead|host|"
    r"\w+(?:man|men|woman|women|person|people|ist|ian|ee|er|or|eur|ant)|taxi|cab|bus|train|ambulance|"
    r"pizza|cake|lunch|breakfast|food|fruit|snack|cookie|biscuit|sandwich|tea|drink|parcel|package|delivery)s?",
    re.IGNORECASE,
)
#: What sounds like somebody who does something and is a thing; whatever else sounds so has no place of its own.
_SOUNDS_BUSY = """
    projector detector connector reactor tractor compressor sensor processor elevator generator calculator radiator
    defibrillator refrigerator ventilator incubator indicator mirror monitor motor door floor corridor anchor
    printer scanner ladder locker boiler copier paper water spanner hammer cutter drawer banner letter order number
    cover meter sticker folder power cooker dryer drier washer beamer timer burner plotter roller lever tower shower
    flower register extinguisher planner sander computer router server container trailer adapter adaptor filter mixer
    toaster stapler shredder heater freezer cooler charger binder counter center poster speaker dishwasher hoover
    transformer manometer thermometer newsletter list checklist waitlist tree plant restaurant lubricant coolant
"""
_THINGS = frozenset(_SOUNDS_BUSY.split())
_HEAD_ENDS = re.compile(r" (?:of|for|to|in|at|on|with|from|by|about|near|behind) ")
_FIGURATIVE = re.compile(r"on the (?:house|side|street|road|block|stage)", re.IGNORECASE)
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
    if found is None or _FIGURATIVE.fullmatch(words) or re.search(r"\b(?:my|your|his|her|their)\b", words):
        return None
    return found["where"] if found["at"].casefold() in _WITHIN else words


def stays_somewhere(subject: str) -> bool:
    """True for a thing whose place is worth knowing: "the ladder", not "the courier" or "the cake"."""
    thing = re.match(r"(?:the|our|my|all(?: the| our)?) (?P<thing>.+)", subject, re.IGNORECASE)
    if thing is None:
        return False
    head = _HEAD_ENDS.split(thing["thing"])[0].split()[-1]
    is_thing = head.casefold() in _THINGS or head.casefold().removesuffix("s") in _THINGS
    return is_thing or _COMES_AND_GOES.fullmatch(head) is None
