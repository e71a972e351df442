"""What is done about answers other than yes and no: changed arguments."""

import json

from actions.edits import Edits
from bot.delivery import Delivery
from bot.desks import Directory, click_of
from bot.intake import Effect
from bot.runs import say


class EditDesk:
    """Takes changed arguments to where they become a revision."""

    def __init__(self, edits: Edits, people: Directory) -> None:
        self._edits = edits
        self._people = people

    async def consider(self, delivery: Delivery) -> Effect:
        """What the person who changed something is told."""
        standing = await self._people.standing(delivery.sender.user_id, fresh=True)
        answer = await self._edits.decide(click_of(delivery), standing, json.loads(delivery.text))
        return say(answer.text)
