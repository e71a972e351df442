"""The outbox is emptied into a real workspace: once, in order, within Slack's limits, and never silently not."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from actions.approval import ApprovalView
from actions.team import Member, Team
from bot.channel import Message, Place
from bot.sender import Sender
from bot.slack.channel import SlackChannel
from bot.undelivered import Undelivered
from core.clock import SystemClock
from core.db import Database, open_database
from core.ids import new_card_id
from core.metrics import Metrics
from core.outbox import owe_ephemeral, owe_post, refresh_cards, show_card
from tests.support.cards import approval_view
from tests.support.local_workspace import People, client_of
from tests.support.slack_side import (
    Receipts,
    StoredCards,
    company,
    conversation,
    drained,
    rows,
    running,
    until_rows,
)

pytest_plugins = ["tests.support.migrated"]

TEAM_OF_ALL = Team(workspace="T0LOCAL", people={"U0ADA": Member(name="Ada", roles=frozenset({"admin"}))})


@dataclass
class Office:
    """A database that owes, a workspace that receives, and a sender between them."""

    database: Database
    people: People
    channel: SlackChannel
    cards: StoredCards
    receipts: Receipts
    metrics: Metrics
    sender: Callable[[], Sender]

    def sending(self) -> AbstractAsyncContextManager[None]:
        """The sender, at work inside the block."""
        return running(self.sender().run)

    async def posted(self, channel: str = "C0GENERAL", **query: str) -> list[str]:
        """The texts people see, oldest first."""
        return [message["text"] for message in await self.people.messages(channel, person="U0RITA", **query)]

    async def show(self, text: str, *, subject: str = "r1", **where: Any) -> str:
        """Owe a card of a run with this text."""
        self.cards.text[f"run {subject}"] = text
        async with self.database.transaction() as conn:
            return await show_card(conn, "run", subject, conversation(**where))

    async def post(self, text: str, receiver_key: str | None = None, **where: Any) -> None:
        """Owe a message."""
        async with self.database.transaction() as conn:
            await owe_post(conn, conversation(**where), text=text, receiver_key=receiver_key)

    async def change(self, text: str, *, subject: str = "r1") -> None:
        """Change what the card of a run shows."""
        self.cards.text[f"run {subject}"] = text
        async with self.database.transaction() as conn:
            await refresh_cards(conn, "run", subject)


@pytest.fixture
async def office(installation_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    cards, receipts, metrics = StoredCards(), Receipts(), Metrics()
    async with (
        open_database(installation_url) as database,
        company(tmp_path) as (workspace, people),
        client_of(workspace) as client,
    ):
        client.retry_handlers.clear()
        channel = SlackChannel(client, "U0BOT")

        def sender() -> Sender:
            return Sender(database, channel, cards, clock=SystemClock(), metrics=metrics, on_receipt=receipts)

        yield Office(database, people, channel, cards, receipts, metrics, sender)


async def test_what_is_owed_is_posted_once_in_the_order_it_was_owed(office: Office) -> None:
    for number in range(3):
        await office.post(f"message {number}")
    async with office.sending():
        await drained(office.database)
    assert await office.posted() == ["message 0", "message 1", "message 2"]


async def test_what_is_owed_while_the_sender_runs_rings_it(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.sender._POLL_SECONDS", 60.0)
    async with office.sending():
        await office.post("one")
        await drained(office.database)
        await office.post("two")
        await drained(office.database)


async def test_two_senders_post_each_message_once(office: Office) -> None:
    for number in range(3):
        await office.post(f"general {number}")
        await office.post(f"returns {number}", channel="C0RETURNS")
    async with office.sending(), office.sending():
        await drained(office.database)
    assert await office.posted() == [f"general {number}" for number in range(3)]
    assert await office.posted("C0RETURNS") == [f"returns {number}" for number in range(3)]


async def test_a_message_whose_answer_was_lost_is_found_and_not_posted_again(office: Office) -> None:
    await office.people.break_things(lose_answer={"chat.postMessage": 1})
    await office.post("once", receiver_key="key-1")
    async with office.sending():
        await drained(office.database)
    assert await office.posted() == ["once"]
    assert office.receipts.told == ["key-1 sent"]
    [row] = await rows(office.database, "select ts from core.outbox")
    [message] = await office.people.messages("C0GENERAL", person="U0RITA")
    assert row["ts"] == message["ts"]


@pytest.mark.parametrize("thread", [False, True])
async def test_a_card_posted_by_a_sender_that_died_before_it_stored_the_ts_is_found_and_brought_up_to_date(
    office: Office, thread: bool
) -> None:
    first = (await office.people.act("say", "U0RITA", channel="C0GENERAL", text="hello"))["ts"]
    thread_ts = first if thread else None
    card_id = await office.show("new", thread_ts=thread_ts)
    posted = await office.channel.post(Place("C0GENERAL", thread_ts), Message("old"), mark=card_id)
    async with office.database.connection() as conn:
        await conn.execute("update core.outbox set state = 'sending', attempts = 1, claimed_until = core.now()")
    async with office.sending():
        await drained(office.database)
    where = {"thread_ts": first} if thread else {}
    assert await office.posted(**where) == ["hello", "new"]
    assert [row["ts"] for row in await rows(office.database, "select ts from core.card")] == [posted]


async def test_a_mark_that_somebody_else_posted_is_not_ours(office: Office, tmp_path: Path) -> None:
    await office.people.act("say", "U0RITA", channel="C0GENERAL", text="hello")
    assert await office.channel.find_by_mark(Place("C0GENERAL"), "msg_unknown") is None


async def test_a_sender_that_still_holds_a_row_is_not_overtaken(office: Office) -> None:
    await office.post("in flight")
    await office.post("behind it")
    async with office.database.connection() as conn:
        await conn.execute(
            "update core.outbox set state = 'sending', attempts = 1, claimed_until = core.now() + interval '2 seconds'"
            " where outbox_id = (select min(outbox_id) from core.outbox)"
        )
    async with office.sending():
        await asyncio.sleep(1)
        assert await office.posted() == []
        await drained(office.database)
    assert await office.posted() == ["in flight", "behind it"]


async def test_a_card_is_edited_in_place_and_many_changes_are_one_edit(office: Office) -> None:
    await office.show("first")
    async with office.sending():
        await drained(office.database)
    for number in range(20):
        await office.change(f"change {number}")
    assert len(await rows(office.database, "select from core.outbox where state = 'owed'")) == 1
    async with office.sending():
        await drained(office.database)
    assert await office.posted() == ["change 19"]


async def test_a_card_that_looks_the_same_is_not_edited(office: Office) -> None:
    await office.show("same")
    async with office.sending():
        await drained(office.database)
        await office.people.break_things(fail={"chat.update": 1})
        await office.change("same")
        await drained(office.database)
    assert office.metrics.outbox_sent.labels("card", "unchanged")._value.get() == 1


async def test_a_card_that_somebody_removed_is_posted_anew(office: Office) -> None:
    await office.show("first")
    async with office.sending():
        await drained(office.database)
        [row] = await rows(office.database, "select ts from core.card")
        await office.channel._client.chat_delete(channel="C0GENERAL", ts=row["ts"])
        await office.change("second")
        await drained(office.database)
    assert await office.posted() == ["second"]


async def test_what_follows_a_root_card_stands_in_its_thread(office: Office) -> None:
    root = new_card_id()
    office.cards.text["run r1"] = "root"
    async with office.database.transaction() as conn:
        await show_card(conn, "run", "r1", conversation(root=root), card_id=root)
        await owe_post(conn, conversation(root=root), text="under it")
    async with office.sending():
        await drained(office.database)
    [row] = await rows(office.database, "select ts from core.card")
    assert await office.posted() == ["root"]
    assert await office.posted(thread_ts=row["ts"]) == ["root", "under it"]


async def test_a_whisper_is_seen_by_one_person_alone(office: Office) -> None:
    async with office.database.transaction() as conn:
        await owe_ephemeral(conn, conversation(), person="U0RITA", text="for Rita")
    async with office.sending():
        await drained(office.database)
    assert await office.posted() == ["for Rita"]
    assert await office.people.messages("C0GENERAL", person="U0BEN") == []


async def test_a_whisper_where_we_may_not_post_reaches_the_person_in_their_own_dm(office: Office) -> None:
    async with office.database.transaction() as conn:
        await owe_ephemeral(conn, conversation("C0SECRET"), person="U0RITA", text="for Rita")
    async with office.sending():
        await drained(office.database)
    [row] = await rows(office.database, "select state from core.outbox")
    assert row["state"] == "sent"
    channels = (await office.people.see("channels", person="U0RITA"))["channels"]
    direct = [channel["id"] for channel in channels if channel["id"].startswith("D")]
    assert [await office.posted(channel) for channel in direct] == [["for Rita"]]


async def test_a_rate_limit_is_waited_out_and_other_channels_go_on(office: Office) -> None:
    await office.people.break_things(rate_limit={"chat.postMessage": 1}, retry_after=2)
    await office.post("limited")
    async with office.sending():
        await until_rows(office.database, "select from core.outbox where error like '%%asks to wait%%'")
        await office.post("elsewhere", channel="C0RETURNS")
        await until_rows(office.database, "select from core.outbox where state = 'sent'", seconds=1.5)
        assert await office.posted("C0RETURNS") == ["elsewhere"]
        assert await office.posted() == []
        await drained(office.database)
    assert await office.posted() == ["limited"]


@pytest.mark.parametrize(("channel", "code"), [("C0NOWHERE", "channel_not_found")])
async def test_what_slack_refuses_for_good_ends_undelivered_with_its_reason(
    office: Office, channel: str, code: str
) -> None:
    await office.post("nobody reads this", receiver_key="key-1", channel=channel)
    await office.post("but this")
    async with office.sending():
        await drained(office.database)
    [row] = await rows(office.database, "select * from core.outbox where state = 'undelivered'")
    assert code in row["error"]
    assert office.receipts.told == ["key-1 undelivered"]
    assert await office.posted() == ["but this"]
    assert office.metrics.outbox_sent.labels("post", "undelivered")._value.get() == 1


async def test_a_card_of_nothing_ends_undelivered_and_does_not_block_its_channel(office: Office) -> None:
    async with office.database.transaction() as conn:
        await show_card(conn, "run", "no such run", conversation())
    await office.post("after it")
    async with office.sending():
        await drained(office.database)
    assert await office.posted() == ["after it"]
    [row] = await rows(office.database, "select error from core.outbox where state = 'undelivered'")
    assert "no such run" in row["error"]


async def test_an_approval_card_that_cannot_be_shown_is_told_to_the_requester_and_the_admins_once(
    office: Office,
) -> None:
    view = approval_view(requester="U0RITA", workspace="T0LOCAL")
    office.cards.text[f"approval {view.approval_id}"] = "the card"

    async def load(approval_id: str) -> ApprovalView | None:
        return view if approval_id == view.approval_id else None

    hook = Undelivered(load, lambda: TEAM_OF_ALL)
    sender = Sender(
        office.database,
        office.channel,
        office.cards,
        clock=SystemClock(),
        metrics=office.metrics,
        on_receipt=office.receipts,
        on_undelivered=hook,
    )
    async with running(sender.run):
        for channel in ("C0NOWHERE", "C0GENERAL", "C0GENERAL"):
            async with office.database.transaction() as conn:
                await show_card(conn, "approval", view.approval_id, conversation(channel))
            await drained(office.database)
    assert await office.posted() == ["the card"]
    for person in ("U0RITA", "U0ADA"):
        channels = (await office.people.see("channels", person=person))["channels"]
        direct = [channel["id"] for channel in channels if channel["id"].startswith("D")]
        said = [each["text"] for each in await office.people.messages(direct[0], person=person)]
        assert len(said) == 1
        assert "could not be delivered to <#C0NOWHERE>" in said[0]
        assert "Nobody has rejected it" in said[0]
        assert f"reopen {view.approval_id} in #channel" in said[0]
    events = await rows(office.database, "select detail from core.audit where event = 'approval.undelivered'")
    assert {event["detail"]["channel"] for event in events} == {"C0NOWHERE"}


async def test_trouble_at_slack_is_tried_again_and_given_up_only_after_ten_tries(office: Office) -> None:
    await office.people.break_things(fail={"chat.postMessage": 2})
    await office.post("in the end", receiver_key="key-1")
    async with office.sending():
        await until_rows(office.database, "select from core.outbox where error like '%%in trouble%%'")
        async with office.database.connection() as conn:
            await conn.execute("update core.outbox set attempts = 9, claimed_until = core.now()")
        await drained(office.database)
    [row] = await rows(office.database, "select state, error from core.outbox")
    assert row["state"] == "undelivered"
    assert "10 tries" in row["error"]
    assert office.receipts.told == ["key-1 undelivered"]
    assert await office.posted() == []


async def test_a_burst_to_one_channel_is_paced(office: Office) -> None:
    for number in range(5):
        await office.post(f"message {number}")
    started = asyncio.get_running_loop().time()
    async with office.sending():
        await drained(office.database)
    assert asyncio.get_running_loop().time() - started >= 1.9
    assert await office.posted() == [f"message {number}" for number in range(5)]


async def test_what_is_owed_waits_while_slack_is_away(office: Office) -> None:
    async with client_of_nobody() as away:
        sender = Sender(
            office.database,
            SlackChannel(away, "U0BOT"),
            office.cards,
            clock=SystemClock(),
            metrics=office.metrics,
            on_receipt=office.receipts,
        )
        await office.post("later")
        async with running(sender.run):
            await until_rows(office.database, "select from core.outbox where error like '%%cannot be reached%%'")
    [row] = await rows(office.database, "select state, attempts from core.outbox")
    assert (row["state"], row["attempts"]) == ("sending", 0)


def client_of_nobody() -> Any:
    """A client of a workspace that is not there."""

    class Nowhere:
        api_url = "http://127.0.0.1:9/api/"

    return client_of(Nowhere())  # type: ignore[arg-type]
