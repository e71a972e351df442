"""Edit & approve: the form opens with the stored arguments, and what is typed wrongly is said beside it."""

import json
from collections.abc import Mapping
from typing import Any, Protocol

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from actions.approval import Click
from actions.edits import Form
from actions.forms import Typed
from bot.delivery import Delivery
from bot.desks import click_of
from bot.pointer import Pointer
from bot.slack.blocks.edit_form import EDIT, edit_loading_view, edit_view, errors_of, typed_in
from bot.slack.listeners.buttons import metadata_of, sender_of
from bot.slack.listeners.views import submitted
from bot.slack.payload import Body, part, text


class Editing(Protocol):
    """The approvals, as far as the form needs them."""

    async def form(self, approval_id: str, user_id: str) -> Form | None:
        """The arguments as this person could change them now."""
        ...

    async def problems(self, click: Click, typed: Typed) -> Mapping[str, str]:
        """One sentence for each input that cannot stay as it was typed."""
        ...


class Keeper(Protocol):
    """Keeps deliveries."""

    async def commit(self, delivery: Delivery) -> bool:
        """Keep it for good; False for a repeat."""
        ...


class EditDialog:
    """Opens the form and takes it back; only what could stand is kept as a delivery, before it is acknowledged."""

    def __init__(self, editing: Editing, deliveries: Keeper) -> None:
        self._editing = editing
        self._deliveries = deliveries

    def register(self, app: AsyncApp, client: AsyncWebClient) -> None:
        """Listen to the button and to the submission."""

        async def on_button(ack: AsyncAck, body: dict[str, Any]) -> None:
            await ack()
            # The trigger lives for 3 s: first the empty modal, then what takes a query.
            opened: Any = await client.views_open(trigger_id=body["trigger_id"], view=edit_loading_view())
            await client.views_update(view_id=opened["view"]["id"], view=await self._filled(body))

        async def on_submit(ack: AsyncAck, body: dict[str, Any]) -> None:
            typed = typed_in(part(body, "view", "state", "values"))
            delivery = submitted(body, json.dumps(typed))
            problems = await self._editing.problems(click_of(delivery), typed)
            if problems:
                await ack(response_action="errors", errors=errors_of(problems, typed))
                return
            await self._deliveries.commit(delivery)
            await ack()

        app.action(EDIT)(on_button)
        app.view(EDIT)(on_submit)

    async def _filled(self, body: Body) -> dict[str, Any]:
        value = text(body["actions"][0], "value")
        form = await self._editing.form(Pointer.parse(value).approval_id, sender_of(body).user_id)
        # What is submitted is about the arguments that the form began with, not about those of an older card.
        newest = value if form is None or not form.digest else _value(value, form)
        return edit_view(form, metadata_of(body, newest))


def _value(value: str, form: Form) -> str:
    return f"{Pointer.parse(value).approval_id}.{form.revision}.{form.digest[:16]}"
