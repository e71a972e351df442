"""What opens beside an approval card: a wait, a miss, the question why not, and a question to whoever asked."""

from typing import Any

from bot.slack.blocks.approval_card import ASK, MOST_REASON, REASON_BLOCK, REASON_INPUT, REJECT
from bot.slack.blocks.modals import modal, note_view, text_input


def loading_view() -> dict[str, Any]:
    """What is shown at once, while the record is being read."""
    return note_view("Details", "Reading the record…")


def missing_view() -> dict[str, Any]:
    """What is shown when there is no such approval any more."""
    return note_view("Details", "This approval is not on record any more. Nothing was changed.")


def reject_view(metadata: str) -> dict[str, Any]:
    """Asks why, before a rejection counts. `metadata` comes back with the answer."""
    label = "Why not? Whoever asked will read this."
    hint = "It is then not done, and neither is what depends on it in the same run."
    reason = text_input(label, block_id=REASON_BLOCK, action_id=REASON_INPUT, most=MOST_REASON, hint=hint)
    return modal("Reject", [reason], callback_id=REJECT, metadata=metadata, submit="Reject")


def ask_view(metadata: str) -> dict[str, Any]:
    """Asks what an approver wants to know. `metadata` comes back with the question."""
    label = "Your question to whoever asked. They answer in the thread."
    question = text_input(label, block_id=REASON_BLOCK, action_id=REASON_INPUT, most=MOST_REASON)
    return modal("Ask", [question], callback_id=ASK, metadata=metadata, submit="Ask")
