"""Modals that were submitted: an approval given in the full view, a rejection with its reason, and the like."""

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.delivery import Delivery
from bot.slack.blocks.approval_card import EDIT
from bot.slack.listeners.buttons import OURS, sender_of
from bot.slack.payload import Body, part, text

#: Modals whose own listener keeps them, once what was typed could stand.
CHECKED = frozenset({EDIT})


def read(body: Body) -> Delivery | None:
    """The submission as a delivery; None for a modal that is none of ours, or whose words are looked at first."""
    name = text(part(body, "view"), "callback_id")
    if OURS.match(name) is None or name in CHECKED:
        return None
    return submitted(body, _typed(part(body, "view")))


def submitted(body: Body, words: str) -> Delivery:
    """The submission of a modal that knows where its card stands, with what was written in it."""
    view = part(body, "view")
    value, channel, thread_ts = [*text(view, "private_metadata").split(" "), "", "", ""][:3]
    return Delivery(
        delivery_id=f"view:{text(body, 'trigger_id') or view['id']}",
        kind="view",
        sender=sender_of(body),
        workspace=text(view, "app_installed_team_id") or text(part(body, "team"), "id"),
        channel=channel,
        thread_ts=thread_ts or None,
        text=words,
        press=view["callback_id"],
        value=value,
    )


def _typed(view: Body) -> str:
    """What was typed into a modal that asks one thing; a modal that asks more has a listener of its own."""
    asked = [part(view, "state", "values", block, name) for block, name in _inputs(view)]
    return text(asked[0], "value").strip() if len(asked) == 1 else ""


def _inputs(view: Body) -> list[tuple[str, str]]:
    values = part(view, "state", "values")
    return [(block, name) for block, inputs in values.items() for name in inputs]


def register(app: AsyncApp) -> None:
    """Acknowledge our modals, which closes them; the answer follows where the card stands."""

    async def on_submit(ack: AsyncAck) -> None:
        await ack()

    app.view(OURS)(on_submit)
