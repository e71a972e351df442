"""What we owe people is written with the change it tells of: once, coalesced, in every copy."""

import asyncio
from dataclasses import replace

import pytest

from core.db import open_database
from core.ids import new_card_id
from core.migrate import Migrations, migrate
from core.outbox import Conversation, owe_ephemeral, owe_post, refresh_cards, show_card

HERE = Conversation("T1", "C1", "17.1")
THERE = Conversation("T1", "C2")


@pytest.fixture
async def database(database_url):
    await migrate(database_url, [Migrations("core")])
    async with open_database(database_url, max_size=8) as database:
        yield database


async def owed(database, state="owed"):
    async with database.connection() as conn:
        cursor = await conn.execute("select * from core.outbox where state = %s order by outbox_id", (state,))
        return await cursor.fetchall()


async def write(database, *calls):
    async with database.transaction() as conn:
        return [await call(conn) for call in calls]


def show(where=HERE, subject="s1", **more):
    return lambda conn: show_card(conn, "run", subject, where, **more)


def refresh(subject="s1"):
    return lambda conn: refresh_cards(conn, "run", subject)


def post(key=None, text="hello"):
    return lambda conn: owe_post(conn, HERE, text=text, receiver_key=key)


async def test_a_card_is_owed_to_its_conversation(database):
    [card_id] = await write(database, show())
    [row] = await owed(database)
    assert (row["kind"], row["card_id"], row["channel"], row["thread_ts"]) == ("card", card_id, "C1", "17.1")
    assert row["lane"] == "T1/C1"


async def test_showing_it_again_in_the_same_place_is_the_same_card_and_owes_one_rendering(database):
    first, second = await write(database, show(), show())
    [third] = await write(database, show())
    assert first == second == third
    assert len(await owed(database)) == 1


async def test_however_often_the_row_changes_each_copy_owes_one_rendering(database):
    await write(database, show(), show(THERE), show(subject="s2"))
    for _ in range(5):
        await write(database, refresh())
    assert [row["channel"] for row in await owed(database)] == ["C1", "C2", "C1"]


@pytest.mark.parametrize("state", ["sending", "sent", "undelivered"])
async def test_a_change_while_or_after_it_is_sent_owes_another_rendering(database, state):
    await write(database, show())
    await write(database, lambda conn: conn.execute("update core.outbox set state = %s", (state,)))
    await write(database, refresh(), refresh())
    assert len(await owed(database)) == 1
    assert len(await owed(database, state)) == 1


async def test_changes_at_the_same_moment_owe_one_rendering(database):
    await write(database, show())
    await write(database, lambda conn: conn.execute("update core.outbox set state = 'sent'"))
    await asyncio.gather(*(write(database, refresh()) for _ in range(8)))
    assert len(await owed(database)) == 1


async def test_a_rendering_is_not_taken_while_a_change_of_its_row_is_not_committed(database):
    """Else the sender would draw what was before, and nothing more would be owed."""
    await write(database, show())
    async with database.transaction() as changing:
        await refresh_cards(changing, "run", "s1")
        async with database.connection() as conn:
            cursor = await conn.execute("select 1 from core.outbox where state = 'owed' for update skip locked")
            assert await cursor.fetchone() is None


async def test_a_card_that_opens_its_thread_is_not_its_own_root(database):
    root = new_card_id()
    thread = replace(THERE, root=root)
    await write(database, show(thread, card_id=root), show(thread, subject="s2"))
    opening, following = await owed(database)
    assert (opening["root_card_id"], following["root_card_id"]) == (None, root)


async def test_a_message_under_one_receivers_key_is_owed_once(database):
    await write(database, post("key-1"), post("key-1", "other"), post())
    await asyncio.gather(*(write(database, post("key-2")) for _ in range(5)))
    assert sorted(row["receiver_key"] or "" for row in await owed(database)) == ["", "key-1", "key-2"]
    assert (await owed(database))[0]["payload"]["text"] == "hello"


async def test_an_answer_that_only_one_person_sees_names_that_person_and_has_a_lane_of_its_own(database):
    await write(database, lambda conn: owe_ephemeral(conn, HERE, person="U1", text="no"))
    [row] = await owed(database)
    assert (row["kind"], row["person"], row["lane"], row["thread_ts"]) == ("ephemeral", "U1", "T1/C1/U1", "17.1")


async def test_what_was_not_committed_is_not_owed(database):
    with pytest.raises(ZeroDivisionError):
        await write(database, show(), post(), lambda conn: 1 / 0)
    assert await owed(database) == []


async def test_marks_are_never_used_twice(database):
    for _ in range(3):
        await write(database, show(), post())
        await write(database, lambda conn: conn.execute("update core.outbox set state = 'sent'"))
    marks = [row["mark"] for row in await owed(database, "sent")]
    assert len(set(marks)) == len(marks) == 6


async def test_the_bell_rings_when_something_is_owed(database):
    rang = asyncio.Event()
    listening = asyncio.create_task(database.listen(["core_outbox"], rang.set))
    try:
        async with asyncio.timeout(10):
            await rang.wait()
            rang.clear()
            await write(database, post())
            await rang.wait()
    finally:
        listening.cancel()


@pytest.mark.parametrize("place", [HERE, THERE, replace(HERE, root=new_card_id())])
async def test_a_conversation_comes_back_from_storage(place):
    assert Conversation.from_json(place.to_json()) == place
