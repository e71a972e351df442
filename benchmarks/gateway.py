"""What the gateway costs: each effect through it, beside the bare connector call, over real HTTP and real Postgres.

Run from the repository's root: python -m benchmarks.gateway [EFFECTS]
"""

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from aiohttp import ClientSession, web

from actions.connectors.payments import PaymentsConnector
from actions.intent import Record
from actions.outcome import Caller, Done, Outcome, Parked
from bot.bootstrap import MIGRATIONS
from bot.local.embedded import EmbeddedPostgres
from core.clock import SystemClock
from core.db import Database, open_database
from core.ids import new_id
from core.migrate import migrate
from tests.support.ledger import House, Outside, a_house, a_refund

EFFECTS = 400
#: The most commits that one effect may cost.
MOST_COMMITS = 4


class OverTheWire(Outside):
    """Sends as the real connector does, to a receiver that answers at once."""

    def __init__(self, connector: PaymentsConnector) -> None:
        super().__init__()
        self.request = connector.request
        self.send = connector.send
        self.find = connector.find


@dataclass(frozen=True)
class Cost:
    """What one way of performing an effect costs: seconds each, and commits that wrote something."""

    seconds: list[float]
    commits: float

    @property
    def p50(self) -> float:
        """The middle one, in milliseconds."""
        return median(self.seconds) * 1000

    @property
    def p99(self) -> float:
        """All but one in a hundred take less, in milliseconds."""
        return quantiles(self.seconds, n=100)[98] * 1000

    def line(self, name: str) -> str:
        """This cost as one row of the table."""
        return f"{name:44} p50 {self.p50:6.2f} ms   p99 {self.p99:6.2f} ms   commits {self.commits:.1f}"


async def refunded(request: web.Request) -> web.Response:
    """The receiver: it made the refund that it was asked for."""
    asked = await request.json()
    wanted = ("order_id", "amount_minor", "currency", "payment_method_id")
    return web.json_response({"refund": {"refund_id": new_id("re", 8), **{name: asked[name] for name in wanted}}})


@asynccontextmanager
async def receiver() -> AsyncGenerator[str]:
    """A payment provider on loopback that forgets everything; its address."""
    app = web.Application()
    app.router.add_post("/refunds", refunded)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def cost_of(house: House, effects: int, work: Callable[[int], Awaitable[object]]) -> Cost:
    """What `work` costs, done that often, one after the other."""
    seconds: list[float] = []
    before = await _written(house)
    for number in range(effects):
        start = time.perf_counter()
        await work(number)
        seconds.append(time.perf_counter() - start)
    return Cost(seconds, (await _written(house) - before) / effects)


async def _written(house: House) -> int:
    """How many transactions have written anything so far: only those are given a number."""
    [row] = await house.execute("select pg_snapshot_xmax(pg_current_snapshot())::text::bigint as next")
    return int(row["next"])


async def measure(url: str, connector: PaymentsConnector, effects: int) -> bool:
    """Print the figures; False when an effect costs more commits than promised."""
    await migrate(url, MIGRATIONS)
    async with open_database(url) as database:
        house = a_house(database, outside=OverTheWire(connector))
        bare = await cost_of(house, effects, lambda number: _bare(connector, number))
        callers = [await house.caller() for _ in range(2 * effects)]
        alone = await cost_of(house, effects, lambda number: _alone(house, callers[number]))
        asked = await cost_of(house, effects, lambda number: _asked(house, callers[effects + number]))
        durability = await _durability(database)
    print(f"{effects} effects each, one after the other; receiver on loopback; {durability}")
    print(bare.line("bare connector call"))
    print(alone.line("through the gateway, runs alone"))
    print(asked.line("asked, approved and performed"))
    print(f"gateway / bare          p50 x{alone.p50 / bare.p50:.1f}   p99 x{alone.p99 / bare.p99:.1f}")
    print(f"gateway's own share     p50 {alone.p50 - bare.p50:.2f} ms   p99 {alone.p99 - bare.p99:.2f} ms")
    return max(alone.commits, asked.commits) <= MOST_COMMITS


async def _bare(connector: PaymentsConnector, number: int) -> object:
    args = a_refund(order_id=f"#B{number}").model_dump(mode="json")
    record = Record("payment.refund", 1, connector.account, args, "U0RITA")
    return await connector.send(connector.request(record, new_id("key", 26)), timeout=connector.window)


async def _alone(house: House, caller: Caller) -> Outcome:
    outcome = await house.refund(caller, "10 USD")
    assert isinstance(outcome, Done), outcome
    return outcome


async def _asked(house: House, caller: Caller) -> Outcome:
    outcome = await house.refund(caller, "100 USD")
    assert isinstance(outcome, Parked), outcome
    click = await house.click_on(outcome.subject_id)
    answer = await house.answer(outcome.subject_id, by=click.user_id)
    assert answer.decided, answer
    done = await house.refund(caller, "100 USD")
    assert isinstance(done, Done), done
    return done


async def _durability(database: Database) -> str:
    async with database.connection() as conn:
        cursor = await conn.execute("show synchronous_commit")
        row = await cursor.fetchone()
    assert row is not None
    return f"synchronous_commit is {row['synchronous_commit']}"


async def main() -> None:
    """Measure on an embedded Postgres of our own."""
    effects = int(sys.argv[1]) if len(sys.argv) > 1 else EFFECTS
    with TemporaryDirectory(prefix="countersign-gateway-") as home:
        server = EmbeddedPostgres(Path(home), clock=SystemClock())
        await server.start()
        try:
            async with receiver() as url, ClientSession() as session:
                connector = PaymentsConnector(session, url, account="acct_1", sandbox=True)
                kept = await measure(await server.url_of("test_gateway"), connector, effects)
        finally:
            await server.forget()
    if not kept:
        sys.exit(f"An effect costs more than {MOST_COMMITS} commits.")


if __name__ == "__main__":
    asyncio.run(main())
