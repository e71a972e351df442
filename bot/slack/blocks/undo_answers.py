"""What people are told when they ask to undo a run."""

from bot.slack.blocks import limits
from bot.slack.blocks.run_card import state_words
from graphs.run import Run


def may_not_undo() -> str:
    """Says who may undo a run."""
    return "Only who asked for a run, an operator or an admin can undo it. Nothing was changed."


def is_an_undoing(run: Run) -> str:
    """Says that an undoing is not undone."""
    return f"`{limits.escape(run.run_id)}` itself took back what another run did. Ask for that work again instead."


def goes_on(run: Run) -> str:
    """Says that a run must rest before it is undone."""
    run_id = limits.escape(run.run_id)
    return f"`{run_id}` has not ended ({state_words(run)}), so nothing was undone. Say `stop {run_id}` first."


def is_being_undone(run: Run, by: str) -> str:
    """Says that somebody was faster."""
    return f"`{limits.escape(run.run_id)}` is being undone already, by `{limits.escape(by)}`. Nothing more was started."


def nothing_left(run: Run, by: str | None) -> str:
    """Says that there is nothing to take back, and why."""
    if by is None:
        return f"`{limits.escape(run.run_id)}` has done nothing that could be taken back. Nothing was started."
    return (
        f"`{limits.escape(run.run_id)}` was undone before, by `{limits.escape(by)}`; nothing of it is left to take "
        "back. That run's card shows what a person must still do, if anything. Nothing was started."
    )


def undoing(run: Run, by: str) -> str:
    """Confirms that a run is being undone."""
    return (
        f"Undoing `{limits.escape(run.run_id)}` as `{limits.escape(by)}`, newest first. "
        "Its card stands in the conversation of the run."
    )


def noted(*, done: bool) -> str:
    """Confirms an answer about an errand."""
    if done:
        return "Thank you. It is on record that you have put it right."
    return "Noted: it cannot be put right. It stays on record under your name."
