"""Workers die, freeze and fall silent at random: by the outside system's own log each effect happened, and once."""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.ground import KEYED, PROBEABLE, Contract, open_ground
from tests.support.nursery import Nursery
from tests.support.postgres import PostgresServer, new_test_name
from tests.support.storm import Storm, Verdict, rage

pytest_plugins = ["tests.support.migrated", "tests.support.nursery_fixture"]

FULL = os.environ.get("COUNTERSIGN_CAMPAIGN") == "full"
BOTH = (KEYED, PROBEABLE)
SMALL = Storm(runs=30, kills=16)
#: Everything that can go wrong, at once. What stands still does so between the commit of an attempt and its sending,
#: until somebody else has sent it; a plan may take longer than its maker is trusted to live, and what was done before
#: a question waits with it. Without the first the window check has nothing to stop, without the others the fence. And
#: kills come in gusts: where nobody lives long enough to notice a death, nobody ever takes over.
WHOLE = Storm(
    runs=200,
    kills=150,
    pauses=16,
    workers=6,
    kills_between=(0.2, 1.0),
    lulls=0.25,
    stands_still=0.1,
    silent=0.4,
    think=5.0,
    approve_after=4.0,
)
SEEDS = (20261122, 20261123, 20261124)
CONTROLS = ("forgetful ledger", "no window check", "unfenced saver")

pytestmark = [pytest.mark.campaign, pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture
def urls(postgres_server: PostgresServer, installation_template: str) -> Iterator[list[str]]:
    """Two fresh databases with the whole schema."""
    names = [new_test_name() for _ in BOTH]
    yield [postgres_server.make(name, template=installation_template) for name in names]
    for name in names:
        postgres_server.drop(name)


async def test_kills_lose_double_and_block_nothing_whether_keys_are_honoured_or_not(
    tmp_path: Path, urls: list[str], nursery: Nursery
) -> None:
    plan = WHOLE if FULL else SMALL
    storms = (
        campaign(tmp_path / contract.settles, url, contract, plan, nursery)
        for contract, url in zip(BOTH, urls, strict=True)
    )
    # At full size one after the other: two at once are more than a small machine can carry on.
    verdicts = [await storm for storm in storms] if FULL else await asyncio.gather(*storms)
    assert all(verdict.is_clean for verdict in verdicts), "\n".join(map(str, verdicts))


if FULL:
    # At small size tests/crash/test_controls.py shows the same, deterministically.

    @pytest.mark.parametrize("seed", SEEDS)
    @pytest.mark.parametrize("control", CONTROLS)
    async def test_the_same_storm_finds_the_duplicates_of_a_product_without_one_guard(
        tmp_path: Path, urls: list[str], nursery: Nursery, control: str, seed: int
    ) -> None:
        plan = replace(WHOLE, control=control, seed=seed, ends_early=True)
        verdict = await campaign(tmp_path, urls[0], PROBEABLE, plan, nursery)
        assert verdict.duplicated, str(verdict)


async def campaign(home: Path, url: str, contract: Contract, plan: Storm, nursery: Nursery) -> Verdict:
    """One storm over a fresh database."""
    async with open_ground(home, url, contract, nursery, delays=0.15, seed=plan.seed) as ground:
        verdict = await rage(ground, plan)
    print(f"{contract.settles}, {plan.control or 'whole product'}: {verdict}")
    return verdict
