"""One press about several approvals: everything on a batch card, a run's plan, and a person's own list."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from actions.approval import Click
from actions.batches import Batches
from bot.channel import Message
from bot.delivery import Delivery
from bot.desks import Decisions, Directory, Offers, Owe, click_of
from bot.intake import Effect
from bot.runs import RunDesk, say
from bot.slack.blocks import answers
from bot.slack.blocks.batch_card import (
    APPROVE,
    APPROVE_PLAN,
    CANCEL,
    DROP,
    DROPPED,
    answered_text,
    batch_card,
    gone_text,
)
from core.db import Connection
from core.ids import RunId
from core.outbox import Conversation, owe_ephemeral
from core.text import in_answer
from graphs.run import Run


def render_batch(
    batches: Batches, run_of: Callable[[RunId], Awaitable[Run | None]]
) -> Callable[[str], Awaitable[Message | None]]:
    """How the card of a batch is made from what is stored."""

    async def render(batch_id: str) -> Message | None:
        batch = await batches.view(batch_id)
        if batch is None:
            return None
        return batch_card(batch, await run_of(RunId(batch.run_id)) if batch.run_id else None)

    return render


class BatchDesk:
    """Does what is pressed on a card that lists several approvals."""

    def __init__(self, batches: Batches, decisions: Decisions, runs: RunDesk, people: Directory) -> None:
        self._batches = batches
        self._decisions = decisions
        self._runs = runs
        self._people = people

    async def consider(self, delivery: Delivery) -> Effect:
        """Each decision is written by the one place that decides; then the card and the answer are owed."""
        if delivery.press == CANCEL:
            return await self._runs.stop(delivery, delivery.value)
        if delivery.press not in {APPROVE, APPROVE_PLAN, DROP}:
            return say(answers.unknown_button())
        # Asked of Slack at every click: whoever left a minute ago must not decide.
        standing = await self._people.standing(delivery.sender.user_id, fresh=True)
        if delivery.press == DROP:
            click = replace(click_of(delivery), verdict="reject", reason=DROPPED)
            return say(in_answer((await self._decisions.decide(click, standing)).text))
        answered = await self._batches.approve(delivery.value, _click(delivery), standing)
        if answered is None:
            return say(gone_text())

        async def tell(conn: Connection) -> str:
            await self._batches.renew(conn, delivery.value)
            return answered_text(answered)

        return tell


def _click(delivery: Delivery) -> Click:
    sender = delivery.sender
    return Click(
        approval_id="",
        revision=0,
        digest16="",
        verdict="approve",
        user_id=sender.user_id,
        team_id=sender.team_id,
        enterprise_id=sender.enterprise_id,
        delivery_id=delivery.delivery_id,
    )


def offers_of(batches: Batches) -> Offers:
    """What waits for somebody as lists with one button each, for their eyes only."""

    async def prepare(delivery: Delivery) -> Owe:
        person = delivery.sender.user_id
        lists = await batches.for_person(person)

        async def owe(conn: Connection) -> None:
            place = Conversation(delivery.workspace, delivery.channel, delivery.thread_ts)
            for views in lists:
                card = batch_card(await batches.offer(conn, person, views))
                await owe_ephemeral(conn, place, person=person, text=card.text, blocks=card.blocks)

        return owe

    return prepare
