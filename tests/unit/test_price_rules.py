"""What the rulebook makes of prices: pure, bounded, and never moved further by what a competitor claims."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.price_rules import ItemRule, Kept, PriceOrder, PriceRules, Seen, new_price, outside_band
from actions.products import Product
from core.money import Money

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def usd(cents: int) -> Money:
    return Money(cents, "USD")


PRODUCT = Product(item_id="1", name="Bottle", price=usd(1850), cost=usd(900), version=3)


def rules(**item: object) -> PriceRules:
    """Rules for one item between 15 and 20 USD, 10 % a day."""
    rule = {"floor": "15 USD", "ceiling": "20 USD", **item}
    return PriceRules.model_validate(
        {"because": "We stay close.", "margin": "20 %", "day-change": "10 %", "items": {"1": rule}}
    )


def seen(*cents: int) -> list[Seen]:
    return [Seen(competitor=f"c{at}", price=usd(each), url="https://x", read_at=NOON) for at, each in enumerate(cents)]


def priced(found: PriceRules, *cents: int, product: Product = PRODUCT) -> int | str:
    """The new price in cents, or why it stays."""
    made = new_price(found, product, seen(*cents), now=NOON, version=1)
    return made.price.minor if isinstance(made, PriceOrder) else made.reason


@pytest.mark.parametrize(
    ("aim", "by", "wanted"),
    [("match", "0", 1790), ("undercut", "1", 1772), ("stay-above", "2 %", 1826), ("median", "0", 1810)],
)
def test_each_aim_is_what_it_says(aim: str, by: str, wanted: int) -> None:
    assert priced(rules(aim=aim, by=by), 1820, 1790, 1810) == wanted


def test_floor_margin_ceiling_and_day_change_hold_it() -> None:
    assert priced(rules(), 1) == 1665, "10 % in a day"
    assert priced(rules(**{"day-change": "90 %"}), 1) == 1500, "the floor"
    assert priced(rules(**{"day-change": "90 %", "margin": "80 %"}), 1) == 1620, "80 % above its cost"
    assert priced(rules(**{"day-change": "90 %"}), 9_999) == 2000, "the ceiling"


def test_a_day_counts_from_where_it_began_and_a_shop_without_history_moves_once() -> None:
    moved = PRODUCT.model_copy(update={"price": usd(1700), "changed_at": NOON - timedelta(hours=3)})
    assert priced(rules(), 1, product=moved.model_copy(update={"day_price": usd(1850)})) == 1665
    assert "does not say what it was" in str(priced(rules(), 1, product=moved))
    assert priced(rules(), 1, product=moved.model_copy(update={"changed_at": NOON - timedelta(hours=25)})) == 1530


def test_nothing_is_proposed_from_too_few_or_foreign_prices() -> None:
    assert "Only 0 of the 1" in str(priced(rules()))
    two = rules().model_copy(update={"witnesses": 2})
    assert "Only 1 of the 2" in str(priced(two, 1700))
    euro = [Seen(competitor="c", price=Money(1700, "EUR"), url="u", read_at=NOON)]
    assert isinstance(new_price(rules(), PRODUCT, euro, now=NOON, version=1), Kept)
    assert isinstance(new_price(rules(), PRODUCT.model_copy(update={"item_id": "2"}), [], now=NOON, version=1), Kept)


def test_limits_that_exclude_each_other_leave_it_to_a_person() -> None:
    assert "A person must decide" in str(priced(rules(), 1700, product=PRODUCT.model_copy(update={"price": usd(900)})))


@given(st.lists(st.integers(1, 10**7), min_size=1, max_size=5), st.integers(100, 10**6), st.integers(0, 10**6))
def test_whatever_competitors_ask_the_price_stays_within_the_rules(theirs: list[int], ours: int, cost: int) -> None:
    product = PRODUCT.model_copy(update={"price": usd(ours), "cost": usd(cost)})
    made = new_price(rules(), product, seen(*theirs), now=NOON, version=1)
    if isinstance(made, PriceOrder):
        assert usd(1500) <= made.price <= usd(2000)
        assert made.price.minor * 10 >= cost * 12
        assert abs(made.price.minor - ours) * 10 <= ours
        assert outside_band(rules(), product, made.price) == ""


@pytest.mark.parametrize("item", [{"floor": "20 USD", "ceiling": "15 USD"}, {"floor": "0 USD"}, {"margin": "minus"}])
def test_a_rule_that_makes_no_sense_is_refused(item: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"no price is between|is not a share"):
        rules(**item)


def test_shares_are_exact() -> None:
    assert ItemRule.model_validate({"floor": "1 USD", "ceiling": "2 USD", "by": "0.1 %"}).by == Decimal("0.1")
