"""What people press on the card of an effect in doubt."""

from typing import Protocol

from actions.approval import Answer, Click, Standing
from actions.doubt import Finding
from bot.delivery import Delivery
from bot.desks import Directory, click_of
from bot.intake import Effect
from bot.runs import say
from bot.slack.blocks import answers
from bot.slack.blocks.doubt_card import ABSENT, HAPPENED, LOOKING
from core.text import in_answer

_FINDINGS = {HAPPENED: Finding.HAPPENED, ABSENT: Finding.ABSENT, LOOKING: Finding.LOOKING}


class Settlements(Protocol):
    """The effects in doubt, as far as settling them needs."""

    async def settle(self, finding: Finding, click: Click, standing: Standing | None) -> Answer:
        """Let this person's word count once if they are entitled."""
        ...


class DoubtDesk:
    """Hands a person's word about an effect to the one place where it counts."""

    def __init__(self, doubts: Settlements, people: Directory) -> None:
        self._doubts = doubts
        self._people = people

    async def consider(self, delivery: Delivery) -> Effect:
        """What the person is told; an unknown button says nothing about anything."""
        finding = _FINDINGS.get(delivery.press)
        if finding is None:
            return say(answers.unknown_button())
        # Asked of Slack at every click: whoever left a minute ago must not settle anything.
        standing = await self._people.standing(delivery.sender.user_id, fresh=True)
        return say(in_answer((await self._doubts.settle(finding, click_of(delivery), standing)).text))
