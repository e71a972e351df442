"""The shop: its records for reading, and under our key the recording of returns and their taking back."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal, TypeVar, cast
from urllib.parse import quote

from aiohttp import ClientSession
from pydantic import BaseModel, ValidationError

from actions.catalogue.order_exchange import Exchange
from actions.catalogue.order_update import OrderReturn, ReturnMade
from actions.connector import Inconclusive, Outbound, OutcomeUnknown, Rejected, Reply
from actions.connectors.keyed import WiredConnector
from actions.connectors.wire import NoAnswer, NotThere, Wire, compact
from actions.intent import Record
from actions.records import Customer, Order, Product, RecordsUnavailable, ReturnRequest
from core.money import Money

_WINDOW = timedelta(seconds=10)
_HEALTH_WINDOW = timedelta(seconds=3)
_Entry = TypeVar("_Entry", bound=BaseModel)
_Kind = Literal["order", "customer", "product"]


class _OrderAfter(BaseModel):
    order_id: str
    status: str


class _Answer(BaseModel):
    order: _OrderAfter
    return_id: str


class _Restored(BaseModel):
    order: _OrderAfter
    restore_id: str
    return_id: str


class _Exchanged(BaseModel):
    order: _OrderAfter
    exchange_id: str

    @property
    def return_id(self) -> str:
        return self.exchange_id


class _OpenReturns(BaseModel):
    requests: list[ReturnRequest]


class ShopRecords:
    """The shop's records at `base_url`, read over HTTP as they stand at each call."""

    def __init__(self, session: ClientSession, base_url: str, *, window: timedelta = _WINDOW) -> None:
        self._wire = Wire("The shop", session, base_url)
        self._window = window

    async def order(self, order_id: str) -> Order | None:
        """The order as it stands now, or None when the shop has no such order; raises RecordsUnavailable."""
        found = await self._one("order", order_id, f"/orders/{_quoted(order_id)}")
        return None if found is None else _understood(Order, _order(found))

    async def customer(self, customer_id: str) -> Customer | None:
        """The customer with the payment methods on file, or None; raises RecordsUnavailable."""
        found = await self._one("customer", customer_id, f"/customers/{_quoted(customer_id)}")
        return None if found is None else _understood(Customer, _customer(found))

    async def product(self, product_id: str) -> Product | None:
        """The product with its variants as they are sold now, or None; raises RecordsUnavailable."""
        found = await self._one("product", product_id, f"/products/{_quoted(product_id)}")
        return None if found is None else _understood(Product, _product(found))

    async def open_returns(self, limit: int) -> list[ReturnRequest]:
        """Up to `limit` return requests that wait for the shop, oldest first; raises RecordsUnavailable."""
        try:
            reply = await self._wire.ask("/return-requests", {"state": "open"}, timeout=self._window)
        except (NoAnswer, NotThere) as error:
            raise RecordsUnavailable(str(error)) from error
        return _understood(_OpenReturns, reply).requests[:limit]

    async def _one(
        self, kind: Literal["order", "customer", "product"], wanted: str, path: str
    ) -> dict[str, Any] | None:
        if not wanted.strip():
            return None
        try:
            reply = await self._wire.ask(path, {}, timeout=self._window)
        except NotThere as error:
            if error.code == f"{kind}_not_found":
                return None
            raise RecordsUnavailable(str(error)) from error
        except NoAnswer as error:
            raise RecordsUnavailable(str(error)) from error
        found = reply.get(kind)
        if not isinstance(found, dict):
            raise _garbled()
        entry = cast(dict[str, Any], found)
        if entry.get(f"{kind}_id") != wanted:
            raise _garbled()
        return entry


