"""What tests of the whole schema ask for by name: databases that come with everything the installation migrates."""

from collections.abc import AsyncGenerator, Iterator

import pytest

from bot.bootstrap import MIGRATIONS
from core.db import Database, open_database
from core.migrate import migrate
from core.secrets import FileWrappingKey
from core.subjects import Vault
from tests.support.postgres import PostgresServer, new_test_name


@pytest.fixture(scope="session")
def installation_template(postgres_server: PostgresServer) -> Iterator[str]:
    """The migrated database that tests copy."""

    async def fill(url: str) -> None:
        await migrate(url, MIGRATIONS)

    name = f"{new_test_name()}_installation"
    postgres_server.make_template(name, fill)
    yield name
    postgres_server.drop(name)


@pytest.fixture(scope="session")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    """What seals people's texts, with a wrapping key of this session's own."""
    return Vault(FileWrappingKey(tmp_path_factory.mktemp("keys") / "wrapping.key"))


@pytest.fixture
def installation_url(postgres_server: PostgresServer, installation_template: str) -> Iterator[str]:
    """The URL of a fresh database with the whole schema."""
    name = new_test_name()
    yield postgres_server.make(name, template=installation_template)
    postgres_server.drop(name)


@pytest.fixture
async def installation_database(installation_url: str, vault: Vault) -> AsyncGenerator[Database]:
    """That database, open."""
    async with open_database(installation_url, max_size=20, vault=vault) as database:
        yield database


@pytest.fixture(scope="module")
def common_installation_url(postgres_server: PostgresServer, installation_template: str) -> Iterator[str]:
    """One database with the whole schema for all tests of a module, each of which has runs of its own in it."""
    name = new_test_name()
    yield postgres_server.make(name, template=installation_template)
    postgres_server.drop(name)


@pytest.fixture
async def common_installation(common_installation_url: str, vault: Vault) -> AsyncGenerator[Database]:
    """That database, open, its clock set right for whoever comes next."""
    async with open_database(common_installation_url, max_size=20, vault=vault) as database:
        yield database
        async with database.connection() as conn:
            await conn.execute("delete from core.clock_shift")
