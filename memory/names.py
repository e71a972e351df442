"""Who a question is about: a name says whose words are meant, and would only blur what is meant by them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: User id to what the person is called, the whole name first.
Names = Mapping[str, Sequence[str]]

_MENTION = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^>]*)?>")
#: Nobody is looked for by name beyond so many words of a question.
_MOST_WORDS = 200
_SENTENCE_START = re.compile(r"(?:^|[.!?:]\s+|\n\s*)$")

#: First words of sentences that are names as well; there a name is meant only when more of it follows.
_ALSO_WORDS = frozenset(
    re.findall(
        r"\w+",
        "will may can mark bill grant rose grace hope faith joy sue art frank pat chase drew rob guy dean miles rich"
        " summer april june august dawn skip max penny ruby amber ivy",
    )
)


@dataclass(frozen=True)
class Meant:
    """A question taken apart: who is meant in it, and the rest."""

    people: frozenset[str]
    rest: str
    """The question without the names, for the embedder; the whole where nothing else would be left."""


def who_is_meant(text: str, names: Names) -> Meant:
    """The people named in this question, by mention or by a capitalised name in full or in part."""
    people = set(_MENTION.findall(text))
    rest = _MENTION.sub(" ", text)
    called = sorted(
        ((name, user) for user, all_of in names.items() for name in all_of if _is_name(name)),
        key=lambda each: -len(each[0]),
    )
    for name, user in called:
        pattern = re.compile(rf"(?<!\w){re.escape(name)}(?:['’]s)?(?!\w)")
        found = [hit for hit in pattern.finditer(rest) if not _only_a_word(name, rest[: hit.start()])]
        if found:
            people.add(user)
            for hit in reversed(found):
                rest = f"{rest[: hit.start()]} {rest[hit.end() :]}"
    rest = " ".join(rest.split())
    return Meant(frozenset(people), rest if re.search(r"\w", rest) else text)


def _is_name(name: str) -> bool:
    return len(name) > 1 and name[0].isupper()


def _only_a_word(name: str, before: str) -> bool:
    return name.lower() in _ALSO_WORDS and bool(_SENTENCE_START.search(before))


_CALLED = re.compile(r"[^\W\d_][\w.-]*")


_CHANNEL = re.compile(r"<#([CG][A-Z0-9]+)(?:\|[^>]*)?>|(?<!\w)#([\w-]+)")


def channels_meant(text: str) -> frozenset[str]:
    """The channels named in this question, by id or by title."""
    return frozenset(by_id or title.lower() for by_id, title in _CHANNEL.findall(text))


def possible_names(text: str) -> list[str]:
    """Everything in this question that somebody could be called: up to three words that begin with a capital."""
    words = [word.rstrip(".-") for word in _CALLED.findall(_MENTION.sub(" ", text))][:_MOST_WORDS]
    found = dict[str, None]()
    for size in (1, 2, 3):
        for at in range(len(words) - size + 1):
            if words[at][0].isupper():
                found[" ".join(words[at : at + size])] = None
    return list(found)
