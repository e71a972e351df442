"""The audit log: appends beside a plain insert, sealing, and verification beside reading alone.

Run from the repository's root: python -m benchmarks.audit [ROWS]
"""

import asyncio
import sys
import time
from collections.abc import Awaitable
from pathlib import Path
from tempfile import TemporaryDirectory

from bot.bootstrap import MIGRATIONS
from bot.local.embedded import EmbeddedPostgres
from core import audit
from core.audit_check import next_seal, pages, verify
from core.clock import SystemClock
from core.db import Connection, Database, jsonb, open_database
from core.migrate import migrate
from core.secrets import FileWrappingKey
from core.subjects import Vault
from tests.support.tampering import a_signer

APPENDS, WRITERS = 4000, 8
SUBJECT = {"run_id": "run_0123456789", "step": "refund", "intent_id": "int_0123456789abcdef", "revision": 1}
DETAIL = {"digest": "a" * 64, "attempt": 1, "policy_version": "b" * 64}


async def timed(work: Awaitable[object]) -> float:
    """How many seconds `work` takes."""
    start = time.perf_counter()
    await work
    return time.perf_counter() - start


async def append(database: Database, *, said: str = "") -> None:
    """A share of the appends, each in a transaction of its own."""
    detail = {**DETAIL, "reason": said} if said else DETAIL
    for _ in range(APPENDS // WRITERS):
        async with database.connection() as conn:
            await audit.append(conn, "T1", "effect.done", actor=audit.person("U1"), subject=SUBJECT, detail=detail)


async def insert(database: Database) -> None:
    """The same number of rows into a table without a chain, by as many writers."""
    for _ in range(APPENDS // WRITERS):
        async with database.connection() as conn:
            await conn.execute(
                "insert into public.bare (event, subject, detail) values ('effect.done', %s, %s)",
                (jsonb(SUBJECT), jsonb(DETAIL)),
            )


async def all_at_once(database: Database, work: str) -> float:
    """Appends per second of all writers together."""
    each = {
        "plain": lambda: insert(database),
        "chain": lambda: append(database),
        "sealed": lambda: append(database, said="the parcel was open"),
    }[work]
    return APPENDS / await timed(asyncio.gather(*(each() for _ in range(WRITERS))))


async def measure(url: str, rows: int, home: Path) -> None:
    """Print the figures."""
    await migrate(url, MIGRATIONS)
    vault, signer, clock = Vault(FileWrappingKey(home / "wrapping.key")), a_signer(home), SystemClock()
    async with open_database(url, min_size=WRITERS, max_size=WRITERS, vault=vault) as database:
        async with database.connection() as conn:
            await conn.execute(
                "create table public.bare (id bigserial primary key, event text, subject jsonb, detail jsonb)"
            )
        plain, chain, private = [await all_at_once(database, work) for work in ("plain", "chain", "sealed")]
        async with database.connection() as conn:
            # In bites: a row updated many times in one transaction gets slower with each update.
            for _ in range(max(rows - 2 * APPENDS, 0) // 500):
                await conn.execute(
                    "select count(core.audit_append('T1', 'effect.done', %s, %s, %s)) from generate_series(1, 500)",
                    (jsonb(dict(audit.CODE)), jsonb(SUBJECT), jsonb(DETAIL)),
                )
            start = time.perf_counter()
            seal = await next_seal(conn, signer, "T1", newest=None, at=clock.now())
            sealing = time.perf_counter() - start
            assert seal is not None
            reading = min([await timed(_read(conn)) for _ in range(3)])
            verifying = min([await timed(verify(conn, "T1", [seal])) for _ in range(3)])
            report = await verify(conn, "T1", [seal])
    print(f"appends, {WRITERS} writers, one transaction each, fsync on")
    print(f"  plain insert                {plain:,.0f}/s")
    print(f"  audit.append                {chain:,.0f}/s ({plain / chain:.1f} times the time)")
    print(f"  audit.append, text sealed   {private:,.0f}/s ({plain / private:.1f} times the time)")
    print(f"{report.rows:,} rows, {report.verified:,} verified{': ' + report.fault if report.fault else ''}")
    print(f"  first seal of all           {seal.size / sealing:,.0f} rows/s")
    ratio = verifying / reading
    print(f"  verify                      {report.rows / verifying:,.0f} rows/s ({ratio:.1f} times reading alone)")


async def _read(conn: Connection) -> None:
    async for _ in pages(conn, "T1"):
        pass


async def main() -> None:
    """Measure on an embedded Postgres of our own."""
    rows = int(sys.argv[1]) if sys.argv[1:] else 100_000
    with TemporaryDirectory(prefix="countersign-audit-") as home:
        server = EmbeddedPostgres(Path(home), clock=SystemClock())
        await server.start()
        try:
            await measure(await server.url_of("test_audit"), rows, Path(home))
        finally:
            await server.forget()


if __name__ == "__main__":
    asyncio.run(main())
