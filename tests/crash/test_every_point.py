"""kill -9 at every point on the way of an effect, for every class: by the outside system's own log it happened once."""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.ground import KEYED, OPAQUE, PROBEABLE, Contract, Found, Ground, judge, open_ground
from tests.support.nursery import Nursery
from tests.support.traps import APPLIED, COMMITTED, ON_ITS_WAY

pytest_plugins = ["tests.support.migrated", "tests.support.nursery_fixture"]

FULL = os.environ.get("COUNTERSIGN_CAMPAIGN") == "full"

pytestmark = [pytest.mark.campaign, pytest.mark.asyncio(loop_scope="session")]

#: How many deaths are tried at a time.
AT_ONCE = 12
SMALL, ASKED = "10 USD", "60 USD"
CLASSES = (KEYED, PROBEABLE, OPAQUE)


@dataclass(frozen=True)
class Scenario:
    """Where the processes of one run die, one after the other, and how it must end all the same."""

    deaths: tuple[str, ...]
    amount: str = SMALL
    calls: tuple[str, ...] = ()
    """What the outside system does with the calls, in order."""
    blind: int = 0
    """How many look-ups it cannot answer."""
    contracts: tuple[Contract, ...] = CLASSES
    """Those under which a run comes to these points at all."""
    unknown: bool = True
    """An opaque effect is then for a person to settle."""
    ends: str = "done"

    def __str__(self) -> str:
        told = f" ({', '.join(self.calls)})" if self.calls else ""
        return " + ".join(self.deaths) + told


def _known(*points: str, amount: str = SMALL, calls: tuple[str, ...] = (), ends: str = "done") -> list[Scenario]:
    """At these points nothing is unknown, whatever the class."""
    return [Scenario((point,), amount, calls, unknown=False, ends=ends) for point in points]


def _both(write: str) -> tuple[str, str]:
    return f"before {write} is committed", f"after {write} is committed"


_CUT_OFF = "before the request is sent"

SCENARIOS = [
    # Before anything is sent.
    *_known("after the run is taken", _both("the intent")[0], _both("the attempt")[0]),
    *_known(*_both("the question"), *_both("the vote"), _both("the attempt")[0], amount=ASKED),
    *_known("before it is parked", amount=ASKED),
    # Around the call.
    Scenario((COMMITTED,)),
    Scenario((COMMITTED,), ASKED),
    Scenario((_CUT_OFF,)),
    Scenario((ON_ITS_WAY,), calls=("apply slowly",)),
    Scenario((APPLIED,), calls=("answer slowly",)),
    Scenario(("after the reply",)),
    Scenario((_both("the receipt")[0],)),
    # After it.
    *_known(_both("the receipt")[1], "after the effect, before its checkpoint", *_both("the end")),
    *_known(_both("the refusal")[1], calls=("refuse",), ends="failed"),
    Scenario((_both("the refusal")[0],), calls=("refuse", "refuse"), ends="failed"),
    *_known(_both("that nothing was sent")[1], calls=("429",)),
    Scenario((_both("that nothing was sent")[0],), calls=("429",)),
    # While finding out what became of it.
    *(Scenario((APPLIED, point), calls=("answer slowly",), contracts=(OPAQUE,)) for point in _both("the doubt")),
    *(
        Scenario((APPLIED, "waiting for what may still land"), calls=("answer slowly",), contracts=(contract,))
        for contract in (PROBEABLE, OPAQUE)
    ),
    *(
        Scenario((APPLIED, point), calls=("answer slowly",), contracts=(PROBEABLE,))
        for point in ("before the look-up", "after the look-up", *_both("the receipt"))
    ),
    *(Scenario((_CUT_OFF, point), contracts=(PROBEABLE,)) for point in _both("that nothing was sent")),
    *(Scenario((COMMITTED, point), contracts=(PROBEABLE,)) for point in (_both("the attempt")[0], COMMITTED)),
    Scenario((APPLIED, "before it is parked"), calls=("answer slowly",), contracts=(OPAQUE,)),
    *(Scenario((point,), calls=("apply, no answer",)) for point in _both("the doubt")),
    *(
        Scenario((APPLIED, point), calls=("answer slowly",), blind=1, contracts=(PROBEABLE,))
        for point in _both("when to look again")
    ),
    # While sending again.
    *(
        Scenario((APPLIED, point), calls=("answer slowly", again), contracts=(KEYED,))
        for again, point in (
            *(("", point) for point in (*_both("the renewal"), _CUT_OFF, "after the reply", *_both("the receipt"))),
            ("apply slowly", ON_ITS_WAY),
            ("answer slowly", APPLIED),
            *(("refuse", point) for point in ("before the look-up", "after the look-up")),
            *(("apply, no answer", point) for point in (*_both("when to look again"), "before it is parked")),
        )
    ),
    Scenario((_CUT_OFF, ON_ITS_WAY), calls=("apply slowly",), contracts=(KEYED,)),
    Scenario((_CUT_OFF, _both("the refusal")[0]), calls=("refuse", "refuse"), contracts=(KEYED,), ends="failed"),
]


