"""What an outside system may do to a call, under every class: it is settled as what it was."""

import asyncio
import functools
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.ground import KEYED, OPAQUE, PROBEABLE, Contract, Found, Ground, judge, open_ground
from tests.support.nursery import Nursery

pytest_plugins = ["tests.support.migrated", "tests.support.nursery_fixture"]
pytestmark = pytest.mark.asyncio(loop_scope="session")


@dataclass(frozen=True)
class Fault:
    """What it does with the calls, and what becomes of the effect where somebody can tell, or need not."""

    calls: tuple[str, ...]
    blind: int = 0
    is_definite: bool = False
    """Even an opaque outside system has then said that nothing happened."""
    ends: str = "done"


CLASSES = (KEYED, PROBEABLE, OPAQUE)
FAULTS = (
    Fault(("apply, no answer",)),
    Fault(("apply, cut",)),
    Fault(("no answer",)),
    Fault(("500",)),
    Fault(("500, apply late",)),
    Fault(("500, apply late", "500"), blind=1),
    Fault(("apply, no answer", "apply, no answer")),
    Fault(("429", "429"), is_definite=True),
    Fault(("429",) * 4, is_definite=True),
    Fault(("refuse",), is_definite=True, ends="failed"),
)


async def test_each_fault_is_settled_as_what_it_was_under_every_class(
    tmp_path: Path, common_installation_url: str, nursery: Nursery
) -> None:
    async def wrong(contract: Contract) -> list[str]:
        # Later than the window and sooner than the landing margin's end.
        home, times = tmp_path / contract.settles, {"landing": 2, "late": 2.4}
        async with open_ground(home, common_installation_url, contract, nursery, **times) as ground:
            orders = [f"#{contract.settles}-{number}" for number, _ in enumerate(FAULTS)]
            found = await asyncio.gather(*map(functools.partial(_settled, ground), orders, FAULTS))
        pairs = zip(FAULTS, found, strict=True)
        return [f"{contract.settles}, {fault}: {each}" for fault, each in pairs if not _is_right(contract, fault, each)]

    assert not [each for found in await asyncio.gather(*map(wrong, CLASSES)) for each in found]


async def _settled(ground: Ground, order_id: str, fault: Fault) -> Found:
    await ground.receiver.plan(order_id, *fault.calls, blind=fault.blind)
    run_id = await ground.request([(order_id, "10 USD")])
    hand = await ground.start("hand", run_id=run_id)
    async with asyncio.timeout(90):
        assert await hand.ended == 0
    # Whatever was still on its way has landed by now.
    await asyncio.sleep(2.5)
    return await judge(ground, run_id, order_id)


def _is_right(contract: Contract, fault: Fault, found: Found) -> bool:
    if contract is OPAQUE and not fault.is_definite:
        asked = (found.run, found.waits_for, found.intent) == ("waiting", "in_doubt", "in_doubt")
        return asked and found.effects <= 1 and found.calls == 1
    return (found.run, found.effects) == (fault.ends, 1 if fault.ends == "done" else 0)
