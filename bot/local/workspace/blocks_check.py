"""Slack's limits for blocks, messages and views: what it would refuse is found here, with its reason."""

from collections.abc import Mapping
from typing import Any, Literal

from bot.local.workspace.elements_check import (
    ACCESSORY,
    ACTIONS_ELEMENT,
    CONTEXT_ELEMENT,
    INPUT_ELEMENT,
)
from bot.local.workspace.json_value import Json, as_list, as_object, dump, objects_in
from bot.local.workspace.shape_check import (
    Check,
    anything,
    array,
    boolean,
    finding,
    shape,
    string,
    text_object,
    typed,
)

Surface = Literal["message", "modal", "home"]

_MOST_BLOCKS: Mapping[Surface, int] = {"message": 50, "modal": 100, "home": 100}
_MOST_MARKDOWN = 12_000
_MOST_VIEW_BYTES = 250_000

_BLOCK: Mapping[str, Check] = {"type": anything}
_BLOCK_ID: Mapping[str, Check] = {"block_id": string(255)}

_SECTION = shape(
    _BLOCK,
    {
        **_BLOCK_ID,
        "text": text_object(3000),
        "fields": array(text_object(2000), most=10),
        "accessory": ACCESSORY,
        "expand": boolean,
    },
    any_of=("text", "fields"),
)
_HEADER = shape({**_BLOCK, "text": text_object(150, mrkdwn=False)}, _BLOCK_ID)
_DIVIDER = shape(_BLOCK, _BLOCK_ID)
_CONTEXT = shape({**_BLOCK, "elements": array(CONTEXT_ELEMENT, most=10)}, _BLOCK_ID)
_ACTIONS = shape({**_BLOCK, "elements": array(ACTIONS_ELEMENT, most=25)}, _BLOCK_ID)
_INPUT = shape(
    {**_BLOCK, "label": text_object(2000, mrkdwn=False), "element": INPUT_ELEMENT},
    {
        **_BLOCK_ID,
        "hint": text_object(2000, mrkdwn=False),
        "optional": boolean,
        "dispatch_action": boolean,
    },
)
_IMAGE = shape(
    {**_BLOCK, "image_url": string(3000), "alt_text": string(2000)},
    {**_BLOCK_ID, "title": text_object(2000, mrkdwn=False)},
)
_MARKDOWN = shape({**_BLOCK, "text": string(_MOST_MARKDOWN)}, _BLOCK_ID)

_STYLE = shape({}, {name: boolean for name in ("bold", "italic", "strike", "code", "underline")})
_STYLED: Mapping[str, Check] = {"style": _STYLE}
_RICH_LEAF = typed(
    {
        "text": shape({**_BLOCK, "text": string(12_000)}, _STYLED),
        "link": shape({**_BLOCK, "url": string(3000)}, {**_STYLED, "text": string(3000), "unsafe": boolean}),
        "user": shape({**_BLOCK, "user_id": string(50)}, _STYLED),
        "usergroup": shape({**_BLOCK, "usergroup_id": string(50)}, _STYLED),
        "channel": shape({**_BLOCK, "channel_id": string(50)}, _STYLED),
        "emoji": shape({**_BLOCK, "name": string(100)}, {**_STYLED, "unicode": string(50)}),
        "broadcast": shape({**_BLOCK, "range": string(20)}, _STYLED),
        "date": shape(
            {**_BLOCK, "timestamp": anything, "format": string(200)},
            {**_STYLED, "url": string(3000), "fallback": string(200)},
        ),
    }
)
_RICH_SECTION = shape({**_BLOCK, "elements": array(_RICH_LEAF, most=1000, least=0)}, {})
_RICH_PART = typed(
    {
        "rich_text_section": _RICH_SECTION,
        "rich_text_list": shape(
            {
                **_BLOCK,
                "style": string(20, choices=("bullet", "ordered")),
                "elements": array(_RICH_SECTION, most=1000),
            },
            {"indent": anything, "offset": anything, "border": anything},
        ),
        "rich_text_quote": shape({**_BLOCK, "elements": array(_RICH_LEAF, most=1000, least=0)}, {"border": anything}),
        "rich_text_preformatted": shape(
            {**_BLOCK, "elements": array(_RICH_LEAF, most=1000, least=0)},
            {"border": anything, "language": anything},
        ),
    }
)
_RICH_TEXT = shape({**_BLOCK, "elements": array(_RICH_PART, most=1000)}, _BLOCK_ID)

