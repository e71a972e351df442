"""A dry run as a person meets it: it shows exactly what would be sent, and one press of its asker makes it real."""

import hashlib
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from urllib.parse import quote

import pytest
import pytest_asyncio

from tests.support.asking import Orders, refunds_of, rows, told, told_at_click
from tests.support.cards import texts
from tests.support.company import ADA, CLEO, RITA, Company, Json, open_company
from tests.support.nursery import Nursery

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def company(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> AsyncGenerator[Company]:
    """A started sample company, shared; each test has an order of its own."""
    home: Path = tmp_path_factory.mktemp("dry") / "var"
    async with open_company(home, nursery) as started:
        yield started


@pytest.fixture(scope="module")
def orders() -> Orders:
    """Orders that no other test here uses."""
    return Orders()


async def status_of(company: Company, order_id: str) -> str:
    """The order's status, as the shop has it."""
    async with company.http.get(f"{company.sandbox}/shop/orders/{quote(order_id, safe='')}") as answer:
        return (await answer.json())["order"]["status"]


async def runs_about(company: Company, order_id: str) -> list[Json]:
    """The runs that speak of an order, newest first."""
    return [row for row in await rows(company, "runs") if order_id in str(row["steps"])]


async def ledger_of(company: Company, run_id: str) -> dict[str, Json]:
    """What the ledger has of a run, by step."""
    return {row["step"]: row for row in await rows(company, "ledger") if row["run_id"] == run_id}


async def done_dry(company: Company, order_id: str, said: str) -> tuple[Json, str]:
    """The card of a dry run that has ended, and the run's id."""
    assert await company.command(RITA, said) == {"ok": True}
    card = await company.run_card(containing=order_id, state="dry run · ✅ done")
    [run] = await runs_about(company, order_id)
    return card, run["run_id"]


async def told_in_its_thread(company: Company, card: Json) -> list[Json]:
    """What stands in a dry run's thread once its end has been told there."""

    async def look() -> list[Json] | None:
        found = (await company.messages(thread=card["ts"]))[1:]
        return found if any("exact payloads" in each["text"] for each in found) and len(found) > 1 else None

    return await company.until(look, "the thread has the payloads and the report")


def words_of(messages: list[Json]) -> str:
    """Everything that the blocks of these messages say."""
    return "".join("".join(texts(message.get("blocks") or [])) for message in messages)


async def test_a_dry_run_shows_what_would_be_sent_and_touches_nothing(company: Company, orders: Orders) -> None:
    order_id = orders.take(above=5_000, at_most=50_000)
    card, run_id = await done_dry(company, order_id, f"run returns {order_id} everything because it broke --dry")
    effects = await ledger_of(company, run_id)
    assert [(row["state"], row["attempts"]) for row in effects.values()] == [("rehearsed", None)] * 2
    assert await refunds_of(company, order_id) == []
    assert await status_of(company, order_id) == "delivered"
    assert [row for row in await rows(company, "approvals") if row["run_id"] == run_id] == []

    thread = await told_in_its_thread(company, card)
    assert all("ry run" in message["text"] for message in thread), thread
    for row in effects.values():
        assert row["rehearsal"]["body"] in words_of([card])
        assert row["digest"][:16] in words_of([card])
        assert row["rehearsal"]["body"] in words_of(thread)
    assert "would wait for an approver" in words_of([card])


async def test_its_asker_alone_runs_it_for_real_once_under_the_same_digests(company: Company, orders: Orders) -> None:
    order_id = orders.take(above=5_000, at_most=50_000)
    card, dry_id = await done_dry(company, order_id, f"dry run returns {order_id} everything because it broke")
    await told_at_click(company, ADA, card, "run.for_real", says="can run it for real")
    assert len(await runs_about(company, order_id)) == 1
    await told_at_click(company, RITA, card, "run.for_real", says="for real as")
    approval = await company.approval_card(card)
    # Whoever saw the card before it changed presses what stood there.
    await company.click(RITA, card, "run.for_real")
    live_id = next(row["run_id"] for row in await runs_about(company, order_id) if row["run_id"] != dry_id)
    assert await refunds_of(company, order_id) == []
    await company.click(CLEO, approval, "approval.approve")

    async def refunded() -> list[Json]:
        return await refunds_of(company, order_id)

    assert len(await company.until(refunded, "it is refunded")) == 1
    assert len(await runs_about(company, order_id)) == 2
    dry, live = await ledger_of(company, dry_id), await ledger_of(company, live_id)
    for step, row in dry.items():
        assert row["digest"] == live[step]["digest"]
        body = row["rehearsal"]["body"].replace(row["receiver_key"], live[step]["receiver_key"])
        assert hashlib.sha256(body.encode()).hexdigest() == live[step]["request_sha256"]
    events = [row["event"] for row in await rows(company, "audit")]
    assert {"effect.rehearsed", "run.promoted", "run.promotion_refused"} <= set(events)


async def test_what_would_run_alone_and_what_would_be_refused_is_said(company: Company, orders: Orders) -> None:
    order_id = orders.take(at_most=5_000)
    card, _ = await done_dry(company, order_id, f"run returns {order_id} everything because it broke —dry")
    assert "would happen without asking anybody" in words_of([card])
    assert (await refunds_of(company, order_id), await status_of(company, order_id)) == ([], "delivered")
    await told(company, RITA, "dry returns", says="dry run")
    await company.command(RITA, "dry run returns #W9999999 everything because it broke")
    refused = await company.run_card(containing="#W9999999", state="dry run · ⛔ refused")
    assert "run.for_real" not in json.dumps(refused)
