"""Writes what we owe people, in the transaction of the change it tells of; bot.sender empties it."""

from dataclasses import dataclass
from typing import Any

from core.db import Connection, jsonb
from core.ids import CardId, new_card_id, new_id
from core.text import spoken


@dataclass(frozen=True)
class Conversation:
    """One Slack thread or DM.

    `root` names the card that opens the thread where none exists yet (a slash command has no thread): whatever is
    said in this conversation follows under that card once it is posted.
    """

    workspace: str
    channel: str
    thread_ts: str | None = None
    root: CardId | None = None

    def to_json(self) -> dict[str, Any]:
        """This conversation as plain data."""
        return {
            "workspace": self.workspace,
            "channel": self.channel,
            "thread_ts": self.thread_ts,
            "root": self.root,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Conversation":
        """The conversation that `to_json` wrote down."""
        return cls(data["workspace"], data["channel"], data["thread_ts"], data["root"])


async def show_card(
    conn: Connection, kind: str, subject_id: str, conversation: Conversation, *, card_id: CardId | None = None
) -> CardId:
    """Owe `conversation` a card of this subject: posted if it is not there yet, else rendered anew in place."""
    own = card_id or new_card_id()
    # A card cannot be its own root: the one that opens a thread stands at the top of the channel.
    root = None if conversation.root == own else conversation.root
    cursor = await conn.execute(
        """
        insert into core.card (card_id, kind, subject_id, workspace, channel, thread_ts, root_card_id)
        values (%s, %s, %s, %s, %s, %s, %s)
        on conflict (kind, subject_id, workspace, channel, thread_ts, root_card_id)
          do update set subject_id = excluded.subject_id
        returning card_id
        """,
        (own, kind, subject_id, conversation.workspace, conversation.channel, conversation.thread_ts, root),
    )
    row = await cursor.fetchone()
    assert row is not None
    await refresh_cards(conn, kind, subject_id)
    return CardId(row["card_id"])


async def move_cards(conn: Connection, kind: str, subject_id: str, to_subject_id: str) -> None:
    """Make every copy of this subject's card one of the other subject's, in place, and owe each a rendering."""
    await conn.execute(
        "update core.card set subject_id = %s where kind = %s and subject_id = %s", (to_subject_id, kind, subject_id)
    )
    await refresh_cards(conn, kind, to_subject_id)


async def refresh_cards(conn: Connection, kind: str, subject_id: str) -> None:
    """Owe every copy of this subject's card a rendering from the row as it will be when sent."""
    # The needless update locks a row that is owed already, so that the sender cannot render it from what was
    # before this transaction's change, and then find nothing more owed.
    await conn.execute(
        """
        insert into core.outbox (mark, lane, kind, workspace, channel, thread_ts, root_card_id, card_id)
        select card_id || '.' || gen_random_uuid(), workspace || '/' || channel, 'card', workspace, channel,
               thread_ts, root_card_id, card_id
        from core.card where kind = %s and subject_id = %s order by created_at
        on conflict (card_id) where state = 'owed' do update set card_id = excluded.card_id
        """,
        (kind, subject_id),
    )


async def owe_post(
    conn: Connection,
    conversation: Conversation,
    *,
    text: str,
    blocks: list[dict[str, Any]] | None = None,
    receiver_key: str | None = None,
) -> None:
    """Owe `conversation` a message; a second call with the same `receiver_key` owes nothing more."""
    await conn.execute(
        """
        insert into core.outbox (mark, lane, kind, workspace, channel, thread_ts, root_card_id, receiver_key, payload)
        values (%s, %s, 'post', %s, %s, %s, %s, %s, %s)
        on conflict (receiver_key) do nothing
        """,
        (
            new_id("msg", 20),
            f"{conversation.workspace}/{conversation.channel}",
            conversation.workspace,
            conversation.channel,
            conversation.thread_ts,
            conversation.root,
            receiver_key,
            jsonb({"text": text, "blocks": blocks}),
        ),
    )


async def owe_words(
    conn: Connection, conversation: Conversation, *, words: str, receiver_key: str | None = None
) -> None:
    """As `owe_post`, for lines of our own with anybody's text in them: none of it has a meaning for Slack."""
    await owe_post(conn, conversation, text=spoken(words), receiver_key=receiver_key)


async def owe_ephemeral(
    conn: Connection,
    conversation: Conversation,
    *,
    person: str,
    text: str,
    blocks: list[dict[str, Any]] | None = None,
) -> None:
    """Owe one person an answer that only they see, in `conversation`."""
    await conn.execute(
        """
        insert into core.outbox (mark, lane, kind, workspace, channel, thread_ts, root_card_id, person, payload)
        values (%s, %s, 'ephemeral', %s, %s, %s, %s, %s, %s)
        """,
        (
            new_id("msg", 20),
            f"{conversation.workspace}/{conversation.channel}/{person}",
            conversation.workspace,
            conversation.channel,
            conversation.thread_ts,
            conversation.root,
            person,
            jsonb({"text": text, "blocks": blocks}),
        ),
    )
