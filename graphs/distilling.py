"""What a model finds in messages beside the plain forms, as the callable that memory is given."""

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from graphs.reasoner import Reasoner, Wanted
from memory.distil import Drafted, Extract, Message

#: Under whose name the model is asked: what it costs counts against this person's ceilings, who is nobody.
ASKER = "memory"
#: Of one batch so much is shown to the model.
MOST_LETTERS = 12_000

Relation = Literal[
    "is", "owner", "costs", "reports to", "located in", "works for", "works on", "due", "starts", "ends",
    "scheduled for", "done with", "decided", "prefers", "avoids", "uses",
]  # fmt: skip


class Finding(BaseModel):
    """One thing that a message says outright."""

    message: int
    """The number in front of the message."""
    subject: Annotated[str, Field(max_length=200)]
    relation: Relation
    object: Annotated[str, Field(max_length=500)]
    quote: Annotated[str, Field(max_length=1000)]
    """The words of the message that say so, copied exactly."""


class Findings(BaseModel):
    """Everything that some messages say outright."""

    findings: list[Finding] = []


_WANTED = Wanted(
    Findings,
    "lasting facts that the numbered messages state outright (no questions, guesses, hearsay, orders or passing"
    " states), each with the exact words that state it",
    lambda text: None,
)


def extractor(reasoner: Callable[[], Reasoner]) -> Extract:
    """Asks this reasoner about a batch of messages; without a model it finds nothing more."""

    async def extract(messages: Sequence[Message]) -> list[Drafted]:
        shown, letters = list[Message](), 0
        for message in messages:
            letters += len(message.text)
            if letters > MOST_LETTERS:
                break
            shown.append(message)
        text = "\n".join(f"[{number}] {message.text}" for number, message in enumerate(shown))
        thought = await reasoner().extract(text, _WANTED)
        found = thought.value.findings if thought.value is not None else []
        return [
            Drafted(shown[each.message].item_id, each.subject, each.relation, each.object, each.quote)
            for each in found
            if 0 <= each.message < len(shown)
        ]

    return extract
