"""Real servers of outside systems: started for a test, each on loopback, and never replaced when one cannot be had."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
SERVERS = ROOT / "tests" / "connectors" / "servers"
#: The Python that has the servers; `make test-connectors` sets it up.
PYTHON = ROOT / ".venv" / "connectors" / "bin" / "python"
GHOST = ROOT / ".venv" / "connectors" / "ghost"


@contextmanager
def running(
    *command: object, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Generator[subprocess.Popen[bytes]]:
    """This program and what it started, until the block ends; its output is shown when it dies of itself."""
    process = subprocess.Popen(
        [str(part) for part in command],
        env={**os.environ, **(env or {})},
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
        assert process.poll() is None, f"{command[0]} ended by itself"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        # PHP's own server leaves its workers behind.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


async def answering(port: int, *, tries: int = 150) -> None:
    """Return once something listens there."""
    for _ in range(tries):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
            continue
        writer.close()
        return
    raise AssertionError(f"nothing came up on port {port}")


@dataclass(frozen=True)
class MariaDb:
    """A running MariaDB of its own."""

    port: int
    socket: Path

    def run(self, name: str, statement: str) -> str:
        """What this statement gives, as tab-separated lines without a head."""
        command = [
            "mariadb",
            "--no-defaults",
            f"--socket={self.socket}",
            "-uroot",
            *([name] if name else []),
            "-N",
            "-e",
            statement,
        ]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@contextmanager
def mariadb(home: Path, name: str) -> Generator[MariaDb]:
    """A MariaDB under `home` with one empty database."""
    data, made = home / "data", MariaDb(free_port(), home / "db.sock")
    plain = ["--no-defaults", f"--datadir={data}", "--user=root"]
    fresh = [*plain, "--auth-root-authentication-method=normal", "--skip-test-db"]
    subprocess.run(["mariadb-install-db", *fresh], check=True, capture_output=True)
    small = ["--innodb-buffer-pool-size=64M", "--skip-name-resolve", "--character-set-server=utf8mb4"]
    where = [f"--port={made.port}", "--bind-address=127.0.0.1", f"--socket={made.socket}"]
    with running("mariadbd", *plain, *where, *small):
        wait_for(made.port)
        made.run("", f"create database {name}")
        yield made


def wait_for(port: int, *, tries: int = 600) -> None:
    """Return once something listens there; for fixtures that are not asynchronous."""
    for _ in range(tries):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise AssertionError(f"nothing came up on port {port}")


def install(packages: Path) -> None:
    """Have the system packages named in this file; only root can, anybody else is told what to install."""
    wanted = packages.read_text("utf-8").split()
    found = subprocess.run(["dpkg-query", "-W", "-f", "${Package}\n", *wanted], capture_output=True, text=True)
    missing = sorted(set(wanted) - set(found.stdout.split()))
    if not missing:
        return
    if os.geteuid() != 0:
        raise SystemExit(f"Install these first, for the connectors are tested against them: {' '.join(missing)}")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], check=True, env=quiet)
    subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], check=True, env=quiet)


if __name__ == "__main__":
    install(Path(sys.argv[1]))
