"""The servers that tests ask for: real, fresh for each test, and nobody's superuser."""

import psycopg
import pytest
import redis.asyncio

from tests.support.postgres import PostgresServer


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_has_a_fresh_database_with_pgvector(database_url: str, turn: int) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE leftover (embedding vector(2))")
        name = connection.execute("SELECT current_database()").fetchone()

    assert name is not None
    assert "test" in name[0], turn


def test_a_template_is_filled_before_it_is_copied(postgres_server: PostgresServer) -> None:
    async def fill(url: str) -> None:
        async with await psycopg.AsyncConnection.connect(url) as connection:
            await connection.execute("CREATE TABLE migrated ()")

    postgres_server.make_template("filled_test_template", fill)
    url = postgres_server.make("filled_test", template="filled_test_template")
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM migrated").fetchone() == (0,)
    for database in ("filled_test", "filled_test_template"):
        postgres_server.drop(database)


@pytest.mark.parametrize("turn", [1, 2])
async def test_each_test_has_an_empty_redis(redis_url: str, turn: int) -> None:
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        assert await client.dbsize() == 0
        await client.set("leftover", turn)
