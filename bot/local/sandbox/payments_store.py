"""The sandbox payment provider's own database: charges, payment methods, and the log of refunds."""

import hashlib
import json
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bot.local.sandbox.answers import Declined, Json
from bot.local.sandbox.control_store import CONTROL_SCHEMA, ControlStore
from bot.local.sandbox.database import connect, payments_path, writing
from bot.local.sandbox.received import Received, RefundBody
from bot.local.sandbox.records import CURRENCY, Order, ShopRecords
from core.ids import new_id

_SCHEMA = """
CREATE TABLE IF NOT EXISTS method (
    payment_method_id TEXT NOT NULL, customer_id TEXT NOT NULL, kind TEXT NOT NULL,
    PRIMARY KEY (customer_id, payment_method_id)
);
CREATE TABLE IF NOT EXISTS charge (
    order_id TEXT NOT NULL, position INTEGER NOT NULL, customer_id TEXT NOT NULL,
    amount_minor INTEGER NOT NULL, currency TEXT NOT NULL, payment_method_id TEXT NOT NULL,
    PRIMARY KEY (order_id, position)
);
CREATE TABLE IF NOT EXISTS earlier_refund (
    refund_id TEXT PRIMARY KEY, order_id TEXT NOT NULL, amount_minor INTEGER NOT NULL,
    currency TEXT NOT NULL, payment_method_id TEXT NOT NULL, created_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS earlier_refund_by_order ON earlier_refund (order_id);
CREATE TABLE IF NOT EXISTS refund_log (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, refund_id TEXT NOT NULL UNIQUE, order_id TEXT NOT NULL,
    amount_minor INTEGER NOT NULL, currency TEXT NOT NULL, payment_method_id TEXT NOT NULL,
    metadata TEXT NOT NULL, metadata_key TEXT, receiver_key TEXT, fingerprint TEXT NOT NULL,
    received_sha256 TEXT NOT NULL, created_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS refund_log_by_key ON refund_log (receiver_key);
CREATE INDEX IF NOT EXISTS refund_log_by_metadata ON refund_log (metadata_key);
CREATE INDEX IF NOT EXISTS refund_log_by_order ON refund_log (order_id);
CREATE TRIGGER IF NOT EXISTS refund_log_is_never_changed BEFORE UPDATE ON refund_log
BEGIN SELECT RAISE(ABORT, 'refund_log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS refund_log_is_never_shortened BEFORE DELETE ON refund_log
BEGIN SELECT RAISE(ABORT, 'refund_log is append-only'); END;
"""


@dataclass(frozen=True, slots=True)
class RefundMade:
    """The provider's answer to a refund, whether it is a repeat, and whether to keep it to itself."""

    refund: Json
    replayed: bool
    unanswered: bool


@dataclass(frozen=True, slots=True)
class _Charge:
    customer_id: str
    currency: str
    amount_minor: int


