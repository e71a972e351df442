"""A database is brought to this release's shape once, by whoever comes first, or it is said why not."""

import asyncio
import sys
from pathlib import Path

import psycopg
import pytest

from bot.bootstrap import MIGRATIONS
from core.db import DatabaseError, connect, open_database
from core.errors import DatabaseUnusable
from core.migrate import Migrations, grant, migrate
from tests.support.audit_chain import first_fault, links
from tests.support.ledger import TEAM, a_house
from tests.support.roles import Roles, separate_roles

ROOT = Path(__file__).parents[2]
CORE = [Migrations("core")]
MIGRATE = (
    "import asyncio, sys; from bot.bootstrap import MIGRATIONS; from core.migrate import migrate;"
    " asyncio.run(migrate(sys.argv[1], MIGRATIONS))"
)


async def applied(url):
    async with connect(url) as conn:
        cursor = await conn.execute("select * from public.countersign_migration order by package, name")
        return await cursor.fetchall()


async def execute(url, statement):
    async with connect(url) as conn:
        await conn.execute(statement.encode())


async def test_migrating_again_changes_nothing(database_url):
    await migrate(database_url, CORE)
    before = await applied(database_url)
    await migrate(database_url, CORE)
    assert await applied(database_url) == before
    assert {row["package"] for row in before} == {"core"}


async def test_three_processes_that_start_at_once_migrate_once(database_url):
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", MIGRATE, database_url, cwd=ROOT, stderr=asyncio.subprocess.PIPE
        )
        for _ in range(3)
    ]
    for process in processes:
        _, error = await process.communicate()
        assert process.returncode == 0, error.decode()
    packages = [row["package"] for row in await applied(database_url)]
    assert set(packages) == {step.package for step in MIGRATIONS if isinstance(step, Migrations)}


async def test_a_migration_that_was_changed_after_it_was_applied_is_refused_by_name(database_url):
    await migrate(database_url, CORE)
    await execute(database_url, "update public.countersign_migration set sha256 = 'another'")
    with pytest.raises(DatabaseUnusable, match=r"core/0001_core\.sql was changed"):
        await migrate(database_url, CORE)


async def test_a_migration_that_fails_leaves_nothing_of_itself_and_does_not_keep_the_lock(database_url):
    await execute(database_url, "create schema core; create table core.outbox ()")
    with pytest.raises(DatabaseError, match="already exists"):
        await migrate(database_url, CORE)
    assert await applied(database_url) == []
    await execute(database_url, "drop schema core cascade")
    await migrate(database_url, CORE)


async def test_a_database_without_pgvector_is_refused_with_what_to_do(postgres_server):
    with separate_roles(postgres_server) as roles:
        with pytest.raises(DatabaseUnusable, match=r"(?s)no pgvector.*Install pgvector 0\.8\.0.*create extension"):
            await migrate(roles.app_url, CORE)
        assert roles.app_url.split("@")[0].split(":")[-1] not in await refusal_of(roles.app_url)


async def refusal_of(url):
    try:
        await migrate(url, CORE)
    except DatabaseUnusable as error:
        return str(error)
    return ""


async def test_a_pgvector_that_is_too_old_is_refused_with_what_to_do(postgres_server):
    with separate_roles(postgres_server) as roles:
        await execute(roles.superuser_url, "create extension vector")
        await execute(roles.superuser_url, "update pg_extension set extversion = '0.7.4' where extname = 'vector'")
        with pytest.raises(
            DatabaseUnusable, match=r"has pgvector 0\.7\.4; 0\.8\.0 or newer is needed.*alter extension"
        ):
            await migrate(roles.owner_url, CORE)


async def test_a_database_that_does_not_answer_is_named_without_its_password():
    with pytest.raises(DatabaseUnusable, match=r"127\.0\.0\.1:1/nowhere") as error:
        await migrate("postgresql://app:hunter2@127.0.0.1:1/nowhere", CORE)
    assert "hunter2" not in str(error.value)


# -- owner and app ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def roles(postgres_server):
    """A migrated database whose app has a role of its own, with a name that needs quoting everywhere."""
    with separate_roles(postgres_server, app='the "app" @ 100%') as roles:
        with psycopg.connect(roles.superuser_url, autocommit=True) as conn:
            conn.execute("create extension vector")
        asyncio.run(migrate_and_grant(roles))
        yield roles


async def migrate_and_grant(roles: Roles) -> None:
    for _ in range(2):
        await migrate(roles.owner_url, MIGRATIONS)
        await grant(roles.owner_url, roles.app_url, MIGRATIONS)


async def test_the_app_can_do_all_its_work_with_a_role_that_owns_nothing(roles):
    async with open_database(roles.app_url) as database:
        house = a_house(database)
        caller = await house.caller()
        approval_id = await house.asked(caller)
        assert (await house.answer(approval_id)).decided
        await house.refund(caller, "100 USD")
        assert await house.states(caller) == ["done"]
        async with database.connection() as conn:
            assert first_fault(await links(conn, TEAM)) is None


@pytest.mark.parametrize(
    "statement",
    [
        "update core.audit set event = 'x'",
        "delete from core.audit",
        "truncate core.audit",
        "insert into core.audit select * from core.audit",
        "update core.audit_head set seq = 0",
        "delete from core.audit_head",
        "insert into core.audit_head values ('T', 0, '')",
        "insert into core.clock_shift values (true, interval '1 day')",
        "alter table core.audit disable trigger audit_refuses",
        "drop trigger audit_refuses on core.audit",
        "drop table core.audit",
        "create or replace function core.audit_refuses() returns trigger language plpgsql as 'begin return new; end'",
        "create or replace function core.now() returns timestamptz language sql as 'select now()'",
        "create table core.mine ()",
        "set role owner_of_core",
        "set session_replication_role = replica",
    ],
)
async def test_the_app_cannot_alter_the_audit_log_or_the_clock(roles, statement):
    if statement == "set role owner_of_core":
        statement = 'set role "' + psycopg.conninfo.conninfo_to_dict(roles.owner_url)["user"] + '"'
    async with connect(roles.app_url) as conn:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await conn.execute(statement.encode())


async def test_one_role_cannot_be_both_owner_and_app(roles):
    with pytest.raises(DatabaseUnusable, match="a role of its own"):
        await grant(roles.owner_url, roles.owner_url, MIGRATIONS)
    async with open_database(roles.owner_url) as database:
        await a_house(database).caller()
