"""What prices may become: the rulebook's section `prices`, and the one place where a new price is computed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from actions.looseness import Looser
from actions.products import Product
from actions.rule_file import Amount, misplaced
from core.money import Money

_DAY = timedelta(days=1)
_HUNDRED = Decimal(100)


def _percent(value: object) -> Decimal:
    text = str(value).strip().removesuffix("%").strip()
    if not text.replace(".", "", 1).isdigit() or len(text) > 8:
        raise ValueError(f"{str(value)!r} is not a share. Write one such as 5 %.")
    return Decimal(text)


Percent = Annotated[Decimal, BeforeValidator(_percent), Field(ge=0, le=1000)]
"""A share written as `5 %`."""


class Aim(StrEnum):
    """Which price we want beside those of the others."""

    MATCH = "match"
    """The lowest of theirs."""
    UNDERCUT = "undercut"
    """`by` below the lowest of theirs."""
    STAY_ABOVE = "stay-above"
    """`by` above the lowest of theirs."""
    MEDIAN = "median"
    """The middle of theirs."""


def _hyphenated(name: str) -> str:
    return name.replace("_", "-")


class _Written(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=_hyphenated, populate_by_name=True)


class Watched(_Written):
    """Where one competitor's price of one item stands, and how it is found there."""

    competitor: Annotated[str, Field(min_length=1, max_length=80)]
    url: Annotated[str, Field(pattern=r"^https?://\S+$", max_length=500)]
    find: Literal["json-ld", "selector", "pattern", "csv", "json"]
    at: Annotated[str, Field(max_length=300)] = ""
    """The selector, the pattern with one group, the path in the JSON, or `key column=value, price column`."""

    @model_validator(mode="after")
    def _says_where(self) -> Self:
        if self.find != "json-ld" and not self.at:
            raise misplaced(f"a {self.find} says where the price stands. Add at.", "at")
        return self


class ItemRule(_Written):
    """What one item's price may become."""

    floor: Annotated[Amount, Looser.LOWER]
    ceiling: Annotated[Amount, Looser.HIGHER]
    margin: Annotated[Percent | None, Looser.LOWER] = None
    """The least that the price lies above what the item costs; the section's where it is left out."""
    day_change: Annotated[Percent | None, Looser.HIGHER] = None
    """The most that the price moves in 24 hours, up or down; the section's where it is left out."""
    aim: Annotated[Aim, Looser.ANY] = Aim.MATCH
    by: Annotated[Percent, Looser.ANY] = Decimal(0)
    watch: Annotated[list[Watched], Looser.ANY] = []

    @model_validator(mode="after")
    def _is_a_band(self) -> Self:
        if self.floor.currency != self.ceiling.currency or self.floor > self.ceiling or self.floor.minor == 0:
            raise misplaced(f"no price is between {self.floor} and {self.ceiling}. Correct floor or ceiling.", "floor")
        return self


class PriceRules(_Written):
    """The rules of prices; an item that is not named here is never touched."""

    because: Annotated[str, Field(min_length=1, max_length=300), Looser.NEVER]
    margin: Annotated[Percent, Looser.LOWER]
    day_change: Annotated[Percent, Looser.HIGHER]
    witnesses: Annotated[int, Field(ge=1, le=20, strict=True), Looser.LOWER] = 1
    """So many competitors must have been read, or the price stays."""
    items: Annotated[dict[Annotated[str, Field(min_length=1, max_length=200)], ItemRule], Looser.MORE] = {}


class Seen(BaseModel):
    """One competitor's price as read from outside."""

    model_config = ConfigDict(frozen=True)

    competitor: str
    price: Money
    url: str
    read_at: datetime


class PriceOrder(BaseModel):
    """What the rulebook computed: the new price and why."""

    model_config = ConfigDict(frozen=True)

    item_id: str
    price: Money
    was: Money
    version: int
    reasons: list[str]
    endorsed_by: str
    """What ties the new price to our own records and rules, though prices from outside moved it."""


@dataclass(frozen=True)
class Kept:
    """The price stays as it is, in words."""

    reason: str
    rule: str = ""
    """The rule that says so, where one does."""


