"""message.post through the outbox, on a real Postgres: owed once for ever, done when Slack has it."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from actions.connector import Inconclusive, OutcomeUnknown, Rejected, StillOpen
from actions.connectors.outbox_channel import OutboxChannel
from actions.intent import Record
from core.db import open_database
from core.migrate import Migrations, migrate

WINDOW = timedelta(seconds=5)
MESSAGE = {"workspace": "T0LOCAL", "channel": "C0RETURNS", "thread_ts": "17.1", "root": None, "text": "All done."}
RECORD = Record(action="message.post", action_version=1, account="T0LOCAL", args=MESSAGE, on_behalf_of="U0RITA")


@pytest.fixture
async def database(database_url):
    await migrate(database_url, [Migrations("core")])
    async with open_database(database_url, min_size=1, max_size=8) as database:
        yield database


@pytest.fixture
def channel(database):
    return OutboxChannel(database, account="T0LOCAL", sandbox=True)


async def send(channel, key="key-1"):
    return await channel.send(channel.request(RECORD, key), timeout=WINDOW)


async def owed(database):
    async with database.connection() as conn:
        return await (await conn.execute("select * from core.outbox order by outbox_id")).fetchall()


async def becomes(database, state, *, ts=None, error=None):
    async with database.connection() as conn:
        await conn.execute("update core.outbox set state = %s, ts = %s, error = %s", (state, ts, error))


async def test_a_message_is_owed_to_its_conversation_and_is_open_until_slack_has_it(channel, database):
    with pytest.raises(StillOpen):
        await send(channel)
    [row] = await owed(database)
    assert (row["workspace"], row["channel"], row["thread_ts"]) == ("T0LOCAL", "C0RETURNS", "17.1")
    assert (row["kind"], row["state"], row["receiver_key"]) == ("post", "owed", "key-1")
    assert row["payload"]["text"] == "All done."


async def test_what_others_wrote_reaches_slack_as_words_while_the_approved_bytes_stay_as_they_are(channel, database):
    refused = "#W1: not refunded. The provider refused: <!channel> <https://bad.example|pay>\u202e"
    text = f"{refused}\n#W2: <@U0BEN> rejected it: no"
    record = replace(RECORD, args={**MESSAGE, "text": text})
    outbound = channel.request(record, "key-1")
    assert json.loads(outbound.body)["message"]["text"] == text
    with pytest.raises(StillOpen):
        await channel.send(outbound, timeout=WINDOW)
    [row] = await owed(database)
    assert row["payload"]["text"] == (
        "#W1: not refunded. The provider refused: &lt;!channel&gt; &lt;https://bad.example|pay&gt;⟨U+202E⟩\n"
        "#W2: <@U0BEN> rejected it: no"
    )


@pytest.mark.parametrize("state", ["owed", "sending"])
async def test_asking_again_owes_nothing_more(channel, database, state):
    for _ in range(3):
        with pytest.raises(StillOpen):
            await send(channel)
        await becomes(database, state, ts="17.2")
    with pytest.raises(StillOpen):
        await channel.find(RECORD, "key-1")
    assert len(await owed(database)) == 1


async def test_sixteen_senders_of_one_key_owe_one_message(channel, database):
    outcomes = await asyncio.gather(*[send(channel) for _ in range(16)], return_exceptions=True)
    assert {type(each) for each in outcomes} == {StillOpen}
    assert len(await owed(database)) == 1


async def test_the_receipt_is_slacks_own_ts(channel, database):
    with pytest.raises(StillOpen):
        await send(channel)
    await becomes(database, "sent", ts="1763800000.000100")
    receipt = {"channel": "C0RETURNS", "ts": "1763800000.000100"}
    assert await send(channel) == receipt
    assert await channel.find(RECORD, "key-1") == receipt


async def test_a_message_that_slack_will_never_take_is_rejected_with_its_word(channel, database):
    with pytest.raises(StillOpen):
        await send(channel)
    await becomes(database, "undelivered", error="channel_not_found")
    with pytest.raises(Rejected) as caught:
        await send(channel)
    assert caught.value.code == "channel_not_found"
    assert await channel.find(RECORD, "key-1") is None


async def test_nothing_owed_under_a_key_is_definitely_absent(channel):
    assert await channel.find(RECORD, "key-1") is None


async def test_another_key_owes_another_message(channel, database):
    for key in ("key-1", "key-2"):
        with pytest.raises(StillOpen):
            await send(channel, key)
    assert [row["receiver_key"] for row in await owed(database)] == ["key-1", "key-2"]


async def test_a_locked_outbox_is_unknown_to_the_sender_and_inconclusive_to_the_look_up(database):
    channel = OutboxChannel(database, account="T0LOCAL", sandbox=True, window=timedelta(seconds=0.3))
    assert await channel.is_healthy()
    async with database.transaction() as conn:
        await conn.execute("lock table core.outbox in access exclusive mode")
        with pytest.raises(OutcomeUnknown):
            await channel.send(channel.request(RECORD, "key-1"), timeout=timedelta(seconds=0.3))
        with pytest.raises(Inconclusive):
            await channel.find(RECORD, "key-1")
    assert await channel.find(RECORD, "key-1") is None
