"""What engine tests ask for by name: databases with the engine's tables, and the engine over one."""

from collections.abc import AsyncGenerator, Iterator

import pytest

from core.db import Database, open_database
from tests.support.engine import QUICK, Engine, assemble, make_engine_tables
from tests.support.postgres import PostgresServer, new_test_name


@pytest.fixture(scope="session")
def engine_template(postgres_server: PostgresServer) -> Iterator[str]:
    """The database that engine tests copy."""
    name = f"{new_test_name()}_engine"
    postgres_server.make_template(name, make_engine_tables)
    yield name
    postgres_server.drop(name)


@pytest.fixture
def engine_url(postgres_server: PostgresServer, engine_template: str) -> Iterator[str]:
    """A fresh database in which toy workflows can run."""
    name = new_test_name()
    yield postgres_server.make(name, template=engine_template)
    postgres_server.drop(name)


@pytest.fixture(scope="module")
def common_engine_url(postgres_server: PostgresServer, engine_template: str) -> Iterator[str]:
    """One such database for all tests of a module, each of which has runs of its own in it."""
    name = new_test_name()
    yield postgres_server.make(name, template=engine_template)
    postgres_server.drop(name)


@pytest.fixture
async def engine_database(engine_url: str) -> AsyncGenerator[Database]:
    """That database, open."""
    async with open_database(engine_url, max_size=12) as database:
        yield database


@pytest.fixture
def engine(engine_database: Database) -> Engine:
    """The engine over a fresh database, quick to lose patience; nobody works on it yet."""
    return assemble(engine_database, QUICK)
