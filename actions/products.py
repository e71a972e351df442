"""What is sold, at which price and cost: the shop's own record, from which prices are computed."""

from datetime import datetime
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from actions.records import RecordsUnavailable
from actions.source import Source
from core.money import Money


class ProductsUnavailable(RecordsUnavailable):
    """The shop's products cannot be read now, or say something that cannot be understood."""


class Product(BaseModel):
    """One item on sale, as it stands now."""

    model_config = ConfigDict(frozen=True)

    item_id: str
    name: str
    price: Money
    cost: Money | None
    """What one piece costs the shop; None where the shop does not know."""
    version: int
    """Rises with every change of the price; a change names the version that it changes."""
    changed_at: datetime | None = None
    """When the price last changed; None where it never did."""
    day_price: Money | None = None
    """The price 24 hours ago, where the shop keeps such a history: what a cap on a day's change counts from."""


class Products(Protocol):
    """Reads the shop's products; every method raises ProductsUnavailable when it cannot."""

    async def product(self, item_id: str) -> Product | None:
        """The item as it stands now, or None when the shop does not sell it."""
        ...


PRODUCTS: Source[Products] = Source("products")
