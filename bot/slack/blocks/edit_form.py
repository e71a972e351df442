"""The modal in which an approver changes an action's arguments, made from the form of its schema."""

from collections.abc import Mapping
from typing import Any, cast

from actions.edits import Form
from actions.forms import MOST_TEXT, Field, Kind, Typed
from bot.channel import Block
from bot.slack.blocks import limits
from bot.slack.blocks.approval_card import EDIT
from bot.slack.blocks.modals import modal, note_view

_PREFIX = "edit."
_INPUT = "edit.value"
_MOST_LABEL = 150
_TITLE = "Edit & approve"
_RULES = (
    "Policy judges your changes again. If you change where it goes or raise an amount, somebody else must agree too. "
    "What you submit replaces what the card asks."
)
_HINTS: Mapping[Kind, str] = {
    Kind.MONEY: "An amount with its currency, such as 54.04 USD.",
    Kind.LINES: "One on each line.",
}


def edit_loading_view() -> dict[str, Any]:
    """What is shown at once, while the record is being read."""
    return note_view(_TITLE, "Reading the record…")


def edit_view(form: Form | None, metadata: str) -> dict[str, Any]:
    """The form, or the sentence that says why there is none. `metadata` comes back with what is typed."""
    if form is None:
        return note_view(_TITLE, "This approval is not on record any more. Nothing was changed.")
    if form.who_cannot:
        return note_view(_TITLE, f"{form.who_cannot} Nothing was changed.")
    asked = [field for field in form.fields if _can_be_typed(field)]
    fixed = [field for field in form.fields if not _can_be_typed(field)]
    blocks = [limits.section(f"*{limits.escape(form.summary)}*"), *map(_input, asked)]
    if fixed:
        stays = limits.section("*Stays as it is* (it cannot be changed in a form)")
        blocks += [stays, *limits.facts([(_label(field), field.before) for field in fixed])]
    blocks.append(limits.context(_RULES))
    whole = modal(_TITLE, blocks, callback_id=EDIT, metadata=metadata, submit="Approve changes")
    if asked and not limits.modal_violations(whole):
        return whole
    said = "This cannot be changed in Slack: its record does not fit a form. Reject it and say why."
    return note_view(_TITLE, said)


def block_of(name: str) -> str:
    """The id of the input of one argument."""
    return f"{_PREFIX}{name}"


def typed_in(values: Mapping[str, Any]) -> dict[str, str | list[str] | None]:
    """What somebody wrote into each input, by the argument's name."""
    return {
        block_id.removeprefix(_PREFIX): _given(state.get(_INPUT) or {})
        for block_id, state in cast(Mapping[str, Mapping[str, Any]], values).items()
        if block_id.startswith(_PREFIX)
    }


def errors_of(problems: Mapping[str, str], typed: Typed) -> dict[str, str]:
    """The sentences as Slack shows them under the inputs; what is about no input stands under the first."""
    first = next(iter(typed), "")
    return {block_of(name if name in typed else first): limits.cut(text, 300) for name, text in problems.items()}


def _can_be_typed(field: Field) -> bool:
    """False also for a value with characters that an input would hide: those are shown written out, and stay."""
    return field.kind is not Kind.FIXED and all(limits.visible(line) == line for line in field.before.split("\n"))


def _given(state: Mapping[str, Any]) -> str | list[str] | None:
    if state.get("type") == "checkboxes":
        return [option["value"] for option in cast(list[Mapping[str, Any]], state.get("selected_options") or [])]
    if state.get("type") == "static_select":
        return cast(Mapping[str, Any], state.get("selected_option") or {}).get("value")
    return state.get("value")


def _input(field: Field) -> Block:
    made: Block = {
        "type": "input",
        "block_id": block_of(field.name),
        "label": {"type": "plain_text", "text": limits.cut(_label(field), _MOST_LABEL), "emoji": False},
        "element": {"action_id": _INPUT, **_element(field)},
        "optional": field.optional or not field.before,
    }
    if field.kind in _HINTS:
        made["hint"] = {"type": "plain_text", "text": _HINTS[field.kind], "emoji": False}
    return made


def _label(field: Field) -> str:
    return f"{field.label[:1].upper()}{field.label[1:]}"


def _element(field: Field) -> Block:
    if field.kind is Kind.CHOICE:
        chosen: Block = {"initial_option": _option(field.chosen[0])} if field.chosen else {}
        return {"type": "static_select", "options": [_option(each) for each in field.options], **chosen}
    if field.kind is Kind.CHOICES:
        chosen = {"initial_options": [_option(each) for each in field.chosen]} if field.chosen else {}
        return {"type": "checkboxes", "options": [_option(each) for each in field.options], **chosen}
    begins: Block = {"initial_value": field.before} if field.before else {}
    if field.kind is Kind.NUMBER:
        return {"type": "number_input", "is_decimal_allowed": True, **begins}
    return {"type": "plain_text_input", "multiline": field.several_lines, "max_length": MOST_TEXT, **begins}


def _option(value: str) -> Block:
    return {"text": {"type": "plain_text", "text": limits.visible(value), "emoji": False}, "value": value}
