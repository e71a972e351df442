"""What is done about answers other than yes and no: changed arguments, questions asked back, and their answers."""

import json
from dataclasses import replace
from typing import Protocol

from actions.edits import Edits
from actions.questions import Questions, Reply
from bot.commands import Unknown, parse
from bot.delivery import Delivery
from bot.desks import Directory, click_of
from bot.intake import Effect
from bot.runs import say
from bot.slack.listeners.events import REPLY
from core.db import Connection
from core.outbox import Conversation
from core.text import in_answer


class EditDesk:
    """Takes changed arguments to where they become a revision."""

    def __init__(self, edits: Edits, people: Directory) -> None:
        self._edits = edits
        self._people = people

    async def consider(self, delivery: Delivery) -> Effect:
        """What the person who changed something is told."""
        standing = await self._people.standing(delivery.sender.user_id, fresh=True)
        answer = await self._edits.decide(click_of(delivery), standing, json.loads(delivery.text))
        return say(in_answer(answer.text))


class Awaited(Protocol):
    """Knows who waits for what is said in a conversation."""

    async def awaits(self, reply: Reply) -> bool:
        """True when this person's words are waited for there."""
        ...

    async def answer_in(self, conn: Connection, reply: Reply) -> bool:
        """Take the words to whoever waits for them; False when nobody does any more."""
        ...


class QuestionDesk:
    """Takes questions to the conversation, and what is answered there to whoever waits for it."""

    def __init__(self, questions: Questions, people: Directory, replies: Awaited | None = None) -> None:
        self._questions = questions
        self._people = people
        self._replies = replies or questions

    async def consider(self, delivery: Delivery) -> Effect:
        """The question, or the answer to one, as it is written down."""
        if delivery.press == REPLY:
            return self._reply(delivery)
        standing = await self._people.standing(delivery.sender.user_id, fresh=True)
        groups = await self._questions.groups()
        click = replace(click_of(delivery), reason=delivery.text)

        async def ask(conn: Connection) -> str:
            return in_answer((await self._questions.ask_in(conn, click, standing, groups)).text)

        return ask

    def _reply(self, delivery: Delivery) -> Effect:
        async def answer(conn: Connection) -> str:
            await self._replies.answer_in(conn, reply_of(delivery))
            return ""

        return answer


def reply_of(delivery: Delivery) -> Reply:
    """What was said in a thread, as an answer."""
    place = Conversation(delivery.workspace, delivery.channel, delivery.thread_ts)
    return Reply(place, delivery.sender.user_id, delivery.text, delivery.delivery_id)


class Keeper(Protocol):
    """Keeps deliveries."""

    async def commit(self, delivery: Delivery) -> bool:
        """Keep it for good; False for a repeat."""
        ...


class AwaitedReplies:
    """Keeps what is for us: of what people say to one another in threads, only the answer somebody waits for."""

    def __init__(self, deliveries: Keeper, replies: Awaited) -> None:
        self._deliveries = deliveries
        self._replies = replies

    async def commit(self, delivery: Delivery) -> bool:
        """Keep it, as an answer where one is awaited; a reply that nobody awaits is forgotten at once."""
        if delivery.kind == "event" and delivery.thread_ts and await self._is_answer(delivery):
            return await self._deliveries.commit(replace(delivery, press=REPLY))
        return delivery.press != REPLY and await self._deliveries.commit(delivery)

    async def _is_answer(self, delivery: Delivery) -> bool:
        # Said to us by name, it may also be a command: then it is that.
        if delivery.press != REPLY and not isinstance(parse(delivery.text), Unknown):
            return False
        return await self._replies.awaits(reply_of(delivery))
