"""Asking less, as people deal with it: the buttons on a suggestion, and the list of what runs alone by a grant."""

from actions.approval import Click
from actions.grants import Grants, Press
from bot.delivery import Delivery
from bot.desks import Directory
from bot.intake import Effect
from bot.runs import RunDesk, say
from bot.slack.blocks import answers
from bot.slack.blocks.autonomy_card import DECLINE, GRANT, TAKE_BACK, autonomy_list
from core.text import in_answer

_PRESSES: dict[str, Press] = {GRANT: "grant", DECLINE: "decline", TAKE_BACK: "take_back"}


class AutonomyDesk:
    """Does what is pressed on a suggestion."""

    def __init__(self, grants: Grants, people: Directory) -> None:
        self._grants = grants
        self._people = people

    async def consider(self, delivery: Delivery) -> Effect:
        """Let the one place that decides decide."""
        press = _PRESSES.get(delivery.press)
        if press is None:
            return say(answers.unknown_button())
        sender = delivery.sender
        click = Click(
            approval_id=delivery.value,
            revision=0,
            digest16="",
            verdict="approve",
            user_id=sender.user_id,
            team_id=sender.team_id,
            enterprise_id=sender.enterprise_id,
            delivery_id=delivery.delivery_id,
        )
        standing = await self._people.standing(sender.user_id, fresh=True)
        return say(in_answer((await self._grants.decide(press, click, standing)).text))


class AutonomyVerb:
    """Lists what is suggested and what runs alone by a grant."""

    usage = "autonomy"

    def __init__(self, grants: Grants, runs: RunDesk) -> None:
        self._grants = grants
        self._runs = runs

    async def consider(self, delivery: Delivery, text: str) -> Effect:
        """Tell members of this workspace; nobody else."""
        del text
        if not self._runs.is_ours(delivery):
            return say(answers.may_not_see())
        return say(autonomy_list(await self._grants.open()))
