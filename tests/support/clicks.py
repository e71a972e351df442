"""Many people pressing the same buttons at the same moment."""

import asyncio
import os
from dataclasses import dataclass, replace

from actions.approval import Click
from tests.support.ledger import House, a_team, ask, member, rules_of, standing

#: Approvals, and simultaneous clicks on each.
CAMPAIGN = (1000, 32)
FEW = (30, 32)


def campaign() -> bool:
    """True when heavy suites run at full size."""
    return os.environ.get("COUNTERSIGN_CAMPAIGN") == "full"


@dataclass(frozen=True)
class Asked:
    """Approvals that wait, with the clicks that will all be made at once."""

    house: House
    clicks: list[list[Click]]

    @property
    def ids(self) -> list[str]:
        """The approvals."""
        return [clicks[0].approval_id for clicks in self.clicks]

    async def click_all(self) -> list[list[bool]]:
        """Press them all, each approval's at the same moment; which of them decided."""
        return [await self._click(clicks) for clicks in self.clicks]

    async def _click(self, clicks: list[Click]) -> list[bool]:
        answers = await asyncio.gather(
            *(self.house.approvals.decide(click, standing(click.user_id)) for click in clicks)
        )
        return [answer.decided for answer in answers]


async def ask_many(house: House, approvals: int, clicks: int) -> Asked:
    """Ask about this many refunds, one run each, with as many approvers as clicks, every other of whom rejects."""
    people = {f"U0CROWD{number:02}": member(f"Person {number}", "approver", tier=1) for number in range(clicks)}
    house.rules = rules_of(ask(), team=a_team(people={**a_team().people, **people}))
    return Asked(house, [await _ask(house, list(people)) for _ in range(approvals)])


async def _ask(house: House, people: list[str]) -> list[Click]:
    approval_id = await house.asked(await house.caller())
    click = await house.click_on(approval_id)
    return [
        replace(
            click,
            user_id=person,
            verdict="approve" if place % 2 else "reject",
            delivery_id=f"{approval_id}.{person}",
        )
        for place, person in enumerate(people)
    ]