async def test_a_kill_at_any_point_leaves_one_effect_or_a_question_under_every_class(
    tmp_path: Path, common_installation_url: str, nursery: Nursery
) -> None:
    slots = asyncio.Semaphore(AT_ONCE)

    async def wrong(contract: Contract) -> list[str]:
        mine = _scenarios_of(contract)
        async with open_ground(tmp_path / contract.settles, common_installation_url, contract, nursery) as ground:

            async def tried(number: int, scenario: Scenario) -> str:
                async with slots:
                    return await _try(ground, f"#{contract.settles}-{number}", scenario)

            found = await asyncio.gather(*(tried(number, scenario) for number, scenario in enumerate(mine)))
        print(f"{contract.settles}: {len(mine)} points, {sum(map(bool, found))} wrong")
        return [
            f"{contract.settles}, {scenario}: {fault}" for scenario, fault in zip(mine, found, strict=True) if fault
        ]

    assert not [each for found in await asyncio.gather(*map(wrong, CLASSES)) for each in found]


def _scenarios_of(contract: Contract) -> list[Scenario]:
    """All that its runs can come to; at small size each point under one class only."""
    mine = [(number, scenario) for number, scenario in enumerate(SCENARIOS) if contract in scenario.contracts]
    return [
        scenario
        for number, scenario in mine
        if FULL or scenario.contracts[number % len(scenario.contracts)] is contract
    ]


async def _try(ground: Ground, order_id: str, scenario: Scenario) -> str:
    """What went wrong, in words; empty when all is well."""
    await ground.receiver.plan(order_id, *scenario.calls, blind=scenario.blind)
    run_id = await ground.request([(order_id, scenario.amount)])
    for point in scenario.deaths:
        hand = await ground.start("hand", run_id=run_id, die_at=point)
        async with asyncio.timeout(60):
            code = await hand.ended
        if code != -9:
            return f"never came to {point!r} (ended with {code}): {await judge(ground, run_id, order_id)}"
    hand = await ground.start("hand", run_id=run_id)
    async with asyncio.timeout(60):
        await hand.ended
    return _fault(scenario, ground.contract, await judge(ground, run_id, order_id))


def _fault(scenario: Scenario, contract: Contract, found: Found) -> str:
    if contract is OPAQUE and scenario.unknown:
        is_asked = (found.run, found.waits_for, found.intent) == ("waiting", "in_doubt", "in_doubt")
        return "" if is_asked and found.effects <= 1 and found.calls <= 1 else str(found)
    wanted = (scenario.ends, scenario.ends, 1 if scenario.ends == "done" else 0)
    return "" if (found.run, found.intent, found.effects) == wanted else str(found)
