"""A shop that nobody here wrote: 1,000 orders, returns asked for through the page's own API."""

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.company import BEN, CLEO, GENERAL, RETURNS, RITA, Company, Json, open_company
from tests.support.nursery import Nursery

pytestmark = pytest.mark.asyncio(loop_scope="session")

LIMIT_MINOR = 5_000
TIER_TWO_MINOR = 50_000
KINDS = ("credit_card", "paypal", "gift_card")


@dataclass(frozen=True)
class Case:
    """One return to ask for, and what must come of it."""

    order_id: str
    item_ids: tuple[str, ...]
    amount_minor: int
    words: str = ""
    rule: str = ""

    @property
    def command(self) -> str:
        """What Rita types."""
        return f"run returns {self.order_id} {' '.join(self.item_ids)} {self.words} because it did not fit"


@dataclass(frozen=True)
class Shop:
    """The files of the shop."""

    folder: Path
    orders: dict[str, Any]
    users: dict[str, Any]

    def delivered(self) -> Iterator[Json]:
        """Delivered orders with unlike items, by number."""
        for order_id in sorted(self.orders):
            order = self.orders[order_id]
            ids = [item["item_id"] for item in order["items"]]
            if order["status"] == "delivered" and len(ids) == len(set(ids)):
                yield order

    def methods(self, order: Json) -> dict[str, Any]:
        """The payment methods of the order's customer."""
        return self.users[order["user_id"]]["payment_methods"]


def _minor(price: float) -> int:
    return int(Decimal(str(price)) * 100)


def _paid_with(order: Json) -> str:
    return order["payment_history"][0]["payment_method_id"]


def _kind(method: str) -> str:
    return method.rsplit("_", 1)[0]


def _take(found: Iterable[Case | None], count: int, taken: set[str]) -> list[Case]:
    chosen: list[Case] = []
    for case in found:
        if case is not None and case.order_id not in taken and len(chosen) < count:
            chosen.append(case)
            taken.add(case.order_id)
    assert len(chosen) == count
    return chosen


def _small(order: Json) -> Case | None:
    cheap = [item for item in order["items"] if _minor(item["price"]) <= LIMIT_MINOR]
    return Case(order["order_id"], (cheap[0]["item_id"],), _minor(cheap[0]["price"])) if cheap else None


def _whole(order: Json) -> Case | None:
    total = sum(_minor(item["price"]) for item in order["items"])
    ids = tuple(item["item_id"] for item in order["items"])
    return Case(order["order_id"], ids, total) if total > LIMIT_MINOR else None


def _of_kind(shop: Shop, kind: str) -> Iterator[Json]:
    return (order for order in shop.delivered() if _kind(_paid_with(order)) == kind)


def _allowed(shop: Shop, taken: set[str]) -> list[Case]:
    """20 delivered orders, all payment kinds, small and large."""
    small = [case for kind in KINDS for case in _take(map(_small, _of_kind(shop, kind)), 3, taken)]
    large = [case for kind in KINDS for case in _take(map(_whole, _of_kind(shop, kind)), 3, taken)]
    to_gift_card = (_to_own_gift_card(shop, order) for order in shop.delivered())
    return [*small, *large, *_take(to_gift_card, 2, taken)]


def _to_own_gift_card(shop: Shop, order: Json) -> Case | None:
    cards = [method for method in shop.methods(order) if _kind(method) == "gift_card"]
    whole = _whole(order)
    if whole is None or not cards or _paid_with(order) in cards:
        return None
    return Case(whole.order_id, whole.item_ids, whole.amount_minor, words=f"to {cards[0]}")


def _forbidden(shop: Shop, taken: set[str]) -> list[Case]:
    pending = (order for order in shop.orders.values() if order["status"] in {"pending", "processed"})
    not_delivered = (Case(o["order_id"], (o["items"][0]["item_id"],), 0, rule="delivered-only") for o in pending)
    twice = (Case(o["order_id"], (o["items"][0]["item_id"],) * 2, 0, rule="same-item-once") for o in shop.delivered())
    foreign = (
        Case(o["order_id"], (o["items"][0]["item_id"],), 0, words="to paypal_0000001", rule="refund-destination")
        for o in shop.delivered()
    )
    other = (_other_method(shop, order) for order in shop.delivered())
    absent = (Case(o["order_id"], ("1234567890",), 0, rule="items-in-order") for o in shop.delivered())
    return [case for some in (not_delivered, twice, foreign, other, absent) for case in _take(some, 2, taken)]


