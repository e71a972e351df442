"""The kill switch as people turn it: operators and admins pause, an admin resumes."""

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import cast

from actions.action import Catalogue
from actions.killswitch import By, KillSwitch, Target, Tell, may_pause, may_resume
from actions.pattern import covers
from actions.pause import MOST_BECAUSE, Kind, pause_sentence
from actions.pause import Pause as PauseMade
from actions.policy import Rules
from actions.team import Team
from bot.commands import Pause, Resume
from bot.delivery import Delivery
from bot.intake import Effect
from bot.runs import say
from bot.slack.blocks import answers, limits
from core.db import Connection
from core.outbox import Conversation, owe_post

Names = Mapping[str, Sequence[str]]
"""What can be paused by name: the workflows, actions and connectors there are."""


class SwitchDesk:
    """Does what people say to the kill switch."""

    def __init__(self, switch: KillSwitch, team: Callable[[], Team], names: Names) -> None:
        self._switch = switch
        self._team = team
        self._names = names

    def turn(self, delivery: Delivery, asked: Pause | Resume) -> Effect:
        """Pause or resume, or say why not."""
        may = may_pause if isinstance(asked, Pause) else may_resume
        if not may(self._team(), delivery.sender.user_id):
            return say(answers.may_not_pause() if isinstance(asked, Pause) else answers.may_not_resume())
        # A pause of what is not there any more must still be liftable.
        problem = problem_with(asked.kind, asked.name, self._names) if isinstance(asked, Pause) else ""
        if problem:
            return say(limits.escape(problem))
        target = Target(cast(Kind, asked.kind), asked.name)
        return self._pause(delivery, target, asked) if isinstance(asked, Pause) else self._resume(delivery, target)

    def _pause(self, delivery: Delivery, target: Target, asked: Pause) -> Effect:
        async def pause(conn: Connection) -> str:
            by = By("person", delivery.sender.user_id)
            made = await self._switch.pause(conn, target, by, asked.because[:MOST_BECAUSE])
            return answers.paused_before() if made is None else answers.paused(self._switch.sentence(made))

        return pause

    def _resume(self, delivery: Delivery, target: Target) -> Effect:
        async def resume(conn: Connection) -> str:
            lifted = await self._switch.resume(conn, target, delivery.sender.user_id)
            return answers.not_paused() if lifted is None else answers.resumed(lifted.what)

        return resume

    async def told(self) -> list[str]:
        """What is paused, for those who look; nothing where nothing is."""
        found = await self._switch.in_force()
        return [answers.what_is_paused([self._switch.sentence(each) for each in found])] if found else []


def telling_of_trips(rules: Callable[[], Rules]) -> Tell:
    """Tells the approvals channel, or each admin where there is none, that the kill switch has tripped by itself."""

    async def tell(conn: Connection, pause: PauseMade) -> None:
        now = rules()
        channel, team = now.policy.approvals.channel, now.team
        for place in [channel] if channel is not None else team.admins:
            text = answers.tripped(pause_sentence(pause, team.name_of))
            where = Conversation(pause.workspace, place)
            await owe_post(conn, where, text=text, receiver_key=f"{pause.pause_id}.tripped.{place}")

    return tell


def names_of(catalogue: Catalogue, workflows: Sequence[str]) -> Names:
    """What can be paused by name: workflows, actions, and the connectors that actions name."""
    actions = [catalogue.get(name) for name in catalogue.names()]
    connectors = sorted({action.connector for action in actions if action is not None})
    return {"workflow": workflows, "action": catalogue.names(), "connector": connectors}


def problem_with(kind: str, name: str, names: Names) -> str:
    """Why this cannot be paused, as a sentence with what was probably meant; empty when it can."""
    if kind == "workspace":
        return ""
    known = names[kind]
    if any(covers(name, each) if kind == "action" else name == each for each in known):
        return ""
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    guess = f" Did you mean {close[0]}?" if close else ""
    return f"There is no {kind} “{name[:60]}”.{guess} There are: {', '.join(sorted(known))}. Nothing was paused."
