"""What the sandbox shop's items cost: their prices, their changes under a key, and what one piece costs the shop."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from bot.local.sandbox.answers import Declined, Json, answer
from bot.local.sandbox.control_store import CONTROL_SCHEMA, ControlStore
from bot.local.sandbox.database import Lane, connect, shop_path, writing
from bot.local.sandbox.effects import EFFECT_SCHEMA, EffectLog, Made
from bot.local.sandbox.faults import leave_unanswered
from bot.local.sandbox.received import Received, receive
from bot.local.sandbox.records import CURRENCY
from core.clock import Clock

_DAY = timedelta(days=1)
_KIND = "price"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS product (
    product_id TEXT PRIMARY KEY, name TEXT NOT NULL, variants TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS item_cost (item_id TEXT PRIMARY KEY, cost_minor INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS price_change (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, item_id TEXT NOT NULL, was_minor INTEGER NOT NULL,
    price_minor INTEGER NOT NULL, changed_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS price_change_by_item ON price_change (item_id, sequence);
"""


class PriceBody(BaseModel):
    """The body of `POST /shop/prices`."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    item_id: Annotated[str, Field(min_length=1, max_length=200)]
    price_minor: Annotated[int, Field(gt=0, le=10**12)]
    was_minor: Annotated[int, Field(gt=0, le=10**12)]
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    version: Annotated[int, Field(ge=0)]


class PricesStore:
    """The prices in the shop's own database."""

    def __init__(self, home: Path) -> None:
        self._connection = connect(shop_path(home), _SCHEMA + EFFECT_SCHEMA + CONTROL_SCHEMA)
        self.control = ControlStore(self._connection)
        self.effects = EffectLog(self._connection, self.control)

    def close(self) -> None:
        """Close the file; nothing acknowledged is lost without it."""
        self._connection.close()

    def item(self, item_id: str, now: datetime) -> Json:
        """The item as it is sold now; raises Declined (404)."""
        product, variant = self._variant(item_id)
        changes = self._changes(item_id)
        recent = [row for row in changes if now - datetime.fromisoformat(row["changed_at"]) < _DAY]
        cost = self._connection.execute(
            "SELECT cost_minor FROM main.item_cost WHERE item_id = ?", (item_id,)
        ).fetchone()
        options = ", ".join(variant["options"].values())
        return {
            "item_id": item_id,
            "name": f"{product['name']}, {options}" if options else product["name"],
            "price_minor": variant["price_minor"],
            "cost_minor": None if cost is None else cost["cost_minor"],
            "currency": CURRENCY,
            "version": len(changes),
            "changed_at": changes[-1]["changed_at"] if changes else None,
            "day_price_minor": recent[0]["was_minor"] if recent else variant["price_minor"],
        }

    def _variant(self, item_id: str) -> tuple[sqlite3.Row, Json]:
        row = self._connection.execute(
            """
            SELECT product.*, variant.value AS variant FROM main.product, json_each(variants) AS variant
            WHERE json_extract(variant.value, '$.item_id') = ?
            """,
            (item_id,),
        ).fetchone()
        if row is None:
            raise Declined(404, "item_not_found", f"The shop does not sell an item {item_id}.")
        return row, json.loads(row["variant"])

    def _changes(self, item_id: str) -> list[sqlite3.Row]:
        return self._connection.execute(
            "SELECT * FROM main.price_change WHERE item_id = ? ORDER BY sequence", (item_id,)
        ).fetchall()

    def change(self, body: PriceBody, received: Received) -> Made:
        """Change the price once per honoured key; raises Declined (422) where it is not at that version any more."""
        return self.effects.once(_KIND, body.model_dump(), received, lambda: self._change(body, received.at))

    def _change(self, body: PriceBody, at: datetime) -> Json:
        item_id = body.item_id
        before = self.item(item_id, at)
        found = (before["version"], before["price_minor"], before["currency"])
        if found != (body.version, body.was_minor, body.currency):
            message = f"Item {item_id} is at version {before['version']} by now, not at {body.version}."
            raise Declined(422, "price_has_moved", message)
        product, _ = self._variant(item_id)
        variants = [
            {**each, "price_minor": body.price_minor} if each["item_id"] == item_id else each
            for each in json.loads(product["variants"])
        ]
        self._connection.execute(
            "UPDATE main.product SET variants = ? WHERE product_id = ?", (json.dumps(variants), product["product_id"])
        )
        self._connection.execute(
            "INSERT INTO main.price_change (item_id, was_minor, price_minor, changed_at) VALUES (?, ?, ?, ?)",
            (item_id, body.was_minor, body.price_minor, at.isoformat()),
        )
        return {"item": self.item(item_id, at)}

    def seed(self, costs: Mapping[str, int]) -> None:
        """Hold what these items cost the shop, as far as that is not known."""
        with writing(self._connection):
            self._connection.executemany("INSERT OR IGNORE INTO main.item_cost VALUES (?, ?)", list(costs.items()))


@dataclass(frozen=True, slots=True)
class Prices:
    """The HTTP interface over the prices."""

    lane: Lane[PricesStore]
    clock: Clock

    def add_to(self, app: web.Application) -> None:
        """Put the routes into `app`."""
        app.router.add_get("/items/{item_id}", self.show)
        app.router.add_post("", self.change)
        app.router.add_get("", self.show_change)
        app.router.add_get("/log", self.show_log)

    async def show(self, request: web.Request) -> web.Response:
        """One item as it is sold now, or 404."""
        item_id, now = request.match_info["item_id"], self.clock.now()
        return answer({"item": await self.lane.run(lambda store: store.item(item_id, now))})

    async def change(self, request: web.Request) -> web.Response:
        """Change one price; the same key and body get the same answer."""
        body, received = await receive(request, PriceBody, self.clock.now())
        made = await self.lane.run(lambda store: store.change(body, received))
        if made.unanswered:
            leave_unanswered(request)
        return answer(made.answer)

    async def show_change(self, request: web.Request) -> web.Response:
        """The change made under `key`, as it was answered then, or 404."""
        key = request.query.get("key", "")
        return answer(await self.lane.run(lambda store: store.effects.under(_KIND, key)))

    async def show_log(self, _request: web.Request) -> web.Response:
        """Every change of a price, oldest first, with the hash of the bytes."""
        return answer({"changes": await self.lane.run(lambda store: store.effects.all(_KIND))})
