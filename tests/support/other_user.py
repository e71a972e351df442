"""Starts an embedded Postgres as an unprivileged user and holds it until a line arrives on its input.

Run as root: `python -m tests.support.other_user HOME UID PROGRAMS`. Everything is imported while still root:
the interpreter itself may lie where other users cannot look. PROGRAMS is put before the installed packages.
"""

import asyncio
import os
import sys
from pathlib import Path

from bot.local.embedded import EmbeddedPostgres
from bot.local.processes import Program
from core.clock import SystemClock
from core.errors import CountersignError


async def hold(home: Path) -> None:
    """Print the URL of the started server, or the refusal; forget it once told."""
    server = EmbeddedPostgres(home, clock=SystemClock())
    try:
        print(await server.start(), flush=True)
    except CountersignError as error:
        print(f"refused: {error}", flush=True)
        return
    await asyncio.to_thread(sys.stdin.readline)
    await server.forget()


async def warm_up() -> None:
    """Import what asyncio imports late."""
    await Program(["/bin/true"], Path("/"), {}).finish()
    await asyncio.to_thread(os.getpid)


def main() -> None:
    """Become the other user, for good, and hold a server."""
    home, uid, programs = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    sys.path.insert(0, programs)
    asyncio.run(warm_up())
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    asyncio.run(hold(home))


if __name__ == "__main__":
    main()
