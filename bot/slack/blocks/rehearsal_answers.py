"""What people are told when they press "Run it for real"."""

from bot.slack.blocks import limits
from bot.slack.blocks.run_card import state_words
from core.ids import RunId
from graphs.run import Run


def no_dry_run() -> str:
    """Says that the button belongs to no dry run."""
    return "There is no such dry run any more, so nothing was started."


def not_yours(run: Run) -> str:
    """Says who may have a dry run done for real."""
    whom = limits.person(run.request.requester)
    return f"Only {whom}, who asked for this dry run, can run it for real. Nothing was started."


def nothing_to_do(run: Run) -> str:
    """Says that a dry run shows nothing that could be done."""
    return f"This dry run stands at {state_words(run)}, so there is nothing to run for real. Nothing was started."


def changed_since(run: Run) -> str:
    """Says that the workflow is another one by now."""
    name = limits.escape(run.workflow)
    return f"{name} has changed since this dry run. Ask for a new one: `dry run {name} …`. Nothing was started."


def promoted_before() -> str:
    """Says that a dry run becomes one live run."""
    return "This dry run was run for real already; its card names that run. Nothing more was started."


def promoted(run: Run, by: RunId) -> str:
    """Confirms that it is done for real."""
    return (
        f"Running `{limits.escape(run.run_id)}` for real as `{limits.escape(by)}`, in this conversation. Policy is "
        "asked again, and people where it says so."
    )