_EVERYWHERE: Mapping[str, Check] = {
    "section": _SECTION,
    "header": _HEADER,
    "divider": _DIVIDER,
    "context": _CONTEXT,
    "actions": _ACTIONS,
    "input": _INPUT,
    "image": _IMAGE,
    "rich_text": _RICH_TEXT,
}
_ON_SURFACE: Mapping[Surface, Check] = {
    "message": typed({**_EVERYWHERE, "markdown": _MARKDOWN}),
    "modal": typed(_EVERYWHERE),
    "home": typed(_EVERYWHERE),
}


def check_blocks(blocks: Any, surface: Surface, *, pointer: str = "/blocks") -> list[str]:
    """Everything Slack would find wrong with the blocks of a surface, in its own words; empty when nothing."""
    found: list[str] = []
    array(_ON_SURFACE[surface], most=_MOST_BLOCKS[surface], least=0)(blocks, pointer, found)
    if not found:
        found.extend(_repeated_ids(objects_in(blocks), pointer))
    return found


def too_much_markdown(blocks: Any) -> bool:
    """Whether the markdown blocks of a message hold more text together than Slack takes."""
    texts = (str(block.get("text", "")) for block in objects_in(blocks) if block.get("type") == "markdown")
    return sum(map(len, texts)) > _MOST_MARKDOWN


def check_view(view: Json) -> list[str]:
    """Everything Slack would find wrong with a modal or Home view, in its own words; empty when nothing."""
    kind = view.get("type")
    if kind not in ("modal", "home"):
        return [finding(f"unsupported type: {kind}", "/view/type")]
    found: list[str] = []
    _view_shape(kind)(view, "/view", found)
    found.extend(check_blocks(view.get("blocks"), kind, pointer="/view/blocks"))
    has_input = any(block.get("type") == "input" for block in objects_in(view.get("blocks")))
    if kind == "modal" and has_input and not view.get("submit"):
        found.append(finding("missing required field: submit", "/view"))
    if len(dump(view).encode()) > _MOST_VIEW_BYTES:
        found.append(finding(f"must be at most {_MOST_VIEW_BYTES} bytes", "/view"))
    return found


def _view_shape(kind: Literal["modal", "home"]) -> Check:
    required: dict[str, Check] = {"type": anything, "blocks": anything}
    optional: dict[str, Check] = {
        "callback_id": string(255, least=0),
        "private_metadata": string(3000, least=0),
        "external_id": string(255, least=0),
    }
    if kind == "modal":
        short = text_object(24, mrkdwn=False)
        required["title"] = short
        optional |= {"submit": short, "close": short}
        optional |= {name: boolean for name in ("clear_on_close", "notify_on_close", "submit_disabled")}
    return shape(required, optional)


def _repeated_ids(blocks: list[Json], pointer: str) -> list[str]:
    found: list[str] = []
    seen: set[str] = set()
    for index, block in enumerate(blocks):
        here = f"{pointer}/{index}"
        block_id = block.get("block_id")
        if isinstance(block_id, str):
            if block_id in seen:
                found.append(finding(f"block_id already exists: {block_id}", here))
            seen.add(block_id)
        found.extend(_repeated_actions(block, here))
    return found


def _repeated_actions(block: Json, pointer: str) -> list[str]:
    if block.get("type") != "actions":
        return []
    names = [(as_object(entry) or {}).get("action_id") for entry in as_list(block.get("elements")) or []]
    given = [name for name in names if name]
    repeated = sorted({str(name) for name in given if given.count(name) > 1})
    return [finding(f"action_id already exists: {name}", pointer) for name in repeated]