def new_price(
    rules: PriceRules, product: Product, seen: Sequence[Seen], *, now: datetime, version: int
) -> PriceOrder | Kept:
    """What the item should cost, or why it stays; a pure function of rules, our own record and what was seen."""
    rule = rules.items.get(product.item_id)
    if rule is None:
        return Kept(f"The rulebook has no price rule for item {product.item_id}.", "items")
    if product.price.currency != rule.floor.currency:
        return Kept(f"Item {product.item_id} is sold in {product.price.currency}, its rule is in another.", "items")
    usable = [each for each in seen if each.price.currency == product.price.currency and each.price.minor > 0]
    if len({each.competitor for each in usable}) < rules.witnesses:
        return Kept(f"Only {len(usable)} of the {rules.witnesses} competitors it takes could be read.", "witnesses")
    band = _band(rules, rule, product, now)
    if isinstance(band, Kept):
        return band
    wanted = _aimed(rule, usable)
    price = min(max(wanted, band.low), band.high)
    if price == product.price:
        return Kept(f"{product.price} is the price that the rules want.")
    held = (
        []
        if price == wanted
        else [f"They would make it {wanted}; {band.low_why if price > wanted else band.high_why}."]
    )
    within = f"within {band.low} and {band.high}, which our own price and cost allow today"
    return PriceOrder(
        item_id=product.item_id,
        price=price,
        was=product.price,
        version=product.version,
        reasons=[*map(_in_words, usable), *held, rules.because],
        endorsed_by=f"computed by the rulebook, version {version}, {within}",
    )


def outside_band(rules: PriceRules, product: Product, price: Money) -> str:
    """Why the rules do not permit this price for this item, as a sentence; empty where they do."""
    rule = rules.items.get(product.item_id)
    if rule is None or price.currency != rule.floor.currency:
        return f"The rulebook has no price rule for item {product.item_id} in {price.currency}."
    low, why = _floor(rules, rule, product)
    if price < low:
        return f"{price} is below {low}: {why}."
    return f"{price} is above the ceiling of {rule.ceiling}." if price > rule.ceiling else ""


@dataclass(frozen=True)
class _Band:
    low: Money
    high: Money
    low_why: str
    high_why: str


def _band(rules: PriceRules, rule: ItemRule, product: Product, now: datetime) -> _Band | Kept:
    """Between which prices the item may move today."""
    floor, floor_why = _floor(rules, rule, product)
    recent = product.changed_at is not None and now - product.changed_at < _DAY
    if recent and product.day_price is None:
        return Kept("Its price changed within 24 hours, and the shop does not say what it was before.", "day-change")
    start = product.day_price if recent and product.day_price is not None else product.price
    share = rules.day_change if rule.day_change is None else rule.day_change
    step = Money(int((start.minor * share / _HUNDRED).to_integral_value(ROUND_FLOOR)), start.currency)
    in_a_day = f"it may move by {_share(share)} of {start} in a day"
    low, low_why = max((floor, floor_why), (start - step, in_a_day), key=lambda each: each[0])
    high, high_why = min((rule.ceiling, f"the ceiling is {rule.ceiling}"), (start + step, in_a_day), key=lambda e: e[0])
    if low > high:
        return Kept(f"No price keeps both limits: {floor_why}, and {in_a_day}. A person must decide.", "day-change")
    return _Band(low, high, low_why, high_why)


def _floor(rules: PriceRules, rule: ItemRule, product: Product) -> tuple[Money, str]:
    """The least it may cost: the written floor, or what it costs us and the margin, whichever is more."""
    written = (rule.floor, f"the floor is {rule.floor}")
    if product.cost is None or product.cost.currency != rule.floor.currency:
        return written
    margin = rules.margin if rule.margin is None else rule.margin
    least = product.cost.minor * (_HUNDRED + margin) / _HUNDRED
    over_cost = Money(int(least.to_integral_value(ROUND_CEILING)), product.cost.currency)
    return max(written, (over_cost, f"it must stay {_share(margin)} above its cost"), key=lambda each: each[0])


def _aimed(rule: ItemRule, seen: Sequence[Seen]) -> Money:
    prices = sorted(each.price.minor for each in seen)
    middle = (Decimal(prices[(len(prices) - 1) // 2]) + prices[len(prices) // 2]) / 2
    shares: Mapping[Aim, Decimal] = {
        Aim.MATCH: Decimal(prices[0]),
        Aim.UNDERCUT: prices[0] * (_HUNDRED - min(rule.by, _HUNDRED)) / _HUNDRED,
        Aim.STAY_ABOVE: prices[0] * (_HUNDRED + rule.by) / _HUNDRED,
        Aim.MEDIAN: middle,
    }
    return Money(int(shares[rule.aim].to_integral_value(ROUND_HALF_EVEN)), seen[0].price.currency)


def _in_words(seen: Seen) -> str:
    return f"{seen.competitor} asks {seen.price} ({seen.url}, read {seen.read_at:%Y-%m-%d %H:%M} UTC)."


def _share(share: Decimal) -> str:
    return f"{share.normalize():f} %"
