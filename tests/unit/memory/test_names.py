"""A name in a question says whose words are meant; a word that is also a name stays a word."""

import pytest

from memory.names import channels_meant, possible_names, who_is_meant

NAMES = {"U1": ["Will Weaver", "Will"], "U2": ["May Okafor", "May"], "U3": ["Inês Prado", "Inês"], "U4": ["Ann", "ann"]}


@pytest.mark.parametrize(
    ("text", "people", "rest"),
    [
        ("What did Will say about the boxes?", {"U1"}, "What did say about the boxes?"),
        ("Will Weaver's view of the boxes", {"U1"}, "view of the boxes"),
        ("Will we ship on Monday?", set(), "Will we ship on Monday?"),
        ("We ship in May. May I ask who agreed?", {"U2"}, "We ship in . May I ask who agreed?"),
        ("may I ask what will happen?", set(), "may I ask what will happen?"),
        ("What is Inês's feeling, <@U9>?", {"U3", "U9"}, "What is feeling, ?"),
        ("<@U1>", {"U1"}, "<@U1>"),
        ("Annual report", set(), "Annual report"),
        ("", set(), ""),
    ],
)
def test_who_is_meant_and_what_else_is_asked(text, people, rest):
    meant = who_is_meant(text, NAMES)
    assert (meant.people, meant.rest) == (people, rest)


def test_up_to_three_words_may_be_a_name():
    assert "Will Weaver" in possible_names("What did Will Weaver say?")
    assert "Mary Ann Evans" in possible_names("by Mary Ann Evans")
    assert "weaver" not in possible_names("the weaver")


def test_channels_are_named_by_id_or_by_title():
    assert channels_meant("in <#C0AB|shop> or #Web-Shop") == {"C0AB", "web-shop"}
    assert channels_meant("order #4711 and a#b") == {"4711"}
