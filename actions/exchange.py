"""Turns amounts of other currencies into the base currency by the table in policy.yml, never by a guess."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal, localcontext
from typing import Annotated

from pydantic import BeforeValidator

from core.money import Money, MoneyInvalid


def _rate(value: object) -> Decimal:
    if isinstance(value, Decimal):
        return value
    try:
        rate = Decimal(str(value))
    except ArithmeticError as error:
        raise ValueError(f"{value!r} is not a rate. Write what one unit is worth, such as 1.08.") from error
    if isinstance(value, bool) or not rate.is_finite() or not 0 < rate < 10**6:
        raise ValueError(f"{value!r} is not a rate. Write what one unit is worth, such as 1.08.")
    return rate


Rate = Annotated[Decimal, BeforeValidator(_rate)]
"""What one unit of a currency is worth in the base currency."""


@dataclass(frozen=True)
class Exchange:
    """The base currency, and what one unit of each other known currency is worth in it."""

    base: str
    rates: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])

    def in_base(self, money: Money) -> Money | None:
        """The same amount in the base currency, rounded up to its smallest unit; None where no rate is known."""
        if money.currency == self.base:
            return money
        rate = self.rates.get(money.currency)
        if rate is None:
            return None
        with localcontext(prec=60):
            unit = Money.of(1, self.base).minor
            minor = (money.amount * rate * unit).to_integral_value(rounding=ROUND_CEILING)
            try:
                return Money.of(minor / unit, self.base)
            except MoneyInvalid:
                return None
