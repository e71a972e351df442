"""The embedded Postgres: durable, private, and there again after any kill."""

import asyncio
import os
import signal
import subprocess
from pathlib import Path

import psycopg
import pytest

from bot.local.cluster import known_folder
from bot.local.embedded import EmbeddedPostgresFailed, EmbeddedValkey, ServerMoved, keep_running
from tests.support.embedded import (
    AS_ROOT,
    another_process,
    ask,
    do,
    postgres_in,
)


async def test_the_app_owns_its_database_with_pgvector_and_is_no_superuser(shared_home: Path) -> None:
    url = await postgres_in(shared_home).start()

    assert await ask(url, "SELECT current_database() || '/' || current_user") == "countersign/countersign"
    assert await ask(url, "SELECT '[1,2]'::vector <-> '[1,3]'::vector") == 1.0
    assert await ask(url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
    assert await ask(url, owner) == "countersign"


async def test_it_is_durable_and_has_room_for_a_hundred_connections(shared_home: Path) -> None:
    url = await postgres_in(shared_home).start()

    assert await ask(url, "SHOW fsync") == "on"
    assert int(str(await ask(url, "SHOW max_connections"))) >= 100
    assert await ask(url, "SHOW listen_addresses") == "127.0.0.1"


async def test_a_wrong_password_is_refused(shared_home: Path) -> None:
    server = postgres_in(shared_home)
    for url in (await server.start(), await server.superuser_url()):
        role, _, rest = url.partition("@")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            await ask(f"{role.rpartition(':')[0]}:guessed@{rest}", "SELECT 1")


async def test_a_second_start_adopts_the_running_server(shared_home: Path) -> None:
    first, second = postgres_in(shared_home), postgres_in(shared_home)
    url = await first.start()
    pid = first.pid

    assert await second.start() == url
    assert second.pid == pid is not None


async def test_a_stopped_server_is_gone_and_starts_again_where_it_was(shared_home: Path) -> None:
    server = postgres_in(shared_home)
    url = await server.start()
    for _ in range(2):
        await server.stop()
        assert server.pid is None
        assert await server.start() == url
    assert await ask(url, "SELECT 1") == 1


async def test_a_killed_postmaster_is_replaced_though_its_children_linger(shared_home: Path) -> None:
    server = postgres_in(shared_home)
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


async def test_it_outlives_a_killed_starter_and_is_adopted(shared_home: Path) -> None:
    server = postgres_in(shared_home)
    await server.stop()
    with another_process(shared_home) as starter:
        assert starter.stdout is not None
        url = (await asyncio.to_thread(starter.stdout.readline)).strip()
        pid = server.pid
        starter.kill()

    assert await server.start() == url
    assert server.pid == pid is not None


async def test_it_inherits_no_secret_of_its_starter(shared_home: Path) -> None:
    server = postgres_in(shared_home)
    await server.stop()
    with another_process(shared_home) as starter:
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


async def test_a_stale_pid_file_that_names_a_living_stranger_is_no_obstacle(shared_home: Path) -> None:
    server = postgres_in(shared_home)
    url = await server.start()
    folder = known_folder(shared_home)
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


async def test_it_moves_when_its_port_is_taken(shared_home: Path) -> None:
    server = postgres_in(shared_home)
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


async def test_a_further_database_is_made_once_and_kept(shared_home: Path) -> None:
    server = postgres_in(shared_home)
    await server.start()

    url = await server.url_of("further_test")
    await do(url, "CREATE TABLE IF NOT EXISTS mine ()")
    assert await server.url_of("further_test") == url
    assert await ask(url, "SELECT count(*) FROM mine") == 0
    assert await ask(url, "SELECT count(*) FROM pg_extension WHERE extname = 'vector'") == 1


async def test_a_name_that_is_not_plain_is_no_database(shared_home: Path) -> None:
    server = postgres_in(shared_home)
    await server.start()

    with pytest.raises(EmbeddedPostgresFailed, match="lower-case letters"):
        await server.url_of('x" OWNER postgres; --')


async def test_a_changed_password_file_is_reported_not_overruled(shared_home: Path) -> None:
    server = postgres_in(shared_home)
    url = await server.start()
    password = shared_home / "postgres" / "postgres.password"
    kept = password.read_text()
    password.write_text("another")
    try:
        with pytest.raises(EmbeddedPostgresFailed, match="password authentication failed"):
            await server.start()
    finally:
        password.write_text(kept)
    assert await server.start() == url


async def test_forgetting_leaves_nothing_of_a_first_start(fresh_home: Path) -> None:
    server = postgres_in(fresh_home)
    await server.start()
    folder = known_folder(fresh_home)
    assert folder is not None

    await server.forget()

    assert server.pid is None
    assert not (fresh_home / "postgres").exists()
    assert not list(folder.parent.glob(f"{folder.name}*"))


async def test_the_watch_brings_killed_servers_back_where_they_were(shared_home: Path) -> None:
    postgres, valkey = postgres_in(shared_home), EmbeddedValkey(shared_home)
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
        async with asyncio.timeout(30):
            while None in (now := (postgres.pid, valkey.pid)) or set(now) & set(before):
                await asyncio.sleep(0.02)
        await postgres.start()
    stop.set()
    await watch
    assert await postgres.start() == url
    assert await ask(url, "SELECT 1") == 1


class Wanderer:
    """A server that dies at once and is somewhere else at each start."""

    pid: int | None = None

    def __init__(self) -> None:
        self.starts = 0

    async def start(self) -> str:
        self.starts += 1
        return f"redis://127.0.0.1:{self.starts}"


async def test_a_server_that_comes_back_elsewhere_stops_all_and_is_reported() -> None:
    stop = asyncio.Event()

    with pytest.raises(ServerMoved, match="another port"):
        await keep_running([Wanderer()], stop=stop)
    assert stop.is_set()
