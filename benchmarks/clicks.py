"""Simultaneous clicks: exactly one decision each, and what the whole of it costs beside a bare conditional UPDATE.

Run from the repository's root: python -m benchmarks.clicks [APPROVALS] [CLICKS]
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from bot.bootstrap import MIGRATIONS
from bot.local.embedded import EmbeddedPostgres
from core.clock import SystemClock
from core.db import Database, open_database
from core.migrate import migrate
from tests.support.clicks import CAMPAIGN, Asked, ask_many
from tests.support.ledger import a_house

CONNECTIONS = 16


async def bare(database: Database, asked: Asked) -> list[int]:
    """The same clicks as nothing but `update … where state = 'pending'`, in a table of their own."""
    async with database.connection() as conn:
        await conn.execute("create table public.bare (id text primary key, state text not null default 'pending')")
        async with conn.cursor() as cursor:
            await cursor.executemany("insert into public.bare (id) values (%s)", [(name,) for name in asked.ids])

    async def click(name: str) -> int:
        async with database.transaction() as conn:
            cursor = await conn.execute(
                "update public.bare set state = 'approved' where id = %s and state = 'pending'", (name,)
            )
            return cursor.rowcount

    return [sum(await asyncio.gather(*(click(each.approval_id) for each in clicks))) for clicks in asked.clicks]


async def timed(work: Callable[[], Awaitable[list[int]]]) -> tuple[float, list[int]]:
    """How many seconds `work` takes, and what came of it."""
    start = time.perf_counter()
    found = await work()
    return time.perf_counter() - start, found


async def measure(url: str, approvals: int, clicks: int) -> None:
    """Print the figures."""
    await migrate(url, MIGRATIONS)
    async with open_database(url, min_size=CONNECTIONS, max_size=CONNECTIONS) as database:
        asked = await ask_many(a_house(database), approvals, clicks)

        async def decide() -> list[int]:
            return [sum(decided) for decided in await asked.click_all()]

        floor, bare_winners = await timed(lambda: bare(database, asked))
        whole, winners = await timed(decide)
    total = approvals * clicks
    print(f"{approvals} approvals x {clicks} simultaneous clicks over {CONNECTIONS} connections")
    print(f"exactly one decision      {winners.count(1)} of {approvals} approvals (bare: {bare_winners.count(1)})")
    print(f"decide()                  {approvals / whole:.0f} decisions/s, {total / whole:.0f} clicks/s")
    print(f"bare conditional UPDATE   {approvals / floor:.0f} decisions/s, {total / floor:.0f} clicks/s")
    print(f"decide() / bare           {whole / floor:.1f} times the time; every click checked and audited")
    if winners != [1] * approvals:
        sys.exit("An approval was not decided exactly once.")


async def main() -> None:
    """Measure on an embedded Postgres of our own."""
    approvals, clicks = (int(given) for given in (sys.argv[1:] or CAMPAIGN))
    with TemporaryDirectory(prefix="countersign-clicks-") as home:
        server = EmbeddedPostgres(Path(home), clock=SystemClock())
        await server.start()
        try:
            await measure(await server.url_of("test_clicks"), approvals, clicks)
        finally:
            await server.forget()


if __name__ == "__main__":
    asyncio.run(main())
