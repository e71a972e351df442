"""What the words of a return or an exchange say, by pattern, and which items of the order they mean."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from actions.records import Customer, Order, OrderItem, Product
from actions.rulebook import Destination, ReturnWish, WishedItem
from actions.swaps import ExchangeWish, Swap
from graphs.plan import NoPlan

_ORDER = re.compile(r"#?\b(W\d{3,})\b", re.IGNORECASE)
_METHOD = re.compile(r"\b((?:gift_card|paypal|credit_card)_\w+)\b", re.IGNORECASE)
_DESTINATION = re.compile(
    r"\b(?:to|on|onto|into|by|via|with)\s+(?:the\s+|a\s+|my\s+|his\s+|her\s+|their\s+)?"
    r"(gift card|paypal|credit card|original)\b",
    re.IGNORECASE,
)
_REASON = re.compile(r"\b(?:because|reason:|since|as)\s+(.+)$", re.IGNORECASE | re.DOTALL)
_EVIDENCE = re.compile(r"\b(?:photo|picture|evidence):\s*(\S+)", re.IGNORECASE)
_ITEM_ID = re.compile(r"(?<![\w#])(\d{4,})(?!\w)")
_ALL = re.compile(r"\b(everything|all(?: of it| items)?|(?:the )?(?:whole|entire|full) order)\b", re.IGNORECASE)
_SWAP = re.compile(r"\b(?:exchang|swap)\w*\s+(.+)$", re.IGNORECASE | re.DOTALL)
_PAIR = re.compile(r"(?<!\s)\s+(?:for|with|against|to)\s+", re.IGNORECASE)
_COUNTS = {"one": 1, "a": 1, "an": 1, "the": 1, "two": 2, "both": 2, "three": 3, "four": 4}


class ReturnAsk(BaseModel):
    """What somebody asks about a return or an exchange, as far as their words say it."""

    order_id: str | None = None
    items: list[str] = []
    """Item ids or names, one entry for each piece named; `all` for the whole order."""
    new_items: list[str] = []
    """For an exchange, one entry for each of `items`: the id or the options of the item wanted for it."""
    destination: str | None = None
    """A payment method id, or `original`, `gift card`, `paypal`, `credit card`."""
    reason: str = ""


@dataclass(frozen=True)
class Said:
    """What came with a request: all its words, and the pictures that show the goods."""

    words: str
    pictures: Sequence[str] = ()


def read_ask(text: str) -> ReturnAsk | None:
    """What the words of a request say, by pattern; None when they name no order."""
    order = _ORDER.search(text)
    if order is None:
        return None
    found_reason = _REASON.search(text)
    words = text[: found_reason.start()] if found_reason else text
    method, destination = _METHOD.search(words), _DESTINATION.search(words)
    old, new = _swapped(_DESTINATION.sub(" ", _METHOD.sub(" ", words)))
    items = ["all"] if _ALL.search(words) else _ITEM_ID.findall(_METHOD.sub(" ", words))
    return ReturnAsk(
        order_id=f"#{order.group(1).upper()}",
        items=old if new else items or [words],
        new_items=new,
        destination=method.group(1).lower() if method else destination.group(1).lower() if destination else None,
        reason=_EVIDENCE.sub("", found_reason.group(1)).strip() if found_reason else "",
    )


def _swapped(words: str) -> tuple[list[str], list[str]]:
    """The items of an exchange and what is wanted for each: `exchange A for B, C for D of #W1`."""
    found = _SWAP.search(words)
    if found is None:
        return [], []
    parts = re.split(r"\s*(?:,|;|\band\b)\s*", _ORDER.sub(" ", found.group(1)))
    pairs = [halves for part in parts if len(halves := _PAIR.split(part, maxsplit=1)) == 2]
    return [old.strip() for old, _ in pairs], [new.strip() for _, new in pairs]


def evidence_in(text: str) -> list[str]:
    """The pictures that a member's words name: `photo: <file or link>`."""
    return _EVIDENCE.findall(text)


def wished_items(order: Order, named: Sequence[str]) -> list[WishedItem]:
    """The items of `order` that are named, by id, by name, or all of it; raises NoPlan rather than guess."""
    if [name.casefold() for name in named] == ["all"]:
        ids = [line.item_id for line in order.items]
        return [WishedItem(item_id=item_id, count=ids.count(item_id)) for item_id in dict.fromkeys(ids)]
    found = [_items_in(order, name) for name in named]
    if not all(found) or not found:
        raise NoPlan(f"I could not tell which items of {order.order_id} come back. Name them: {_offer(order.items)}.")
    return [item for items in found for item in items]


