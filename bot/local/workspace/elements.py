"""The interactive parts of blocks: found by name, filled in by people, told to the bot in Slack's shapes."""

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from bot.local.workspace.elements_check import options_of
from bot.local.workspace.json_value import Json, as_list, as_object, objects_in
from bot.local.workspace.refusal import Refusal

_STATEFUL = frozenset(
    {
        "plain_text_input",
        "number_input",
        "static_select",
        "checkboxes",
        "radio_buttons",
        "datepicker",
        "users_select",
    }
)
_INTERACTIVE = _STATEFUL | {"button", "overflow"}
_MISSING = object()


@dataclass(frozen=True)
class Found:
    """An interactive element and the block it stands in."""

    block: Json
    element: Json

    @property
    def block_id(self) -> str:
        """The id of the block it stands in."""
        return str(self.block["block_id"])

    @property
    def action_id(self) -> str:
        """The name the bot gave it."""
        return str(self.element["action_id"])


def with_ids(blocks: Any) -> list[Json]:
    """The blocks with an id on each block and each interactive element, as Slack adds them."""
    named: list[Json] = []
    for block in objects_in(blocks):
        fresh = {**block, "block_id": block.get("block_id") or secrets.token_urlsafe(4)}
        for name in ("accessory", "element"):
            element = as_object(fresh.get(name))
            if element is not None:
                fresh[name] = _with_action_id(element)
        if fresh.get("type") == "actions":
            fresh["elements"] = [_with_action_id(element) for element in objects_in(fresh.get("elements"))]
        named.append(fresh)
    return named


def _with_action_id(element: Json) -> Json:
    if element.get("type") not in _INTERACTIVE or element.get("action_id"):
        return element
    return {**element, "action_id": secrets.token_urlsafe(4)}


def interactive(blocks: Any) -> Iterator[Found]:
    """Every interactive element of some blocks, in reading order."""
    for block in objects_in(blocks):
        inside = [*objects_in(block.get("elements")), *objects_in([block.get("accessory"), block.get("element")])]
        for element in inside:
            if element.get("type") in _INTERACTIVE and block.get("type") != "rich_text":
                yield Found(block, element)


def find_one(blocks: Any, act: Json, *, kinds: frozenset[str] = _INTERACTIVE) -> Found:
    """The element that an act names by action_id, block_id and value; raises Refusal when not exactly one."""
    wanted_value = act.get("value") if kinds == frozenset({"button"}) else None
    matches = [
        found
        for found in interactive(blocks)
        if found.action_id == act.get("action_id")
        and found.element.get("type") in kinds
        and act.get("block_id") in (None, "", found.block_id)
        and wanted_value in (None, found.element.get("value"))
    ]
    if not matches:
        raise Refusal("element_not_found", f"there is no {act.get('action_id')} to use here")
    if len(matches) > 1:
        raise Refusal("ambiguous_element", "several match; name block_id or value as well")
    return matches[0]


def action_entry(found: Found, given: Any, *, ts: str) -> Json:
    """What a person did with an element, as `actions` of an interaction lists it."""
    element = found.element
    entry: Json = {
        "type": element["type"],
        "action_id": found.action_id,
        "block_id": found.block_id,
        "action_ts": ts,
    }
    if element["type"] == "button":
        entry["text"] = element["text"]
        return entry | {name: element[name] for name in ("value", "url", "style") if name in element}
    if element["type"] == "overflow":
        return {**entry, "selected_option": _option(found, given)}
    return {**entry, **state_object(found, given)}


