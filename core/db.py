"""The home of psycopg: a pool, transactions, and a bell that rings when another process commits."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from core.errors import DatabaseUnusable


class Sealing(Protocol):
    """Turns what people wrote into ciphertext under their own keys (core.subjects.Vault)."""

    async def seal(
        self, conn: "Connection", workspace: str, people: Sequence[str], *, about: str, text: str
    ) -> dict[str, Any]:
        """`text` as it may stand in the audit log."""
        ...


class Connection(AsyncConnection[DictRow]):
    """One connection, with what the audit log needs to know about this process."""

    vault: Sealing | None = None
    """Without it what people wrote is left out of the audit log."""
    owed: list[Callable[[], Awaitable[object]]]
    """Audit events that wait for the end of the transaction; `core.audit` writes them in order."""


Pool = AsyncConnectionPool[Connection]
Row = DictRow
DatabaseError = psycopg.Error
UniqueViolation = psycopg.errors.UniqueViolation

#: Raised by graphs.fence(): the run has a newer owner.
FENCED = "CS001"

#: Where unqualified names are looked for: only the third parties' own tables are ever unqualified.
SEARCH_PATH = "langgraph,engine,public"

#: pgvector filters what its graph gives, and without these it stops after 40, however few of them were asked for.
_SETTINGS = {"search_path": SEARCH_PATH, "hnsw.iterative_scan": "relaxed_order", "hnsw.ef_search": "100"}

__all__ = [
    "FENCED",
    "Connection",
    "Database",
    "DatabaseError",
    "Pool",
    "Row",
    "Sealing",
    "UniqueViolation",
    "connect",
    "is_fenced",
    "is_outage",
    "is_untouched",
    "jsonb",
    "open_database",
    "raise_if_cancelled",
    "settle",
    "sql",
    "where",
    "with_settings",
]

log = logging.getLogger(__name__)


def jsonb(value: Any) -> Jsonb:
    """`value` as a jsonb parameter."""
    return Jsonb(value)


def is_fenced(error: BaseException) -> bool:
    """True when `error` says that the run this process was advancing has a newer owner."""
    return isinstance(error, psycopg.Error) and error.sqlstate == FENCED


def is_outage(error: BaseException) -> bool:
    """True when `error` says that the database could not be reached, rather than that a statement was wrong."""
    return isinstance(error, psycopg.OperationalError | PoolTimeout | psycopg.InterfaceError)


def is_untouched(error: BaseException) -> bool:
    """True when `error` says that a table or function is not there: nothing was ever started on this database."""
    return isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.UndefinedFunction)


def raise_if_cancelled() -> None:
    """Raise the cancellation that a query may have lost: what loops for good over queries asks after each.

    Before Python 3.12 a cancellation that meets the end of an `asyncio.wait_for`, as the pool uses, is swallowed
    (https://github.com/python/cpython/issues/86296).
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def with_settings(url: str) -> str:
    """The same database with what every connection of ours is set to, as startup options of the connection."""
    parts = urlsplit(url)
    option = "options=" + quote(" ".join(f"-c {name}={value}" for name, value in _SETTINGS.items()))
    return urlunsplit(parts._replace(query=f"{parts.query}&{option}" if parts.query else option))


class Database:
    """One Postgres database behind a pool of autocommit connections."""

    def __init__(self, url: str, pool: Pool) -> None:
        self.url = url
        self.pool = pool

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[Connection]:
        """A pooled connection in autocommit mode: each statement is its own transaction."""
        async with self.pool.connection() as conn:
            yield conn

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Connection]:
        """A pooled connection inside one transaction: all of it is committed, or none."""
        async with self.pool.connection() as conn:
            conn.owed = []
            async with conn.transaction():
                yield conn
                await settle(conn)

    async def listen(self, channels: Sequence[str], ring: Callable[[], None]) -> None:
        """Call `ring` after each NOTIFY on `channels`, and after each reconnect, until cancelled."""
        while True:
            try:
                async with await AsyncConnection.connect(self.url, autocommit=True) as conn:
                    for channel in channels:
                        await conn.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
                    ring()
                    async for _ in conn.notifies():
                        ring()
            except psycopg.Error as error:
                log.warning("lost the bell's connection, trying again: %s", error)
            raise_if_cancelled()
            await asyncio.sleep(1)


@asynccontextmanager
async def open_database(
    url: str, *, min_size: int = 2, max_size: int = 16, vault: Sealing | None = None
) -> AsyncGenerator[Database]:
    """A database whose pool is open inside the block; raises DatabaseUnusable when it does not answer in 15 s."""
    pool: Pool = AsyncConnectionPool(
        with_settings(url),
        connection_class=Connection,
        configure=_known_to(vault),
        min_size=min_size,
        max_size=max_size,
        timeout=15,
        open=False,
        check=_check,
        kwargs={"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row},
    )
    try:
        await pool.open(wait=True, timeout=15)
    except PoolTimeout as error:
        await pool.close()
        raise DatabaseUnusable(
            f"Postgres at {where(url)} did not answer in 15 s. Start it, or correct DATABASE_URL."
        ) from error
    try:
        yield Database(url, pool)
    finally:
        await pool.close()


def _known_to(vault: Sealing | None) -> Callable[[Connection], Awaitable[None]]:
    async def configure(conn: Connection) -> None:
        conn.vault, conn.owed = vault, []

    return configure


async def settle(conn: Connection) -> None:
    """Write the audit events this transaction still owes, in their order."""
    while conn.owed:
        await conn.owed.pop(0)()


async def _check(conn: Connection) -> None:
    await conn.execute("select 1")


@asynccontextmanager
async def connect(url: str) -> AsyncGenerator[Connection]:
    """One connection of its own, autocommit, for migrations and checks; raises DatabaseUnusable."""
    try:
        conn = await Connection.connect(with_settings(url), autocommit=True, row_factory=dict_row, connect_timeout=10)
    except psycopg.ProgrammingError:
        # Its text repeats what it could not read, password included.
        raise DatabaseUnusable(
            "DATABASE_URL is no address of a Postgres. Write it like postgresql://user:password@host:5432/name."
        ) from None
    except psycopg.OperationalError as error:
        reason = " ".join(str(error).split())
        raise DatabaseUnusable(
            f"Postgres at {where(url)} cannot be reached ({reason}). Start it, or correct DATABASE_URL."
        ) from error
    conn.owed = []
    async with conn:
        yield conn


def where(url: str) -> str:
    """The address of a database URL without user or password, for people to read."""
    parts = urlsplit(url)
    return f"{parts.hostname or 'localhost'}:{parts.port or 5432}{parts.path}"
