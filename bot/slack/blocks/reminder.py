"""The short messages beside an approval's card: who is wanted until when, and a second question to the worn out."""

from collections.abc import Awaitable, Callable

from actions.approval import ApprovalState, ApprovalView
from actions.chain import Stage
from bot.channel import Block, Message
from bot.slack.blocks import limits
from bot.slack.blocks.approval_card import APPROVE_ANYWAY, decision_line

_MOST_SUMMARY = 300
_MOST_CALLED = 10


def reminders(load: Callable[[str], Awaitable[ApprovalView | None]]) -> Callable[[str], Awaitable[Message | None]]:
    """How these messages are made: the subject is an approval and the reason, `apr_….reminded`."""

    async def render(subject_id: str) -> Message | None:
        approval_id, _, why = subject_id.rpartition(".")
        view = await load(approval_id)
        return None if view is None else reminder(view, why)

    return render


def reminder(view: ApprovalView, why: str) -> Message:
    """What is said for this reason: a stage of the chain, or `expired`."""
    return Message(_expired(view) if why == "expired" else _waiting(view, why))


def _waiting(view: ApprovalView, why: str) -> str:
    what = limits.brief(view.summary, _MOST_SUMMARY)
    if view.state != ApprovalState.PENDING:
        return f"No answer is needed any more: {what}. {decision_line(view)}"
    given = {user for user, _ in view.votes}
    wanted = [person for person in view.told if person not in given]
    called = " ".join(map(limits.person, wanted[:_MOST_CALLED]))
    lead = f"{called} " if called else ""
    tail = f"Expires {limits.instant(view.expires_at)}."
    if why == Stage.REMINDED:
        return f"⏰ {lead}still waiting for an answer: {what}. {tail}"
    asked = limits.brief(view.asked_too, _MOST_SUMMARY)
    return f"📣 {lead}nobody has answered yet, so {asked} may decide now too: {what}. {tail}"


def _expired(view: ApprovalView) -> str:
    what = limits.brief(view.summary, _MOST_SUMMARY)
    if view.reopened_by:
        return f"⌛ Nobody decided in time: {what}. {limits.person(view.reopened_by)} has asked again."
    if view.parked_until is None:
        return f"⌛ Nobody decided in time: {what}. That is not a rejection."
    return (
        f"⌛ {limits.person(view.requester)} nobody decided in time: {what}. That is not a rejection. "
        f"Press *Ask again* on the card, or say `reopen {limits.escape(view.run_id)}`; "
        f"otherwise the run ends {limits.instant(view.parked_until)}."
    )


def second_thought(text: str, value: str) -> list[Block]:
    """What somebody sees who has decided a great deal: the reason, and Approve once more, behind a question."""
    sure = limits.confirm(
        "Have you read it?", "Approve it only if you have read the card.", yes="Approve", no="Not yet"
    )
    return [
        limits.section(text),
        limits.actions(limits.button("Approve all the same", APPROVE_ANYWAY, value, confirm=sure)),
    ]
