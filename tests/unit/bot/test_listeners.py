"""What Slack's payloads mean to us, and what is dropped."""

from typing import Any

import pytest

from bot.delivery import Delivery, Sender
from bot.pointer import Pointer
from bot.slack import listeners
from bot.slack.blocks import approval_card

BOT = "U0BOT"


def event(**changes: Any) -> dict[str, Any]:
    """An app mention, with the event changed."""
    told = {"type": "app_mention", "user": "U0RITA", "text": "<@U0BOT> status", "ts": "5.1", "channel": "C0GENERAL"}
    return {
        "type": "event_callback",
        "event_id": "Ev1",
        "team_id": "T0LOCAL",
        "enterprise_id": None,
        "event": {**told, **changes},
    }


def click(action_id: str, **changes: Any) -> dict[str, Any]:
    """A button pressed on a card in a thread."""
    body: dict[str, Any] = {
        "type": "block_actions",
        "trigger_id": "1.2.x",
        "user": {"id": "U0CLEO", "team_id": "T0LOCAL"},
        "team": {"id": "T0LOCAL"},
        "enterprise": None,
        "container": {"type": "message", "message_ts": "6.1", "channel_id": "C0RETURNS", "thread_ts": "5.1"},
        "channel": {"id": "C0RETURNS"},
        "actions": [{"type": "button", "action_id": action_id, "value": "apr_1.1.0123456789abcdef"}],
    }
    return {**body, **changes}


def submission(callback_id: str, metadata: str) -> dict[str, Any]:
    """A modal submitted with a reason."""
    typed = {approval_card.REASON_BLOCK: {approval_card.REASON_INPUT: {"value": " too much "}}}
    return {
        "type": "view_submission",
        "trigger_id": "7.8.x",
        "user": {"id": "U0CLEO", "team_id": "T0LOCAL"},
        "team": {"id": "T0OTHER"},
        "view": {
            "id": "V1",
            "callback_id": callback_id,
            "private_metadata": metadata,
            "state": {"values": typed},
            "app_installed_team_id": "T0LOCAL",
        },
    }


def read(body: dict[str, Any]) -> Delivery | None:
    """What the body means."""
    return listeners.read(body, BOT)


@pytest.mark.parametrize(("pressed", "is_an_answer"), [("absent", True), ("looking", True), ("happened", False)])
def test_a_doubt_is_answered_by_its_buttons_but_for_the_one_that_asks_for_a_reference(
    pressed: str, is_an_answer: bool
) -> None:
    delivery = read(click(f"doubt.{pressed}"))
    assert (delivery is not None) is is_an_answer
    assert delivery is None or (delivery.press, delivery.value) == (f"doubt.{pressed}", "apr_1.1.0123456789abcdef")


def test_the_reference_of_what_happened_is_read_from_its_modal() -> None:
    body = submission("doubt.happened", "dbt_1.1.0123456789abcdef C0RETURNS 5.1")
    body["view"]["state"]["values"] = {"reference": {"reference.text": {"value": " re_1 "}}}
    delivery = read(body)
    assert delivery is not None
    assert (delivery.press, delivery.text, delivery.value) == ("doubt.happened", "re_1", "dbt_1.1.0123456789abcdef")


def test_a_mention_at_the_top_opens_a_thread_under_itself() -> None:
    assert read(event()) == Delivery(
        delivery_id="event:Ev1",
        kind="event",
        sender=Sender("U0RITA", "T0LOCAL", None),
        workspace="T0LOCAL",
        channel="C0GENERAL",
        thread_ts="5.1",
        text="status",
    )


def test_a_mention_in_a_thread_stays_in_it() -> None:
    found = read(event(thread_ts="4.1"))
    assert found is not None
    assert found.thread_ts == "4.1"


def test_words_arrive_as_they_were_typed() -> None:
    found = read(event(text="<@U0BOT> run returns a &lt; b &amp; c"))
    assert found is not None
    assert found.text == "run returns a < b & c"


def test_somebody_of_another_workspace_keeps_their_own_team() -> None:
    found = read(event(user_team="T0OTHER"))
    assert found is not None
    assert found.sender.team_id == "T0OTHER"
    assert found.workspace == "T0LOCAL"


@pytest.mark.parametrize(
    "dropped",
    [
        event(type="message", channel_type="channel"),
        event(type="message", channel_type="group"),
        event(type="message", channel_type="im", subtype="message_changed"),
        event(type="message", channel_type="im", bot_id="B1"),
        event(bot_id="B1"),
        event(user=None),
        event(type="reaction_added"),
        event(type="app_home_opened"),
        click(approval_card.REJECT),
        click(approval_card.DETAILS),
        click("not ours"),
        submission("not ours", ""),
        {"type": "view_closed"},
        {},
    ],
)
def test_what_asks_nothing_of_us_is_no_delivery(dropped: dict[str, Any]) -> None:
    assert read(dropped) is None


def test_a_direct_message_is_for_us_without_a_mention() -> None:
    found = read(event(type="message", channel_type="im", channel="D1", text="approvals"))
    assert found is not None
    assert (found.channel, found.thread_ts, found.text) == ("D1", "5.1", "approvals")


def test_approve_is_a_delivery_that_names_who_where_and_what_was_shown() -> None:
    assert read(click(approval_card.APPROVE, enterprise={"id": "E1"})) == Delivery(
        delivery_id="click:1.2.x",
        kind="click",
        sender=Sender("U0CLEO", "T0LOCAL", "E1"),
        workspace="T0LOCAL",
        channel="C0RETURNS",
        thread_ts="5.1",
        press="approval.approve",
        value="apr_1.1.0123456789abcdef",
    )


@pytest.mark.parametrize("thread", ["", "5.1"])
def test_a_submitted_rejection_carries_its_reason_and_is_answered_where_the_card_stands(thread: str) -> None:
    metadata = f"apr_1.1.0123456789abcdef C0RETURNS {thread}".strip()
    found = read(submission(approval_card.REJECT, metadata))
    assert found is not None
    assert (found.kind, found.press, found.text) == ("view", approval_card.REJECT, "too much")
    assert (found.workspace, found.channel, found.thread_ts) == ("T0LOCAL", "C0RETURNS", thread or None)
    assert found.value == "apr_1.1.0123456789abcdef"


def test_a_command_is_a_delivery_of_its_own_trigger() -> None:
    body = {
        "command": "/team",
        "text": "run returns #W1",
        "user_id": "U0RITA",
        "team_id": "T0LOCAL",
        "channel_id": "C0RETURNS",
        "trigger_id": "9.9.x",
    }
    found = read(body)
    assert found is not None
    assert (found.delivery_id, found.text, found.thread_ts) == ("command:9.9.x", "run returns #W1", None)


def test_a_delivery_is_the_same_after_being_stored() -> None:
    found = read(click(approval_card.APPROVE))
    assert found is not None
    assert Delivery.from_json(found.delivery_id, found.kind, found.to_json(), attempts=0) == found


@pytest.mark.parametrize(
    "value", ["", "apr_1", "apr_1.1", "apr_1.x.0123456789abcdef", "apr_1.1.0123456789ABCDEF", "a b.1.0123456789abcdef"]
)
def test_a_value_that_is_not_ours_points_at_nothing(value: str) -> None:
    assert Pointer.parse(value) == Pointer("", 0, "")


def test_a_value_of_ours_points_at_what_its_card_showed() -> None:
    assert Pointer.parse("apr_1.12.0123456789abcdef") == Pointer("apr_1", 12, "0123456789abcdef")
