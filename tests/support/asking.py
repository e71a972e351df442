"""What people ask of a running company and what they are told, in words that several acceptance suites share."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager

from bot.listings import Rows, rows_of
from bot.sample.shop import sample_shop
from bot.settings import Settings
from core.clock import SystemClock
from tests.support.company import BEN, RETURNS, RITA, Company, Json


class Orders:
    """Delivered orders of the sample shop that no other test has used, without the ones documentation names."""

    def __init__(self) -> None:
        self._left = dict(_delivered())

    def take(self, *, above: int = 0, at_most: int = 10**9) -> str:
        """The number of an order that costs more than `above` and at most `at_most`, in cents."""
        order_id = next(order_id for order_id, cents in self._left.items() if above < cents <= at_most)
        del self._left[order_id]
        return order_id


def _delivered() -> Iterator[tuple[str, int]]:
    for order in sample_shop().orders.values():
        if order["status"] == "delivered" and order["order_id"] > "#W2":
            yield order["order_id"], sum(round(item["price"] * 100) for item in order["items"])


async def told(company: Company, who: str, text: str, *, says: str, channel: str = RETURNS) -> str:
    """What `who` is told in answer to `/team text`, once it has `says` in it."""
    known = await _seen(company, who, channel)
    assert await company.command(who, text, channel=channel) == {"ok": True}
    return await _news(company, who, known, says=says, channel=channel)


async def told_at_click(company: Company, who: str, card: Json, action_id: str, *, says: str) -> str:
    """What `who` is told when they press a button of `card`, once it has `says` in it."""
    channel = card["channel"]
    # Slack names a thread for a button in it, and none for one on the message that opens it.
    thread = card.get("thread_ts") if card.get("thread_ts") != card["ts"] else None
    known = await _seen(company, who, channel, thread)
    pressed = await company.click(who, card, action_id)
    assert pressed["ok"], pressed
    return await _news(company, who, known, says=says, channel=channel, thread=thread)


async def told_in_thread(company: Company, who: str, text: str, thread: str, *, says: str, channel: str) -> str:
    """What everybody in a thread is told when `who` writes `text` there, once it has `says` in it."""
    known = await _seen(company, who, channel, thread)
    assert (await company.say(who, text, channel=channel, thread_ts=thread))["ok"]
    return await _news(company, who, known, says=says, channel=channel, thread=thread)


async def _seen(company: Company, who: str, channel: str, thread: str | None = None) -> set[str]:
    return {message["ts"] for message in await company.messages(channel=channel, thread=thread, as_=who)}


async def _news(
    company: Company, who: str, known: set[str], *, says: str, channel: str, thread: str | None = None
) -> str:
    latest: list[str] = []

    async def look() -> str | None:
        found = await company.messages(channel=channel, thread=thread, as_=who)
        latest[:] = [each["text"] for each in found if each["ts"] not in known and each.get("bot_id")]
        return next((text for text in latest if says in text), None)

    try:
        return await company.until(look, f"{who} is told {says!r}", seconds=30)
    except AssertionError as error:
        raise AssertionError(f"{who} was told {latest}, and nothing that says {says!r}") from error


async def asked_for_approval(company: Company, orders: Orders, *, above: int = 5_000, at_most: int = 50_000) -> Json:
    """The approval card of a fresh order that Rita wants back, with `order` and its run card as `run` beside it."""
    order = orders.take(above=above, at_most=at_most)
    assert await company.command(RITA, f"run returns {order} everything because it did not fit") == {"ok": True}
    run = await company.run_card(containing=order, state="waiting")
    card = await company.approval_card(run)
    return {**card, "order": order, "run": run}


async def rows(company: Company, name: str) -> Rows:
    """What `countersign <name> --limit 500` lists, without the price of another process."""
    settings = Settings.model_validate({"COUNTERSIGN_HOME": company.home, "DATABASE_URL": None})
    return await rows_of(name, settings, SystemClock(), limit=500)


async def refunds_of(company: Company, order: str) -> list[Json]:
    """What the payment provider has refunded for one order."""
    return [each for each in await company.refunds() if each["order_id"] == order]


async def cards_of(company: Company, order: str, *, channel: str = RETURNS, as_: str = BEN) -> list[Json]:
    """The run cards that speak of one order."""
    found = await company.messages(channel=channel, as_=as_)
    return [each for each in found if order in each["text"] and each.get("bot_id")]


@asynccontextmanager
async def faults(company: Company, **wanted: object) -> AsyncGenerator[None]:
    """What goes wrong in the workspace while the block runs."""
    assert (await company.act("faults", **wanted))["ok"]
    try:
        yield
    finally:
        await company.act("faults", clear=True)
