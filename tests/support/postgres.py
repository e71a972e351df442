"""Real servers for tests: one embedded Postgres and Valkey a session, a fresh database a test."""

import asyncio
import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from bot.local.embedded import EmbeddedPostgres, EmbeddedValkey
from core.clock import SystemClock

Result = TypeVar("Result")
FillTemplate = Callable[[str], Awaitable[None]]


def apart(work: Coroutine[object, object, Result]) -> Result:
    """Run `work` on a loop of its own in a thread of its own, so that a test's loop never meets it."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(asyncio.run, work).result()


@dataclass(frozen=True)
class PostgresServer:
    """A server on which tests make and drop databases: `maker_url` may do that, `app_url` is whom tests act as."""

    maker_url: str
    app_url: str

    def url_of(self, database: str) -> str:
        """The URL of `database` for the app's role."""
        return _with_database(self.app_url, database)

    def make(self, database: str, *, template: str = "template1") -> str:
        """Make `database` from `template`, owned by the app's role; return its URL."""
        owner = urlsplit(self.app_url).username or "postgres"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(
            sql.Identifier(database), sql.Identifier(template), sql.Identifier(owner)
        )
        # No test kills this server: what it has acknowledged need not have reached the disk.
        quick = sql.SQL("ALTER DATABASE {} SET synchronous_commit TO off").format(sql.Identifier(database))
        self._execute(statement, quick)
        return self.url_of(database)

    def make_template(self, database: str, fill: FillTemplate) -> None:
        """Make `database` with pgvector in it and let `fill` migrate it."""
        url = self.make(database)
        with psycopg.connect(_with_database(self.maker_url, database), autocommit=True) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        apart(_awaited(fill, url))

    def drop(self, database: str) -> None:
        """Drop `database`, whoever is still connected to it."""
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))

    def _execute(self, *statements: sql.Composed) -> None:
        with psycopg.connect(self.maker_url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)


def new_test_name() -> str:
    """A fresh database name that says what it is: only such databases may have their clock set."""
    return f"test_{os.getpid()}_{secrets.token_hex(4)}"


@contextmanager
def embedded_postgres(home: Path) -> Generator[PostgresServer]:
    """A server of our own in `home`, gone without a trace afterwards."""
    server = EmbeddedPostgres(home, clock=SystemClock())
    app_url = apart(server.start())
    try:
        yield PostgresServer(apart(server.superuser_url()), app_url)
    finally:
        apart(server.forget())


@contextmanager
def session_home() -> Generator[Path]:
    """A short-named temporary home; homes left by test sessions that were killed are cleared away first."""
    root = Path(tempfile.gettempdir()) / f"countersign-tests-{os.getuid()}"
    root.mkdir(mode=0o700, exist_ok=True)
    with (root / ".lock").open("w") as lock:
        # Test processes that start side by side must not clear the same home away.
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in root.iterdir():
            if left.is_dir() and not Path("/proc", left.name.partition("-")[0]).exists():
                apart(_forget(left))
    home = root / f"{os.getpid()}-{secrets.token_hex(3)}"
    home.mkdir(mode=0o700)
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


async def _forget(home: Path) -> None:
    await EmbeddedPostgres(home, clock=SystemClock()).forget()
    await EmbeddedValkey(home).forget()
    shutil.rmtree(home, ignore_errors=True)


async def _awaited(fill: FillTemplate, url: str) -> None:
    await fill(url)


def _with_database(url: str, database: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))
