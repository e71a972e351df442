"""The shop's prices: read as they stand, and changed under our key from the very version that was read."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import quote

from aiohttp import ClientSession
from pydantic import BaseModel, ValidationError

from actions.catalogue.price_update import PriceChange
from actions.connector import Outbound, Reply
from actions.connectors.keyed import Form, KeyedConnector
from actions.connectors.shop import ShopConnector
from actions.connectors.wire import NoAnswer, NotThere, Wire
from actions.intent import Record
from actions.products import Product, ProductsUnavailable
from core.money import Money

_WINDOW = timedelta(seconds=10)
_PATH = "/prices"


class _Item(BaseModel):
    item_id: str
    name: str
    price_minor: int
    cost_minor: int | None
    currency: str
    version: int
    changed_at: datetime | None
    day_price_minor: int


class _Answer(BaseModel):
    item: _Item


class ShopProducts:
    """The shop's items at `base_url`, read over HTTP as they stand at each call."""

    def __init__(self, session: ClientSession, base_url: str, *, window: timedelta = _WINDOW) -> None:
        self._wire = Wire("The shop", session, base_url)
        self._window = window

    async def product(self, item_id: str) -> Product | None:
        """The item as it stands now, or None when the shop does not sell it; raises ProductsUnavailable."""
        try:
            path = f"{_PATH}/items/{quote(item_id, safe='')}"
            item = _Answer.model_validate(await self._wire.ask(path, {}, timeout=self._window)).item
        except NotThere as error:
            if error.code == "item_not_found":
                return None
            raise ProductsUnavailable(str(error)) from error
        except NoAnswer as error:
            raise ProductsUnavailable(str(error)) from error
        except ValidationError as error:
            raise ProductsUnavailable("The shop's answer cannot be understood. Check its address.") from error
        return Product(
            item_id=item.item_id,
            name=item.name,
            price=Money(item.price_minor, item.currency),
            cost=None if item.cost_minor is None else Money(item.cost_minor, item.currency),
            version=item.version,
            changed_at=item.changed_at,
            day_price=Money(item.day_price_minor, item.currency),
        )


def _body(args: PriceChange) -> Mapping[str, Any]:
    return {
        "item_id": args.item_id,
        "price_minor": args.price.minor,
        "was_minor": args.was.minor,
        "currency": args.price.currency,
        "version": args.version,
    }


class _PriceChanges(KeyedConnector):
    name = "shop"
    title = "The shop"
    forms: ClassVar = {"price.update": Form(_PATH, PriceChange, _Answer, "price", _body)}


class PricedShop(ShopConnector):
    """The shop with its prices: what it does to orders, and changes of prices."""

    def __init__(self, session: ClientSession, base_url: str, **how: Any) -> None:
        super().__init__(session, base_url, **how)
        self._prices = _PriceChanges(session, base_url, **how)

    def request(self, record: Record, receiver_key: str) -> Outbound:
        """The change as the shop wants it, purely; raises Rejected for any action that is not the shop's."""
        pure = self._prices if record.action in self._prices.forms else super()
        return pure.request(record, receiver_key)

    async def send(self, outbound: Outbound, *, timeout: timedelta) -> Reply:
        """Make the change; raises Rejected, Unreachable or OutcomeUnknown."""
        if outbound.path == _PATH:
            return await self._prices.send(outbound, timeout=timeout)
        return await super().send(outbound, timeout=timeout)

    async def find(self, record: Record, receiver_key: str) -> Reply | None:
        """The change made under this key, None when the shop says there is none; raises Inconclusive."""
        if record.action in self._prices.forms:
            return await self._prices.find(record, receiver_key)
        return await super().find(record, receiver_key)
