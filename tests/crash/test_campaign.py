"""Returns asked for while processes are killed at random: the provider's own log has each of them, and once."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.campaign import HASTY, Plan, Verdict, asks, run_campaign
from tests.support.company import Company
from tests.support.halting import Halting, forking
from tests.support.nursery import Nursery

FULL = os.environ.get("COUNTERSIGN_CAMPAIGN") == "full"
RUNS, KILLS = (60, 31) if FULL else (6, 2)
SEED = 20260105

pytest_plugins = ["tests.support.nursery_fixture"]
pytestmark = [pytest.mark.campaign, pytest.mark.asyncio(loop_scope="module")]


#: Whether the provider honours keys; at small size both are tried at once, for a company mostly waits.
PROVIDERS = [[True], [False]] if FULL else [[True, False]]


@pytest.mark.parametrize("honouring", PROVIDERS, ids=str)
async def test_kills_lose_and_double_nothing(tmp_path: Path, companies: Nursery, honouring: Sequence[bool]) -> None:
    plan = Plan(asks(RUNS, seed=SEED), KILLS, SEED)
    found = await asyncio.gather(
        *(campaign(tmp_path / f"{honours}", plan, companies, honours_keys=honours) for honours in honouring)
    )
    assert all(verdict.is_clean for verdict in found), "\n".join(map(str, found))


async def test_the_same_campaign_finds_the_duplicates_of_a_ledger_that_forgets(
    tmp_path: Path, companies: Nursery
) -> None:
    plan = Plan(asks(20 if FULL else 2, seed=SEED), 10 if FULL else 1, SEED, forgetful=True)
    verdict = await campaign(tmp_path / "var", plan, companies, honours_keys=False)
    assert verdict.duplicated
    assert not verdict.is_clean


async def campaign(home: Path, plan: Plan, companies: Nursery, *, honours_keys: bool) -> Verdict:
    """One campaign under the contract that goes with what the provider does."""
    env = {**HASTY, "COUNTERSIGN_SANDBOX_SETTLES": "keyed" if honours_keys else "probeable"}
    company = Company(home, env=env, begin=forking(companies))
    try:
        await company.start(*Halting(home, forgetful=plan.forgetful).command)
        # It applies at once and answers a second later: a kill in between leaves no receipt.
        await company.control("payments", honour_keys=honours_keys, delay_seconds=1.0)
        verdict = await run_campaign(company, plan)
    finally:
        await company.kill_everything()
        await company.forget()
        await company.close()
    ledger = "forgetful" if plan.forgetful else "whole"
    print(f"keys {'honoured' if honours_keys else 'ignored'}, {ledger} ledger: {verdict}")
    return verdict