class ShopConnector(WiredConnector):
    """Records returns and exchanges in the shop, and takes them back."""

    name = "shop"
    title = "The shop"

    def request(self, record: Record, receiver_key: str) -> Outbound:
        """The change as the shop wants it, purely; raises Rejected for any action that is not the shop's."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": receiver_key}
        args = _args_of(record)
        return Outbound("POST", _path(args.order_id, _verb(args)), compact(_body(args)), headers)

    async def send(self, outbound: Outbound, *, timeout: timedelta) -> Reply:
        """Make the change; raises Rejected, Unreachable or OutcomeUnknown (also for an answer that names none)."""
        verb = outbound.path.rpartition("/")[2]
        reply = await self._wire.send(outbound, timeout=timeout)
        try:
            made = _ANSWERS[verb].model_validate(reply)
        except ValidationError as error:
            raise OutcomeUnknown("The shop's answer names no return. Ask it what happened.") from error
        if outbound.path != _path(made.order.order_id, verb):
            raise OutcomeUnknown(f"The shop answered with another return, {made.return_id}. Look there.")
        return reply

    async def find(self, record: Record, receiver_key: str) -> Reply | None:
        """The change made under this key, None when the shop says there is none; raises Inconclusive."""
        args = _args_of(record)
        what = _verb(args)
        unsure = f"The shop cannot say whether it recorded the {what}. Ask again later."
        try:
            reply = await self._wire.ask(f"/{what}s", {"key": receiver_key}, timeout=self.window)
            made = _ANSWERS[what].model_validate(reply)
        except NotThere as error:
            if error.code == f"{what}_not_found":
                return None
            raise Inconclusive(unsure) from error
        except (NoAnswer, ValidationError) as error:
            raise Inconclusive(unsure) from error
        if made.order.order_id != args.order_id:
            raise Inconclusive(f"Return {made.return_id} carries our key and is not what was asked. Look there.")
        return reply

    async def is_healthy(self) -> bool:
        """True when the shop answers a look-up now."""
        return await self._wire.answers("/orders", {"limit": "1"}, timeout=_HEALTH_WINDOW)


def _quoted(name: str) -> str:
    # A name of dots alone would climb the path.
    return quote(name, safe="") if name.strip(".") else name.replace(".", "%2E")


def _order(found: dict[str, Any]) -> dict[str, Any]:
    currency = found.get("currency", "")
    try:
        return {
            **found,
            "items": [{**item, "price": Money(item["price_minor"], currency)} for item in found["items"]],
            "payments": [{**paid, "amount": Money(paid["amount_minor"], currency)} for paid in found["payments"]],
            "in_return": found["return"],
        }
    except (KeyError, TypeError) as error:
        raise _garbled() from error


def _customer(found: dict[str, Any]) -> dict[str, Any]:
    try:
        methods = [{**each, "balance": _balance(each)} for each in found["payment_methods"]]
    except (KeyError, TypeError) as error:
        raise _garbled() from error
    return {**found, "payment_methods": methods}


def _balance(method: dict[str, Any]) -> Money | None:
    minor = method.get("balance_minor")
    return None if minor is None else Money(minor, method.get("currency", ""))


def _product(found: dict[str, Any]) -> dict[str, Any]:
    currency = found.get("currency", "")
    try:
        return {**found, "variants": [{**v, "price": Money(v["price_minor"], currency)} for v in found["variants"]]}
    except (KeyError, TypeError) as error:
        raise _garbled() from error


def _understood(model: type[_Entry], data: Any) -> _Entry:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise _garbled() from error


def _garbled() -> RecordsUnavailable:
    return RecordsUnavailable("The shop's answer cannot be understood. Check that its address is right.")


def _path(order_id: str, verb: str) -> str:
    return f"/orders/{_quoted(order_id)}/{verb}"


_Change = OrderReturn | Exchange | ReturnMade
_ARGS: Mapping[str, type[_Change]] = {
    "order.update": OrderReturn,
    "order.exchange": Exchange,
    "order.restore": ReturnMade,
}
_ANSWERS: Mapping[str, type[_Answer | _Exchanged | _Restored]] = {
    "return": _Answer,
    "exchange": _Exchanged,
    "restore": _Restored,
}


def _verb(args: _Change) -> str:
    match args:
        case OrderReturn():
            return "return"
        case Exchange():
            return "exchange"
        case ReturnMade():
            return "restore"


def _body(args: _Change) -> dict[str, Any]:
    if isinstance(args, ReturnMade):
        return {"return_id": args.return_id}
    more: dict[str, Any] = {}
    money = args.difference if isinstance(args, Exchange) else args.amount
    if isinstance(args, Exchange):
        more["new_item_ids"] = args.new_item_ids
    return {
        "item_ids": args.item_ids,
        "payment_method_id": args.payment_method_id,
        "amount_minor": money.minor,
        "currency": money.currency,
        "reason": args.reason,
        **more,
    }


def _args_of(record: Record) -> _Change:
    model = _ARGS.get(record.action)
    if model is None:
        raise Rejected(f"The shop cannot do {record.action}.", code="not_expressible")
    try:
        return model.model_validate(record.args)
    except ValidationError as error:
        message = "This change cannot be written for the shop. Ask for it anew."
        raise Rejected(message, code="not_expressible") from error
