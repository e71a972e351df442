"""A Postgres of this installation's own, from packaged programs: durable, private, and there again after any kill."""

import asyncio
import os
import re
import signal
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

from bot.local.cluster import Cluster, ClusterLost, keep_cluster, known_folder, open_cluster, remove_cluster
from bot.local.home import is_free, locked, log_path, log_tail, open_log, password_in, port_in
from bot.local.processes import Finished, Program, end_all, works_in
from core.clock import Clock
from core.errors import DatabaseUnusable

_APP = "countersign"
_SUPERUSER = "postgres"
_PROGRAM = "postgres"
# Crash recovery after a long busy time may take this long; a plain start takes a tenth of a second.
_READY_SECONDS = 120
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class EmbeddedPostgresFailed(DatabaseUnusable):
    """The embedded Postgres cannot be started or set up."""


@dataclass(frozen=True, slots=True)
class _Postmaster:
    pid: int
    port: int
    is_ready: bool


class EmbeddedPostgres:
    """One Postgres per home, on a loopback port, shared by every process that names the same home."""

    def __init__(self, home: Path, *, clock: Clock) -> None:
        self._home = home.resolve()
        self._clock = clock

    @property
    def pid(self) -> int | None:
        """The process id of the running server, whoever started it; None when it does not run."""
        folder = known_folder(self._home)
        found = _postmaster(folder / "data") if folder else None
        return found.pid if found else None

    async def start(self) -> str:
        """The URL of database `countersign`, with pgvector in it, for the app's role, which owns it.

        Makes the cluster on first use, adopts a running server that accepts our password, replaces one
        that does not. Any number of processes may call it at once.
        Raises HomeUnwritable, HomeBusy, ClusterLost, PostgresMissing, EmbeddedPostgresFailed, ProcessStuck.
        """
        async with self._lock():
            cluster = await asyncio.to_thread(open_cluster, self._home)
            if not cluster.is_made:
                await self._make(cluster)
            if not await self._adopt(cluster):
                await self._end(cluster, grace=5.0)
                await self._launch(cluster)
                self._require(await self._prepare(cluster, _APP), "could not be set up")
            return self._url(self._running(cluster), _APP, _APP)

    async def stop(self) -> None:
        """Shut the server down, rolling back what is open; nothing happens when it does not run."""
        async with self._lock():
            await self._stop()

    async def forget(self) -> None:
        """Stop the server and delete its cluster and passwords for good; raises HomeUnwritable."""
        async with self._lock():
            with suppress(ClusterLost):
                await self._stop()
            await asyncio.to_thread(remove_cluster, self._home)

    async def url_of(self, database: str) -> str:
        """The URL of a further database for the app's role, made (owner, pgvector) where it is missing.

        Raises EmbeddedPostgresFailed when the name is unfit or the server does not run.
        """
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", database):
            raise EmbeddedPostgresFailed(
                f"{database!r} cannot name a database. Use up to 63 lower-case letters, digits and underscores."
            )
        async with self._lock():
            cluster = await asyncio.to_thread(open_cluster, self._home)
            running = self._running(cluster)
            self._require(await self._prepare(cluster, database), f"could not make the database {database}")
            return self._url(running, _APP, database)

    async def superuser_url(self, database: str = _APP) -> str:
        """The URL of `database` for the superuser: for tests and repairs, never handed to the app.

        Raises EmbeddedPostgresFailed when the server does not run.
        """
        cluster = await asyncio.to_thread(open_cluster, self._home)
        return self._url(self._running(cluster), _SUPERUSER, database)

    def _lock(self) -> AbstractAsyncContextManager[None]:
        return locked(self._home / "postgres.lock", self._clock)

    def _password(self, role: str) -> str:
        return password_in(self._home / "postgres" / f"{role}.password")

    def _url(self, running: _Postmaster, role: str, database: str) -> str:
        return f"postgresql://{role}:{self._password(role)}@127.0.0.1:{running.port}/{database}"

    def _running(self, cluster: Cluster) -> _Postmaster:
        found = _postmaster(cluster.data)
        if found is None:
            raise EmbeddedPostgresFailed("The embedded Postgres does not run. Start it first.")
        return found

    async def _make(self, cluster: Cluster) -> None:
        draft = cluster.draft()
        secret = cluster.lend("initdb.password", self._password(_SUPERUSER))
        options = ["--auth=scram-sha-256", "--encoding=UTF8", "--no-instructions"]
        # The built-in collation sorts alike on every machine, whatever locales that machine has.
        options += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        argv = [cluster.programs / "initdb", "-D", draft, "-U", _SUPERUSER, f"--pwfile={secret}", *options]
        try:
            made = await Program(argv, cluster.folder, {}, cluster.user).finish()
        finally:
            secret.unlink()
        self._require(made, "could not make its files")
        draft.rename(cluster.data)
        keep_cluster(self._home, cluster)

    async def _adopt(self, cluster: Cluster) -> bool:
        deadline = self._clock.monotonic() + _READY_SECONDS
        found = _postmaster(cluster.data)
        while found and not found.is_ready and self._clock.monotonic() < deadline:
            await self._clock.sleep(0.05)
            found = _postmaster(cluster.data)
        return found is not None and (await self._prepare(cluster, _APP)).code == 0

    async def _stop(self) -> None:
        if known_folder(self._home) is not None:
            await self._end(await asyncio.to_thread(open_cluster, self._home), grace=20.0)

    async def _end(self, cluster: Cluster, *, grace: float) -> None:
        found = _postmaster(cluster.data)
        ask = {found.pid: signal.SIGINT} if found else {}
        await end_all(cluster.data, _PROGRAM, ask=ask, grace=grace, clock=self._clock)
        # Nobody works there any more; a number left in this file may be anybody's by now and would
        # keep the next server from starting.
        (cluster.data / "postmaster.pid").unlink(missing_ok=True)

    async def _launch(self, cluster: Cluster) -> None:
        log = log_path(self._home, "postgres")
        os.close(open_log(self._home, "postgres"))
        started_at = log.stat().st_size
        for _ in range(3):
            port = port_in(self._home / "postgres" / "port")
            done = await self._pg_ctl(cluster, port)
            if done.code == 0:
                return
            if is_free(port):
                break
        raise EmbeddedPostgresFailed(
            f"The embedded Postgres does not start: {log_tail(log, started_at)} The whole log is {log}."
        )

    async def _pg_ctl(self, cluster: Cluster, port: int) -> Finished:
        options = " ".join(f"-c {name}={value}" for name, value in {"port": port, **_SETTINGS}.items())
        argv = [cluster.programs / "pg_ctl", "start", "-w", "-s", "-t", str(_READY_SECONDS), "-o", options]
        # By environment, not by -D: pg_ctl hands -D to a shell, and a home may be called anything.
        program = Program(argv, cluster.folder, {"PGDATA": str(cluster.data)}, cluster.user)
        log = open_log(self._home, "postgres")
        try:
            return await program.finish(log=log, seconds=_READY_SECONDS + 10)
        finally:
            os.close(log)

    async def _prepare(self, cluster: Cluster, database: str) -> Finished:
        script = f"""
            SET client_min_messages = warning;
            SET log_min_error_statement = panic;
            SELECT 'CREATE ROLE {_APP}'
             WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '{_APP}') \\gexec
            ALTER ROLE {_APP} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD '{self._password(_APP)}';
            SELECT 'CREATE DATABASE {database} OWNER {_APP}'
             WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = '{database}') \\gexec
            \\connect {database}
            SET client_min_messages = warning;
            CREATE EXTENSION IF NOT EXISTS vector;
        """
        port = self._running(cluster).port
        target = f"host=127.0.0.1 port={port} user={_SUPERUSER} dbname=postgres sslmode=disable connect_timeout=15"
        argv = [cluster.programs / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", target]
        secret = {"PGPASSWORD": self._password(_SUPERUSER)}
        return await Program(argv, cluster.folder, secret, cluster.user).finish(said=script)

    def _require(self, done: Finished, failure: str) -> None:
        if done.code != 0:
            said = " ".join((done.errors or done.output).split())
            raise EmbeddedPostgresFailed(
                f"The embedded Postgres {failure}: {said} The whole log is {log_path(self._home, 'postgres')}."
            )


def _postmaster(data: Path) -> _Postmaster | None:
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return None
    if len(lines) < 4 or not (lines[0].isdigit() and lines[3].isdigit()):
        return None
    pid, port = int(lines[0]), int(lines[3])
    if not works_in(pid, data, _PROGRAM):
        return None
    return _Postmaster(pid, port, len(lines) > 7 and lines[7].strip() == "ready")
