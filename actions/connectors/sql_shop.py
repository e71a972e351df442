"""A shop in its own Postgres: a change and the key under which it was asked for are one transaction there."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from actions.catalogue.order_exchange import Exchange
from actions.catalogue.order_update import OrderReturn, ReturnMade
from actions.catalogue.price_update import PriceChange
from actions.connecting import Kind, Opened, Opening
from actions.connector import (
    Contested,
    EffectClass,
    Inconclusive,
    Outbound,
    OutcomeUnknown,
    Rejected,
    Reply,
    Unreachable,
)
from actions.connectors import sql_shop_store as store
from actions.connectors.shop import ShopRecords
from actions.connectors.wire import compact
from actions.intent import Record
from actions.products import PRODUCTS, Product, ProductsUnavailable
from actions.records import RECORDS, RecordsUnavailable, ReturnRequest
from core.db import DatabaseError, connect
from core.errors import DatabaseUnusable

_HEALTH_WINDOW = timedelta(seconds=5)
_ARGS: Mapping[str, type[BaseModel]] = {
    "order.update": OrderReturn,
    "order.restore": ReturnMade,
    "order.exchange": Exchange,
    "price.update": PriceChange,
}
#: Postgres's code of a plain `raise exception`, and the class of codes that are the shop's own.
_RAISED, _SHOPS_OWN = "P0001", "SH"
#: Its codes for a connection that went.
_BROKEN = ("08", "57")


class SqlShopOptions(BaseModel):
    """Nothing but the address is needed, and that is a secret: it holds the password."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class _Requests(BaseModel):
    requests: list[ReturnRequest]


class SqlShopConnector:
    """Changes the shop through its own `countersign.act`; the key stands in the same transaction as the change."""

    name = "shop"
    sandbox = False
    settles = EffectClass.KEYED
    key_retention: timedelta | None = None

    def __init__(self, url: SecretStr, *, account: str, window: timedelta) -> None:
        self._url = url
        self.account = account
        self.window = window

    def request(self, record: Record, receiver_key: str) -> Outbound:
        """The change's arguments as they stand in the record, purely; raises Rejected for what is not the shop's."""
        model = _ARGS.get(record.action)
        if model is None:
            raise Rejected(f"The shop cannot do {record.action}.", code="not_expressible")
        try:
            args = model.model_validate(record.args)
        except ValidationError as error:
            raise Rejected("This change cannot be written for the shop.", code="not_expressible") from error
        return Outbound("ACT", record.action, compact(args.model_dump(mode="json")), {"key": receiver_key})

    async def send(self, outbound: Outbound, *, timeout: timedelta) -> Reply:
        """Make the change; raises Rejected, Unreachable, Contested or OutcomeUnknown."""
        ending: list[str] = []
        try:
            async with (
                asyncio.timeout(timeout.total_seconds()),
                connect(self._url.get_secret_value()) as conn,
                conn.transaction(),
            ):
                key, body = outbound.headers["key"], outbound.body.decode("ascii")
                reply = await store.act_once(conn, key, outbound.path, body, within=timeout)
                ending.append(key)
        except (DatabaseError, DatabaseUnusable, TimeoutError) as error:
            raise _meaning(error, is_ending=bool(ending)) from error
        if not isinstance(reply, dict):
            raise Contested("The shop has this key from another change. Look there.")
        return cast(Reply, reply)

    async def find(self, record: Record, receiver_key: str) -> Reply | None:
        """The answer given under this key, None when the shop never had it; raises Inconclusive."""
        del record
        try:
            async with asyncio.timeout(self.window.total_seconds()), connect(self._url.get_secret_value()) as conn:
                found = await store.reply_under(conn, receiver_key)
        except (DatabaseError, DatabaseUnusable, TimeoutError) as error:
            raise Inconclusive("The shop's database cannot say whether it was changed. Ask again later.") from error
        return cast(Reply | None, found)

    async def is_healthy(self) -> bool:
        """True when the shop's database answers and has its side of the agreement."""
        try:
            async with asyncio.timeout(_HEALTH_WINDOW.total_seconds()), connect(self._url.get_secret_value()) as conn:
                await store.look(conn, "order", {"order_id": ""})
                await store.reply_under(conn, "")
        except (DatabaseError, DatabaseUnusable, TimeoutError):
            return False
        return True


