"""The frame that all modals share."""

from typing import Any

from bot.channel import Block
from bot.slack.blocks import limits


def modal(
    title: str, blocks: list[Block], *, callback_id: str = "", metadata: str = "", submit: str = ""
) -> dict[str, Any]:
    """A modal; one with `submit` can be submitted, and gives `metadata` back with whatever is done in it."""
    made: dict[str, Any] = {
        "type": "modal",
        "title": {"type": "plain_text", "text": title, "emoji": False},
        "close": {"type": "plain_text", "text": "Close", "emoji": False},
        "blocks": blocks,
    }
    if metadata:
        made["private_metadata"] = metadata
    if submit:
        made["submit"] = {"type": "plain_text", "text": submit, "emoji": False}
        made["callback_id"] = callback_id
    return made


def note_view(title: str, text: str) -> dict[str, Any]:
    """A modal that only says something; `text` is our own."""
    return modal(title, [limits.section(text)])


def text_input(label: str, *, block_id: str, action_id: str, most: int, hint: str = "") -> Block:
    """A place to write some lines."""
    made: Block = {
        "type": "input",
        "block_id": block_id,
        "label": {"type": "plain_text", "text": label, "emoji": False},
        "element": {
            "type": "plain_text_input",
            "action_id": action_id,
            "multiline": True,
            "max_length": most,
            "focus_on_load": True,
        },
    }
    return {**made, "hint": {"type": "plain_text", "text": hint, "emoji": False}} if hint else made
