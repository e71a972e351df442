"""A shop over REST: orders, customers and prices read as they stand, and changed under our key."""

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field

from actions.connecting import Kind, Opened, Opening
from actions.connector import EffectClass
from actions.connectors.private import PrivateUrl
from actions.connectors.shop import ShopRecords
from actions.connectors.shop_prices import PricedShop, ShopProducts
from actions.connectors.wire import own_session
from actions.products import PRODUCTS
from actions.rate import Rate
from actions.records import RECORDS
from actions.rule_file import Duration


class RestShopOptions(BaseModel):
    """Where the shop answers, and what it promises about our keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: PrivateUrl
    settles: EffectClass = EffectClass.KEYED
    """`keyed` where the shop honours Idempotency-Key, `probeable` where it can only be asked by it."""
    key_retention: Duration | None = None
    """How long the shop remembers a key; for ever where this is left out."""
    window_seconds: float = Field(10, gt=0, le=60)


async def _open(options: RestShopOptions, opening: Opening) -> Opened:
    shown = {"Authorization": f"Bearer {opening.secrets['token'].get_secret_value()}"}
    session = await own_session(opening.stack, headers=shown)
    window = timedelta(seconds=options.window_seconds)
    connector = PricedShop(
        session,
        options.url,
        account=opening.account,
        sandbox=False,
        settles=options.settles,
        key_retention=options.key_retention,
        window=window,
    )
    return Opened(
        connector,
        {
            RECORDS: ShopRecords(session, options.url, window=window),
            PRODUCTS: ShopProducts(session, options.url, window=window),
        },
    )


REST_SHOP = Kind(
    name="rest",
    gives="shop",
    summary="Reads a shop's orders, customers and prices over REST, and changes them.",
    options=RestShopOptions,
    open=_open,
    settles=EffectClass.KEYED,
    secrets=("token",),
    rate=Rate(calls=300, per=timedelta(minutes=1)),
    reads=("shop", "products"),
)
