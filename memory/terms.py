"""What of a text can be searched for word by word; Postgres makes the stems, this decides of what."""

import re
from collections.abc import Iterable
from datetime import datetime

from memory.language import language_of

#: Of a longer text only the beginning is searchable; all of it is remembered.
MOST_CHARACTERS = 50_000

_MENTION = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^<>]*)?>")
_LINK = re.compile(r"<(?:[#!@])?([^|<>]+)(?:\|([^<>]*))?>")
#: Tickets, order numbers, versions, accounts: things with digits in them, which a stemmer would take apart. Looked for
#: at the beginning of a word only, or a word of 100 kB would be read anew from each of its letters.
_NUMBERED = re.compile(r"(?<![^\W_])[^\W_]*[#-]?\d[\w.-]*\w|\d", re.UNICODE)
#: Writing without spaces between words is searched by pairs of signs.
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]+")
_SIGNS = re.compile("[\u2190-\u2bff\u3030\u303d\U0001f000-\U0001faff]")


def readable(text: str) -> str:
    """The text without what Postgres cannot hold and without Slack's markup around links and channels."""
    plain = text.replace("\x00", " ").encode("utf-8", "replace").decode("utf-8")
    return _LINK.sub(lambda found: found.group(2) or found.group(1), plain)


def mark_of(person: str) -> str:
    """The word under which what a person says, or what mentions them, is found."""
    return f"@{person.lower()}"


def whole_words(text: str) -> set[str]:
    """What is searched for as it stands: numbered things, mentioned people, pairs of unspaced signs, emoji."""
    plain = readable(text)[:MOST_CHARACTERS]
    words = {mark_of(person) for person in _MENTION.findall(text)}
    words |= {found.lower() for found in _NUMBERED.findall(plain)}
    for run in _UNSPACED.findall(plain):
        words |= {run[place : place + 2] for place in range(max(1, len(run) - 1))}
    return words | set(_SIGNS.findall(plain))


def languages_for(texts: Iterable[str]) -> list[str]:
    """By which stemmers these texts are taken: their own, and English, which nobody can be sure is not meant."""
    return list(dict.fromkeys([*(language_of(text) for text in texts), "english"]))


def spoken_day(at: datetime) -> str:
    """The day in the words in which people ask for one."""
    return f"{at:%A} {at.day} {at:%B} {at.year}"
