"""The folder of one installation: private files, its logs, and one process at a time where it matters."""

import fcntl
import os
import secrets
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from pwd import getpwuid

from core.clock import Clock
from core.errors import CountersignError

_LOG_LIMIT = 16 * 1024 * 1024
_LOCK_SECONDS = 120.0


class HomeUnwritable(CountersignError):
    """The folder of the installation, or a file in it, cannot be used by whoever runs this process."""


class HomeBusy(CountersignError):
    """Something this installation needs for itself, a lock or a port, is held by others."""


_REMEDY = "Let that user own the folder, or point COUNTERSIGN_HOME at one that it may write to."


@contextmanager
def using(path: Path, remedy: str = _REMEDY) -> Generator[None]:
    """Turn the operating system's refusal of `path` into HomeUnwritable, which says who, where and what to do."""
    try:
        yield
    except OSError as error:
        reason = "a file is in its place" if isinstance(error, FileExistsError) else error.strerror or error
        raise HomeUnwritable(f"{_who()} cannot use {error.filename or path}: {reason}. {remedy}") from error


def _who() -> str:
    uid = os.geteuid()
    try:
        return f"User {getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"The user with uid {uid}"


def make_folder(path: Path) -> Path:
    """Make `path` with mode 0700 unless it is there; an existing folder keeps its mode; raises HomeUnwritable."""
    with using(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
    return path


def write_private(path: Path, text: str) -> None:
    """Replace `path` by `text` in one durable step, readable by its owner only; raises HomeUnwritable."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with using(path):
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make the names in `path` survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_private(path: Path) -> str | None:
    """The text kept in `path`, or None where there is none; raises HomeUnwritable."""
    with using(path):
        try:
            return path.read_text(encoding="utf-8").strip() or None
        except FileNotFoundError:
            return None


def password_in(path: Path) -> str:
    """The password kept in `path`, chosen at random (192 bits) the first time; raises HomeUnwritable."""
    kept = read_private(path)
    if kept is None:
        kept = secrets.token_urlsafe(24)
        write_private(path, kept)
    return kept


def port_in(path: Path) -> int:
    """The loopback port remembered in `path` if nobody listens there, else a free one that is remembered from now."""
    kept = read_private(path)
    if kept is not None and kept.isdigit() and is_free(int(kept)):
        return int(kept)
    port = _free_port()
    write_private(path, str(port))
    return port


def _free_port() -> int:
    # Below the kernel's ephemeral range: there, a client that keeps calling while the server is away can
    # be given the server's own port and keep the server from coming back.
    drawn = (20000 + secrets.randbelow(12000) for _ in range(200))
    found = next((port for port in drawn if is_free(port)), None)
    if found is None:
        raise HomeBusy("No loopback port between 20000 and 32000 is free. Stop what fills them, then start again.")
    return found


def is_free(port: int) -> bool:
    """Nobody listens on this loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return False
    return True


def log_path(home: Path, name: str) -> Path:
    """Where the process `name` of this installation writes its log."""
    return home / "log" / f"{name}.log"


def open_log(home: Path, name: str) -> int:
    """A descriptor appending to the log of `name` (0600), a log past 16 MB set aside first; raises HomeUnwritable."""
    path = log_path(home, name)
    make_folder(path.parent)
    with using(path):
        if path.exists() and path.stat().st_size > _LOG_LIMIT:
            path.replace(path.with_suffix(".log.old"))
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def log_tail(path: Path, start: int = 0) -> str:
    """The last complaint written to a log after byte `start`, on one line; or its last lines."""
    try:
        with path.open("rb") as file:
            file.seek(max(start, file.seek(0, os.SEEK_END) - 8192))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return "it left no log."
    told = [line for line in lines if "FATAL" in line or "PANIC" in line] or lines
    return " ".join(" ".join(told[-3:]).split()) or "it left no log."


@asynccontextmanager
async def locked(path: Path, clock: Clock) -> AsyncGenerator[None]:
    """Hold the lock file `path`, one holder at a time on this machine, freed even by kill -9.

    Raises HomeBusy after two minutes, HomeUnwritable.
    """
    make_folder(path.parent)
    with using(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = clock.monotonic() + _LOCK_SECONDS
        while not _take(descriptor):
            if clock.monotonic() > deadline:
                raise HomeBusy(
                    f"Another process has held {path} for {_LOCK_SECONDS:.0f} seconds. "
                    f"Find it with `fuser {path}`, stop it, and start again."
                )
            await clock.sleep(0.02)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
