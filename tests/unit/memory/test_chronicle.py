"""A digest keeps what was learned and decided, names its sources, and says nothing that they do not."""

from datetime import UTC, datetime, timedelta

from memory.chronicle import Sentence, Turn, digest, supported
from memory.item import ItemId

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def turns(*texts: str) -> list[Turn]:
    return [Turn(ItemId(n), f"U0{n}", text, NOON + timedelta(minutes=n)) for n, text in enumerate(texts, 1)]


def test_every_sentence_names_messages_that_say_it_word_for_word():
    said = turns(
        "Hi!", "The return window is 45 days. Customers like that.", "We decided to close on Sundays.", "ok 👍"
    )
    texts = {turn.item_id: turn.text for turn in said}
    found = digest(said)
    assert found
    for sentence in found:
        assert sentence.sources
        for source in sentence.sources:
            assert sentence.text.partition(": ")[2] in texts[source]


def test_what_was_learned_or_decided_is_kept_however_much_is_said_around_it():
    noise = [f"somebody asked about parcel number {n} again and nobody knew" for n in range(200)]
    facts = ["The return window is 45 days", "We decided to close on Sundays", "<@U0ADA> owns pricing"]
    said = turns(*noise[:100], facts[0], *noise[100:150], facts[1], *noise[150:], facts[2])
    text = " ".join(sentence.text for sentence in digest(said))
    assert all(fact in text for fact in facts)
    assert len(digest(said)) <= 8


def test_what_several_people_say_stands_once_with_all_of_them_as_sources():
    [sentence] = digest(turns("The SLA is 4 hours", "the SLA is 4 hours!", "thanks"))
    assert sentence.sources == (1, 2)


def test_pleasantries_alone_make_no_digest():
    assert digest(turns("hi", "thanks!", "🎉", "ok great")) == []


def test_what_a_model_words_is_dropped_where_its_sources_do_not_bear_it_out():
    said = turns("The warehouse in Oslo moved to Bergen in March", "parcels take 4 days now")
    worded = [
        Sentence("The warehouse moved from Oslo to Bergen.", (ItemId(1),)),
        Sentence("Parcels take 9 days now.", (ItemId(2),)),
        Sentence("Refunds are always approved for everybody.", (ItemId(1),)),
        Sentence("The warehouse moved to Bergen.", ()),
        Sentence("The warehouse moved to Bergen.", (ItemId(77),)),
    ]
    assert supported(worded, said) == worded[:1]
