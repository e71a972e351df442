"""Runs that talk: with people in their conversation, with other runs, and by the rules of how things are written."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from actions.questions import Questions, Reply
from actions.team import Team
from core.db import Connection, Database
from core.ids import RunId
from core.subjects import Vault
from graphs.dialogue import Dialogue
from graphs.handing_over import HandOver
from graphs.store import RunStore
from graphs.workflow import Workflows
from memory.playbook import Playbook
from memory.playbook_store import StoredPlaybook
from memory.store import Store

Wake = Callable[[RunId, Connection], Awaitable[None]]


@dataclass(frozen=True)
class Talk:
    """What runs talk through."""

    dialogue: Dialogue
    hand_over: HandOver
    playbook: Playbook
    wake: Wake


def make_talk(database: Database, runs: RunStore, workflows: Workflows, *, wake: Wake, vault: Vault) -> Talk:
    """What runs of this installation talk through."""
    playbook = StoredPlaybook(database, Store(vault), vault)
    return Talk(Dialogue(database), HandOver(runs, workflows, wake=wake), playbook, wake)


class Replies:
    """What is said in a conversation where somebody waits for it: an approver's question, or a run that listens."""

    def __init__(self, questions: Questions, talk: Talk, team: Callable[[], Team]) -> None:
        self._questions = questions
        self._talk = talk
        self._team = team

    async def awaits(self, reply: Reply) -> bool:
        """True when this person's words are waited for there."""
        if await self._questions.awaits(reply):
            return True
        return self._may_speak(reply) and await self._talk.dialogue.awaits(reply.conversation)

    async def answer_in(self, conn: Connection, reply: Reply) -> bool:
        """Keep the words for whoever waits for them, and wake the runs among those; False when nobody does."""
        answered = await self._questions.answer_in(conn, reply)
        # What answers an approver's question is no word to the run beside it.
        if answered or not self._may_speak(reply):
            return answered
        heard = await self._talk.dialogue.hear(
            conn, reply.conversation, person=reply.person, text=reply.text, delivery_id=reply.delivery_id
        )
        for run_id in heard:
            await self._talk.wake(run_id, conn)
        return bool(heard)

    def _may_speak(self, reply: Reply) -> bool:
        team = self._team()
        return reply.conversation.workspace == team.workspace and team.may_start(reply.person)
