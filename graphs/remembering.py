"""What a run takes from memory when it gathers, what of it is shown and used, and what it leaves there at its end."""

import re
from collections.abc import Sequence
from typing import Protocol

from core.trust import TrustLabel
from graphs.run import Remembered, Run
from memory.recall import Recalled, Recollection

#: So many remembered things stand on a run's card.
MOST_SHOWN = 3
#: Of more names than these nobody could say which one a remembered thing is about.
MOST_NAMES = 20
_MOST_ASKED = 1_000
_WORD = re.compile(r"\w+")
#: Shorter words are in everything that anybody says.
_TELLING = 4


class RunMemory(Protocol):
    """The team's memory, as one run may use it: what its requester may see, shown where its conversation stands."""

    async def recall(self, run: Run, text: str, *, most: int = 10) -> Recollection:
        """What matters for this text now."""
        ...

    async def remember(self, run: Run, outcome: str) -> None:
        """Keep how the run came out, where its channel lets us; once, however often it is called."""
        ...

    async def cited(self, recall_id: str, items: Sequence[int]) -> None:
        """These items of a recall were used in what was done: the ground of the hit rate and of what is kept."""
        ...


class Remembering(Protocol):
    """A run's view of the installation, as far as recalling needs it."""

    @property
    def run(self) -> Run:
        """The run itself."""
        ...

    @property
    def memory(self) -> RunMemory | None:
        """The team's memory, where there is one."""
        ...


async def recalled(context: Remembering, about: Sequence[str]) -> Remembered | None:
    """What is remembered of what the run is about, by number; None where nothing is.

    It stands on the card for people to read. No plan, no step and no model is made from it.
    """
    names = [name for each in about if (name := " ".join(each.split()))][:MOST_NAMES]
    asked = "\n".join(dict.fromkeys([context.run.request.text, *names]))[:_MOST_ASKED]
    if context.memory is None or not asked.strip():
        return None
    found = await context.memory.recall(context.run, asked)
    return bearing(found, names or [asked])


def bearing(found: Recollection, names: Sequence[str]) -> Remembered | None:
    """The best that name what the run is about; what nobody vouches for comes last, and is never counted."""
    named = [(each.item, name) for each in found.found if (name := _named(each.item.text, names))]
    named.sort(key=lambda pair: pair[0].provenance.trust is TrustLabel.EXTERNAL)
    shown = named[:MOST_SHOWN]
    vouched = [int(item.item_id) for item, _ in shown if item.provenance.trust is not TrustLabel.EXTERNAL]
    names_of = {int(item.item_id): name for item, name in shown}
    return Remembered(recall_id=found.recall_id, names=names_of, vouched=vouched) if shown else None


def _named(text: str, names: Sequence[str]) -> str:
    """The first of the names that the text has whole, or of whose telling words it has more than half."""
    words = set(_WORD.findall(text.casefold()))
    for name in names:
        if re.search(rf"(?<![\w@.-]){re.escape(name)}(?![\w@-]|\.\w)", text, re.IGNORECASE):
            return name
        telling = {word for word in _WORD.findall(name.casefold()) if len(word) >= _TELLING}
        if " " in name and len(telling) > 1 and 2 * len(telling & words) > len(telling):
            return name
    return ""


async def leave(context: Remembering, outcome: str) -> None:
    """Leave in memory how the run came out; a dry run leaves nothing."""
    if context.memory is not None and outcome and not context.run.request.dry:
        await context.memory.remember(context.run, outcome)


async def cite(context: Remembering, remembered: Remembered | None) -> None:
    """Count what stood on the card as used, now that what the card asked for was done."""
    if context.memory is not None and remembered is not None and not context.run.request.dry:
        await context.memory.cited(remembered.recall_id, remembered.vouched)


def as_evidence(found: Sequence[Recalled]) -> str:
    """Recalled items for a reader or a model: quoted, each with who said it, when, and how far to trust it."""
    return "\n".join(
        f"[{each.item.item_id}] {each.item.provenance.author}, {each.item.provenance.said_at:%Y-%m-%d},"
        f" {each.item.provenance.trust.value}: “{' '.join(each.item.text.split())}”"
        for each in found
    )
