"""The limits Slack sets to the things inside blocks: buttons, menus, inputs, options, dialogs."""

from collections.abc import Mapping
from typing import Any

from bot.local.workspace.json_value import Json, as_object, objects_in
from bot.local.workspace.shape_check import (
    Check,
    anything,
    array,
    boolean,
    finding,
    integer,
    shape,
    string,
    text_object,
    typed,
)

_DATE = r"\d{4}-\d{2}-\d{2}"
_USER = r"[UW][A-Z0-9]+"
_IDENTIFIED: Mapping[str, Check] = {"type": anything}
_ACTION_ID: Mapping[str, Check] = {"action_id": string(255)}

CONFIRM = shape(
    {
        "title": text_object(100, mrkdwn=False),
        "text": text_object(300),
        "confirm": text_object(30, mrkdwn=False),
        "deny": text_object(30, mrkdwn=False),
    },
    {"style": string(20, choices=("primary", "danger"))},
)

_PLACEHOLDER: Mapping[str, Check] = {"placeholder": text_object(150, mrkdwn=False)}
_FOCUS: Mapping[str, Check] = {"focus_on_load": boolean}


def _option(*, mrkdwn: bool, url: bool = False) -> Check:
    optional: dict[str, Check] = {"description": text_object(75, mrkdwn=mrkdwn)}
    if url:
        optional["url"] = string(3000)
    return shape({"text": text_object(75, mrkdwn=mrkdwn), "value": string(150)}, optional)


_PLAIN_OPTION = _option(mrkdwn=False)
_MARKED_OPTION = _option(mrkdwn=True)

BUTTON = shape(
    {**_IDENTIFIED, "text": text_object(75, mrkdwn=False)},
    {
        **_ACTION_ID,
        "value": string(2000),
        "url": string(3000),
        "style": string(20, choices=("primary", "danger")),
        "confirm": CONFIRM,
        "accessibility_label": string(75),
        "visible_to_user_ids": array(string(50, pattern=_USER), most=100),
    },
)

_OPTION_GROUP = shape({"label": text_object(75, mrkdwn=False), "options": array(_PLAIN_OPTION, most=100)}, {})

STATIC_SELECT = shape(
    _IDENTIFIED,
    {
        **_ACTION_ID,
        **_PLACEHOLDER,
        **_FOCUS,
        "options": array(_PLAIN_OPTION, most=100),
        "option_groups": array(_OPTION_GROUP, most=100),
        "initial_option": _PLAIN_OPTION,
        "confirm": CONFIRM,
    },
    any_of=("options", "option_groups"),
)

OVERFLOW = shape(
    {**_IDENTIFIED, "options": array(_option(mrkdwn=False, url=True), most=5)},
    {**_ACTION_ID, "confirm": CONFIRM},
)

CHECKBOXES = shape(
    {**_IDENTIFIED, "options": array(_MARKED_OPTION, most=10)},
    {**_ACTION_ID, **_FOCUS, "initial_options": array(_MARKED_OPTION, most=10), "confirm": CONFIRM},
)

RADIO_BUTTONS = shape(
    {**_IDENTIFIED, "options": array(_MARKED_OPTION, most=10)},
    {**_ACTION_ID, **_FOCUS, "initial_option": _MARKED_OPTION, "confirm": CONFIRM},
)

PLAIN_TEXT_INPUT = shape(
    _IDENTIFIED,
    {
        **_ACTION_ID,
        **_PLACEHOLDER,
        **_FOCUS,
        "initial_value": string(3000, least=0),
        "multiline": boolean,
        "min_length": integer(0, 3000),
        "max_length": integer(1, 3000),
        "dispatch_action_config": anything,
    },
)

NUMBER_INPUT = shape(
    {**_IDENTIFIED, "is_decimal_allowed": boolean},
    {
        **_ACTION_ID,
        **_PLACEHOLDER,
        **_FOCUS,
        "initial_value": string(50),
        "min_value": string(50),
        "max_value": string(50),
        "dispatch_action_config": anything,
    },
)

DATEPICKER = shape(
    _IDENTIFIED,
    {
        **_ACTION_ID,
        **_PLACEHOLDER,
        **_FOCUS,
        "initial_date": string(10, pattern=_DATE),
        "confirm": CONFIRM,
    },
)

USERS_SELECT = shape(
    _IDENTIFIED,
    {
        **_ACTION_ID,
        **_PLACEHOLDER,
        **_FOCUS,
        "initial_user": string(50, pattern=_USER),
        "confirm": CONFIRM,
    },
)

IMAGE_ELEMENT = shape(
    {**_IDENTIFIED, "image_url": string(3000), "alt_text": string(2000)},
    {},
)


def _initial_among_options(check: Check) -> Check:
    """As `check`, and what is chosen at first must be one of the options, as Slack insists."""

    def checked(value: Any, pointer: str, found: list[str]) -> None:
        check(value, pointer, found)
        element = as_object(value) or {}
        offered = [_chosen(option) for option in options_of(element)]
        initial = [*objects_in([element.get("initial_option")]), *objects_in(element.get("initial_options"))]
        found.extend(
            finding("initial option must match one of the options", pointer)
            for option in initial
            if _chosen(option) not in offered
        )

    return checked


def options_of(element: Json) -> list[Json]:
    """All options that a menu, checkboxes, radio buttons or overflow offers, groups flattened."""
    grouped = [
        option for group in objects_in(element.get("option_groups")) for option in objects_in(group.get("options"))
    ]
    return [*objects_in(element.get("options")), *grouped]


def _chosen(option: Json) -> tuple[Any, Any]:
    return option.get("value"), (as_object(option.get("text")) or {}).get("text")


_MENUS: Mapping[str, Check] = {
    "button": BUTTON,
    "static_select": _initial_among_options(STATIC_SELECT),
    "overflow": OVERFLOW,
    "checkboxes": _initial_among_options(CHECKBOXES),
    "radio_buttons": _initial_among_options(RADIO_BUTTONS),
    "datepicker": DATEPICKER,
    "users_select": USERS_SELECT,
}

ACTIONS_ELEMENT = typed(_MENUS)
ACCESSORY = typed({**_MENUS, "image": IMAGE_ELEMENT})
CONTEXT_ELEMENT = typed(
    {
        "image": IMAGE_ELEMENT,
        "plain_text": text_object(2000, mrkdwn=False),
        "mrkdwn": text_object(2000),
    }
)
INPUT_ELEMENT = typed(
    {
        **{name: check for name, check in _MENUS.items() if name not in ("button", "overflow")},
        "plain_text_input": PLAIN_TEXT_INPUT,
        "number_input": NUMBER_INPUT,
    }
)
