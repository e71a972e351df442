"""The one renderer: every copy of a card, on every change, is made here from the stored row."""

from collections.abc import Awaitable, Callable

from actions.approval import ApprovalView
from bot.channel import Message
from bot.slack.blocks.approval_card import approval_card
from bot.slack.blocks.run_card import run_card
from core.ids import RunId
from graphs.run import Run

LoadRun = Callable[[RunId], Awaitable[Run | None]]
LoadApproval = Callable[[str], Awaitable[ApprovalView | None]]


class Renderer:
    """Makes the message of a card from what is stored now."""

    def __init__(self, load_run: LoadRun, load_approval: LoadApproval) -> None:
        self._load_run = load_run
        self._load_approval = load_approval

    async def render(self, kind: str, subject_id: str) -> Message | None:
        """The card of this subject, or None when there is no such subject."""
        if kind == "run":
            run = await self._load_run(RunId(subject_id))
            return None if run is None else run_card(run)
        if kind == "approval":
            view = await self._load_approval(subject_id)
            return None if view is None else approval_card(view)
        return None