def _items_in(order: Order, name: str) -> list[WishedItem]:
    if _ITEM_ID.fullmatch(name.strip()):
        return [WishedItem(item_id=name.strip())]
    found: list[WishedItem] = []
    for product in dict.fromkeys(line.name for line in order.items):
        mention = re.search(rf"(?:\b(\w+)\s+(?:x\s+|of the\s+)?)?\b{re.escape(product)}s?\b", name, re.IGNORECASE)
        if mention is None:
            continue
        variants = {line.item_id for line in order.items if line.name == product}
        if len(variants) > 1:
            lines = [line for line in order.items if line.name == product]
            raise NoPlan(f"{order.order_id} has several kinds of {product}. Name the item: {_offer(lines)}.")
        found.append(WishedItem(item_id=variants.pop(), count=_count(mention.group(1))))
    return found


def _count(word: str | None) -> int:
    if word is None:
        return 1
    if word.isdigit() and 0 < int(word) < 100:
        return int(word)
    return _COUNTS.get(word.casefold(), 1)


def _offer(lines: Sequence[OrderItem]) -> str:
    unique = {line.item_id: line.name for line in lines}
    return ", ".join(f"{item_id} ({name})" for item_id, name in unique.items())


def wished_return(order: Order, customer: Customer, ask: ReturnAsk, said: Said) -> ReturnWish:
    """The return that is asked for; raises NoPlan rather than guess."""
    destination, method = _to(customer, ask.destination or "")
    return ReturnWish(
        items=wished_items(order, ask.items),
        payment_method_id=method,
        destination=destination,
        reason=ask.reason,
        words=said.words,
        evidence=list(said.pictures),
    )


def _to(customer: Customer, words: str) -> tuple[Destination | None, str | None]:
    """Where these words send the money: to a kind of destination, to a payment method, or as the rulebook has it."""
    if words.casefold() in {"", "original"}:
        return None, None
    if words.casefold() == "gift card":
        return Destination.GIFT_CARD, None
    return None, _method(customer, words)


def _method(customer: Customer, words: str) -> str:
    kind = words.casefold().replace(" ", "_")
    held = [method.payment_method_id for method in customer.payment_methods if method.kind == kind]
    if len(held) > 1:
        raise NoPlan(f"The customer has {len(held)} payment methods of that kind. Name one: {', '.join(held)}.")
    return held[0] if held else words


def wished_exchange(order: Order, customer: Customer, ask: ReturnAsk, products: Sequence[Product]) -> ExchangeWish:
    """The exchange that is asked for, its new items found among `products`; raises NoPlan rather than guess."""
    if len(ask.new_items) != len(ask.items):
        raise NoPlan("Say for each item what is wanted instead: exchange <item> for <item>, …")
    swaps: list[Swap] = []
    for old, new in zip(ask.items, ask.new_items, strict=True):
        named = wished_items(order, [old])
        line = next((line for line in order.items if line.item_id == named[0].item_id), None)
        if len(named) != 1 or line is None:
            raise NoPlan(f"I could not tell which item of {order.order_id} “{old}” is. {_offer(order.items)}.")
        product = next((each for each in products if each.product_id == line.product_id), None)
        wanted = _variant(product, new, instead_of=line.item_id)
        swaps += [Swap(item_id=line.item_id, new_item_id=wanted)] * named[0].count
    destination, method = _to(customer, ask.destination or "")
    return ExchangeWish(swaps=swaps, payment_method_id=method, destination=destination, reason=ask.reason)


def _variant(product: Product | None, words: str, *, instead_of: str) -> str:
    """The id that is named, or the one variant that has every option the words name."""
    given = _ITEM_ID.search(words)
    if given is not None:
        return given.group(1)
    found: list[str] = []
    said = words.casefold()
    for variant in product.variants if product else []:
        options = [value.casefold() for value in variant.options.values()]
        if variant.item_id != instead_of and any(re.search(rf"(?<!\w){re.escape(o)}(?!\w)", said) for o in options):
            found.append(variant.item_id)
    if len(found) != 1:
        name = product.name if product else "that"
        kinds = [f"{v.item_id} ({', '.join(v.options.values())})" for v in (product.variants if product else [])]
        raise NoPlan(f"I could not tell which {name} is wanted. Name one: {'; '.join(kinds)}.")
    return found[0]
