"""Money is exact or refused; nothing is rounded, guessed or mixed."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from core.money import Money, MoneyInvalid

CODES = st.sampled_from(["USD", "EUR", "JPY", "KWD"])
MINORS = st.integers(-(2**53) + 1, 2**53 - 1)
AS_JSON = TypeAdapter(Money)


@pytest.mark.parametrize(
    ("text", "minor", "currency"),
    [
        ("50 USD", 5000, "USD"),
        ("USD 50.5", 5050, "USD"),
        ("54.04 usd", 5404, "USD"),
        ("1,054.04 USD", 105404, "USD"),
        ("1,234,567 JPY", 1234567, "JPY"),
        ("-3.10 EUR", -310, "EUR"),
        ("1.234 KWD", 1234, "KWD"),
    ],
)
def test_an_amount_and_a_currency_are_read_exactly(text, minor, currency):
    assert Money.parse(text) == Money(minor, currency)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "50",
        "USD",
        "50 USD please",
        "fifty USD",
        "50 US",
        "50 DOLLAR",
        "1.005 USD",
        "0.5 JPY",
        "NaN USD",
        "Infinity USD",
        "-Infinity USD",
        "1e3 USD",
        "1e999999 USD",
        "1_000 USD",
        "0x10 USD",
        "50 50",
        "٥٠ USD",
    ],
)
def test_what_is_not_an_amount_of_money_is_refused(text):
    with pytest.raises(MoneyInvalid):
        Money.parse(text)


@pytest.mark.parametrize("text", ["50,00 USD", "1,5 EUR", "1,00,000 USD", "1.000,50 EUR", ",50 USD", "12,3456 USD"])
def test_a_comma_that_may_be_a_decimal_point_is_refused_and_never_makes_it_a_hundred_times_as_much(text):
    with pytest.raises(MoneyInvalid, match=r"1,054\.04"):
        Money.parse(text)


@pytest.mark.parametrize("amount", [Decimal("1." + "0" * 40 + "1"), "9" * 17, Decimal(2**53), "1e16", "sNaN"])
def test_what_could_not_be_kept_exactly_everywhere_is_refused(amount):
    with pytest.raises(MoneyInvalid):
        Money.of(amount, "USD")


@given(MINORS, CODES)
def test_what_is_written_is_read_back(minor, currency):
    money = Money(minor, currency)
    assert Money.parse(str(money)) == money
    assert Money.of(money.amount, currency) == money
    assert AS_JSON.validate_json(AS_JSON.dump_json(money)) == money


@given(MINORS, MINORS)
def test_sums_differences_and_order_are_those_of_the_minor_units(one, other):
    a, b = Money(one, "USD"), Money(other, "USD")
    assert (a + b).minor == one + other
    assert (a - b).minor == one - other
    assert (a < b, a <= b, a > b, a >= b) == (one < other, one <= other, one > other, one >= other)


@pytest.mark.parametrize("mix", [lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a < b, lambda a, b: a >= b])
def test_two_currencies_are_never_mixed(mix):
    with pytest.raises(MoneyInvalid, match="different currencies"):
        mix(Money(1, "USD"), Money(1, "EUR"))


@pytest.mark.parametrize(
    "value",
    [
        {"minor": 1.0, "currency": "USD"},
        {"minor": True, "currency": "USD"},
        {"minor": "1", "currency": "USD"},
        {"minor": 1, "currency": "usd"},
        {"minor": 1},
        {"minor": 1, "currency": "USD", "more": 1},
        "1 dollar",
        1,
        1.5,
        None,
    ],
)
def test_no_float_and_no_half_money_comes_in_as_json(value):
    with pytest.raises(ValidationError):
        AS_JSON.validate_python(value)
