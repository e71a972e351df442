"""Direct messages, and every other event: acknowledged, so that Slack does not send it again and again."""

import re

from slack_bolt.async_app import AsyncApp

from bot.delivery import Delivery
from bot.slack.listeners.mention import said
from bot.slack.payload import Body, part, text


def read(body: Body) -> Delivery | None:
    """A direct message as a delivery; None for messages in channels, where only a mention is for us."""
    event = part(body, "event")
    if event.get("type") != "message" or event.get("channel_type") != "im":
        return None
    return said(body, text(event, "text"))


def register(app: AsyncApp) -> None:
    """Acknowledge whatever no other listener knows; must be registered last."""

    async def on_anything() -> None:
        pass

    app.event(re.compile(".*"))(on_anything)
