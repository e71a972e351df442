"""A running company with a shop of its own beside the sample, and every way in by which somebody may ask it."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from bot.bootstrap import Installation, open_installation
from bot.delivery import Delivery, Sender
from bot.local.embedded import EmbeddedPostgres, EmbeddedValkey
from bot.local.sandbox.shop_import import import_shop
from bot.sample.shop import sample_shop
from bot.settings import Settings
from bot.store import Deliveries
from core.clock import SystemClock
from core.ids import new_id, new_schedule_id
from core.metrics import Metrics
from core.outbox import Conversation
from scheduler.schedule import Schedule
from tests.support.company import GENERAL, RETURNS, Company, Json
from tests.support.matrix import Rows, effect_of, expected, unexplained
from tests.support.oracle import Effect

TEAM = "T0LOCAL"
SYSTEMS = ("payments", "shop", "shop/prices", "mail", "mailbox", "site", "hosts")
#: What the orders of each band cost, in cents: its edges too.
BANDS = {"small": (2_000, 5_000), "medium": (5_001, 38_900, 50_000), "large": (50_001, 90_000)}


@dataclass
class Ground:
    """A running company, and the same installation opened beside it: to fire schedules and to read its ledger."""

    company: Company
    installation: Installation
    orders: dict[str, int]

    async def rows(self, statement: str) -> Rows:
        """What the database says."""
        async with self.installation.database.connection() as conn:
            cursor = await conn.execute(statement.replace("%", "%%").encode())
            return await cursor.fetchall()

    def take(self, band: str) -> str:
        """The number of an order of this band that nobody has asked about."""
        return self.take_priced(band)[0]

    def take_priced(self, band: str) -> tuple[str, int]:
        """The same, with what it cost in cents."""
        order = next(order for order, cents in self.orders.items() if cents in BANDS[band])
        return order, self.orders.pop(order)

    async def deliver(self, delivery: Delivery) -> None:
        """What Slack would bring us of people whom the local workspace does not have."""
        assert await Deliveries(self.installation.database).commit(delivery)

    async def all_handled(self) -> None:
        """Until nothing that reached us is left over."""

        async def none_left() -> bool:
            return not await self.rows("select from bot.delivery where state = 'received'")

        await self.company.until(none_left, "every delivery is handled")

    async def outside(self) -> dict[str, list[Json]]:
        """What every outside system remembers, by what was done to it."""
        found: dict[str, list[Json]] = {}
        for system in SYSTEMS:
            async with self.company.http.get(f"{self.company.sandbox}/{system}/log") as answer:
                logs = await answer.json()
            found |= {what: each for what, each in logs.items() if isinstance(each, list)}
        return found

    async def at_rest(self) -> None:
        """Until no run is under way: each has ended or waits."""

        # A run waits for its report to be delivered too, and for a moment after people have answered.
        busy = (
            "select from graphs.run r where state = 'ready' or state = 'waiting' and not exists ("
            "select from actions.approval p join actions.intent i using (intent_id)"
            " where i.run_id = r.run_id and p.state = 'pending')"
            " union all select from bot.delivery where state = 'received'"
        )

        async def still() -> bool:
            return not await self.rows(busy)

        await self.company.until(still, "every run has ended or waits")

    async def standing(self) -> dict[str, Any]:
        """All that somebody without the right may not change, outside and inside."""
        await self.at_rest()
        tables = {
            "attempts": "select attempt_id, state from actions.attempt order by 1",
            "intents": "select intent_id, state, revision from actions.intent order by 1",
            "approvals": "select approval_id, state, digest from actions.approval order by 1",
            "votes": "select approval_id, person from actions.vote order by 1, 2",
            "pauses": "select pause_id, lifted_at from actions.pause order by 1",
            "rules": "select change_id, state from actions.rules_change order by 1",
            "grants": "select grant_id, state from actions.autonomy order by 1",
            "schedules": "select schedule_id, paused, removed_at from scheduler.schedule order by 1",
            "runs": "select run_id, stop_requested from graphs.run order by 1",
        }
        return {**await self.outside(), **{name: await self.rows(each) for name, each in tables.items()}}


@asynccontextmanager
async def open_beside(company: Company) -> AsyncGenerator[Ground]:
    """The same installation opened beside the running company, with more orders in its shop."""
    clock = SystemClock()
    settings = Settings.model_validate(
        {
            "COUNTERSIGN_HOME": company.home,
            "COUNTERSIGN_PORT": company.port,
            "DATABASE_URL": await EmbeddedPostgres(company.home, clock=clock).start(),
            "REDIS_URL": await EmbeddedValkey(company.home, clock=clock).start(),
        }
    )
    async with open_installation(settings, clock, Metrics()) as installation:
        yield Ground(company, installation, stock(company))


def stock(company: Company) -> dict[str, int]:
    """More orders for the sample shop, at the very edges of the bands too; each with what it cost, in cents.

    Each has a customer of its own: whoever sends much back is looked at by a person, whatever the amount.
    """
    shop = sample_shop()
    prices = [cents for _ in range(64) for band in BANDS.values() for cents in band]
    stock = {f"#W{7000 + place}": cents for place, cents in enumerate(prices)}
    pattern = shop.orders["#W1002"]
    orders = {order: _priced(pattern, order, cents / 100) for order, cents in stock.items()}
    buyer = shop.users[pattern["user_id"]]
    buyers = {each["user_id"]: {**buyer, "orders": [order]} for order, each in orders.items()}
    users = {**shop.users, **buyers}
    folder = company.home / "more"
    folder.mkdir()
    for name, content in (("orders", {**shop.orders, **orders}), ("users", users), ("products", shop.products)):
        (folder / f"{name}.json").write_text(json.dumps(content))
    import_shop(folder, company.home)
    return stock


def _priced(pattern: Json, order: str, price: float) -> Json:
    item, payment = pattern["items"][0], pattern["payment_history"][0]
    return {
        **pattern,
        "order_id": order,
        "user_id": f"{pattern['user_id']}_of_{order.removeprefix('#')}",
        "items": [{**item, "price": price}],
        "payment_history": [{**payment, "amount": price}],
    }


# -- the ways in -----------------------------------------------------------------------------------------------------


Way = Callable[[Ground, str, str], Awaitable[None]]


def ways_in(workflow: str, words: str, channel: str) -> dict[str, Way]:
    """Every way by which somebody asks for this workflow, in `words` that have a place for what it is about."""

    async def by_command(ground: Ground, who: str, about: str) -> None:
        said = await ground.company.command(who, f"run {workflow} {words.format(about)}", channel=channel)
        assert said["ok"]

    async def by_mention(ground: Ground, who: str, about: str) -> None:
        said = f"@countersign run {workflow} {words.format(about)}"
        assert (await ground.company.say(who, said, channel=GENERAL))["ok"]

    async def by_direct_message(ground: Ground, who: str, about: str) -> None:
        said = f"run {workflow} {words.format(about)}"
        assert (await ground.company.say(who, said, channel=f"D0{who[2:]}"))["ok"]

    async def by_schedule(ground: Ground, who: str, about: str) -> None:
        """A due time of a schedule that this person owns, however they came to own it."""
        schedule = await scheduled(ground, who, words.format(about), workflow=workflow)
        await ground.installation.fires.fire(schedule, ground.installation.clock.now() - timedelta(seconds=5))

    return {
        "command": by_command,
        "mention": by_mention,
        "direct message": by_direct_message,
        "schedule": by_schedule,
    }


async def scheduled(ground: Ground, who: str, text: str, *, workflow: str = "returns") -> Schedule:
    """A schedule of this person's whose times have been counted for some minutes."""
    schedule = Schedule(
        schedule_id=new_schedule_id(),
        workspace=TEAM,
        workflow=workflow,
        text=text,
        cron="0 0 1 1 *",
        zone="UTC",
        owner=who,
        conversation=Conversation(TEAM, RETURNS),
    )
    async with ground.installation.database.transaction() as conn:
        await ground.installation.schedules.add(conn, schedule)
        await conn.execute(
            "update scheduler.schedule set active_since = core.now() - %s where schedule_id = %s",
            (timedelta(minutes=5), schedule.schedule_id),
        )
    return schedule


