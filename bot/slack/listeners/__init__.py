"""One module per kind of delivery: what it says in our own words (`read`), and its acknowledgement (`register`)."""

from collections.abc import Mapping
from typing import Any

from bot.delivery import Delivery
from bot.slack.listeners import buttons, command, events, mention, views


def read(body: Mapping[str, Any], bot_user_id: str) -> Delivery | None:
    """What Slack delivered, if it asks anything of us; None for what is not for us."""
    if body.get("command"):
        return command.read(body)
    match body.get("type"):
        case "block_actions":
            return buttons.read(body)
        case "view_submission":
            return views.read(body)
        case "event_callback":
            return mention.read(body, bot_user_id) or events.read(body, bot_user_id)
        case _:
            return None
