"""Modals that were submitted: an approval given in the full view, a rejection with its reason."""

import re

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.delivery import Delivery
from bot.slack.blocks import approval_card
from bot.slack.listeners.buttons import sender_of
from bot.slack.payload import Body, part, text

_OURS = re.compile(r"^approval\.")


def read(body: Body) -> Delivery | None:
    """The submission as a delivery; None for a modal that asks nothing."""
    view = part(body, "view")
    if view.get("callback_id") not in (approval_card.APPROVE, approval_card.REJECT):
        return None
    value, channel, thread_ts = [*text(view, "private_metadata").split(" "), "", "", ""][:3]
    return Delivery(
        delivery_id=f"view:{text(body, 'trigger_id') or view['id']}",
        kind="view",
        sender=sender_of(body),
        workspace=text(view, "app_installed_team_id") or text(part(body, "team"), "id"),
        channel=channel,
        thread_ts=thread_ts or None,
        text=_reason(view),
        press=view["callback_id"],
        value=value,
    )


def _reason(view: Body) -> str:
    typed = part(view, "state", "values", approval_card.REASON_BLOCK, approval_card.REASON_INPUT)
    return text(typed, "value").strip()


def register(app: AsyncApp) -> None:
    """Acknowledge our modals, which closes them; the answer follows where the card stands."""

    async def on_submit(ack: AsyncAck) -> None:
        await ack()

    app.view(_OURS)(on_submit)
