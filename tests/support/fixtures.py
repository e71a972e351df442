"""What tests ask for by name: a real Postgres, a fresh database, a real Valkey."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis

from bot.local.embedded import EmbeddedPostgres, EmbeddedValkey
from core.clock import SystemClock
from tests.support.postgres import (
    FillTemplate,
    PostgresServer,
    apart,
    embedded_postgres,
    new_test_name,
    session_home,
)


@pytest.fixture(scope="session")
def server_home() -> Iterator[Path]:
    """The home of this session's servers."""
    with session_home() as home:
        yield home


@pytest.fixture(scope="session")
def postgres_server(server_home: Path) -> Iterator[PostgresServer]:
    """One Postgres for the session: embedded, or the one that COUNTERSIGN_TEST_DATABASE_URL names."""
    given = os.environ.get("COUNTERSIGN_TEST_DATABASE_URL")
    if given:
        yield PostgresServer(maker_url=given, app_url=given)
        return
    with embedded_postgres(server_home) as server:
        yield server


@pytest.fixture(scope="session")
def fill_template() -> FillTemplate:
    """What every test database holds from the start: nothing but pgvector, unless this is overridden."""

    async def nothing_more(url: str) -> None:
        del url

    return nothing_more


@pytest.fixture(scope="session")
def database_template(postgres_server: PostgresServer, fill_template: FillTemplate) -> Iterator[str]:
    """The name of the database that test databases are copies of."""
    name = f"{new_test_name()}_template"
    postgres_server.make_template(name, fill_template)
    yield name
    postgres_server.drop(name)


@pytest.fixture
def database_url(postgres_server: PostgresServer, database_template: str) -> Iterator[str]:
    """The URL of a fresh database for the app's role; it is dropped after the test."""
    name = new_test_name()
    yield postgres_server.make(name, template=database_template)
    postgres_server.drop(name)


@pytest.fixture(scope="session")
def valkey_server(server_home: Path) -> Iterator[str]:
    """The URL of one Valkey for the session."""
    server = EmbeddedValkey(server_home)
    yield apart(server.start())
    apart(server.forget())


@pytest.fixture
def redis_url(valkey_server: str) -> str:
    """The URL of an empty Valkey."""
    with redis.Redis.from_url(valkey_server) as client:
        client.flushall()
    return valkey_server


@pytest.fixture(scope="module")
def shared_home() -> Iterator[Path]:
    """A home shared by the tests of one file: each starts what it needs, none relies on what another left."""
    with session_home() as place:
        yield place
        apart(EmbeddedPostgres(place, clock=SystemClock()).forget())
        apart(EmbeddedValkey(place).forget())


@pytest.fixture
async def fresh_home() -> AsyncIterator[Path]:
    """A home of one test's own; its servers are gone afterwards."""
    with session_home() as place:
        yield place
        await EmbeddedPostgres(place, clock=SystemClock()).forget()
        await EmbeddedValkey(place).forget()
