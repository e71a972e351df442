"""Where the database files of one embedded Postgres lie, whose they are, and that they belong to this home only."""

import hashlib
import os
import re
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from pwd import getpwuid

from bot.local.home import make_folder, read_private, sync_folder, using, write_private
from bot.local.postgres_programs import STATE, STATE_REMEDY, make_state_folder, program_folder, server_user
from bot.local.processes import ServerUser
from core.errors import CountersignError

_CLUSTERS = STATE / "clusters"


class ClusterLost(CountersignError):
    """The database files of this installation are not where they were, or are those of another installation."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The files of one embedded Postgres: `folder` belongs to the server's user, `data` in it is the database."""

    folder: Path
    programs: Path
    user: ServerUser | None

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.folder / "data"

    @property
    def is_made(self) -> bool:
        """The data directory was created completely."""
        return (self.data / "PG_VERSION").exists()

    def draft(self) -> Path:
        """A name beside the data directory for a cluster in the making; remains of earlier ones are removed."""
        for remains in self.folder.glob("data.new-*"):
            shutil.rmtree(remains, ignore_errors=True)
        return self.folder / f"data.new-{secrets.token_hex(4)}"

    def lend(self, name: str, text: str) -> Path:
        """Write `text` to a new file in the folder that only the server's user can read."""
        path = self.folder / name
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            if self.user is not None:
                os.fchown(file.fileno(), self.user.uid, self.user.gid)
        return path


def open_cluster(home: Path) -> Cluster:
    """The cluster of `home`, its folder made on first use; raises ClusterLost, HomeUnwritable, PostgresMissing."""
    make_folder(make_folder(home) / "postgres")
    folder = known_folder(home) or _new_folder(home)
    return Cluster(folder, program_folder(), _owner(folder))


def keep_cluster(home: Path, cluster: Cluster) -> None:
    """Publish a data directory just made: from here on `home` names it and nobody makes another."""
    with using(cluster.folder):
        sync_folder(cluster.folder)
    if cluster.folder != home / "postgres":
        write_private(_pointer(home), str(cluster.folder))


def known_folder(home: Path) -> Path | None:
    """The folder that holds the cluster of `home`, or None before there is one; raises ClusterLost."""
    folder = _named_folder(home)
    if folder is None:
        inside = home / "postgres"
        with using(inside):
            return inside if (inside / "data").exists() else None
    if not (folder / "data").exists():
        raise ClusterLost(
            f"The database of this installation was in {folder} and is gone. Restore that folder from a backup, "
            "or run `make reset` to begin with an empty one."
        )
    other = _other_home(home, folder)
    if other is not None:
        raise ClusterLost(
            f"{home} is a copy of {other}, and both name the database in {folder}. "
            f"Delete {home / 'postgres'} to begin the copy with an empty database."
        )
    return folder


def remove_cluster(home: Path) -> None:
    """Delete the database files of `home` and its passwords; the server must be stopped; raises HomeUnwritable."""
    folder = _named_folder(home)
    if folder is not None and _other_home(home, folder) is None:
        with using(folder, STATE_REMEDY):
            _marker(folder).unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=not folder.exists())
    with using(home):
        if (home / "postgres").exists():
            shutil.rmtree(home / "postgres")


def _pointer(home: Path) -> Path:
    return home / "postgres" / "cluster"


def _named_folder(home: Path) -> Path | None:
    named = read_private(_pointer(home))
    if named is None:
        return None
    folder = Path(named)
    if folder.parent != _CLUSTERS or not re.fullmatch(r"[0-9a-f]{16}(-\d+)?", folder.name):
        raise ClusterLost(
            f"{_pointer(home)} should name a folder in {_CLUSTERS}, but says {named!r}. Restore that file."
        )
    return folder


def _other_home(home: Path, folder: Path) -> Path | None:
    """Another home that still names this cluster; a home that was moved here leaves none behind."""
    owner = read_private(_marker(folder))
    if owner == str(home):
        return None
    if owner is not None and read_private(_pointer(Path(owner))) == str(folder):
        return Path(owner)
    write_private(_marker(folder), str(home))
    return None


def _marker(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.home")


def _new_folder(home: Path) -> Path:
    user = server_user()
    if user is None:
        return home / "postgres"
    with using(_CLUSTERS, STATE_REMEDY):
        make_state_folder(STATE, 0o755)
        make_state_folder(_CLUSTERS, 0o711)
        folder = _claim(home, hashlib.sha256(os.fsencode(home)).hexdigest()[:16])
        os.chown(folder, user.uid, user.gid)
    return folder


def _claim(home: Path, name: str) -> Path:
    # A folder of that name with data in it was left by a home that was moved or deleted without
    # `make reset`. It is somebody's database: never reused, never removed.
    for number in range(1000):
        folder = _CLUSTERS / (f"{name}-{number}" if number else name)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            if (folder / "data").exists():
                continue
        write_private(_marker(folder), str(home))
        return folder
    raise ClusterLost(f"{_CLUSTERS} holds a thousand old clusters of {home}. Remove those not needed.")


def _owner(folder: Path) -> ServerUser | None:
    if os.geteuid() != 0:
        return None
    entry = folder.stat()
    try:
        name = getpwuid(entry.st_uid).pw_name
    except KeyError:
        name = str(entry.st_uid)
    return ServerUser(name, entry.st_uid, entry.st_gid)
