"""The one renderer: every copy of a card, on every change, is made here from the stored row."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from bot.channel import Message

Subject = TypeVar("Subject")
Render = Callable[[str], Awaitable[Message | None]]


def shown(load: Callable[[str], Awaitable[Subject | None]], card: Callable[[Subject], Message]) -> Render:
    """How cards of one kind are made: `load` gives the stored subject, `card` its message."""

    async def render(subject_id: str) -> Message | None:
        subject = await load(subject_id)
        return None if subject is None else card(subject)

    return render


class Renderer:
    """Makes the message of a card from what is stored now; `kinds` has one entry for each kind of card."""

    def __init__(self, kinds: Mapping[str, Render]) -> None:
        self._kinds = kinds

    async def render(self, kind: str, subject_id: str) -> Message | None:
        """The card of this subject, or None when there is no such subject."""
        render = self._kinds.get(kind)
        return None if render is None else await render(subject_id)
