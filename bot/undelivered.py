"""Tells whoever must know that an approval's card could not be shown: undelivered is not rejected."""

from collections.abc import Awaitable, Callable

from actions.approval import ApprovalState, ApprovalView
from actions.team import Team
from bot.slack.blocks import answers
from bot.store import Owed
from core import audit
from core.db import Connection
from core.outbox import Conversation, owe_post

Tell = Callable[[Connection], Awaitable[None]]


class Undelivered:
    """Told of each outbox row that ends undelivered; of a pending approval's card, the requester and admins hear."""

    def __init__(self, load: Callable[[str], Awaitable[ApprovalView | None]], team: Callable[[], Team]) -> None:
        self._load = load
        self._team = team

    async def __call__(self, owed: Owed, error: str) -> Tell | None:
        """What is to be written with the end of this row; None where nobody needs to hear of it."""
        if owed.card is None or owed.card.kind != "approval":
            return None
        view, card_id = await self._load(owed.card.subject_id), owed.card.card_id
        if view is None or view.state != ApprovalState.PENDING:
            return None
        admins = self._team().admins
        text = answers.undelivered(view, owed.place.channel, error)

        async def tell(conn: Connection) -> None:
            for person in sorted({view.requester, *admins}):
                # Once for each place: asking in a further one owes this card a rendering again.
                key = f"{card_id}.{view.approval_id}.undelivered.{person}"
                await owe_post(conn, Conversation(view.workspace, person), text=text, receiver_key=key)
            subject = {"run_id": view.run_id, "step": view.step, "approval_id": view.approval_id}
            detail = {"digest": view.digest, "channel": owed.place.channel, "error": error}
            await audit.append(
                conn, view.workspace, "approval.undelivered", actor=audit.CODE, subject=subject, detail=detail
            )

        return tell