class PaymentsStore:
    """Everything the sandbox payment provider knows."""

    def __init__(self, home: Path) -> None:
        self._connection = connect(payments_path(home), _SCHEMA + CONTROL_SCHEMA)
        self.control = ControlStore(self._connection)

    def close(self) -> None:
        """Close the file; nothing acknowledged is lost without it."""
        self._connection.close()

    def refund(self, body: RefundBody, received: Received) -> RefundMade:
        """Refund once per honoured key, and every time when keys are ignored, or raise Declined unchanged.

        While keys are ignored, earlier refunds do not count against the charge either, so that a second
        refund of a whole order shows in the log as what it is instead of being refused by chance.
        """
        with writing(self._connection):
            honoured = self.control.read().honour_keys
            earlier = self._logged(received.key) if honoured else None
            if earlier is not None:
                return RefundMade(_replay(earlier, received), replayed=True, unanswered=False)
            charge = self._charge(body)
            spent = self._refunded(body.order_id) if honoured else 0
            _refuse_if_more_than_left(body, charge, spent)
            self._refuse_if_unknown_method(body, charge)
            refund = self._append(body, received)
            return RefundMade(refund, replayed=False, unanswered=self.control.take_timeout())

    def _logged(self, key: str | None) -> sqlite3.Row | None:
        return self._connection.execute(
            "SELECT * FROM main.refund_log WHERE receiver_key = ? ORDER BY sequence LIMIT 1", (key,)
        ).fetchone()

    def _charge(self, body: RefundBody) -> _Charge:
        row = self._connection.execute(
            """
            SELECT min(customer_id) AS customer_id, min(currency) AS currency, sum(amount_minor) AS amount_minor
            FROM main.charge WHERE order_id = ? HAVING count(*) > 0
            """,
            (body.order_id,),
        ).fetchone()
        if row is None:
            message = f"No charge is known for order {body.order_id}."
            raise Declined(422, "unknown_charge", message)
        return _Charge(row["customer_id"], row["currency"], row["amount_minor"])

    def _refunded(self, order_id: str) -> int:
        row = self._connection.execute(
            """
            SELECT (SELECT coalesce(sum(amount_minor), 0) FROM main.earlier_refund WHERE order_id = :order_id)
                + (SELECT coalesce(sum(amount_minor), 0) FROM main.refund_log WHERE order_id = :order_id)
            """,
            {"order_id": order_id},
        ).fetchone()
        return int(row[0])

    def _refuse_if_unknown_method(self, body: RefundBody, charge: _Charge) -> None:
        row = self._connection.execute(
            "SELECT 1 FROM main.method WHERE customer_id = ? AND payment_method_id = ?",
            (charge.customer_id, body.payment_method_id),
        ).fetchone()
        if row is None:
            message = f"The payer of order {body.order_id} has no payment method {body.payment_method_id}."
            raise Declined(422, "unknown_payment_method", message)

    def _append(self, body: RefundBody, received: Received) -> Json:
        refund_id = new_id("re", 16)
        self._connection.execute(
            """
            INSERT INTO main.refund_log (refund_id, order_id, amount_minor, currency, payment_method_id,
                metadata, metadata_key, receiver_key, fingerprint, received_sha256, created_at)
            VALUES (:refund_id, :order_id, :amount_minor, :currency, :payment_method_id,
                :metadata, :metadata_key, :key, :fingerprint, :sha256, :at)
            """,
            {
                **body.model_dump(exclude={"metadata"}),
                "refund_id": refund_id,
                "metadata": json.dumps(body.metadata),
                "metadata_key": body.metadata.get("countersign_key"),
                "key": received.key,
                "fingerprint": received.fingerprint,
                "sha256": received.sha256,
                "at": received.at.isoformat(),
            },
        )
        return {"refund_id": refund_id, **body.model_dump(), "created_at": received.at.isoformat()}

    def refunds_marked(self, metadata_key: str) -> list[Json]:
        """Every refund whose metadata carries that `countersign_key`, oldest first."""
        rows = self._connection.execute(
            "SELECT * FROM main.refund_log WHERE metadata_key = ? ORDER BY sequence", (metadata_key,)
        )
        return [_refund(row) for row in rows]

    def refunds_of(self, order_id: str) -> list[Json]:
        """Every refund of that order, those made before we came first."""
        rows = self._connection.execute(
            """
            SELECT refund_id, order_id, amount_minor, currency, payment_method_id, '{}' AS metadata,
                created_at, 0 AS sequence
            FROM main.earlier_refund WHERE order_id = :order_id
            UNION ALL
            SELECT refund_id, order_id, amount_minor, currency, payment_method_id, metadata,
                created_at, sequence
            FROM main.refund_log WHERE order_id = :order_id
            ORDER BY sequence, refund_id
            """,
            {"order_id": order_id},
        )
        return [_refund(row) for row in rows]

    def log(self) -> list[Json]:
        """Every refund that was applied on request, oldest first, with its key and the hash of what came."""
        rows = self._connection.execute("SELECT * FROM main.refund_log ORDER BY sequence")
        return [
            {
                "sequence": row["sequence"],
                **_refund(row),
                "key": row["receiver_key"],
                "received_sha256": row["received_sha256"],
            }
            for row in rows
        ]

    def replace(self, records: ShopRecords, at: datetime) -> None:
        """Hold the charges of `records`, instead of those of the same orders, all or none; the log stays."""
        with writing(self._connection):
            self._write(records, at)

    def seed(self, records: ShopRecords, at: datetime) -> bool:
        """Hold the charges of `records` if the provider is empty, and say whether it was."""
        with writing(self._connection):
            row = self._connection.execute(
                "SELECT EXISTS (SELECT 1 FROM main.charge) OR EXISTS (SELECT 1 FROM main.method)"
            ).fetchone()
            if not row[0]:
                self._write(records, at)
            return not row[0]

    def _write(self, records: ShopRecords, at: datetime) -> None:
        self._connection.executemany(
            "DELETE FROM main.method WHERE customer_id = ?", [(c.customer_id,) for c in records.customers]
        )
        self._connection.executemany(
            "INSERT INTO main.method VALUES (?, ?, ?)",
            [(m.payment_method_id, c.customer_id, m.kind) for c in records.customers for m in c.payment_methods],
        )
        replaced = [(order.order_id,) for order in records.orders]
        self._connection.executemany("DELETE FROM main.charge WHERE order_id = ?", replaced)
        self._connection.executemany("DELETE FROM main.earlier_refund WHERE order_id = ?", replaced)
        self._connection.executemany(
            "INSERT INTO main.charge VALUES (?, ?, ?, ?, ?, ?)",
            [row for order in records.orders for row in _charges(order)],
        )
        self._connection.executemany(
            "INSERT INTO main.earlier_refund VALUES (?, ?, ?, ?, ?, ?)",
            [row for order in records.orders for row in _earlier_refunds(order, at)],
        )


