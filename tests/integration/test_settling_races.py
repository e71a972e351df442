"""Two that settle the same attempt: whoever comes second takes nothing back that the first has begun."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from actions.connector import EffectClass, Outbound, Reply
from actions.intent import Record
from actions.outcome import Done
from tests.support.ledger import Died, Outside, a_house

pytest_plugins = ["tests.support.migrated"]


@dataclass
class Unhurried(Outside):
    """Answers the first look-up once a second has come, that one once it is sent to again, and the call when it may."""

    settles: EffectClass = EffectClass.PROBEABLE
    modes: list[Any] = field(default_factory=lambda: ["dies_before"])
    is_asked_twice: asyncio.Event = field(default_factory=asyncio.Event)
    is_called: asyncio.Event = field(default_factory=asyncio.Event)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, outbound: Outbound, *, timeout: timedelta) -> Reply:
        if not self.modes:
            self.is_called.set()
            await self.may_answer.wait()
        return await super().send(outbound, timeout=timeout)

    async def find(self, record: Record, receiver_key: str) -> Reply | None:
        self.looked_for.append(receiver_key)
        match len(self.looked_for):
            case 1:
                await self.is_asked_twice.wait()
                return None
            case 2:
                self.is_asked_twice.set()
                await self.is_called.wait()
                return None
            case _:
                await self.may_answer.wait()
                await asyncio.sleep(0.1)
                return await super().find(record, receiver_key)


async def test_a_second_finding_that_nothing_was_sent_leaves_the_next_attempt_alone(common_installation):
    house = a_house(common_installation, outside=Unhurried())
    caller = await house.caller()
    with suppress(Died):
        await house.refund(caller)
    owner = await house.next_owner(caller)
    both = [asyncio.create_task(house.refund(owner)) for _ in range(2)]
    async with asyncio.timeout(20):
        while len(house.outside.looked_for) < 3:
            await asyncio.sleep(0.01)
        house.outside.may_answer.set()
        outcomes = await asyncio.gather(*both)
    assert all(isinstance(outcome, Done) for outcome in outcomes)
    assert await house.states(caller) == ["unsent", "done"]
    assert len(house.outside.applied) == 1
