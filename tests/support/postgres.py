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

from bot.local.cluster import known_folder
from bot.local.embedded import EmbeddedPostgres, EmbeddedValkey
from core.clock import SystemClock

Result = TypeVar("Result")
#: Where files are in memory, on a machine that has such a place.
MEMORY = Path("/dev/shm")
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

    def hurry(self) -> None:
        """Let nothing wait for the disk: no test kills this server, and nothing in it is kept."""
        settings = ("fsync", "full_page_writes", "autovacuum")
        self._execute(
            *(sql.SQL("ALTER SYSTEM SET {} TO off").format(sql.Identifier(name)) for name in settings),
            sql.SQL("SELECT pg_reload_conf()").format(),
        )

    def keep_tables_in(self, folder: Path) -> None:
        """Let the files of every database made from now on lie in `folder`."""
        self._execute(
            sql.SQL("CREATE TABLESPACE tests LOCATION {}").format(sql.Literal(str(folder))),
            sql.SQL("ALTER DATABASE template1 SET TABLESPACE tests").format(),
        )

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
        made = PostgresServer(apart(server.superuser_url()), app_url)
        made.hurry()
        cluster = known_folder(home)
        if home.is_relative_to(MEMORY) and cluster is not None and not cluster.is_relative_to(home):
            made.keep_tables_in(_tables(home, cluster.stat()))
        yield made
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


def _tables(home: Path, owner: os.stat_result) -> Path:
    """A folder in `home` for a server of another user, who may pass through to it and no more."""
    folder = home / "tables"
    folder.mkdir(mode=0o700)
    os.chown(folder, owner.st_uid, owner.st_gid)
    for above in (home, home.parent):
        above.chmod(0o711)
    return folder


async def _forget(home: Path) -> None:
    await EmbeddedPostgres(home, clock=SystemClock()).forget()
    await EmbeddedValkey(home).forget()
    shutil.rmtree(home, ignore_errors=True)


async def _awaited(fill: FillTemplate, url: str) -> None:
    await fill(url)


def _with_database(url: str, database: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))
