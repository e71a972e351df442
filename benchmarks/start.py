"""How long a newcomer waits: `make up` in a fresh copy with empty caches, then once more.

    python benchmarks/start.py

Copies what git would commit into a temporary folder, so nothing of this folder's own installation is used, and needs
the package registry. Prints the seconds from `make up` to a page that answers and a process that is ready.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parents[1]
COLD_LIMIT, WARM_LIMIT = 180.0, 5.0
PATIENCE = 900.0


def main() -> None:
    """Measure both starts and say whether they keep what is promised."""
    folder = Path(tempfile.mkdtemp(prefix="countersign-start-"))
    try:
        clone = folder / "clone"
        copy_of_the_repository(clone)
        env = environment(folder)
        cold = measured(clone, env)
        warm = [measured(clone, env) for _ in range(3)]
        subprocess.run(["make", "-s", "reset"], cwd=clone, env=env, check=True, stdout=subprocess.DEVNULL)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    page, ready = (min(each) for each in zip(*warm, strict=True))
    print(
        f"cold start, installation included: page {cold[0]:.1f} s (promised: {COLD_LIMIT:.0f} s), ready {cold[1]:.1f} s"
    )
    print(f"warm start, best of three: page {page:.1f} s (promised: {WARM_LIMIT:.0f} s), ready {ready:.1f} s")
    sys.exit(cold[0] > COLD_LIMIT or page > WARM_LIMIT)


def copy_of_the_repository(clone: Path) -> None:
    """What a clone would hold, changes that are not committed yet included."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name)


def environment(folder: Path) -> dict[str, str]:
    """Nobody's settings, a free port, and empty caches of pip and uv."""
    ours = ("COUNTERSIGN_", "SLACK_", "OPENAI_", "DATABASE_", "REDIS_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = min(probe.getsockname()[1], 65000)
    caches = {"PIP_CACHE_DIR": str(folder / "pip"), "UV_CACHE_DIR": str(folder / "uv")}
    return {**kept, **caches, "COUNTERSIGN_PORT": str(port), "COUNTERSIGN_HOME": str(folder / "var")}


def measured(clone: Path, env: dict[str, str]) -> tuple[float, float]:
    """Seconds from `make up` until the page answers, and until all is ready; Ctrl-C ends it afterwards."""
    port = int(env["COUNTERSIGN_PORT"])
    started = time.monotonic()
    process = subprocess.Popen(["make", "up"], cwd=clone, env=env, stdin=subprocess.DEVNULL, start_new_session=True)
    seconds = list[float]()
    try:
        for url in (f"http://127.0.0.1:{port}/", f"http://127.0.0.1:{port + 2}/healthz"):
            while not answers(url):
                if process.poll() is not None or time.monotonic() - started > PATIENCE:
                    sys.exit(f"make up did not get ready: exit code {process.poll()}")
                time.sleep(0.05)
            seconds.append(time.monotonic() - started)
        return seconds[0], seconds[1]
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(30)


def answers(url: str) -> bool:
    """True when this address answers 200."""
    try:
        with urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except (URLError, OSError):
        return False


if __name__ == "__main__":
    main()
