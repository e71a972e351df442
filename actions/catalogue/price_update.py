"""price.update: changes what one item costs in the shop, from the very price that was looked at."""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from actions.action import Call, Effect, action
from actions.ground import Ground
from actions.price_rules import outside_band
from actions.products import PRODUCTS
from actions.trusted import PRICE_RULES, PRODUCT
from core.money import Money

_Id = Annotated[str, Field(min_length=1, max_length=200)]


class PriceChange(BaseModel):
    """One new price for one item; the shop refuses it where the item is not at `version` any more."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    item_id: _Id
    price: Money
    was: Money
    version: Annotated[int, Field(ge=0)]
    """The version of the item's price that `was` was read at."""

    @property
    def change(self) -> Money:
        """By how much the price moves, up or down."""
        return max(self.price, self.was) - min(self.price, self.was)

    @model_validator(mode="after")
    def _is_a_change(self) -> Self:
        if self.price.currency != self.was.currency:
            raise ValueError(f"a price in {self.was.currency} cannot become one in {self.price.currency}")
        if self.price.minor <= 0 or self.was.minor <= 0:
            raise ValueError("a price is above zero")
        if self.price == self.was:
            raise ValueError(f"{self.price} is the price already")
        return self


class PriceChanged(BaseModel):
    """The shop's proof of what the item costs from now on."""

    model_config = ConfigDict(frozen=True)

    item_id: str
    price: Money
    version: int
    """The version that this change made."""


@action(
    "price.update",
    connector="shop",
    effect=Effect.REVERSIBLE,
    summary="Change the price of item {item_id} from {was} to {price}",
    target="item_id",
    amount="change",
    guards=("price",),
    resolved={"item_id": PRODUCT, "price": PRICE_RULES},
)
async def update_price(args: PriceChange, call: Call) -> PriceChanged:
    """Change the price; the result is how the item stands right after it."""
    item = (await call.send())["item"]
    price = Money(item["price_minor"], item["currency"])
    return PriceChanged(item_id=item["item_id"], price=price, version=item["version"])


@update_price.precheck
async def still_permitted(args: PriceChange, ground: Ground) -> str:
    """The price may have moved between the approval and the sending, and so may the rules."""
    if not ground.sources.has(PRODUCTS):
        return ""
    product, rules = await ground.sources.get(PRODUCTS).product(args.item_id), ground.rulebook.prices
    if product is None:
        return f"The shop does not sell item {args.item_id} any more, so nothing was sent."
    if (product.price, product.version) != (args.was, args.version):
        return f"Item {args.item_id} costs {product.price} by now, so nothing was sent."
    outside = "" if rules is None else outside_band(rules, product, args.price)
    return f"{outside} Nothing was sent." if outside else ""


@update_price.preview
async def what_it_will_cost(args: PriceChange, ground: Ground) -> list[tuple[str, str, str]]:
    """Which item it is, by its name, and its price before and after."""
    if not ground.sources.has(PRODUCTS):
        return []
    product = await ground.sources.get(PRODUCTS).product(args.item_id)
    if product is None:
        return [("item", "the shop sells none of this number", "")]
    cost = "" if product.cost is None else f" (it costs us {product.cost})"
    return [(product.name, str(product.price), f"{args.price}{cost}")]


@update_price.attested
def change_found(args: PriceChange, reference: str) -> PriceChanged:
    """What a person's word gives where the shop left no receipt."""
    return PriceChanged(item_id=args.item_id, price=args.price, version=args.version + 1)


@update_price.compensation(update_price, within=timedelta(days=7))
def change_back(args: PriceChange, done: PriceChanged) -> PriceChange:
    """Back to what it was, unless the price has moved on since: then the shop refuses."""
    return PriceChange(item_id=args.item_id, price=args.was, was=done.price, version=done.version)


BY_HAND = update_price.by_hand(
    "In the shop, look at the price of item {item_id}: it was {was} before it became {price}."
)
