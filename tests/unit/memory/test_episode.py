"""The last word about a message is the same, in whatever order word of it arrives."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

from core.trust import TrustLabel
from memory.episode import Episode, EpisodeKind, outweighs
from memory.item import Scope, ScopeKind
from memory.terms import readable, whole_words

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_whatever_order_they_come_in_the_same_word_is_the_last():
    # The sender's clock went back between saying and editing.
    said, first = (NOON, EpisodeKind.SAID), (NOON - timedelta(hours=1), EpisodeKind.EDITED)
    second, gone = (NOON + timedelta(minutes=1), EpisodeKind.EDITED), (NOON, EpisodeKind.DELETED)
    for words, last in ((said, first, second), second), ((said, second, gone), gone):
        for order in permutations(words):
            known, current = [], None
            for word in order:
                current = word if outweighs(word, known) else current
                known.append(word)
            assert current == last


def test_numbered_things_people_emoji_and_unspaced_writing_are_words_as_they_stand():
    found = whole_words("<@U1ANN> INV-2041 shipped v2.3 🎉 東京都")
    assert {"@u1ann", "inv-2041", "v2.3", "🎉", "東京", "京都"} <= found


def test_what_postgres_cannot_hold_is_taken_out():
    assert readable("a\x00b <https://x.example|the page> <#C1|shop> \ud800") == "a b the page shop ?"


def test_what_the_team_did_for_somebody_is_under_their_key_too():
    scope = Scope("T1", ScopeKind.CHANNEL, "C1")
    told = Episode(scope, "run:1", "countersign", "ask <@U1BEN>: done", NOON, TrustLabel.MEMBER, asked_by="U1ANN")
    assert told.subjects == ["countersign", "U1ANN", "U1BEN"]
