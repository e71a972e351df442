"""How a run hands work over to a run of another workflow, in a conversation of its own."""

from dataclasses import dataclass

from core.db import Connection
from core.ids import RunId, new_run_id
from core.outbox import Conversation
from graphs.context import RunContext
from graphs.run import Request


@dataclass(frozen=True)
class Handover:
    """What another workflow is asked, on behalf of whoever asked for the run that hands over."""

    workflow: str
    version: int
    text: str
    conversation: Conversation
    delivery_id: str
    """Unique: handing over twice under one name starts one run."""


async def hand_over(conn: Connection, context: RunContext, what: Handover) -> RunId | None:
    """Store the other run as part of this transaction; None when it was handed over before.

    The engine's sweep finds it, so that nothing is lost when this process dies right after.
    """
    request = context.run.request.model_copy(
        update={
            "origin": "run",
            "workflow": what.workflow,
            "text": what.text,
            "delivery_id": what.delivery_id,
            "undoes": None,
            "promotes": None,
        }
    )
    run_id = new_run_id()
    made = await context.store.create(
        conn,
        Request.model_validate(request.model_dump()),
        conversation=what.conversation,
        workflow_version=what.version,
        run_id=run_id,
    )
    return run_id if made else None