class SqlShopRecords(ShopRecords):
    """The shop's records, read through its own `countersign.look` as they stand at each call."""

    def __init__(self, url: SecretStr, *, window: timedelta) -> None:
        self._url = url
        self._window = window

    async def open_returns(self, limit: int) -> list[ReturnRequest]:
        """Up to `limit` return requests that wait for the shop, oldest first; raises RecordsUnavailable."""
        found = await self.look("open_returns", {"limit": limit})
        try:
            return _Requests.model_validate({"requests": found or []}).requests[:limit]
        except ValidationError as error:
            raise _garbled() from error

    async def _one(
        self, kind: Literal["order", "customer", "product"], wanted: str, path: str
    ) -> dict[str, Any] | None:
        del path
        found = await self.look(kind, {f"{kind}_id": wanted}) if wanted.strip() else None
        if found is None:
            return None
        if not isinstance(found, dict) or cast(dict[str, Any], found).get(f"{kind}_id") != wanted:
            raise _garbled()
        return cast(dict[str, Any], found)

    async def look(self, what: str, query: dict[str, Any]) -> Any:
        """What the shop says of one thing, or None; raises RecordsUnavailable."""
        try:
            async with asyncio.timeout(self._window.total_seconds()), connect(self._url.get_secret_value()) as conn:
                return await store.look(conn, what, query)
        except (DatabaseError, DatabaseUnusable, TimeoutError) as error:
            raise RecordsUnavailable("The shop's database does not answer. Try again in a moment.") from error


class SqlShopProducts:
    """The shop's prices, read the same way."""

    def __init__(self, records: SqlShopRecords) -> None:
        self._records = records

    async def product(self, item_id: str) -> Product | None:
        """The item as it stands now, or None when the shop does not sell it; raises ProductsUnavailable."""
        try:
            found = await self._records.look("item", {"item_id": item_id})
            return None if found is None else Product.model_validate(found)
        except (RecordsUnavailable, ValidationError) as error:
            raise ProductsUnavailable("The shop's prices cannot be read. Try again in a moment.") from error


def _meaning(error: Exception, *, is_ending: bool) -> Rejected | Unreachable | OutcomeUnknown:
    """What a broken transaction says of the shop: until its end is asked for, nothing of it can have counted."""
    state = (error.sqlstate or "") if isinstance(error, DatabaseError) else ""
    if isinstance(error, DatabaseError) and (state == _RAISED or state.startswith(_SHOPS_OWN)):
        return Rejected(f"The shop refused: {_said(error)}", code=state)
    if is_ending and (not state or state.startswith(_BROKEN)):
        return OutcomeUnknown("The shop's database broke off. Whether it took the change is open.")
    return Unreachable(f"The shop's database could not do it ({state or type(error).__name__}). Nothing was changed.")


def _said(error: DatabaseError) -> str:
    return " ".join((error.diag.message_primary or "").split())[:300]


def _garbled() -> RecordsUnavailable:
    return RecordsUnavailable("The shop's answer cannot be understood. Check its countersign.look.")


async def _open(options: SqlShopOptions, opening: Opening) -> Opened:
    del options
    url = opening.secrets["url"]
    records = SqlShopRecords(url, window=opening.window)
    return Opened(
        SqlShopConnector(url, account=opening.account, window=opening.window),
        {RECORDS: records, PRODUCTS: SqlShopProducts(records)},
    )


SQL_SHOP = Kind(
    name="sql",
    gives="shop",
    summary="Reads and changes a shop in its own Postgres, through two functions that the shop writes.",
    options=SqlShopOptions,
    open=_open,
    settles=EffectClass.KEYED,
    secrets=("url",),
    reads=("shop", "products"),
)
