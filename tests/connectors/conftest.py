"""What every test against a real server needs."""

from pathlib import Path

import aiohttp
import pytest

from tests.support.outside_servers import PYTHON


@pytest.fixture(scope="session")
def servers_python() -> Path:
    """The Python that has the servers; there is no test without it."""
    assert PYTHON.exists(), "The servers are missing. Run: make test-connectors"
    return PYTHON


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as session:
        yield session
