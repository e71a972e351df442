"""What crash tests ask for by name: one nursery for all of them, which must share its loop."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from tests.support.nursery import Nursery, open_nursery


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def nursery(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Nursery]:
    """A nursery that has read all our code once."""
    async with open_nursery(tmp_path_factory.mktemp("nursery")) as opened:
        yield opened
