"""The exchanges of the sandbox shop: recorded once per honoured key, refused where the shop's own records say no."""

import json
import sqlite3
from collections.abc import Mapping
from typing import Any, Protocol

from bot.local.sandbox.answers import Declined, Json
from bot.local.sandbox.control_store import ControlStore
from bot.local.sandbox.effects import EffectLog, Made
from bot.local.sandbox.received import ExchangeBody, Received
from core.ids import new_id


class Shelves(Protocol):
    """The shop's records, as far as an exchange needs them."""

    def order(self, order_id: str) -> Json:
        """The order as it stands; raises Declined (404)."""
        ...

    def customer(self, customer_id: str) -> Json:
        """The customer; raises Declined (404)."""
        ...

    def product(self, product_id: str) -> Json:
        """The product with its variants; raises Declined (404)."""
        ...


class Exchanges:
    """Records exchanges in the shop's database."""

    def __init__(self, connection: sqlite3.Connection, control: ControlStore, shelves: Shelves) -> None:
        self._connection = connection
        self._shelves = shelves
        self._log = EffectLog(connection, control)

    def record(self, order_id: str, body: ExchangeBody, received: Received) -> Made:
        """Record an exchange once per honoured key, or raise Declined with nothing changed."""
        asked = {"order_id": order_id, **body.model_dump()}
        return self._log.once("exchange", asked, received, lambda: self._apply(order_id, body, received))

    def under(self, key: str) -> Json:
        """What was answered to the first exchange that came with that key; raises Declined (404)."""
        return self._log.under("exchange", key)

    def all(self) -> list[Json]:
        """Every exchange that was applied, oldest first."""
        return self._log.all("exchange")

    def _apply(self, order_id: str, body: ExchangeBody, received: Received) -> Json:
        order = self._shelves.order(order_id)
        if order["status"] != "delivered":
            message = f"Order {order_id} is {order['status']}. Only a delivered order can be exchanged."
            raise Declined(422, "order_not_delivered", message)
        methods = self._shelves.customer(order["customer_id"])["payment_methods"]
        if body.payment_method_id not in {method["payment_method_id"] for method in methods}:
            message = f"Customer {order['customer_id']} has no payment method {body.payment_method_id}."
            raise Declined(422, "unknown_payment_method", message)
        due = self._difference(order, body)
        if (body.amount_minor, body.currency) != (due, order["currency"]):
            message = f"The difference is {due} minor units of {order['currency']}, not {body.amount_minor}."
            raise Declined(422, "wrong_difference", message)
        return self._write(order_id, body, received)

    def _difference(self, order: Mapping[str, Any], body: ExchangeBody) -> int:
        if len(body.item_ids) != len(body.new_item_ids):
            raise Declined(400, "invalid_request", "new_item_ids: one for each of item_ids is needed.")
        left, due = list(order["items"]), 0
        for item_id, new_item_id in zip(body.item_ids, body.new_item_ids, strict=True):
            line = min((each for each in left if each["item_id"] == item_id), key=_price, default=None)
            if line is None:
                raise Declined(422, "item_not_in_order", f"Order {order['order_id']} has no item {item_id} left.")
            left.remove(line)
            variants = self._shelves.product(line["product_id"])["variants"]
            new = next((each for each in variants if each["item_id"] == new_item_id and each["available"]), None)
            if new is None:
                message = f"{new_item_id} is no variant of {line['name']} that is on sale."
                raise Declined(422, "not_exchangeable", message)
            due += new["price_minor"] - line["price_minor"]
        return due

    def _write(self, order_id: str, body: ExchangeBody, received: Received) -> Json:
        exchange_id = new_id("exc", 12)
        returned = {
            "item_ids": body.item_ids,
            "payment_method_id": body.payment_method_id,
            "requested_at": received.at.isoformat(),
            "exchange_id": exchange_id,
        }
        self._connection.execute(
            """
            UPDATE main.purchase SET status = 'exchange requested', returned = ?, version = version + 1
            WHERE order_id = ?
            """,
            (json.dumps(returned), order_id),
        )
        return {"order": self._shelves.order(order_id), "exchange_id": exchange_id, "receiver_key": received.key}


def _price(line: Mapping[str, Any]) -> int:
    return line["price_minor"]
