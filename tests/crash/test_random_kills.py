"""Workers die, freeze and fall silent at random: by the outside system's own log each effect happened, and once."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.ground import KEYED, PROBEABLE, Contract, open_ground
from tests.support.storm import Storm, Verdict, rage

pytest_plugins = ["tests.support.migrated"]

FULL = os.environ.get("COUNTERSIGN_CAMPAIGN") == "full"
SMALL = Storm(runs=30, kills=16)
#: Everything that can go wrong, at once.
WHOLE = Storm(runs=200, kills=150, pauses=16, stands_still=0.01, silent=0.1, think=1.0)

pytestmark = pytest.mark.campaign


@pytest.mark.parametrize("contract", [KEYED, PROBEABLE], ids=["keys honoured", "keys ignored"])
async def test_kills_lose_double_and_block_nothing(tmp_path: Path, installation_url: str, contract: Contract) -> None:
    verdict = await campaign(tmp_path, installation_url, contract, WHOLE if FULL else SMALL)
    assert verdict.is_clean, str(verdict)


@pytest.mark.skipif(not FULL, reason="at small size tests/crash/test_controls.py shows the same, deterministically")
async def test_the_same_campaign_finds_the_duplicates_of_a_ledger_that_forgets(
    tmp_path: Path, installation_url: str
) -> None:
    plan = replace(WHOLE, runs=40, kills=30, pauses=0, control="forgetful ledger")
    verdict = await campaign(tmp_path, installation_url, PROBEABLE, plan)
    assert verdict.duplicated, str(verdict)


async def campaign(home: Path, url: str, contract: Contract, plan: Storm) -> Verdict:
    """One storm over a fresh database."""
    async with open_ground(home, url, contract, delays=0.15, seed=plan.seed) as ground:
        verdict = await rage(ground, plan)
    print(f"{contract.settles}, {plan.control or 'whole product'}: {verdict}")
    return verdict
