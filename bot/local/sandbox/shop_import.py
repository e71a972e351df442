"""Brings a whole shop into the sandbox, from files or from generated records, all of it or nothing per database."""

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bot.local.sandbox.database import SandboxUnusable
from bot.local.sandbox.payments_store import PaymentsStore
from bot.local.sandbox.records import ShopRecords
from bot.local.sandbox.shop_files import read_shop
from bot.local.sandbox.shop_store import ShopStore
from core.clock import Clock, SystemClock


@dataclass(frozen=True, slots=True)
class Imported:
    """How many of each thing an import brought."""

    customers: int
    products: int
    orders: int
    delivered: int
    payment_methods: int
    charges: int
    earlier_refunds: int


def import_shop(folder: Path, home: Path, *, clock: Clock | None = None) -> Imported:
    """Replace what the sandbox holds under the same ids by the shop in `folder`, also while the server runs.

    Raises ShopFilesInvalid with nothing changed, SandboxUnusable, HomeUnwritable.
    """
    records = read_shop(folder)
    at = (clock or SystemClock()).now()
    with _patient(), closing(ShopStore(home)) as shop, closing(PaymentsStore(home)) as payments:
        payments.replace(records, at)
        shop.replace(records)
    return _counted(records)


def seed_shop(records: ShopRecords, home: Path, *, clock: Clock | None = None) -> bool:
    """Bring `records` into those of the two databases that are empty, and say whether any was."""
    at = (clock or SystemClock()).now()
    with _patient(), closing(ShopStore(home)) as shop, closing(PaymentsStore(home)) as payments:
        charged = payments.seed(records, at)
        return shop.seed(records) or charged


@contextmanager
def _patient() -> Generator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise SandboxUnusable(
            f"The sandbox's database cannot be written: {error}. Free the disk, or let the other import end; try again."
        ) from error


def _counted(records: ShopRecords) -> Imported:
    payments = [payment for order in records.orders for payment in order.payments]
    return Imported(
        customers=len(records.customers),
        products=len(records.products),
        orders=len(records.orders),
        delivered=sum(order.status == "delivered" for order in records.orders),
        payment_methods=sum(len(customer.payment_methods) for customer in records.customers),
        charges=sum(payment.kind == "payment" for payment in payments),
        earlier_refunds=sum(payment.kind == "refund" for payment in payments),
    )
