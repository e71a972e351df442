"""Real servers of outside systems: started for a test, each on loopback, and never replaced when one cannot be had."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
SERVERS = ROOT / "tests" / "connectors" / "servers"
#: The Python that has the servers; `make test-connectors` sets it up.
PYTHON = ROOT / ".venv" / "connectors" / "bin" / "python"


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextmanager
def running(
    *command: object, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Generator[subprocess.Popen[bytes]]:
    """This program until the block ends; its output is shown when it dies of itself."""
    process = subprocess.Popen(
        [str(part) for part in command], env={**os.environ, **(env or {})}, cwd=cwd, stdout=subprocess.DEVNULL
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
