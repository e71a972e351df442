"""Returns asked for while processes are killed at random: the provider's own log has each of them, and once."""

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.campaign import HASTY, Plan, Verdict, asks, run_campaign
from tests.support.company import Company
from tests.support.halting import Halting, forking
from tests.support.nursery import Nursery

FULL = os.environ.get("COUNTERSIGN_CAMPAIGN") == "full"
RUNS, KILLS = (60, 31) if FULL else (6, 2)
SEED = 20260105

pytest_plugins = ["tests.support.nursery_fixture"]
pytestmark = [pytest.mark.campaign, pytest.mark.asyncio(loop_scope="session")]


_WHOLE = Plan(asks(RUNS, seed=SEED), KILLS, SEED)
_FORGETFUL = Plan(asks(20 if FULL else 2, seed=SEED), 10 if FULL else 1, SEED, forgetful=True)
#: What is done, and whether the provider honours keys.
CAMPAIGNS = {"honours": (_WHOLE, True), "ignores": (_WHOLE, False), "forgets": (_FORGETFUL, False)}
VerdictOf = Callable[[str], Awaitable[Verdict]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def verdict_of(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> AsyncGenerator[VerdictOf]:
    """What one of the campaigns came to; at small size all begin with the first, for a company mostly waits."""
    home = tmp_path_factory.mktemp("campaigns")
    begun: dict[str, asyncio.Task[Verdict]] = {}

    async def wait(wanted: str) -> Verdict:
        for name in [wanted] if FULL else CAMPAIGNS:
            if name not in begun:
                plan, honours_keys = CAMPAIGNS[name]
                under_way = campaign(home / name, plan, nursery, honours_keys=honours_keys)
                begun[name] = asyncio.create_task(under_way)
        return await begun[wanted]

    yield wait
    for task in begun.values():
        task.cancel()
    await asyncio.gather(*begun.values(), return_exceptions=True)


@pytest.mark.parametrize("provider", ["honours", "ignores"])
async def test_kills_lose_and_double_nothing(verdict_of: VerdictOf, provider: str) -> None:
    verdict = await verdict_of(provider)
    assert verdict.is_clean, str(verdict)


async def test_the_same_campaign_finds_the_duplicates_of_a_ledger_that_forgets(verdict_of: VerdictOf) -> None:
    verdict = await verdict_of("forgets")
    assert verdict.duplicated
    assert not verdict.is_clean


async def campaign(home: Path, plan: Plan, nursery: Nursery, *, honours_keys: bool) -> Verdict:
    """One campaign under the contract that goes with what the provider does."""
    env = {**HASTY, "COUNTERSIGN_SANDBOX_SETTLES": "keyed" if honours_keys else "probeable"}
    company = Company(home, env=env, begin=forking(nursery))
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
