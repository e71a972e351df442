"""A sandbox of its own for each test, over a copy of the sample shop that is made once for each module."""

import shutil
from collections.abc import AsyncGenerator
from pathlib import Path

import aiohttp
import pytest

from bot.local.sandbox.server import SandboxOptions, open_sandbox
from bot.sample.shop import seed_sample
from core.clock import SystemClock
from tests.support.sandbox import SandboxClient


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sample shop, which nobody changes."""
    home = tmp_path_factory.mktemp("seeded")
    seed_sample(home)
    return home


@pytest.fixture
async def session() -> AsyncGenerator[aiohttp.ClientSession]:
    """A session for whatever asks over HTTP."""
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def url(seeded: Path, tmp_path: Path) -> AsyncGenerator[str]:
    """Where this test's own sandbox answers."""
    home = Path(shutil.copytree(seeded, tmp_path / "home"))
    async with open_sandbox(SandboxOptions(port=0, home=home, clock=SystemClock())) as sandbox:
        yield sandbox.url


@pytest.fixture
def sandbox(session: aiohttp.ClientSession, url: str) -> SandboxClient:
    """Speaks to it."""
    return SandboxClient(session, url)
