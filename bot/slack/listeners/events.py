"""Direct messages, replies in threads, and all other events: acknowledged, or Slack sends them again and again."""

import re
from dataclasses import replace

from slack_bolt.async_app import AsyncApp

from bot.delivery import Delivery
from bot.slack.listeners.mention import said
from bot.slack.payload import Body, part, text

#: What a reply in a thread is kept as, where somebody waits for it.
REPLY = "question.reply"


def read(body: Body, bot_user_id: str) -> Delivery | None:
    """A direct message, or a reply in a channel's thread that may be an answer; None for all else that is said.

    A reply that names us comes as a mention too, and counts as that.
    """
    event = part(body, "event")
    if event.get("type") != "message":
        return None
    if event.get("channel_type") == "im":
        return said(body, text(event, "text"))
    is_reply = text(event, "thread_ts") not in ("", text(event, "ts"))
    if not is_reply or f"<@{bot_user_id}>" in text(event, "text"):
        return None
    found = said(body, text(event, "text"))
    return None if found is None else replace(found, press=REPLY)


def register(app: AsyncApp) -> None:
    """Acknowledge whatever no other listener knows; must be registered last."""

    async def on_anything() -> None:
        pass

    app.event(re.compile(".*"))(on_anything)
