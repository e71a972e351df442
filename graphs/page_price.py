"""Finds the one price that a page of somebody else states, by a declared way and no other, or says why not."""

import csv
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from io import StringIO
from typing import Any, cast

from actions.pages import Page
from actions.price_rules import Watched
from core.money import Money, MoneyInvalid
from graphs.markup import scripts_of, texts_at

#: A longer page is not looked through.
LONGEST_PAGE = 2**20
_LONGEST_PATTERN_TEXT = 300_000
_SYMBOLS = {"$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "US$": "USD"}
_NUMBER = re.compile(r"\d[\d.,\u00a0 ]*\d|\d")
_CODE = re.compile(r"\b[A-Z]{3}\b")


class NoPrice(ValueError):
    """A page states no price that can be told for sure; the message is a sentence."""


def price_on(page: Page, watched: Watched, currency: str) -> Money:
    """The price that `watched` says where to find; raises NoPrice. Nothing else on the page is read for anything."""
    if page.status != 200:
        raise NoPrice(f"it answered HTTP {page.status}")
    if not page.text.strip():
        raise NoPrice("it is empty")
    if len(page.text) > LONGEST_PAGE:
        raise NoPrice(f"it is {len(page.text):,} characters long")
    find = {
        "json-ld": _in_linked_data,
        "selector": _at_selector,
        "pattern": _by_pattern,
        "csv": _in_table,
        "json": _at_path,
    }[watched.find]
    found = list(dict.fromkeys(find(page.text, watched.at)))
    if not found:
        raise NoPrice(f"it has changed: nothing stands at {watched.at or 'its offer'}")
    if len(found) > 1:
        raise NoPrice(f"{len(found)} different prices stand there")
    return _money(found[0], currency)


@dataclass(frozen=True)
class _Stated:
    """A price as it is written, and the currency where that stands apart."""

    text: str
    currency: str = ""


def _money(stated: _Stated, currency: str) -> Money:
    named = [_SYMBOLS[symbol] for symbol in _SYMBOLS if symbol in stated.text]
    named += _CODE.findall(stated.text) + ([stated.currency] if stated.currency else [])
    if any(name != currency for name in named):
        raise NoPrice(f"it asks in {', '.join(sorted(set(named)))}, not in {currency}")
    numbers = _NUMBER.findall(stated.text)
    if len(numbers) != 1:
        raise NoPrice(f"“{stated.text[:40]}” is not one price")
    try:
        price = Money.of(_decimal(numbers[0]), currency)
    except MoneyInvalid as error:
        raise NoPrice(f"“{stated.text[:40]}” is not a price") from error
    if price.minor <= 0:
        raise NoPrice("it asks nothing")
    return price


def _decimal(text: str) -> Decimal:
    """The number, where only one reading is possible: `1,234` could be either, so it is none."""
    plain = re.sub(r"[\u00a0 ]", "", text)
    if re.fullmatch(r"\d{1,9}([.,]\d{1,2})?", plain):
        return Decimal(plain.replace(",", "."))
    for thousands, point in ((",", "."), (".", ",")):
        if re.fullmatch(rf"\d{{1,3}}(\{thousands}\d{{3}})+\{point}\d{{1,2}}", plain):
            return Decimal(plain.replace(thousands, "").replace(point, "."))
    raise NoPrice(f"“{text[:40]}” can be read in more than one way")


# -- JSON-LD, as shops write it for search engines ---------------------------------------------------------------------


def _in_linked_data(text: str, at: str) -> Iterable[_Stated]:
    """The prices of the offers of products; `at` names the sku where a page has several."""
    for script in scripts_of(text, "application/ld+json"):
        try:
            data = json.loads(script)
        except (ValueError, RecursionError):
            continue
        yield from _offers(data, at, depth=0)


def _offers(data: Any, sku: str, *, depth: int) -> Iterable[_Stated]:
    if depth > 8:
        return
    if isinstance(data, list):
        for each in cast(list[Any], data):
            yield from _offers(each, sku, depth=depth + 1)
    if not isinstance(data, dict):
        return
    thing = cast(dict[str, Any], data)
    if sku and thing.get("@type") == "Product" and str(thing.get("sku", "")) != sku:
        return
    if thing.get("@type") == "Offer" and isinstance(thing.get("price"), str | int | float):
        yield _Stated(str(thing["price"]), str(thing.get("priceCurrency", "")))
    for value in thing.values():
        yield from _offers(value, sku, depth=depth + 1)


def _at_selector(text: str, at: str) -> Iterable[_Stated]:
    return [_Stated(each) for each in texts_at(text, at)]


# -- the other ways ----------------------------------------------------------------------------------------------------


def _by_pattern(text: str, at: str) -> Iterable[_Stated]:
    try:
        return [_Stated(found.group(1)) for found in re.finditer(at, text[:_LONGEST_PATTERN_TEXT])]
    except (re.error, IndexError) as error:
        raise NoPrice(f"the pattern {at} cannot be used: it needs one group") from error


def _in_table(text: str, at: str) -> Iterable[_Stated]:
    """`sku=WB-1, price`: the column `price` of the rows whose column `sku` is WB-1."""
    key, _, column = at.partition(",")
    name, _, value = key.partition("=")
    try:
        rows = list(csv.DictReader(StringIO(text)))
    except csv.Error as error:
        raise NoPrice(f"it is no table: {error}") from error
    found = [row for row in rows if (row.get(name.strip()) or "").strip() == value.strip()]
    return [_Stated((row.get(column.strip()) or "").strip(), (row.get("currency") or "").strip()) for row in found]


def _at_path(text: str, at: str) -> Iterable[_Stated]:
    """`offers.0.price`: names and positions that lead to the price."""
    try:
        data: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NoPrice("it is not JSON") from error
    for part in at.split("."):
        if isinstance(data, list):
            members = cast(list[Any], data)
            data = members[int(part)] if part.isdigit() and int(part) < len(members) else None
        elif isinstance(data, dict):
            data = cast(dict[str, Any], data).get(part)
        else:
            return []
    return [_Stated(str(data))] if isinstance(data, str | int | float) and not isinstance(data, bool) else []
