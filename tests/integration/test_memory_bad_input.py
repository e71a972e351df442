"""Whatever people write and however clocks go, it is kept, found, and harms nobody else's recall."""

import asyncio
from datetime import timedelta

import pytest

from core.ids import new_id
from memory.embedder import EmbedderAway, HashedNgrams
from memory.episode import EpisodeKind
from memory.store import EVERYWHERE, fence
from tests.support.remembering import BOB, NOON, TEAM, Remembering, said

pytest_plugins = ["tests.support.migrated"]

ODD = {
    "empty": "",
    "spaces": " \n\t ",
    "emoji": "🎉🎉👍🏽",
    "emoji by name": ":tada: :+1:",
    "mixed": "東京 and Привет и مرحبا mixed, naïve façade",
    "no words": "!!! ??? ---",
    "nul": "before\x00after",
    "half a pair": "broken \ud83d pair",
    "quotes": "'; drop table memory.item; -- \" %s {} \\",
    "query": "a & b | !c <-> (d:*",
    "long word": "x" * 5_000,
    "markup": "<@U0BOB|bob> <#C1|shop> <https://x.example|page> &amp; <!here>",
}


@pytest.fixture
def memory(installation_database, vault):
    return Remembering(installation_database, vault)


async def test_odd_messages_are_kept_embedded_and_asked_for_without_a_mishap(memory):
    for number, text in enumerate(ODD.values()):
        [item] = await memory.remember(said(text, ts=str(number)))
        assert item is not None
    await memory.embed()
    assert await memory.rows("select 1 from memory.unembedded") == []
    for text in ODD.values():
        assert len(await memory.ask(text, most=len(ODD))) == len(ODD)
    assert (await memory.texts("🎉"))[0] == ODD["emoji"]
    assert (await memory.texts("東京"))[0] == ODD["mixed"]


async def test_a_hundred_kilobytes_are_kept_whole_searched_by_their_beginning_and_given_in_part(memory):
    whole = "The courier lost it. " + "Nothing of note happened on day number {} of the long report. " * 1_600
    item, _ = await memory.remember(said(whole), said("Lunch", ts="2"))
    await memory.embed()
    [best, *_] = await memory.ask("courier lost")
    assert best.item.item_id == item
    assert len(best.item.text) < 2_000
    async with memory.database.transaction() as conn:
        await fence(conn, EVERYWHERE)
        assert (await memory.reading.items(conn, TEAM, [item]))[item].text == whole


async def test_a_message_from_the_future_or_the_past_is_found_now_and_as_of_its_day(memory):
    ahead, back = NOON + timedelta(days=900), NOON - timedelta(days=9_000)
    await memory.remember(said("Parcels of tomorrow", ts="1", at=ahead), said("Parcels of old", ts="2", at=back))
    assert set(await memory.texts("parcels")) == {"Parcels of tomorrow", "Parcels of old"}
    assert await memory.texts("parcels", at=back + timedelta(days=1)) == ["Parcels of old"]


async def test_an_edit_dated_before_what_it_edits_still_counts(memory):
    edit = said("Ten parcels", kind=EpisodeKind.EDITED, event_at=NOON - timedelta(hours=5))
    await memory.remember(said("Two parcels"), edit)
    assert await memory.texts("parcels") == ["Ten parcels"]


async def test_what_an_edit_took_out_is_found_no_more_by_word_or_by_meaning(memory):
    await memory.remember(said("The password is swordfish"))
    await memory.embed()
    await memory.remember(said("Nothing here", kind=EpisodeKind.EDITED, event_at=NOON + timedelta(minutes=1)))
    await memory.embed()
    [only] = await memory.ask("swordfish password")
    assert only.item.text == "Nothing here"
    assert "words" not in only.why
    assert len(await memory.rows("select 1 from memory.vector_384")) == 1


class Flaky(HashedNgrams):
    """Away until it is told otherwise."""

    away = True

    async def query(self, text):
        if self.away:
            raise EmbedderAway("The embedding process gave no answer twice. Recall goes by words until it does.")
        return await super().query(text)

    async def passages(self, texts):
        if self.away:
            raise EmbedderAway("The embedding process gave no answer twice. Recall goes by words until it does.")
        return await super().passages(texts)


async def test_while_the_embedder_is_down_recall_goes_by_words_and_nothing_owed_is_lost(installation_database, vault):
    memory = Remembering(installation_database, vault, embedder=Flaky())
    await memory.remember(said("The courier lost two parcels"), said("Lunch is at one", ts="2"))
    await memory.embed()
    assert len(await memory.rows("select 1 from memory.unembedded where next_at > core.now()")) == 2
    assert (await memory.texts("lost parcels"))[0] == "The courier lost two parcels"
    memory.embedder.away = False
    await memory.rows("update memory.unembedded set next_at = core.now() returning 1")
    await memory.embed()
    assert await memory.rows("select 1 from memory.unembedded") == []
    [best, *_] = await memory.ask("lost parcels")
    assert best.why["meaning"] > 0