async def _by_asking(ground: Ground, who: str, order: str) -> None:
    assert (await ground.company.command(who, f"ask return everything from {order}"))["ok"]


WAYS_IN: dict[str, Way] = {**ways_in("returns", "{} everything because it broke", RETURNS), "ask": _by_asking}
by_command = WAYS_IN["command"]


# -- what must be true whatever came in -------------------------------------------------------------------------------


async def everything_has_a_cause(ground: Ground) -> None:
    assert await unexplained(ground.rows) == []
    for row in await ground.rows(
        "select i.action, i.requester, j.verdict, j.rules, j.considered"
        " from actions.judgement j join actions.intent i using (intent_id)"
    ):
        says = expected(_as_told(row))
        assert (row["verdict"], tuple(row["rules"])) == (says.verdict, says.rules), row
    begun = await ground.rows(
        "select r.receiver_key from actions.attempt a"
        " join actions.revision r on r.intent_id = a.intent_id and r.revision = a.revision"
    )
    known = {row["receiver_key"] for row in begun}
    for system, log in (await ground.outside()).items():
        keys = [each["key"] for each in log]
        assert set(keys) <= known, system
        assert len(keys) == len(set(keys)), system


def _as_told(row: Json) -> Effect:
    """A judged effect as the oracle wants it described."""
    considered = row["considered"]
    amount = considered["amount"] and f"{considered['amount'][0] / 100:.2f} {considered['amount'][1]}"
    same = {name: considered[name] for name in ("effect", "connector", "sandbox", "workflow", "label")}
    unendorsed = tuple(considered["unendorsed"])
    return effect_of(row["action"], requester=row["requester"], amount=amount, unendorsed=unendorsed, **same)


def press_by(who: str, press: str, value: str, *, text: str = "", kind: Any = "click") -> Delivery:
    sender = Sender(who, TEAM, None)
    return Delivery(new_id("press"), kind, sender, TEAM, RETURNS, "9.1", text, press, value)
