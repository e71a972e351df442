"""Shows a run with what it remembers: read anew each time the card is drawn, so what is forgotten goes from it."""

from bot.channel import Message
from bot.remembering import Memory
from bot.slack.blocks.recall_answers import remembered_line
from bot.slack.blocks.run_card import run_card
from bot.slack.renderer import Render
from core.ids import RunId
from graphs.store import RunStore


def runs_shown(runs: RunStore, memory: Memory) -> Render:
    """How the cards of runs are made."""

    async def render(run_id: str) -> Message | None:
        run = await runs.get(RunId(run_id))
        if run is None or run.remembered is None:
            return None if run is None else run_card(run)
        return run_card(run, remembered_line(run.remembered, await memory.shown(run)))

    return render