class Starting(HashedNgrams):
    """A model that is only being started."""

    is_ready = False

    def __init__(self):
        self.is_there = asyncio.Event()

    async def query(self, text):
        await self.is_there.wait()
        return await super().query(text)


async def test_a_question_is_answered_by_words_at_once_while_the_embedder_is_being_started(
    installation_database, vault, monkeypatch
):
    monkeypatch.setattr("memory.recall.EMBED_WITHIN", 60.0)
    memory = Remembering(installation_database, vault, embedder=Starting())
    await memory.remember(said("The courier lost two parcels"), said("Lunch is at one", ts="2"))
    async with asyncio.timeout(10):
        assert (await memory.texts("lost parcels"))[0] == "The courier lost two parcels"
    memory.embedder.is_there.set()


class Other(HashedNgrams):
    """Another model, of more dimensions."""

    model, dimension = "other", 768


async def test_a_change_of_model_embeds_everything_anew_and_recall_works_meanwhile(installation_database, vault):
    before = Remembering(installation_database, vault)
    await before.remember(*(said(f"Parcel {n} lost", ts=str(n)) for n in range(20)))
    await before.embed()
    after = Remembering(installation_database, vault, embedder=Other())
    assert await after.backlog.adopt()
    assert not await after.backlog.adopt()
    assert len(await after.ask("lost parcel")) == 10
    assert await after.backlog.work_once() == 8
    found = await after.ask("parcel 19 lost")
    assert found[0].item.text == "Parcel 19 lost"
    assert len(found) == 10
    await after.embed()
    assert await after.rows("select 1 from memory.vector_384") == []
    assert len(await after.rows("select 1 from memory.vector_1536")) == 20
    assert [row["name"] for row in await after.rows("select name from memory.embedding_model")] == ["other"]


async def test_what_is_taken_back_while_its_vector_is_made_leaves_none(installation_database, vault):
    memory = Remembering(installation_database, vault)

    class Slow(HashedNgrams):
        async def passages(self, texts):
            await memory.remember(said("", kind=EpisodeKind.DELETED, event_at=NOON + timedelta(minutes=1)))
            return await super().passages(texts)

    await memory.remember(said("The password is swordfish"))
    slow = Remembering(installation_database, vault, embedder=Slow())
    await slow.embed()
    assert await memory.rows("select 1 from memory.vector_384") == []


async def test_somebody_whose_name_is_a_word_is_found_and_the_word_still_works(memory):
    async with memory.database.transaction() as conn:
        await memory.store.set_person(conn, TEAM, BOB, ["May Will", "May"], is_guest=False)
    await memory.remember(
        said("I would rather keep the blue boxes", by=BOB, ts="1"),
        said("We may keep the boxes until May", ts="2", at=NOON + timedelta(hours=3)),
    )
    await memory.embed()
    assert (await memory.ask("What would May rather keep?"))[0].item.provenance.author == BOB
    assert (await memory.texts("may we keep the boxes until spring?"))[0] == "We may keep the boxes until May"


async def test_no_word_stands_readable_in_the_database(memory):
    secret = new_id("zebra").replace("_", "")
    await memory.remember(said(f"The word is {secret}"))
    await memory.embed()
    tables = await memory.rows(
        "select relname from pg_class where relnamespace = 'memory'::regnamespace and relkind in ('r', 'p')"
    )
    for table in tables:
        rows = await memory.rows(f"select row_to_json(t)::text as row from memory.{table['relname']} t")
        assert not any(secret in row["row"].lower() for row in rows), table
    assert f"The word is {secret}" in await memory.texts(secret)


class Touchy(HashedNgrams):
    """Dies of one text."""

    async def passages(self, texts):
        if any("poison" in text for text in texts):
            raise EmbedderAway("The embedding process gave no answer twice. Recall goes by words until it does.")
        return await super().passages(texts)


async def test_a_text_that_kills_the_embedder_holds_up_no_other(installation_database, vault):
    memory = Remembering(installation_database, vault, embedder=Touchy())
    await memory.remember(said("poison", ts="0"), *(said(f"Parcel {n}", ts=f"1{n}") for n in range(6)))
    for _ in range(6):
        await memory.embed()
        await memory.rows("update memory.unembedded set next_at = core.now() returning 1")
    assert len(await memory.rows("select 1 from memory.unembedded")) == 1
    assert len(await memory.rows("select 1 from memory.vector_384")) == 6
