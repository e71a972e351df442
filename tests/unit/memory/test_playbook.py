"""A person's sentence becomes a check; what a text does against it is found at its place."""

from datetime import UTC, datetime

import pytest

from memory.item import Scope, ScopeKind
from memory.playbook import (
    BannedEmoji,
    BannedPhrase,
    Check,
    LongestSentence,
    LongestText,
    RequiredPhrase,
    RequiredSection,
    Rule,
    RuleUnfit,
    ToneNote,
    lint,
)
from memory.spoken_rule import read_rule, rule_from_edit


def rule(check: Check) -> Rule:
    scope = Scope("T0LOCAL", ScopeKind.CHANNEL, "C0BLOG")
    return Rule("rule_1", scope, "style", "…", check, "active", "U0RITA", datetime(2026, 3, 2, tzinfo=UTC), "")


@pytest.mark.parametrize(
    ("said", "check"),
    [
        ("never say “leverage”", BannedPhrase(phrase="leverage")),
        ("Don't use the word synergy.", BannedPhrase(phrase="synergy")),
        ("avoid saying game changer", BannedPhrase(phrase="game changer")),
        ("say use instead of utilize", BannedPhrase(phrase="utilize", instead="use")),
        ("Write “customers”, not “users”", BannedPhrase(phrase="users", instead="customers")),
        ("replace cheap with affordable", BannedPhrase(phrase="cheap", instead="affordable")),
        ("no exclamation marks", BannedPhrase(phrase="!")),
        ("no em dashes please", ToneNote(note="no em dashes please")),
        ("no em dashes", BannedPhrase(phrase="—")),
        ("no emojis", BannedEmoji()),
        ("sentences under 20 words", LongestSentence(words=20)),
        ("No sentence longer than 25 words", LongestSentence(words=25)),
        ("keep posts under 500 words", LongestText(words=500)),
        ("at most 300 words", LongestText(words=300)),
        ("always include a section called Sources", RequiredSection(heading="Sources")),
        ("end with a “What next” section", RequiredSection(heading="What next")),
        ('always mention "free returns"', RequiredPhrase(phrase="free returns")),
        ("be warmer and less formal", ToneNote(note="be warmer and less formal")),
        ("never be so formal with customers", ToneNote(note="never be so formal with customers")),
    ],
)
def test_a_sentence_is_read_as_the_check_it_asks_for(said: str, check: Check):
    assert read_rule(said) == check


@pytest.mark.parametrize("said", ["", "  \n", "🎉🎉", "word " * 61])
def test_what_is_no_rule_is_refused_in_one_sentence(said: str):
    with pytest.raises(RuleUnfit):
        read_rule(said)


@pytest.mark.parametrize(
    ("check", "text", "places"),
    [
        (BannedPhrase(phrase="leverage"), "We leverage Leverage, not leveraged.", ["leverage", "Leverage"]),
        (BannedPhrase(phrase="game changer"), "A game\nchanger!", ["game\nchanger"]),
        (BannedPhrase(phrase="!"), "Hello! Great!!", ["!", "!", "!"]),
        (BannedEmoji(), "Nice 🎉 :tada:", ["🎉", ":tada:"]),
        (RequiredPhrase(phrase="free returns"), "We offer Free  returns.", []),
        (RequiredPhrase(phrase="free returns"), "We offer returns.", [""]),
        (RequiredSection(heading="Sources"), "Text\n\n## Sources\n- one", []),
        (RequiredSection(heading="Sources"), "Our sources are many.", [""]),
        (LongestSentence(words=3), "One two three. One two three four. Version 1.2.3 is out.", None),
        (LongestText(words=3), "one two three", []),
        (ToneNote(note="be warm"), "cold", []),
    ],
)
def test_what_a_text_does_against_a_rule_is_found_at_its_place(check: Check, text: str, places: list[str] | None):
    found = [text[each.start : each.end] for each in lint(text, [rule(check)])]
    assert found == (["One two three four.", "Version 1.2.3 is out."] if places is None else places)


@pytest.mark.parametrize(
    ("before", "after", "check"),
    [
        ("We utilize it daily.", "We use it daily.", BannedPhrase(phrase="utilize", instead="use")),
        ("Hi there, your refund", "Hello, your refund", BannedPhrase(phrase="Hi there", instead="Hello")),
        ("Refund of 50 EUR", "Refund of 45 EUR", None),
        ("same", "same", None),
        ("one two", "entirely other words here and more of them than six", None),
        ("a b c", "a b c d", None),
    ],
)
def test_one_replaced_phrase_suggests_a_rule_and_nothing_else_does(before: str, after: str, check: Check | None):
    assert rule_from_edit(before, after) == check
