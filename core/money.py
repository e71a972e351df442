"""Exact money: integer minor units and a currency, never a float."""

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal, Inexact, InvalidOperation, Overflow, localcontext
from functools import total_ordering
from typing import Any, Self

from pydantic import GetCoreSchemaHandler
from pydantic_core import core_schema

from core.errors import CountersignError

# ISO 4217: currencies whose minor unit is not a hundredth.
_EXPONENTS = {"JPY": 0, "KRW": 0, "CLP": 0, "ISK": 0, "VND": 0, "BHD": 3, "KWD": 3, "OMR": 3, "TND": 3}


# A comma only separates thousands: `50,00` is fifty to some and five thousand to others, so it is neither.
_AMOUNT = re.compile(r"[+-]?([0-9]+|[0-9]{1,3}(,[0-9]{3})+)(\.[0-9]+)?")
_EXACT = Context(traps=[Inexact, InvalidOperation, Overflow])
#: Larger whole numbers do not survive every JSON reader.
_LARGEST = 2**53 - 1


class MoneyInvalid(CountersignError):
    """A text or number that is not an amount of money."""


@total_ordering
@dataclass(frozen=True, slots=True)
class Money:
    """An amount in integer minor units (cents) of one ISO 4217 currency."""

    minor: int
    currency: str

    @classmethod
    def of(cls, amount: Decimal | int | str, currency: str) -> Self:
        """Exact money from a decimal amount in major units; raises MoneyInvalid where it would need rounding."""
        code = currency.strip().upper()
        if not re.fullmatch(r"[A-Z]{3}", code):
            raise MoneyInvalid(f"{currency!r} is not a currency code. Use three letters, such as USD.")
        try:
            with localcontext(_EXACT):
                minor = Decimal(str(amount)).scaleb(_EXPONENTS.get(code, 2))
            whole = minor.to_integral_value(rounding=ROUND_HALF_EVEN)
        except ArithmeticError as error:
            raise MoneyInvalid(f"{amount!r} is not an amount. Write it like 54.04.") from error
        if not minor.is_finite() or abs(minor) > _LARGEST:
            raise MoneyInvalid(f"{amount!r} is not an amount, or too large for one. Write it like 54.04.")
        if minor != whole:
            raise MoneyInvalid(f"{amount!r} {code} has more decimal places than {code} knows. Round it first.")
        return cls(int(whole), code)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `50 USD` or `USD 50.00`; raises MoneyInvalid."""
        parts = text.split()
        if len(parts) != 2:
            raise MoneyInvalid(f"{text!r} is not money. Write an amount and a currency, such as 50 USD.")
        amount, currency = parts if parts[1].isalpha() else (parts[1], parts[0])
        if not _AMOUNT.fullmatch(amount):
            raise MoneyInvalid(f"{amount!r} is not an amount. Write it like 54.04 or 1,054.04.")
        return cls.of(amount.replace(",", ""), currency)

    def __add__(self, other: "Money") -> "Money":
        return Money(self.minor + self._same(other).minor, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(self.minor - self._same(other).minor, self.currency)

    def __lt__(self, other: "Money") -> bool:
        return self.minor < self._same(other).minor

    def _same(self, other: "Money") -> "Money":
        if other.currency != self.currency:
            raise MoneyInvalid(f"{self} and {other} are different currencies and cannot be combined.")
        return other

    @property
    def amount(self) -> Decimal:
        """The amount in major units."""
        places = _EXPONENTS.get(self.currency, 2)
        return Decimal(self.minor).scaleb(-places)

    def __str__(self) -> str:
        places = _EXPONENTS.get(self.currency, 2)
        if not places:
            return f"{self.minor:,} {self.currency}"
        whole, rest = divmod(abs(self.minor), 10**places)
        return f"{'-' if self.minor < 0 else ''}{whole:,}.{rest:0{places}} {self.currency}"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        fields = core_schema.typed_dict_schema(
            {
                "minor": core_schema.typed_dict_field(core_schema.int_schema(strict=True)),
                "currency": core_schema.typed_dict_field(core_schema.str_schema(pattern="^[A-Z]{3}$")),
            },
            extra_behavior="forbid",
        )
        from_dict = core_schema.chain_schema(
            [fields, core_schema.no_info_plain_validator_function(lambda d: cls(d["minor"], d["currency"]))]
        )
        from_text = core_schema.chain_schema(
            [core_schema.str_schema(), core_schema.no_info_plain_validator_function(_parse_for_pydantic)]
        )
        return core_schema.json_or_python_schema(
            json_schema=core_schema.union_schema([from_dict, from_text]),
            python_schema=core_schema.union_schema([core_schema.is_instance_schema(cls), from_dict, from_text]),
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda money: {"minor": money.minor, "currency": money.currency}
            ),
        )


def _parse_for_pydantic(text: str) -> Money:
    try:
        return Money.parse(text)
    except MoneyInvalid as error:
        raise ValueError(str(error)) from error