def state_object(found: Found, given: Any) -> Json:
    """The state of an element that a person filled in; raises Refusal for a choice it does not offer."""
    raw = _plain(given)
    kind = str(found.element["type"])
    if kind in ("plain_text_input", "number_input"):
        return {"type": kind, "value": None if raw in (None, "") else str(raw)}
    if kind == "checkboxes":
        several = as_list(raw)
        chosen = several if several is not None else [] if raw in (None, "") else [raw]
        return {"type": kind, "selected_options": [_option(found, each) for each in chosen]}
    if kind == "datepicker":
        if raw not in (None, "") and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", str(raw)):
            raise Refusal("invalid_date", f"{raw} is not a date like 2026-11-22")
        return {"type": kind, "selected_date": raw or None}
    if kind == "users_select":
        return {"type": kind, "selected_user": raw or None}
    return {"type": kind, "selected_option": None if raw in (None, "") else _option(found, raw)}


def _plain(given: Any) -> Any:
    """A value as a person gives it, also when it comes in the shape Slack gives to state."""
    state = as_object(given)
    if state is None:
        return given
    for name in ("selected_option", "selected_options", "selected_date", "selected_user", "value"):
        if name in state:
            inner = state[name]
            several = as_list(inner)
            return [_value(each) for each in several] if several is not None else _value(inner)
    return None


def _value(option: Any) -> Any:
    found = as_object(option)
    return found.get("value") if found else option


def _option(found: Found, value: Any) -> Json:
    wanted = _plain(value)
    for option in options_of(found.element):
        if option.get("value") == wanted:
            return option
    raise Refusal("option_not_found", f"{found.action_id} offers no {wanted}")


def state_values(blocks: Any, given: Json) -> Json:
    """`state.values` of a message or view: what people gave, else what the bot put in at first."""
    values: dict[str, Json] = {}
    for found in interactive(blocks):
        if found.element["type"] in _STATEFUL:
            raw = _given(given, found)
            raw = _initial(found.element) if raw is _MISSING else raw
            values.setdefault(found.block_id, {})[found.action_id] = state_object(found, raw)
    return values


def _given(given: Json, found: Found) -> Any:
    of_block = given.get(found.block_id, _MISSING)
    nested = as_object(of_block)
    if nested is not None and found.action_id in nested:
        return nested[found.action_id]
    if of_block is not _MISSING and nested is None:
        return of_block
    return given.get(found.action_id, _MISSING)


def _initial(element: Json) -> Any:
    chosen = as_list(element.get("initial_options"))
    if chosen is not None:
        return [_value(option) for option in chosen]
    for name in ("initial_value", "initial_option", "initial_date", "initial_user"):
        if name in element:
            return _value(element[name])
    return None


def input_problems(blocks: Any, values: Json) -> dict[str, str]:
    """Per input block what Slack's own form would say before it submits; empty when it would submit."""
    problems: dict[str, str] = {}
    for found in interactive(blocks):
        if found.block.get("type") == "input":
            state = values[found.block_id][found.action_id]
            problem = _problem(found, state)
            if problem:
                problems[found.block_id] = problem
    return problems


def _problem(found: Found, state: Json) -> str:
    filled = [value for name, value in state.items() if name != "type" and value]
    if not filled:
        return "" if found.block.get("optional") else "Please complete this required field."
    if state["type"] == "plain_text_input":
        return _length_problem(found.element, str(state["value"]))
    if state["type"] == "number_input":
        return _number_problem(found.element, str(state["value"]))
    return ""


def _length_problem(element: Json, text: str) -> str:
    least, most = int(element.get("min_length") or 0), int(element.get("max_length") or 3000)
    if len(text) < least:
        return f"This entry must be at least {least} characters."
    return f"This entry must be at most {most} characters." if len(text) > most else ""


def _number_problem(element: Json, text: str) -> str:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return "Enter a number."
    if not number.is_finite() or (number != number.to_integral_value() and not element.get("is_decimal_allowed")):
        return "Enter a whole number."
    least, most = element.get("min_value"), element.get("max_value")
    if least is not None and number < Decimal(str(least)):
        return f"Enter a number that is {least} or more."
    return f"Enter a number that is {most} or less." if most is not None and number > Decimal(str(most)) else ""
