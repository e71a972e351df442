"""Brings a database to the shape this release needs, once, however many processes start at the same time."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import LiteralString

from core.db import Connection, DatabaseError, connect, sql, where
from core.errors import DatabaseUnusable

# Any constant will do; it must only be the same in every process of every release.
_LOCK = 0x636F756E746572

#: The oldest pgvector with iterative scans, without which a filtered search returns too few rows.
OLDEST_PGVECTOR = (0, 8, 0)


@dataclass(frozen=True)
class Migrations:
    """The numbered forward-only .sql files of one package, applied in its own schema."""

    package: str


@dataclass(frozen=True)
class Setup:
    """A third party's own set-up, run under the same lock with its schema already made."""

    schema: str
    run: Callable[[str], Awaitable[None]]


async def migrate(url: str, steps: Sequence[Migrations | Setup]) -> None:
    """Apply what is missing of `steps` in order; raises DatabaseUnusable when the database cannot be brought there."""
    async with connect(url) as conn:
        await conn.execute("select pg_advisory_lock(%s)", (_LOCK,))
        try:
            await _require_pgvector(conn, url)
            await conn.execute(
                "create table if not exists public.countersign_migration (package text, name text,"
                " sha256 text not null, applied_at timestamptz not null default clock_timestamp(),"
                " primary key (package, name))"
            )
            for step in steps:
                await _apply(conn, url, step)
        finally:
            await conn.execute("select pg_advisory_unlock(%s)", (_LOCK,))


async def _apply(conn: Connection, url: str, step: Migrations | Setup) -> None:
    match step:
        case Setup(schema, run):
            await _make_schema(conn, schema)
            await run(url)
        case Migrations(package):
            await _make_schema(conn, package)
            for name, text in _files(package):
                await _apply_file(conn, package, name, text)


async def _make_schema(conn: Connection, schema: str) -> None:
    await conn.execute(f'create schema if not exists "{schema}"'.encode())


async def _apply_file(conn: Connection, package: str, name: str, text: str) -> None:
    fingerprint = hashlib.sha256(text.encode()).hexdigest()
    cursor = await conn.execute(
        "select sha256 from public.countersign_migration where package = %s and name = %s", (package, name)
    )
    known = await cursor.fetchone()
    if known is not None:
        if known["sha256"] != fingerprint:
            raise DatabaseUnusable(
                f"Migration {package}/{name} was changed after it had been applied here. Restore the file of the"
                " release that applied it; new changes belong in a new file."
            )
        return
    async with conn.transaction():
        await conn.execute(text.encode())
        await conn.execute(
            "insert into public.countersign_migration (package, name, sha256) values (%s, %s, %s)",
            (package, name, fingerprint),
        )


def _files(package: str) -> list[tuple[str, str]]:
    folder = files(package) / "migrations"
    found = [entry for entry in folder.iterdir() if entry.name.endswith(".sql")]
    return [(entry.name, entry.read_text("utf-8")) for entry in sorted(found, key=lambda entry: entry.name)]


async def _require_pgvector(conn: Connection, url: str) -> None:
    try:
        await conn.execute("create extension if not exists vector with schema public")
    except DatabaseError as error:
        raise DatabaseUnusable(
            f"The database at {where(url)} has no pgvector extension and it could not be added"
            f" ({str(error).strip().splitlines()[0]}). Install pgvector {_written(OLDEST_PGVECTOR)} or newer on the"
            ' server and run "create extension vector" as a superuser.'
        ) from error
    cursor = await conn.execute("select extversion from pg_extension where extname = 'vector'")
    row = await cursor.fetchone()
    version = str(row["extversion"]) if row else "0"
    if tuple(int(part) for part in version.split(".")) < OLDEST_PGVECTOR:
        raise DatabaseUnusable(
            f"The database at {where(url)} has pgvector {version}; {_written(OLDEST_PGVECTOR)} or newer is needed."
            ' Upgrade it on the server and run "alter extension vector update".'
        )


def _written(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


async def grant(owner_url: str, app_url: str, steps: Sequence[Migrations | Setup]) -> None:
    """Let the app's role use what the owner's role made, except what it must not change: audit and the clock."""
    async with connect(app_url) as app:
        role = await _whoami(app)
    schemas = [step.package if isinstance(step, Migrations) else step.schema for step in steps]
    async with connect(owner_url) as conn, conn.transaction():
        if role == await _whoami(conn):
            raise DatabaseUnusable(
                f"DATABASE_OWNER_URL and DATABASE_URL both log in as {role}, so the app could alter its own audit log."
                " Give the app a role of its own, or leave DATABASE_OWNER_URL out."
            )
        for schema in schemas:
            names = {"schema": sql.Identifier(schema), "role": sql.Identifier(role)}
            for statement in _GRANTS:
                await conn.execute(sql.SQL(statement).format(**names))
        for table in _SEALED:
            await conn.execute(
                sql.SQL("revoke insert, update, delete, truncate on {table} from {role}").format(
                    table=sql.SQL(table), role=sql.Identifier(role)
                )
            )


async def _whoami(conn: Connection) -> str:
    cursor = await conn.execute("select current_user as role")
    row = await cursor.fetchone()
    assert row is not None
    return str(row["role"])


_GRANTS: Sequence[LiteralString] = (
    "grant usage on schema {schema} to {role}",
    "grant select, insert, update, delete, truncate on all tables in schema {schema} to {role}",
    "grant usage on all sequences in schema {schema} to {role}",
    "grant execute on all functions in schema {schema} to {role}",
)
#: What only the owner's functions write.
_SEALED: Sequence[LiteralString] = ("core.audit", "core.audit_head", "core.subject_key", "core.clock_shift")
