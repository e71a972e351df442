"""Somebody says our name in a channel."""

from slack_bolt.async_app import AsyncApp

from bot.delivery import Delivery, Sender
from bot.slack.payload import Body, part, text, unescaped, without_name


def read(body: Body, bot_user_id: str) -> Delivery | None:
    """The mention as a delivery, in the thread it stands in or opens; None when it is no person's mention."""
    event = part(body, "event")
    if event.get("type") != "app_mention":
        return None
    return said(body, without_name(text(event, "text"), bot_user_id))


def said(body: Body, words: str) -> Delivery | None:
    """A person's message as a delivery; None for bots, edits, and whatever else is not somebody saying something."""
    event = part(body, "event")
    if event.get("bot_id") or event.get("bot_profile") or event.get("subtype") or not event.get("user"):
        return None
    sender = Sender(event["user"], team_of(event, body), text(body, "enterprise_id") or None)
    return Delivery(
        delivery_id=f"event:{body['event_id']}",
        kind="event",
        sender=sender,
        workspace=body["team_id"],
        channel=event["channel"],
        thread_ts=text(event, "thread_ts", "ts"),
        text=unescaped(words),
    )


def team_of(event: Body, body: Body) -> str:
    """The sender's own workspace, which is another one in a shared channel."""
    return text(event, "user_team", "source_team", "team") or text(body, "team_id")


def register(app: AsyncApp) -> None:
    """Acknowledge mentions; Bolt does so by itself once a listener is there."""

    async def on_mention() -> None:
        pass

    app.event("app_mention")(on_mention)
