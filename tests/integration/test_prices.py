"""Prices on rules alone, over real Postgres and the sandbox shop with its faults: bounded, once, taken back."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from bot.sample.alerts import Week
from bot.sample.prices import FABRIKAM, NORTHWIND, TAILSPIN
from graphs.run import RunState
from graphs.undoing import Asked, start
from tests.support.company import CLEO, RITA
from tests.support.watching import Desk, open_desk

pytest_plugins = ["tests.support.migrated"]

BOTTLE, LAMP, BACKPACK = "1000000100", "1000000200", "1000000400"
PRICES = "C0PRICES"


@pytest.fixture
async def desk(tmp_path: Path, installation_url: str, redis_url: str) -> AsyncGenerator[Desk]:
    """A desk whose sensor is silent."""
    async with open_desk(tmp_path, Week([], [], {}, []), database_url=installation_url, redis_url=redis_url) as made:
        yield made


async def item(desk: Desk, item_id: str) -> dict[str, Any]:
    """An item as the shop sells it."""
    return (await desk.get(f"/shop/prices/items/{item_id}"))["item"]


async def changes(desk: Desk) -> list[tuple[str, int]]:
    """What the shop's own log says: items and the prices they were given."""
    return [(each["item_id"], each["price_minor"]) for each in (await desk.get("/shop/prices/log"))["changes"]]


async def test_small_changes_run_alone_large_ones_ask_and_the_rest_is_named(desk: Desk) -> None:
    run = await desk.ask("pricewatch", channel=PRICES)
    assert await changes(desk) == [(BOTTLE, 1790)]
    assert run.state is RunState.WAITING
    await desk.approve(by=CLEO)
    run = await desk.advance(run.run_id)
    assert run.state is RunState.DONE
    assert await changes(desk) == [(BOTTLE, 1790), (LAMP, 3360)]
    assert f"({BACKPACK}) stays at 64.90 USD" in run.outcome


@pytest.mark.parametrize(("honours_keys", "settles"), [(True, "keyed"), (False, "probeable")])
async def test_a_shop_that_applies_and_falls_silent_changes_a_price_once(
    tmp_path: Path, installation_url: str, redis_url: str, *, honours_keys: bool, settles: str
) -> None:
    week = Week([], [], {}, [])
    opening = open_desk(tmp_path, week, database_url=installation_url, redis_url=redis_url, settles=settles)
    async with opening as desk:
        await desk.control("shop", apply_then_timeout_next=1, honour_keys=honours_keys)
        run = await desk.ask("pricewatch", BOTTLE, channel=PRICES)
        for _ in range(3):
            run = await desk.advance(run.run_id)
        assert run.state is RunState.DONE, run.outcome
        assert await changes(desk) == [(BOTTLE, 1790)]


async def test_a_price_that_somebody_else_moved_meanwhile_is_left_alone(desk: Desk) -> None:
    run = await desk.ask("pricewatch", LAMP, channel=PRICES)
    moved = {"item_id": LAMP, "price_minor": 4300, "was_minor": 4200, "currency": "USD", "version": 0}
    async with desk.session.post(f"{desk.url}/shop/prices", json=moved) as answer:
        assert answer.status == 200
    await desk.approve(by=CLEO)
    run = await desk.advance(run.run_id)
    assert "costs 43.00 USD by now" in run.outcome
    assert await changes(desk) == [(LAMP, 4300)]


async def test_prices_are_put_back_by_an_undoing(desk: Desk) -> None:
    run = await desk.ask("pricewatch", BOTTLE, channel=PRICES)
    async with desk.installation.database.transaction() as conn:
        undoing = await start(conn, desk.installation.runs, run, Asked(RITA, "command", "d-undo"))
    assert undoing is not None
    assert (await desk.advance(undoing)).state is RunState.DONE
    assert (await item(desk, BOTTLE))["price_minor"] == 1850
    assert await changes(desk) == [(BOTTLE, 1790), (BOTTLE, 1850)]


async def test_a_second_look_on_the_same_day_stays_within_the_change_of_a_day(desk: Desk) -> None:
    await desk.ask("pricewatch", BOTTLE, channel=PRICES)
    for url, text in ((f"{NORTHWIND}/water-bottle", ""), (f"{TAILSPIN}/p/4711", "")):
        await desk.put("/competitors/page", url=url, text=text)
    await desk.put("/competitors/page", url=FABRIKAM, text="sku,price,currency\nWB-1,15.10,USD\n")
    await desk.ask("pricewatch", BOTTLE, channel=PRICES)
    assert await changes(desk) == [(BOTTLE, 1790), (BOTTLE, 1665)], "10 % of what the day began with"
    run = await desk.ask("pricewatch", BOTTLE, channel=PRICES)
    assert "is the price that the rules want" in run.outcome


#: What stands at the one page that is left, how its server answers, and what is said of it.
BAD_PAGES = (
    ("", 200, "it is empty"),
    ("x" * 1_200_000, 200, "characters long"),
    ("x" * 3_000_000, 200, "so it was not read"),
    ("<html>all new</html>", 200, "it has changed"),
    ("<span class='price now'>17.90</span>", 500, "HTTP 500"),
    ("<div id=main><span class='price now'>0.02</span></div>", 200, "too far from our"),
    ("<div id=main><span class='price now'>9.999.999</span></div>", 200, "more than one way"),
)


async def test_a_page_that_says_nothing_sure_is_named_and_moves_nothing(desk: Desk) -> None:
    for url in (f"{NORTHWIND}/water-bottle", FABRIKAM):
        await desk.put("/competitors/page", url=url, text="", status=200)
    for text, status, why in BAD_PAGES:
        await desk.put("/competitors/page", url=f"{TAILSPIN}/p/4711", text=text, status=status)
        run = await desk.ask("pricewatch", BOTTLE, channel=PRICES)
        assert (run.state, why in run.outcome) == (RunState.DONE, True), run.outcome
        assert await changes(desk) == []


async def test_competitors_that_are_down_are_named_and_a_shop_that_is_down_is_waited_for(desk: Desk) -> None:
    await desk.control("competitors", down=True)
    run = await desk.ask("pricewatch", BOTTLE, channel=PRICES)
    assert run.outcome.count("nothing is taken from") == 3
    await desk.control("competitors", down=False)
    await desk.control("shop", down=True)
    run = await desk.ask("pricewatch", BOTTLE, channel=PRICES)
    assert run.state is RunState.WAITING
    await desk.control("shop", down=False)
    assert (await desk.advance(run.run_id)).state is RunState.DONE
    assert await changes(desk) == [(BOTTLE, 1790)]


async def test_the_digest_is_read_from_what_the_tables_say(desk: Desk) -> None:
    run = await desk.ask("pricewatch", channel=PRICES)
    await desk.approve(by=CLEO)
    await desk.advance(run.run_id)
    digest = await desk.ask("digest", "7 days", channel=PRICES)
    assert digest.state is RunState.DONE
    [row] = await desk.rows(
        "select r.record -> 'args' ->> 'text' as text, r.record -> 'args' ->> 'thread_ts' as thread"
        " from actions.intent i join actions.revision r using (intent_id) where i.step = 'digest'"
    )
    for part in ("pricewatch: 1 run (1 done)", "price.update: 2 done", "Approvals asked: 1 approved", "Nothing waits"):
        assert part in row["text"]
    assert row["thread"] is None, "at the top of the channel"