def _other_method(shop: Shop, order: Json) -> Case | None:
    """A method of the same customer that neither paid for the order nor is a gift card."""
    others = [method for method in shop.methods(order) if method != _paid_with(order) and _kind(method) != "gift_card"]
    if not others:
        return None
    item = order["items"][0]["item_id"]
    return Case(order["order_id"], (item,), 0, words=f"to {others[0]}", rule="refund-destination")


@pytest.fixture(scope="module")
def shop() -> Shop:
    """The public shop, where it is there."""
    data = os.environ.get("COUNTERSIGN_PUBLIC_DATA")
    if not data:
        pytest.skip("COUNTERSIGN_PUBLIC_DATA is not set: point it at the folder that holds retail/")
    folder = Path(data) / "retail"
    return Shop(folder, *(json.loads((folder / f"{name}.json").read_text()) for name in ("orders", "users")))


@pytest_asyncio.fixture(loop_scope="session")
async def company(tmp_path: Path, shop: Shop, nursery: Nursery) -> AsyncGenerator[Company]:
    """A started company with the public shop imported."""
    async with open_company(tmp_path / "var", nursery) as started:
        code, out, error = await started.countersign("import", "shop", str(shop.folder))
        assert code == 0, error
        assert "1000" in out.replace(",", "")
        yield started


async def test_twenty_returns_are_refunded_as_the_rules_say_and_the_rest_is_refused(
    company: Company, shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    taken: set[str] = set()
    allowed, forbidden = _allowed(shop, taken), _forbidden(shop, taken)
    assert len(allowed) == 20

    for place, case in enumerate([*allowed, *forbidden]):
        channel = (RETURNS, GENERAL)[place % 2]
        assert await company.command(RITA, case.command, channel=channel) == {"ok": True}
    where = {case.order_id: (RETURNS, GENERAL)[place % 2] for place, case in enumerate([*allowed, *forbidden])}

    await asyncio.gather(*(_settle(company, case, where[case.order_id]) for case in allowed))
    for case in forbidden:
        card = await company.run_card(containing=case.order_id, state="refused", channel=where[case.order_id])
        assert case.rule in card["text"]

    log = await company.refunds()
    assert {row["order_id"]: row["amount_minor"] for row in log} == {c.order_id: c.amount_minor for c in allowed}
    assert len(log) == len(allowed)
    ledger = await company.cli("ledger", "--limit", "500")
    receipts = [row["receipt"]["amount"]["minor"] for row in ledger if row["action"] == "payment.refund"]
    assert sum(receipts) == sum(row["amount_minor"] for row in log)
    hashes = {row["receiver_key"]: row["request_sha256"] for row in ledger}
    assert all(hashes[row["key"]] == row["received_sha256"] for row in log)

    alone = [case for case in allowed if case.amount_minor <= LIMIT_MINOR]
    asked = [case for case in allowed if case.amount_minor > LIMIT_MINOR]
    approvals = await company.cli("approvals", "--limit", "500")
    assert len(approvals) == len(asked)
    with capsys.disabled():
        print(
            f"\nlimit 50.00 USD: {len(alone)} of {len(allowed)} ran alone ({_sum(alone)} of {_sum(allowed)} USD),"
            f" {len(asked)} asked a person ({_sum(asked)} USD), {len(forbidden)} refused by rule"
        )


def _sum(cases: list[Case]) -> Decimal:
    return Decimal(sum(case.amount_minor for case in cases)) / 100


async def _settle(company: Company, case: Case, channel: str) -> None:
    if case.amount_minor > LIMIT_MINOR:
        run = await company.run_card(containing=case.order_id, state="waiting", channel=channel)
        card = await company.approval_card(run)
        approver = CLEO if case.amount_minor > TIER_TWO_MINOR else BEN
        assert (await company.click(approver, card, "approval.approve"))["ok"]
    await company.run_card(containing=case.order_id, state="✅ done", channel=channel)
