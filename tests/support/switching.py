"""The kill switch over a house, and many effects that begin while somebody presses it."""

import asyncio
import random
from dataclasses import dataclass

from actions.admission import Admission
from actions.gateway import Gateway
from actions.killswitch import By, KillSwitch, Target
from actions.outcome import Caller, Done, Outcome, Parked, Wish, scope_of
from actions.pause import Pause
from actions.pauses import covering
from core.db import Connection
from core.ids import RunId
from tests.support.company import ADA
from tests.support.ledger import House

#: Trials, and effects that are about to begin in each.
TRIALS = (1000, 8)
FEW_TRIALS = (40, 8)

EVERYTHING = Target("workspace")


def a_switch(house: House) -> KillSwitch:
    """The kill switch of this house; what it wakes is noted there."""

    async def wake(run_id: RunId, conn: Connection) -> None:
        del conn
        house.woken.append((run_id, None))

    return KillSwitch(
        house.database,
        lambda: house.rules.team,
        trips=lambda: house.rules.policy.trips,
        wake=wake,
        metrics=house.metrics,
    )


async def press(
    house: House, switch: KillSwitch, target: Target = EVERYTHING, because: str = "a drill"
) -> Pause | None:
    """Ada pauses this."""
    async with house.database.transaction() as conn:
        return await switch.pause(conn, target, By("person", ADA), because)


async def release(house: House, switch: KillSwitch, target: Target = EVERYTHING) -> Pause | None:
    """Ada resumes this."""
    async with house.database.transaction() as conn:
        return await switch.resume(conn, target, ADA)


class HastyAdmission(Admission):
    """Control: reads the switch beside the transaction that begins the attempt, as a cached flag would be."""

    def __init__(self, house: House, admission: Admission) -> None:
        super().__init__(**{name.removeprefix("_"): value for name, value in vars(admission).items()})
        self._house = house

    async def _take_part(self, conn: Connection, wish: Wish) -> None:
        del conn
        async with self._house.database.connection() as beside:
            self._seen = await covering(beside, scope_of(wish))

    async def _paused(self, conn: Connection, wish: Wish) -> Pause | None:
        del conn, wish
        return self._seen


def without_guard(house: House) -> House:
    """The same house with a gateway that looks at the switch too early."""
    gateway: Gateway = house.gateway
    gateway._admission = HastyAdmission(house, gateway._admission)  # pyright: ignore[reportPrivateUsage]
    return house


@dataclass(frozen=True)
class Trial:
    """What one press of the switch found."""

    begun_before: int
    """Attempts there were when the pause was about to commit."""
    begun_at_once_after: int
    """Attempts there were right after it had committed."""
    begun_in_all: int
    """Attempts there were once everything had come to rest, still paused."""
    parked: int
    done: int
    done_after: int
    """Effects that happened once the switch was released."""


async def trial(house: House, switch: KillSwitch, effects: int, dice: random.Random) -> Trial:
    """Let this many effects begin at once, press somewhere in between, release, and let the rest go on."""
    callers = [await house.caller() for _ in range(effects)]
    runs = [caller.run_id for caller in callers]
    going = [asyncio.create_task(_refund(house, caller, dice.random() * 0.03)) for caller in callers]
    await asyncio.sleep(dice.random() * 0.05)
    async with house.database.transaction() as conn:
        await switch.pause(conn, EVERYTHING, By("person", ADA), "a drill")
        before = await _attempts(conn, runs)
    async with house.database.connection() as conn:
        after = await _attempts(conn, runs)
    outcomes = await asyncio.gather(*going)
    async with house.database.connection() as conn:
        total = await _attempts(conn, runs)
    parked = [caller for caller, outcome in zip(callers, outcomes, strict=True) if isinstance(outcome, Parked)]
    await release(house, switch)
    again = [await house.refund(caller) for caller in parked]
    return Trial(
        before,
        after,
        total,
        parked=len(parked),
        done=sum(isinstance(outcome, Done) for outcome in outcomes),
        done_after=sum(isinstance(outcome, Done) for outcome in again),
    )


async def _refund(house: House, caller: Caller, wait: float) -> Outcome:
    await asyncio.sleep(wait)
    return await house.refund(caller)


async def _attempts(conn: Connection, runs: list[RunId]) -> int:
    cursor = await conn.execute(
        "select count(*) as many from actions.attempt join actions.intent using (intent_id) where run_id = any(%s)",
        (runs,),
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row["many"])
