"""Returns of a running company that are undone, and what the shop's own log and people's cards say of it."""

from urllib.parse import quote

from tests.support.asking import Orders, rows
from tests.support.company import RITA, Company, Json


async def order_of(company: Company, order_id: str) -> Json:
    """The order as the shop has it."""
    async with company.http.get(f"{company.sandbox}/shop/orders/{quote(order_id, safe='')}") as answer:
        return (await answer.json())["order"]


async def restores_of(company: Company, order_id: str) -> list[Json]:
    """How often the shop restored the order."""
    async with company.http.get(f"{company.sandbox}/shop/log") as answer:
        return [each for each in (await answer.json())["restores"] if each["order_id"] == order_id]


async def returned(company: Company, orders: Orders) -> tuple[str, str]:
    """An order that was returned and refunded, and the run that did it."""
    order_id = orders.take(at_most=5_000)
    assert await company.command(RITA, f"run returns {order_id} everything because it did not fit") == {"ok": True}
    await company.run_card(containing=order_id, state="✅ done")
    return order_id, await run_of(company, order_id)


async def run_of(company: Company, text: str, workflow: str = "returns") -> str:
    """The id of the run of this workflow that speaks of `text`."""
    found = [row for row in await rows(company, "runs") if row["workflow"] == workflow and text in str(row)]
    return found[0]["run_id"]


async def undoings_of(company: Company, run_id: str) -> list[Json]:
    """The ended runs that took back what this run did, as their outcome says."""
    return [row for row in await rows(company, "runs") if row["workflow"] == "undo" and run_id in str(row)]


async def state_of(company: Company, run_id: str, wanted: str) -> Json:
    """The run, once it stands in that state."""

    async def look() -> Json | None:
        found = [row for row in await rows(company, "runs") if row["run_id"] == run_id]
        return found[0] if found and found[0]["state"] == wanted else None

    return await company.until(look, f"{run_id} is {wanted}")


async def cards_of_errands(company: Company, order_id: str) -> list[Json]:
    """Every card in the thread of this order's run that tells a person what to put right."""
    run = await company.run_card(containing=order_id)
    thread = await company.messages(channel=run["channel"], thread=run["ts"])
    return [{**each, "channel": run["channel"]} for each in thread if "It was done:" in each["text"]]


async def errand_card(company: Company, order_id: str, *, state: str = "Needs a person") -> Json:
    """The card that tells a person what to put right about this order, once it shows `state`."""

    async def look() -> Json | None:
        return next((each for each in await cards_of_errands(company, order_id) if state in each["text"]), None)

    return await company.until(look, f"an errand about {order_id} says {state!r}")