def _refund(row: sqlite3.Row) -> Json:
    return {
        "refund_id": row["refund_id"],
        "order_id": row["order_id"],
        "amount_minor": row["amount_minor"],
        "currency": row["currency"],
        "payment_method_id": row["payment_method_id"],
        "metadata": json.loads(row["metadata"]),
        "created_at": row["created_at"],
    }


def _replay(earlier: sqlite3.Row, received: Received) -> Json:
    if earlier["fingerprint"] != received.fingerprint:
        message = f"The key {received.key} came before with another request. Use a new key for a new refund."
        raise Declined(409, "idempotency_mismatch", message)
    return _refund(earlier)


def _refuse_if_more_than_left(body: RefundBody, charge: _Charge, spent: int) -> None:
    if body.currency != charge.currency:
        message = f"Order {body.order_id} was charged in {charge.currency}, not in {body.currency}."
        raise Declined(422, "currency_mismatch", message)
    left = charge.amount_minor - spent
    if body.amount_minor > left:
        message = (
            f"{body.amount_minor} is more than the {left} minor units of {charge.currency} "
            f"that are left of the charge for order {body.order_id}."
        )
        raise Declined(402, "amount_exceeds_charge", message)


def _charges(order: Order) -> list[tuple[str, int, str, int, str, str]]:
    return [
        (order.order_id, number, order.customer_id, paid.amount_minor, CURRENCY, paid.payment_method_id)
        for number, paid in enumerate(order.payments)
        if paid.kind == "payment"
    ]


def _earlier_refunds(order: Order, at: datetime) -> list[tuple[str, str, int, str, str, str]]:
    return [
        (
            f"re_{hashlib.sha256(f'{order.order_id}:{number}'.encode()).hexdigest()[:16]}",
            order.order_id,
            back.amount_minor,
            CURRENCY,
            back.payment_method_id,
            at.isoformat(),
        )
        for number, back in enumerate(order.payments)
        if back.kind == "refund"
    ]
