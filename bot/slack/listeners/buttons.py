"""Buttons on cards: each is a delivery, but for those that open a modal while their trigger lives."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from actions.approval import ApprovalView
from bot.delivery import Delivery, Sender
from bot.pointer import Pointer
from bot.slack.blocks import approval_card, approval_modals, doubt_card
from bot.slack.payload import Body, part, text

LoadApproval = Callable[[str], Awaitable[ApprovalView | None]]

#: Buttons that open a modal made of nothing but where they stand.
FORMS: Mapping[str, Callable[[str], dict[str, Any]]] = {
    approval_card.REJECT: approval_modals.reject_view,
    approval_card.ASK: approval_modals.ask_view,
    doubt_card.HAPPENED: doubt_card.reference_view,
}
#: Buttons whose click is no answer by itself.
OPENING = frozenset({*FORMS, approval_card.DETAILS, approval_card.PAGE, approval_card.EDIT})
#: Every button of ours says which kind of card it stands on: `approval.approve`.
OURS = re.compile(r"^[a-z]+\.[a-z_]+$")


def read(body: Body) -> Delivery | None:
    """The click as a delivery; None for a button that only opens a modal."""
    pressed = body["actions"][0]
    name = text(pressed, "action_id")
    if OURS.match(name) is None or name in OPENING:
        return None
    channel, thread_ts = place_of(body)
    return Delivery(
        delivery_id=f"click:{body['trigger_id']}",
        kind="click",
        sender=sender_of(body),
        workspace=text(part(body, "team"), "id") or text(part(body, "user"), "team_id"),
        channel=channel,
        thread_ts=thread_ts or None,
        press=pressed["action_id"],
        value=text(pressed, "value"),
    )


def sender_of(body: Body) -> Sender:
    """Who pressed or submitted, as Slack says."""
    user, team = part(body, "user"), part(body, "team")
    enterprise = text(part(body, "enterprise"), "id") or text(team, "enterprise_id")
    return Sender(user["id"], text(user, "team_id") or text(team, "id"), enterprise or None)


def place_of(body: Body) -> tuple[str, str]:
    """The channel, and the thread in it, where the pressed button stands; empty where there is none."""
    container = part(body, "container")
    return text(container, "channel_id") or text(part(body, "channel"), "id"), text(container, "thread_ts")


def register(app: AsyncApp, client: AsyncWebClient, load_approval: LoadApproval) -> None:
    """Acknowledge our buttons, and open the modals of those that have one."""

    async def on_button(ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack()
        pressed = body["actions"][0]
        form = FORMS.get(pressed["action_id"])
        if form is not None:
            await client.views_open(trigger_id=body["trigger_id"], view=form(_metadata(body, pressed)))
        elif pressed["action_id"] == approval_card.DETAILS:
            await _show_details(body, pressed)
        elif pressed["action_id"] == approval_card.PAGE:
            await _show_page(body, pressed)

    async def _show_page(body: dict[str, Any], pressed: dict[str, Any]) -> None:
        value, _, page = text(pressed, "value").partition(" ")
        view = await load_approval(Pointer.parse(value).approval_id)
        modal = approval_modals.missing_view()
        if view is not None:
            _, _, place = text(part(body, "view"), "private_metadata").partition(" ")
            newest = approval_card.value_of(view)
            # Whoever read the first page of what has changed since begins again.
            number = int(page) if page.isdigit() and value == newest else 1
            modal = approval_card.details_view(view, f"{newest} {place}".strip(), number)
        await client.views_update(view_id=body["view"]["id"], view=modal)

    async def _show_details(body: dict[str, Any], pressed: dict[str, Any]) -> None:
        # The trigger lives for 3 s: first the empty modal, then what takes a query.
        opened: Any = await client.views_open(trigger_id=body["trigger_id"], view=approval_modals.loading_view())
        view = await load_approval(Pointer.parse(text(pressed, "value")).approval_id)
        metadata = _metadata(body, pressed) if view is None else metadata_of(body, approval_card.value_of(view))
        modal = approval_modals.missing_view() if view is None else approval_card.details_view(view, metadata)
        await client.views_update(view_id=opened["view"]["id"], view=modal)

    app.action(OURS)(on_button)


def _metadata(body: Body, pressed: Body) -> str:
    return metadata_of(body, text(pressed, "value"))


def metadata_of(body: Body, value: str) -> str:
    """The button's value, and where its card stands: that is where the answer to the modal goes."""
    return " ".join([value, *place_of(body)]).strip()
