"""The sandbox shop's own database: orders, customers, products, return requests, and the log of returns."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bot.local.sandbox.answers import Declined, Json
from bot.local.sandbox.control_store import CONTROL_SCHEMA, ControlStore
from bot.local.sandbox.database import connect, shop_path, writing
from bot.local.sandbox.effects import EFFECT_SCHEMA
from bot.local.sandbox.exchanges import Exchanges
from bot.local.sandbox.received import Received, RestoreBody, ReturnBody
from bot.local.sandbox.records import CURRENCY, Order, OrderPayment, PaymentMethod, ShopRecords, Variant
from core.ids import new_id

_SCHEMA = """
CREATE TABLE IF NOT EXISTS customer (
    customer_id TEXT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL, payment_methods TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS product (
    product_id TEXT PRIMARY KEY, name TEXT NOT NULL, variants TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS purchase (
    order_id TEXT PRIMARY KEY, customer_id TEXT NOT NULL, status TEXT NOT NULL, currency TEXT NOT NULL,
    items TEXT NOT NULL, payments TEXT NOT NULL, returned TEXT, version INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS purchase_by_status ON purchase (status, order_id);
CREATE TABLE IF NOT EXISTS return_request (
    request_id TEXT PRIMARY KEY, order_id TEXT NOT NULL, item_ids TEXT NOT NULL, reason TEXT NOT NULL,
    payment_method_id TEXT, received_at TEXT NOT NULL, text TEXT NOT NULL, state TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS return_log (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, return_id TEXT NOT NULL UNIQUE, order_id TEXT NOT NULL,
    item_ids TEXT NOT NULL, payment_method_id TEXT NOT NULL, amount_minor INTEGER NOT NULL,
    currency TEXT NOT NULL, reason TEXT NOT NULL, receiver_key TEXT, fingerprint TEXT NOT NULL,
    received_sha256 TEXT NOT NULL, created_at TEXT NOT NULL, answer TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS return_log_by_key ON return_log (receiver_key);
CREATE TRIGGER IF NOT EXISTS return_log_is_never_changed BEFORE UPDATE ON return_log
BEGIN SELECT RAISE(ABORT, 'return_log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS return_log_is_never_shortened BEFORE DELETE ON return_log
BEGIN SELECT RAISE(ABORT, 'return_log is append-only'); END;
CREATE TABLE IF NOT EXISTS closed_by_return (return_id TEXT NOT NULL, request_id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS restore_log (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, restore_id TEXT NOT NULL UNIQUE, order_id TEXT NOT NULL,
    return_id TEXT NOT NULL, receiver_key TEXT, fingerprint TEXT NOT NULL, received_sha256 TEXT NOT NULL,
    created_at TEXT NOT NULL, answer TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS restore_log_by_key ON restore_log (receiver_key);
CREATE TRIGGER IF NOT EXISTS restore_log_is_never_changed BEFORE UPDATE ON restore_log
BEGIN SELECT RAISE(ABORT, 'restore_log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS restore_log_is_never_shortened BEFORE DELETE ON restore_log
BEGIN SELECT RAISE(ABORT, 'restore_log is append-only'); END;
"""


@dataclass(frozen=True, slots=True)
class ReturnMade:
    """The shop's answer to a return or a restoring, and whether the shop is to keep it to itself."""

    answer: Json
    unanswered: bool


class ShopStore:
    """Everything the sandbox shop knows."""

    def __init__(self, home: Path) -> None:
        self._connection = connect(shop_path(home), _SCHEMA + EFFECT_SCHEMA + CONTROL_SCHEMA)
        self.control = ControlStore(self._connection)
        self.exchanges = Exchanges(self._connection, self.control, self)

    def close(self) -> None:
        """Close the file; nothing acknowledged is lost without it."""
        self._connection.close()

    def order(self, order_id: str) -> Json:
        """The order as it stands; raises Declined (404)."""
        row = self._connection.execute("SELECT * FROM main.purchase WHERE order_id = ?", (order_id,)).fetchone()
        if row is None:
            raise Declined(404, "order_not_found", f"The shop has no order {order_id}.")
        return _order(row)

    def orders(self, status: str | None, after: str, limit: int) -> list[Json]:
        """Up to `limit` orders in short, by id, those after `after` and of `status` where one is given."""
        rows = self._connection.execute(
            """
            SELECT * FROM main.purchase
            WHERE order_id > :after AND (:status IS NULL OR status = :status) ORDER BY order_id LIMIT :limit
            """,
            {"status": status, "after": after, "limit": limit},
        )
        return [_summary(row) for row in rows]

    def customer(self, customer_id: str) -> Json:
        """The customer with the payment methods on file; raises Declined (404)."""
        row = self._connection.execute("SELECT * FROM main.customer WHERE customer_id = ?", (customer_id,)).fetchone()
        if row is None:
            raise Declined(404, "customer_not_found", f"The shop has no customer {customer_id}.")
        methods = [{**each, "currency": CURRENCY} for each in json.loads(row["payment_methods"])]
        return {**dict(row), "payment_methods": methods, "returns_made": self._returns_made(customer_id)}

    def _returns_made(self, customer_id: str) -> int:
        counting = "SELECT count(*) FROM main.purchase WHERE customer_id = ? AND status LIKE '% requested'"
        return int(self._connection.execute(counting, (customer_id,)).fetchone()[0])

    def product(self, product_id: str) -> Json:
        """The product with its variants and their prices; raises Declined (404)."""
        row = self._connection.execute("SELECT * FROM main.product WHERE product_id = ?", (product_id,)).fetchone()
        if row is None:
            raise Declined(404, "product_not_found", f"The shop has no product {product_id}.")
        return {**dict(row), "variants": json.loads(row["variants"]), "currency": CURRENCY}

    def return_requests(self, state: str) -> list[Json]:
        """The customers' return requests in that state, in the order in which they came."""
        rows = self._connection.execute(
            """
            SELECT request_id, order_id, item_ids, reason, payment_method_id, received_at, text
            FROM main.return_request WHERE state = ? ORDER BY received_at, request_id
            """,
            (state,),
        )
        return [{**dict(row), "item_ids": json.loads(row["item_ids"])} for row in rows]

    def return_under(self, key: str) -> Json:
        """What was answered to the first return that came with that key; raises Declined (404)."""
        row = self._logged(key)
        if row is None:
            raise Declined(404, "return_not_found", f"The shop recorded no return under the key {key}.")
        return json.loads(row["answer"])

    def log(self) -> list[Json]:
        """Every return that was applied, oldest first."""
        rows = self._connection.execute(
            """
            SELECT sequence, return_id, order_id, item_ids, payment_method_id, amount_minor, currency, reason,
                receiver_key AS key, received_sha256, created_at
            FROM main.return_log ORDER BY sequence
            """
        )
        return [{**dict(row), "item_ids": json.loads(row["item_ids"])} for row in rows]

    def record_return(self, order_id: str, body: ReturnBody, received: Received) -> ReturnMade:
        """Record a return once per honoured key, closing its requests, or raise Declined with nothing changed."""
        with writing(self._connection):
            earlier = self._logged(received.key) if self.control.read().honour_keys else None
            if earlier is not None:
                return ReturnMade(_replay(earlier, received), unanswered=False)
            order = self.order(order_id)
            _refuse_if_not_delivered(order)
            _refuse_if_not_bought(order, body.item_ids)
            self._refuse_if_not_theirs(order, body)
            return ReturnMade(self._apply(order, body, received), unanswered=self.control.take_timeout())

    def _logged(self, key: str | None) -> sqlite3.Row | None:
        return self._connection.execute(
            "SELECT * FROM main.return_log WHERE receiver_key = ? ORDER BY sequence LIMIT 1", (key,)
        ).fetchone()

    def _refuse_if_not_theirs(self, order: Json, body: ReturnBody) -> None:
        if body.currency != order["currency"]:
            message = f"Order {order['order_id']} was paid in {order['currency']}, not in {body.currency}."
            raise Declined(422, "currency_mismatch", message)
        methods = self.customer(order["customer_id"])["payment_methods"]
        if body.payment_method_id not in {method["payment_method_id"] for method in methods}:
            message = f"Customer {order['customer_id']} has no payment method {body.payment_method_id}."
            raise Declined(422, "unknown_payment_method", message)

    def _apply(self, order: Json, body: ReturnBody, received: Received) -> Json:
        order_id, at = order["order_id"], received.at.isoformat()
        returned = {
            "item_ids": body.item_ids,
            "payment_method_id": body.payment_method_id,
            "requested_at": at,
        }
        self._connection.execute(
            """
            UPDATE main.purchase SET status = 'return requested', returned = ?, version = version + 1
            WHERE order_id = ?
            """,
            (json.dumps(returned), order_id),
        )
        return_id = new_id("ret", 12)
        self._connection.execute(
            """
            INSERT INTO main.closed_by_return
            SELECT ?, request_id FROM main.return_request WHERE order_id = ? AND state = 'open'
            """,
            (return_id, order_id),
        )
        self._connection.execute("UPDATE main.return_request SET state = 'closed' WHERE order_id = ?", (order_id,))
        answer: Json = {
            "order": self.order(order_id),
            "return_id": return_id,
            "receiver_key": received.key,
            "amount_minor": body.amount_minor,
            "currency": body.currency,
            "reason": body.reason,
        }
        self._append(return_id, order_id, body, received, answer=answer)
        return answer

    def _append(self, return_id: str, order_id: str, body: ReturnBody, received: Received, *, answer: Json) -> None:
        self._connection.execute(
            """
            INSERT INTO main.return_log (return_id, order_id, item_ids, payment_method_id, amount_minor,
                currency, reason, receiver_key, fingerprint, received_sha256, created_at, answer)
            VALUES (:return_id, :order_id, :items, :payment_method_id, :amount_minor,
                :currency, :reason, :key, :fingerprint, :sha256, :at, :answer)
            """,
            {
                **body.model_dump(exclude={"item_ids"}),
                "items": json.dumps(body.item_ids),
                "return_id": return_id,
                "order_id": order_id,
                "key": received.key,
                "fingerprint": received.fingerprint,
                "sha256": received.sha256,
                "at": received.at.isoformat(),
                "answer": json.dumps(answer),
            },
        )

    def restore(self, order_id: str, body: RestoreBody, received: Received) -> ReturnMade:
        """Take back the order's return once per honoured key, opening its requests, or raise Declined unchanged."""
        with writing(self._connection):
            earlier = self._restored(received.key) if self.control.read().honour_keys else None
            if earlier is not None:
                return ReturnMade(_replay(earlier, received), unanswered=False)
            self._refuse_if_not_in_that_return(self.order(order_id), body.return_id)
            answer = self._take_back(order_id, body.return_id, received)
            return ReturnMade(answer, unanswered=self.control.take_timeout())

    def restore_under(self, key: str) -> Json:
        """What was answered to the first restoring that came with that key; raises Declined (404)."""
        row = self._restored(key)
        if row is None:
            raise Declined(404, "restore_not_found", f"The shop restored no order under the key {key}.")
        return json.loads(row["answer"])

    def restores(self) -> list[Json]:
        """Every return that was taken back, oldest first."""
        rows = self._connection.execute(
            """
            SELECT sequence, restore_id, order_id, return_id, receiver_key AS key, received_sha256, created_at
            FROM main.restore_log ORDER BY sequence
            """
        )
        return [dict(row) for row in rows]

    def _restored(self, key: str | None) -> sqlite3.Row | None:
        return self._connection.execute(
            "SELECT * FROM main.restore_log WHERE receiver_key = ? ORDER BY sequence LIMIT 1", (key,)
        ).fetchone()

    def _refuse_if_not_in_that_return(self, order: Json, return_id: str) -> None:
        order_id = order["order_id"]
        if order["status"] == "exchange requested" and order["return"]["exchange_id"] == return_id:
            return
        row = self._connection.execute(
            "SELECT return_id FROM main.return_log WHERE order_id = ? ORDER BY sequence DESC LIMIT 1", (order_id,)
        ).fetchone()
        if order["status"] != "return requested" or row is None or row["return_id"] != return_id:
            message = f"Order {order_id} is {order['status']} and no longer in return {return_id}."
            raise Declined(422, "not_in_this_return", message)

    def _take_back(self, order_id: str, return_id: str, received: Received) -> Json:
        self._connection.execute(
            "UPDATE main.purchase SET status = 'delivered', returned = NULL, version = version + 1 WHERE order_id = ?",
            (order_id,),
        )
        self._connection.execute(
            """
            UPDATE main.return_request SET state = 'open'
            WHERE request_id IN (SELECT request_id FROM main.closed_by_return WHERE return_id = ?)
            """,
            (return_id,),
        )
        restore_id, order = new_id("rst", 12), self.order(order_id)
        answer: Json = {"order": order, "restore_id": restore_id, "return_id": return_id, "receiver_key": received.key}
        written = (restore_id, order_id, return_id, received.key, received.fingerprint, received.sha256)
        self._connection.execute(
            """
            INSERT INTO main.restore_log (restore_id, order_id, return_id, receiver_key, fingerprint,
                received_sha256, created_at, answer)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?)
            """,
            (*written, received.at.isoformat(), json.dumps(answer)),
        )
        return answer

    def replace(self, records: ShopRecords) -> None:
        """Hold `records`, instead of what had the same ids, all of them or none; the log of returns stays."""
        with writing(self._connection):
            self._write(records)

    def seed(self, records: ShopRecords) -> bool:
        """Hold `records` if the shop is empty, and say whether it was."""
        with writing(self._connection):
            row = self._connection.execute(
                "SELECT EXISTS (SELECT 1 FROM main.purchase) OR EXISTS (SELECT 1 FROM main.customer)"
            ).fetchone()
            if not row[0]:
                self._write(records)
            return not row[0]

    def _write(self, records: ShopRecords) -> None:
        self._connection.executemany(
            "INSERT OR REPLACE INTO main.customer VALUES (?, ?, ?, ?)",
            [(c.customer_id, c.name, c.email, _listed(c.payment_methods)) for c in records.customers],
        )
        self._connection.executemany(
            "INSERT OR REPLACE INTO main.product VALUES (?, ?, ?)",
            [(p.product_id, p.name, _listed(p.variants)) for p in records.products],
        )
        self._connection.executemany(
            """
            INSERT INTO main.purchase VALUES (?, ?, ?, ?, ?, ?, NULL, 1)
            ON CONFLICT (order_id) DO UPDATE SET
                customer_id = excluded.customer_id, status = excluded.status, currency = excluded.currency,
                items = excluded.items, payments = excluded.payments, returned = NULL, version = version + 1
            """,
            [_purchase(order) for order in records.orders],
        )
        self._connection.executemany(
            """
            INSERT OR REPLACE INTO main.return_request
            VALUES (:request_id, :order_id, :item_ids, :reason, :payment_method_id, :received_at, :text, 'open')
            """,
            [{**asdict(r), "item_ids": json.dumps(r.item_ids)} for r in records.return_requests],
        )


def _order(row: sqlite3.Row) -> Json:
    return {
        "order_id": row["order_id"],
        "customer_id": row["customer_id"],
        "status": row["status"],
        "currency": row["currency"],
        "items": json.loads(row["items"]),
        "payments": json.loads(row["payments"]),
        "return": json.loads(row["returned"]) if row["returned"] else None,
        "version": row["version"],
    }


def _summary(row: sqlite3.Row) -> Json:
    items = json.loads(row["items"])
    return {
        "order_id": row["order_id"],
        "customer_id": row["customer_id"],
        "status": row["status"],
        "currency": row["currency"],
        "item_count": len(items),
        "total_minor": sum(item["price_minor"] for item in items),
        "version": row["version"],
    }


def _replay(earlier: sqlite3.Row, received: Received) -> Json:
    if earlier["fingerprint"] != received.fingerprint:
        message = f"The key {received.key} came before with another request. Use a new key for a new return."
        raise Declined(409, "idempotency_mismatch", message)
    return json.loads(earlier["answer"])


def _refuse_if_not_delivered(order: Json) -> None:
    if order["status"] != "delivered":
        message = f"Order {order['order_id']} is {order['status']}. Only a delivered order can be returned."
        raise Declined(422, "order_not_delivered", message)


def _refuse_if_not_bought(order: Json, item_ids: Sequence[str]) -> None:
    bought = [line["item_id"] for line in order["items"]]
    for item_id in set(item_ids):
        if item_ids.count(item_id) > bought.count(item_id):
            message = (
                f"Order {order['order_id']} has {bought.count(item_id)} of item {item_id}, "
                f"not {item_ids.count(item_id)}."
            )
            raise Declined(422, "item_not_in_order", message)


def _listed(things: Sequence[PaymentMethod | Variant | OrderPayment]) -> str:
    return json.dumps([asdict(thing) for thing in things])


def _purchase(order: Order) -> tuple[str, str, str, str, str, str]:
    items = [{**asdict(line), "line": number} for number, line in enumerate(order.lines, start=1)]
    return (
        order.order_id,
        order.customer_id,
        order.status,
        CURRENCY,
        json.dumps(items),
        _listed(order.payments),
    )
