"""SQLite files that keep what they acknowledged, also when the process is killed."""

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from bot.local.home import make_folder
from core.errors import CountersignError

_BUSY_SECONDS = 10.0


class SandboxUnusable(CountersignError):
    """The sandbox's files or its port cannot be used."""


def database_path(home: Path, system: str) -> Path:
    """Where the outside system of that name keeps its database under `home`."""
    return home / "sandbox" / f"{system}.sqlite3"


def shop_path(home: Path) -> Path:
    """Where the shop keeps its database under `home`."""
    return home / "sandbox" / "shop.sqlite3"


def payments_path(home: Path) -> Path:
    """Where the payment provider keeps its database under `home`."""
    return home / "sandbox" / "payments.sqlite3"


def connect(path: Path, schema: str) -> sqlite3.Connection:
    """A connection that syncs every commit (WAL), to a file that has `schema`.

    Raises HomeUnwritable for the folder, SandboxUnusable for the file.
    """
    make_folder(path.parent)
    try:
        connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    except sqlite3.Error as error:
        raise _unusable(path, error) from error
    try:
        connection.row_factory = sqlite3.Row
        # SQLite does not wait for its turn at the switch to WAL, however patient the connection is.
        with _alone(path.parent):
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(f"BEGIN IMMEDIATE; {schema} COMMIT;")
    except sqlite3.Error as error:
        connection.close()
        raise _unusable(path, error) from error
    return connection


@contextmanager
def _alone(folder: Path) -> Generator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _unusable(path: Path, error: Exception) -> SandboxUnusable:
    return SandboxUnusable(
        f"The sandbox cannot use its database {path}: {error}. "
        "Make that folder writable for this user, or set COUNTERSIGN_HOME to one that is."
    )


@contextmanager
def writing(connection: sqlite3.Connection) -> Generator[None]:
    """One write transaction: all of it is on disk at the end, or none of it after an exception."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


class Closable(Protocol):
    """Something that gives its resources back."""

    def close(self) -> None:
        """Give them back."""
        ...


Store = TypeVar("Store", bound=Closable)
Answer = TypeVar("Answer")


class Lane(Generic[Store]):
    """Runs work on one store, one piece after another, on a thread of its own and never on the event loop."""

    def __init__(self, thread: ThreadPoolExecutor, store: Store) -> None:
        self._thread = thread
        self._store = store

    async def run(self, work: Callable[[Store], Answer]) -> Answer:
        """What `work` returns; it runs to its end even if the caller stops waiting."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, self._store)

    async def close(self) -> None:
        """Finish the work that was handed over, then close the store."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._store.close)
        self._thread.shutdown(wait=True)


async def open_lane(factory: Callable[[], Store]) -> Lane[Store]:
    """A lane whose store is made by `factory` on the lane's thread; raises what `factory` raises."""
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sandbox")
    opening = thread.submit(factory)
    try:
        store = await asyncio.wrap_future(opening)
    except BaseException:
        # Whoever asked may be cancelled while the thread is still opening the file: it is closed there.
        thread.submit(_discard, opening)
        thread.shutdown(wait=False)
        raise
    return Lane(thread, store)


def _discard(opening: Future[Store]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
