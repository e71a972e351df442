"""The block limits of the local workspace are Slack's, to the character."""

from typing import Any

import pytest

from bot.local.workspace.blocks_check import check_blocks, check_view
from bot.local.workspace.elements import Found, input_problems, state_object, state_values
from bot.local.workspace.refusal import Refusal


def plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


def marked(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text}


def button(**changes: Any) -> dict[str, Any]:
    return {"type": "button", "action_id": "go", "text": plain("Go"), **changes}


def option(text: str = "A", value: str = "a") -> dict[str, Any]:
    return {"text": plain(text), "value": value}


def actions(*elements: dict[str, Any]) -> dict[str, Any]:
    return {"type": "actions", "elements": list(elements)}


def entry(element: dict[str, Any]) -> dict[str, Any]:
    return {"type": "input", "block_id": "b", "label": plain("L"), "element": element}


CONFIRM = {"title": plain("t"), "text": marked("x"), "confirm": plain("Yes"), "deny": plain("No")}

FITS: list[dict[str, Any]] = [
    {"type": "section", "text": marked("x" * 3000)},
    {"type": "section", "fields": [marked("x" * 2000)] * 10},
    {"type": "section", "text": marked("x"), "accessory": {"type": "overflow", "options": [option()] * 5}},
    {"type": "header", "text": plain("x" * 150)},
    {"type": "divider"},
    {"type": "context", "elements": [marked("x")] * 10},
    actions(*(button(action_id=f"go{number}") for number in range(25))),
    actions(button(text=plain("x" * 75), value="v" * 2000, style="danger", confirm=CONFIRM)),
    actions({"type": "static_select", "options": [option()] * 100, "initial_option": option()}),
    entry({"type": "plain_text_input", "multiline": True, "max_length": 3000}),
    entry({"type": "number_input", "is_decimal_allowed": False}),
    entry({"type": "checkboxes", "options": [option()] * 10}),
    entry({"type": "radio_buttons", "options": [option()]}),
    entry({"type": "datepicker", "initial_date": "2026-11-22"}),
    entry({"type": "users_select", "initial_user": "U0BEN"}),
    {"type": "image", "image_url": "https://example.org/x.png", "alt_text": "x"},
    {"type": "markdown", "text": "x" * 12_000},
    {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "x"}]}]},
]

TOO_MUCH: list[tuple[dict[str, Any], str]] = [
    ({"type": "section", "text": marked("x" * 3001)}, "/blocks/0/text/text"),
    ({"type": "section", "text": marked("")}, "/blocks/0/text/text"),
    ({"type": "section"}, "must provide one of"),
    ({"type": "section", "fields": [marked("x")] * 11}, "/blocks/0/fields"),
    ({"type": "section", "fields": [marked("x" * 2001)]}, "/blocks/0/fields/0/text"),
    ({"type": "header", "text": plain("x" * 151)}, "/blocks/0/text/text"),
    ({"type": "header", "text": marked("x")}, "unsupported type: mrkdwn"),
    ({"type": "context", "elements": [marked("x")] * 11}, "/blocks/0/elements"),
    ({"type": "hologram"}, "unsupported type: hologram"),
    ({"type": "divider", "colour": "red"}, "invalid additional property: colour"),
    ({"type": "divider", "block_id": "x" * 256}, "/blocks/0/block_id"),
    (actions(*(button(action_id=f"go{number}") for number in range(26))), "/blocks/0/elements"),
    (actions(button(), button()), "action_id already exists: go"),
    (actions(button(text=plain("x" * 76))), "/blocks/0/elements/0/text/text"),
    (actions(button(value="v" * 2001)), "/blocks/0/elements/0/value"),
    (actions(button(style="green")), "value must be one of primary, danger"),
    (actions(button(confirm={**CONFIRM, "title": plain("x" * 101)})), "confirm/title/text"),
    (actions(button(confirm={**CONFIRM, "text": marked("x" * 301)})), "confirm/text/text"),
    (actions(button(confirm={**CONFIRM, "deny": plain("x" * 31)})), "confirm/deny/text"),
    (actions({"type": "static_select"}), "must provide one of"),
    (actions({"type": "static_select", "options": [option()] * 101}), "/blocks/0/elements/0/options"),
    (actions({"type": "static_select", "options": [option("x" * 76)]}), "options/0/text/text"),
    (actions({"type": "static_select", "options": [option()], "initial_option": option("B", "b")}), "initial option"),
    (actions({"type": "overflow", "options": [option()] * 6}), "/blocks/0/elements/0/options"),
    (actions({"type": "plain_text_input"}), "unsupported type: plain_text_input"),
    (entry({"type": "plain_text_input", "max_length": 3001}), "must be between 1 and 3000"),
    (entry({"type": "checkboxes", "options": [option()] * 11}), "/blocks/0/element/options"),
    (entry({"type": "number_input"}), "missing required field: is_decimal_allowed"),
    (entry({"type": "datepicker", "initial_date": "22.11.2026"}), "failed to match"),
    (entry(button()), "unsupported type: button"),
    ({"type": "markdown", "text": "x" * 12_001}, "/blocks/0/text"),
    ({"type": "image", "image_url": "x", "alt_text": ""}, "/blocks/0/alt_text"),
]


