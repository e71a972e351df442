"""What every test can ask for."""

import os
import shutil
import tempfile

from tests.support.postgres import MEMORY

_ROOM = 4 << 30

pytest_plugins = ["tests.support.fixtures", "tests.support.nursery_fixture"]

# They need servers that only `make test-connectors` sets up; asked for by that, none of them is skipped.
collect_ignore = [] if os.environ.get("COUNTERSIGN_CONNECTORS") == "full" else ["connectors"]


def pytest_configure() -> None:
    """Let temporary files lie in memory where there is room: one database is a thousand of them."""
    if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > _ROOM:
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None
