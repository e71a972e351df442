"""Tells those who answer for the installation what they must know, once."""

from actions.policy import Rules
from core.db import Connection
from core.outbox import Conversation, owe_ephemeral, owe_post


async def tell_operators(conn: Connection, rules: Rules, text: str, *, key: str) -> None:
    """Owe `text` to the approvals channel, or to each admin alone; one message for each key."""
    channel, workspace = rules.policy.approvals.channel, rules.team.workspace
    if channel is not None:
        await owe_post(conn, Conversation(workspace, channel), text=text, receiver_key=key)
        return
    for admin in rules.team.admins:
        await owe_ephemeral(conn, Conversation(workspace, admin), person=admin, text=text)
