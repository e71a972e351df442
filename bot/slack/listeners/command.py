"""The slash command."""

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.delivery import Delivery, Sender
from bot.slack.payload import Body, text, unescaped


def read(body: Body) -> Delivery:
    """The command as a delivery; its trigger id is unique."""
    return Delivery(
        delivery_id=f"command:{body['trigger_id']}",
        kind="command",
        sender=Sender(body["user_id"], body["team_id"], text(body, "enterprise_id") or None),
        workspace=body["team_id"],
        channel=body["channel_id"],
        thread_ts=None,
        text=unescaped(text(body, "text")),
    )


def register(app: AsyncApp, command: str) -> None:
    """Acknowledge `command`; the delivery was kept before."""

    async def on_command(ack: AsyncAck) -> None:
        await ack()

    app.command(command)(on_command)
