"""The database's clock can be set in test databases and nowhere else."""

import secrets
from datetime import timedelta

import pytest

from core.db import DatabaseError, connect
from core.migrate import Migrations, migrate
from tests.support.roles import separate_roles

SHIFT = "insert into core.clock_shift (shift) values (%s)"


async def ahead(conn):
    """How far core.now() is ahead of the machine's clock."""
    cursor = await conn.execute("select core.now() - clock_timestamp() as ahead")
    row = await cursor.fetchone()
    return row["ahead"]


@pytest.mark.parametrize("by", [timedelta(days=40), timedelta(days=-40)])
async def test_a_test_database_can_be_set_to_another_time_and_back(database_url, by):
    await migrate(database_url, [Migrations("core")])
    async with connect(database_url) as conn:
        assert abs(await ahead(conn)) < timedelta(seconds=1)
        await conn.execute(SHIFT, (by,))
        assert abs(await ahead(conn) - by) < timedelta(seconds=1)
        await conn.execute("delete from core.clock_shift")
        assert abs(await ahead(conn)) < timedelta(seconds=1)


async def test_time_goes_on_within_a_transaction(database_url):
    await migrate(database_url, [Migrations("core")])
    async with connect(database_url) as conn, conn.transaction():
        stamps = []
        for _ in range(2):
            row = await (await conn.execute("select core.now() as now, pg_sleep(0.005)")).fetchone()
            assert row is not None
            stamps.append(row["now"])
    assert stamps[0] < stamps[1]


async def test_no_other_database_can(postgres_server):
    with separate_roles(postgres_server, database=f"shop_{secrets.token_hex(4)}") as roles:
        async with connect(roles.superuser_url) as conn:
            await conn.execute("create extension vector")
        await migrate(roles.owner_url, [Migrations("core")])
        async with connect(roles.owner_url) as conn:
            with pytest.raises(DatabaseError, match="only_in_test_databases"):
                await conn.execute(SHIFT, (timedelta(days=1),))
            assert abs(await ahead(conn)) < timedelta(seconds=1)


async def test_there_is_one_shift_at_most(database_url):
    await migrate(database_url, [Migrations("core")])
    async with connect(database_url) as conn:
        await conn.execute(SHIFT, (timedelta(days=1),))
        with pytest.raises(DatabaseError):
            await conn.execute(SHIFT, (timedelta(days=1),))
        with pytest.raises(DatabaseError):
            await conn.execute("insert into core.clock_shift values (false, interval '1 day')")
