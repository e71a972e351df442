"""What a run takes from memory when it gathers, and what it leaves there when it has ended."""

from collections.abc import Sequence
from typing import Any, Protocol

from graphs.run import Run
from memory.recall import Recalled, Recollection


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


async def recalled(context: Remembering) -> dict[str, Any]:
    """The names of what the run's request brings to mind; nothing where nothing is remembered."""
    if context.memory is None or not context.run.request.text.strip():
        return {}
    found = await context.memory.recall(context.run, context.run.request.text)
    return as_named(found) if found.found else {}


async def leave(context: Remembering, outcome: str) -> None:
    """Leave in memory how the run came out; a dry run leaves nothing."""
    if context.memory is not None and outcome and not context.run.request.dry:
        await context.memory.remember(context.run, outcome)


def as_named(found: Recollection) -> dict[str, Any]:
    """What a run keeps of a recall: names only, so that nothing that is forgotten stays in a checkpoint."""
    return {"recall_id": found.recall_id, "items": [each.item.item_id for each in found.found]}


def as_evidence(found: Sequence[Recalled]) -> str:
    """Recalled items for a reader or a model: quoted, each with who said it, when, and how far to trust it."""
    return "\n".join(
        f"[{each.item.item_id}] {each.item.provenance.author}, {each.item.provenance.said_at:%Y-%m-%d},"
        f" {each.item.provenance.trust.value}: “{' '.join(each.item.text.split())}”"
        for each in found
    )
