"""What messages say outright is learned in the background, with its own words, and nothing else is."""

import pytest

from core.ids import new_id
from core.trust import TrustLabel
from memory.distil import Distiller, Drafted
from memory.episode import EpisodeKind
from tests.support.knowing import Memory

pytest_plugins = ["tests.support.migrated"]


@pytest.fixture
def memory(installation_database, vault) -> Memory:
    return Memory(installation_database, vault)


@pytest.fixture
def distiller(memory) -> Distiller:
    return Distiller(memory.database, memory.store, memory.facts)


async def recalled(memory, item) -> None:
    """As if recall had given this item to somebody just now."""
    recall = new_id("rec", 12)
    async with memory.database.transaction() as conn:
        await conn.execute("select set_config('memory.scopes', '*', true)")
        await conn.execute(
            "insert into memory.recall_log (recall_id, workspace, asker, purpose, asked, given, tokens)"
            " values (%s, 'T0LOCAL', 'U0BEN', 'search', 1, 1, 1)",
            (recall,),
        )
        await conn.execute(
            "insert into memory.recall_item (recall_id, item_id, rank, score, why) values (%s, %s, 1, 1, '{}')",
            (recall, item),
        )


async def test_what_is_said_outright_becomes_a_fact_and_an_update_takes_its_place(memory, distiller):
    await memory.say("Our return window is 30 days.")
    await memory.say("hi all! FYI our return window is now 45 days. Thanks!", by="U0BEN")
    done = await distiller.distil()
    assert (done.looked, done.claims) == (2, 2)
    assert await memory.told("return window") == ["45 days"]


async def test_every_claim_names_words_that_stand_in_its_source(memory, distiller):
    text = "Morning!\nThe SLA for gold is 4 hours. @ada owns pricing from 1 March; see you."
    item = await memory.say(text)
    await distiller.distil()
    rows = await memory.rows("select span_start, span_end, item_id from memory.claim order by span_start")
    assert [text[row["span_start"] : row["span_end"]] for row in rows] == [
        "The SLA for gold is 4 hours.",
        "@ada owns pricing from 1 March;",
    ]
    assert {row["item_id"] for row in rows} == {item}


@pytest.mark.parametrize(
    "text", ["thanks a lot! 🎉", "🎉🎉", "", "The server is down again", "Is our return window 30 days?", "x" * 100_000]
)
async def test_junk_is_remembered_but_nothing_is_learned_from_it(memory, distiller, text):
    await memory.say(text)
    assert (await distiller.distil()).claims == 0
    assert (await distiller.distil()).looked == 0


async def test_what_comes_back_from_what_recall_gave_is_not_learned_again(memory, distiller):
    said = await memory.say("The warranty for bicycles covers frames and forks")
    told = await memory.say("Our support hours are 9 to 17 on every weekday of the year")
    await distiller.distil()
    await recalled(memory, said)
    await recalled(memory, told)
    await memory.say("@bot told me: our support hours are 9 to 17 on every weekday of the year!", by="U0BEN")
    await memory.say("our support hours are 9 to 17 on every weekday of the year", by="U0CLEO")
    done = await distiller.distil()
    assert (done.echoes, done.claims) == (1, 0)


async def test_whoever_says_that_it_is_so_now_is_heard_even_in_words_that_recall_gave(memory, distiller):
    first = await memory.say("Our support hours are 9 to 17")
    await memory.say("Our support hours are now 8 to 16")
    await distiller.distil()
    await recalled(memory, first)
    await memory.say("From now on our support hours are 9 to 17")
    await distiller.distil()
    assert await memory.told("support hours") == ["9 to 17"]


async def test_what_the_team_itself_said_is_never_learned(memory, distiller):
    await memory.say("The return window is 90 days", by="Returns desk", trust=TrustLabel.OPERATOR)
    done = await distiller.distil()
    assert (done.own, done.claims) == (1, 0)


async def test_an_edit_takes_back_what_the_older_wording_said(memory, distiller):
    await memory.say("The hoodie costs 30 €", ts="7", minute=1)
    await distiller.distil()
    await memory.say("The hoodie costs 35 €", ts="7", minute=1, kind=EpisodeKind.EDITED)
    await distiller.distil()
    assert await memory.told("hoodie", "costs") == ["35 €"]
    assert len(await memory.rows("select 1 from memory.claim")) == 1


async def test_taking_back_the_newer_word_lets_the_older_hold_again(memory, distiller):
    await memory.say("The hoodie costs 30 €")
    newer = await memory.say("The hoodie costs 35 €")
    await distiller.distil()
    async with memory.database.transaction() as conn:
        await conn.execute("select set_config('memory.scopes', '*', true)")
        await distiller.forget_message(conn, "T0LOCAL", newer)
    assert await memory.told("hoodie") == ["30 €"]


async def test_a_dispute_is_put_to_a_person_once(memory):
    asked = []

    async def ask(conn, workspace, dispute):
        asked.append((dispute.claim.object, dispute.against.object))

    distiller = Distiller(memory.database, memory.store, memory.facts, ask=ask)
    await memory.say("The return window is 30 days")
    await memory.say("The return window is 365 days", by="mail:eve@example.org", trust=TrustLabel.EXTERNAL)
    await distiller.distil()
    await memory.say("The return window is 30 days", by="U0BEN")
    await distiller.distil()
    assert asked == [("365 days", "30 days")]
    assert await memory.told("return window") == ["30 days"]


async def test_a_model_s_finding_counts_only_with_words_that_stand_in_the_source(memory):
    texts = {}

    async def extract(messages):
        [message] = messages
        texts[message.item_id] = message.text
        quotes = ["the gold plan gets answers within four hours", "the silver plan gets answers within a day"]
        drafted = [Drafted(message.item_id, "gold plan", "is", "four hours", quote) for quote in quotes]
        return [*drafted, Drafted(message.item_id, "gold plan", "is loved by", "all", quotes[0])]

    distiller = Distiller(memory.database, memory.store, memory.facts, extract=extract)
    await memory.say("As we told them, the gold plan gets answers within four hours, always")
    done = await distiller.distil()
    assert (done.model_calls, done.claims, done.unsupported) == (1, 1, 2)
    assert await memory.told("gold plan") == ["four hours"]


async def test_a_model_is_not_asked_more_often_than_allowed(memory):
    async def extract(messages):
        return []

    distiller = Distiller(memory.database, memory.store, memory.facts, extract=extract, most_calls_an_hour=1)
    calls = []
    for number in range(3):
        await memory.say(f"Something number {number} happened in the warehouse")
        calls.append((await distiller.distil()).model_calls)
    assert calls == [1, 0, 0]


async def test_what_recall_gave_before_it_was_looked_through_is_no_echo_of_itself(memory, distiller):
    item = await memory.say("Our support hours are 9 to 17 on every weekday")
    await recalled(memory, item)
    done = await distiller.distil()
    assert (done.echoes, done.claims) == (0, 1)