@pytest.mark.parametrize("block", FITS, ids=lambda block: block["type"])
def test_what_slack_takes_is_taken(block):
    assert check_blocks([block], "message") == []


@pytest.mark.parametrize(("block", "reason"), TOO_MUCH)
def test_what_slack_refuses_is_refused_with_its_place(block, reason):
    found = check_blocks([block], "message")
    assert any(reason in finding for finding in found), found


def test_a_message_takes_fifty_blocks_and_a_modal_a_hundred():
    blocks = [{"type": "divider"}] * 51
    assert check_blocks(blocks, "message") == ["[ERROR] no more than 50 items allowed [json-pointer:/blocks]"]
    assert check_blocks(blocks, "modal") == []
    assert check_blocks([{"type": "markdown", "text": "x"}], "modal") != []


def test_a_block_id_stands_once():
    blocks = [{"type": "divider", "block_id": "a"}, {"type": "divider", "block_id": "a"}]
    assert "block_id already exists: a" in check_blocks(blocks, "message")[0]


def test_a_modal_with_an_input_needs_a_submit_and_short_words():
    view: dict[str, Any] = {"type": "modal", "title": plain("x" * 25), "blocks": [entry({"type": "plain_text_input"})]}
    found = check_view(view)
    assert any("/view/title/text" in finding for finding in found)
    assert any("missing required field: submit" in finding for finding in found)
    fitting = {**view, "title": plain("x" * 24), "submit": plain("Send")}
    assert check_view(fitting) == []
    assert any("private_metadata" in finding for finding in check_view({**fitting, "private_metadata": "x" * 3001}))


def test_the_state_has_what_was_typed_and_else_what_stood_there_at_first():
    blocks = [
        entry({"type": "plain_text_input", "action_id": "t", "initial_value": "at first"}),
        {**entry({"type": "static_select", "action_id": "s", "options": [option()]}), "block_id": "c"},
    ]
    assert state_values(blocks, {})["b"]["t"]["value"] == "at first"
    typed = state_values(blocks, {"b": {"t": "typed"}, "s": "a"})
    assert typed["b"]["t"]["value"] == "typed"
    assert typed["c"]["s"]["selected_option"] == option()


def test_a_choice_that_is_not_offered_is_refused():
    element = {"type": "static_select", "action_id": "s", "options": [option()]}
    with pytest.raises(Refusal, match="option_not_found"):
        state_object(Found(entry(element), element), "z")


@pytest.mark.parametrize(
    ("element", "given", "problem"),
    [
        ({"type": "plain_text_input", "min_length": 3}, "no", "at least 3"),
        ({"type": "plain_text_input", "max_length": 3}, "long", "at most 3"),
        ({"type": "number_input", "is_decimal_allowed": False}, "1.5", "whole number"),
        ({"type": "number_input", "is_decimal_allowed": True}, "one", "Enter a number"),
        ({"type": "number_input", "is_decimal_allowed": True, "max_value": "10"}, "10.01", "10 or less"),
        ({"type": "checkboxes", "options": [option()]}, [], "required"),
    ],
)
def test_a_form_is_checked_before_it_is_sent(element, given, problem):
    blocks = [entry({"action_id": "x", **element})]
    values = state_values(blocks, {"b": {"x": given}})
    assert problem in input_problems(blocks, values)["b"]
